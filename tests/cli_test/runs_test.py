"""``harness runs``: state, figures and how to go on."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from rows import a_row, a_run, an_infra_row, with_two_memories

from harness.cli.main import main
from harness.results.run_state import Figures, State, write

BEGUN = State(
    began="2026-11-26T12:00:00+00:00",
    arguments=["benchmarks/my tasks"],
    options={},
    pairs=["a", "b", "c"],
    planned=3,
)


@pytest.fixture
def reports(tmp_path):
    """An older run, one that was killed, a complete one with an error in it, and a damaged one."""
    rows = [a_row("a"), a_row("b", "wrong"), an_infra_row("c")]
    for number, (name, kept) in enumerate({"old": rows, "killed": rows[:2], "done": rows}.items()):
        a_run(tmp_path / f"2026112{number}-{name}", kept)
    write(tmp_path / "20261121-killed", BEGUN)
    figures = Figures(finished=3, measured=2, solved=1, cost=1.234)
    write(tmp_path / "20261122-done", BEGUN.model_copy(update={"ended": "x", "figures": figures}))
    (tmp_path / "20261123-bad").mkdir()
    (tmp_path / "20261123-bad" / "run.json").write_text("{")
    (tmp_path / "latest").symlink_to("20261123-bad")
    return tmp_path


def test_each_run_has_a_line(reports):
    """Newest first; below one with something left the command that goes on with it, quoted for a shell."""
    result = CliRunner().invoke(main, ["runs", "--reports", str(reports)])
    assert result.exit_code == 0
    bad, done, go_on, killed, go_on_too, old = result.output.splitlines()
    assert bad.startswith("20261123-bad     damaged      ")
    assert done == (
        "20261122-done    complete     3 trials; 50.0 % solved; 1 infra error; $1.23; a, b and 1 more"
    )
    assert go_on == "    pytest 'benchmarks/my tasks' --resume=20261122-done"
    assert killed == "20261121-killed  interrupted  2 of 3 trials; 50.0 % solved; a, b and 1 more"
    assert go_on_too == "    pytest 'benchmarks/my tasks' --resume=20261121-killed"
    assert old == "20261120-old     unknown      3 trials; 50.0 % solved; 1 infra error"


def test_the_percentage_is_that_of_models_on_tasks(tmp_path):
    """Mocks and steps of courses are in no mean with them, nor in that of an older run."""
    steps = with_two_memories(1)
    rows = [a_row("a", task="t"), a_row("a", "wrong", task="u"), a_row("m", backend="mock")]
    for name, kept in {"3": [*rows, *steps], "2": steps, "1": rows[:1]}.items():
        a_run(tmp_path / name, kept)
    figures = Figures(finished=9, measured=9, solved=6, cost=0)
    write(tmp_path / "3", BEGUN.model_copy(update={"ended": "x", "planned": 9, "figures": figures}))
    lines = CliRunner().invoke(main, ["runs", "--reports", str(tmp_path)]).output.splitlines()
    assert [line.split("  ")[-1].split("; a, b")[0].strip() for line in lines] == [
        "9 trials; models solved 50.0 % of 2",
        "6 trials; 4 solved, no task by a model",
        "1 trial; 100.0 % solved",
    ]


def test_for_programs(reports):
    """As JSON, with the same values."""
    result = CliRunner().invoke(main, ["runs", "--reports", str(reports), "--format", "json"])
    rows = {row["run"]: row for row in json.loads(result.output)}
    assert [row["state"] for row in rows.values()] == ["damaged", "complete", "interrupted", "unknown"]
    assert (rows["20261121-killed"]["finished"], rows["20261121-killed"]["planned"]) == (2, 3)


def test_no_run(tmp_path):
    """It says what makes one."""
    result = CliRunner().invoke(main, ["runs", "--reports", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, f"no run in {tmp_path}: `pytest benchmarks` makes one\n")


def test_it_loads_no_table_library(reports):
    """So it is fast."""
    code = (
        "import sys; from harness.cli.main import main\n"
        f"main(['runs', '--reports', {str(reports)!r}], standalone_mode=False)\n"
        "assert not {'pandas', 'scipy', 'rich', 'httpx', 'anthropic', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
