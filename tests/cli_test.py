"""The ``harness`` command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import __version__
from harness.cli import main
from harness.reports import RunFolder, luggage
from harness.run import Setup, run_trial
from harness.spec import schemas

TASK = Path(__file__).parent.parent / "benchmarks" / "add.yaml"


def harness(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose benchmarks folder holds the task ``add``; the current folder."""
    monkeypatch.chdir(tmp_path)
    benchmarks = tmp_path / "benchmarks"
    benchmarks.mkdir()
    (benchmarks / "add.yaml").write_text(TASK.read_text())
    return benchmarks


def test_version() -> None:
    """--version tells the package's version."""
    assert __version__ in harness("--version").output


def test_validate_good_tasks(folder) -> None:
    """A right task is ok."""
    result = harness("validate")
    assert (result.exit_code, result.output) == (
        0,
        "benchmarks/add.yaml: ok\n1 files checked, 0 with problems\n",
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("      return a + b", "      return a - b", "reference: does not pass acceptance"),
        ("          return a - b", "          return a + b", "bugs: 'subtracts': passes acceptance"),
        ("          return a - b", "          return a -", "bugs: 'subtracts': does not compile"),
        ("title:", "titel:", "titel: unknown key; did you mean 'title'?"),
    ],
)
def test_validate_wrong_tasks(old, new, said, folder) -> None:
    """A wrong reference, a bug that passes and a bad field are named with the file; the exit code is 1."""
    path = folder / "add.yaml"
    text = path.read_text()
    path.write_text(
        text.replace(
            "  def add(a: int, b: int) -> int:\n" + old, "  def add(a: int, b: int) -> int:\n" + new, 1
        )
        if "return a + b" in old
        else text.replace(old, new, 1)
    )
    result = harness("validate", "benchmarks")
    assert result.exit_code == 1
    assert "benchmarks/add.yaml:" in result.output
    assert said in result.output


def test_validate_checks_pairs_and_prices(folder) -> None:
    """The pair and price files of a folder are checked with it."""
    (folder / "pairs.yaml").write_text("pairs: {}\n")
    (folder / "prices.yaml").write_text("prices: {m: {input: -1, output: 0}}\n")
    result = harness("validate")
    assert result.exit_code == 1
    assert "benchmarks/pairs.yaml:1: pairs" in result.output
    assert "benchmarks/prices.yaml:1: prices.m.input" in result.output


def test_validate_one_file_of_each_kind(folder) -> None:
    """A pairs file is checked as one, also when it is named alone."""
    (folder / "pairs.yaml").write_text("pairs: {a: {orchestrator: {model: o}, coder: c}}\n")
    assert harness("validate", "benchmarks/pairs.yaml").output.startswith("benchmarks/pairs.yaml: ok")


def test_validate_nothing_to_check(folder, tmp_path) -> None:
    """A check of nothing is no success."""
    (tmp_path / "empty").mkdir()
    result = harness("validate", "empty")
    assert (result.exit_code, "no task files in empty" in result.output) == (2, True)


def test_validate_nothing_there(folder) -> None:
    """A path that does not exist is one line."""
    result = harness("validate", "nowhere")
    assert (result.exit_code, result.output) == (2, "error: nowhere: no such file or folder\n")


def test_schema_prints_json() -> None:
    """Without a folder the schemas are printed."""
    assert '"title": "Task"' in harness("schema").output


def test_the_shipped_schemas_are_current() -> None:
    """The schemas that editors use are those of the models (`make schemas` writes them)."""
    shipped = Path(__file__).parent.parent / "harness" / "schemas"
    assert {path.name: json.loads(path.read_text()) for path in shipped.iterdir()} == schemas()


def test_show_a_trial(trial, recording: Setup, monkeypatch) -> None:
    """``show`` prints the conversation of a finished trial, found by task or slug."""
    from datetime import UTC, datetime

    result = run_trial(trial, recording)
    RunFolder(recording.root / "reports", datetime(2026, 11, 22, tzinfo=UTC)).add(
        luggage(result.record.row(), result.transcript, result.files)
    )
    monkeypatch.chdir(recording.root)
    for wanted in ("add", "gpt+haiku/add/1", "haiku"):
        shown = harness("show", wanted)
        assert shown.exit_code == 0, shown.output
        assert "gpt+haiku/add/1: solved" in shown.output
        assert "orchestrator calls run_claude_coder" in shown.output
    missing = harness("show", "nope")
    assert missing.exit_code == 2
    assert "use one of: gpt+haiku/add/1" in missing.output


def test_show_without_runs(tmp_path, monkeypatch) -> None:
    """Before the first run ``show`` says what to do."""
    monkeypatch.chdir(tmp_path)
    result = harness("show", "add")
    assert result.exit_code == 2
    assert "run `pytest benchmarks` first" in result.output
