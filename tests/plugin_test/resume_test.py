"""Runs that go on: what --resume takes, and what it refuses."""

import json
from dataclasses import replace

import pytest
import yaml
from in_process import run_apart, run_here
from killing import TASK, campaign

from harness.errors import UsageError
from harness.plugin.resume import Resumed, require_unchanged
from harness.results.run_folder import RunFolder
from harness.results.run_state import ALIVE, plan_of
from harness.tasks.suite import Selection, Suite

PAIRS = """\
pairs:
  one: {orchestrator: {model: direct}, coder: oracle, backend: mock, epochs: 2}
  two: {orchestrator: {model: direct}, coder: oracle, backend: mock}
"""
STEP = {
    "id": "add",
    "title": "Add",
    "spec": "Add, <<v>>.",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "def add(a, b): return a + b",
    "acceptance": "def test(): pass",
}


@pytest.fixture
def recorded(pytester):
    """A repository with three trials of mocks, which are recorded."""
    folder = pytester.mkdir("benchmarks")
    (folder / "add.yaml").write_text(TASK)
    (folder / "pairs.yaml").write_text(PAIRS)
    pytester.makeini("[pytest]\n")
    assert run_here(pytester, "benchmarks", "--record=once").parseoutcomes() == {"solved": 3}
    return pytester


def rows(root):
    lines = (root / "reports/latest/trials.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda row: row["trial"])


def resume(repo, *args):
    return run_here(repo, "benchmarks", "--resume", *args)


@pytest.fixture
def half(recorded):
    """A repository whose run was killed: of its three trials one is measured, one ended in an infra error."""
    run_here(recorded, "benchmarks")
    folder = (recorded.path / "reports/latest").resolve()
    lines = (folder / "trials.jsonl").read_text().splitlines()
    failed = json.loads(lines[1]) | {"kind": "infra", "outcome": "api_error"}
    (folder / "trials.jsonl").write_text(f"{lines[0]}\n{json.dumps(failed)}\n")
    state = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(state | {"ended": None, "figures": None}))
    return recorded, [json.loads(line) for line in lines], folder


@pytest.mark.slow
def test_what_is_missing_or_ended_in_an_infra_error_is_run(half):
    """The rest is deselected; the folder then holds what an uninterrupted run leaves, each trial once."""
    repository, whole, folder = half
    result = resume(repository)
    result.stdout.fnmatch_lines([f"resuming {folder.name}: 1 of 3 trials measured, 2 left"])
    assert result.parseoutcomes() == {"solved": 2, "deselected": 1}
    assert result.ret == 0
    by_trial = sorted(whole, key=lambda row: row["trial"])
    assert rows(repository.path) == by_trial
    again = resume(repository, folder.name)
    assert (again.ret, again.parseoutcomes()) == (0, {"deselected": 3})
    again.stdout.fnmatch_lines(["one * 2 * 100.0 *"])
    assert rows(repository.path) == by_trial


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "add.yaml",
            "Implement add",
            "Write add",
            "benchmarks/add.yaml: the task add has changed: spec -> begin a new run*",
        ),
        ("add.yaml", "title", "limits: {max_repairs: 2}\ntitle", "*the task add has changed: limits -> *"),
        ("pairs.yaml", "coder: oracle", "coder: bug", "*the pair one has changed: coder*"),
        ("pairs.yaml", "two:", "three:", "*the pair two is gone -> *"),
    ],
)
def test_what_has_changed_is_named(file, old, new, message, half):
    """A run of something else is not gone on with, and no trial begins."""
    repository, _, folder = half
    path = repository.path / "benchmarks" / file
    path.write_text(path.read_text().replace(old, new, 1))
    result = resume(repository)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --resume: {folder.name} was begun with something else:", f"ERROR: {message}"]
    )
    assert len((folder / "trials.jsonl").read_text().splitlines()) == 2


def test_a_later_epoch_of_a_course_has_not_changed(tmp_path):
    """Its values make other tasks of it; a run that begins with that epoch goes on all the same."""
    course = {
        "title": "c",
        "values": {"v": ["x", "y"]},
        "steps": [{"define": STEP, "review": "Fine, <<v>>."}],
    }
    pair = {"orchestrator": {"model": "openai/o"}, "coder": "c", "courses": ["c"], "epochs": 2}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(course))
    (tmp_path / "pairs.yaml").write_text(yaml.safe_dump({"pairs": {"p": pair}}))
    suite = Suite(tmp_path, tmp_path, Selection(), {})
    first, second = suite.trials(tmp_path / "c.yaml")
    folder = RunFolder(tmp_path / "20261127-101010-00000000")
    begun = Resumed(folder, state=None, plan=plan_of([second]), finished=frozenset(), recorded=0)
    require_unchanged(begun, suite)
    both = replace(begun, plan=plan_of([first, second]))
    require_unchanged(both, suite)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**course, "values": {"v": ["x", "z"]}}))
    changed = Suite(tmp_path, tmp_path, Selection(), {})
    with pytest.raises(UsageError, match=r"the task c.1.add\[2\] has changed: spec, review") as told:
        require_unchanged(both, changed)
    assert "[1]" not in str(told.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "--resume: no run 'nowhere' in *reports -> use one of: 20*"),
        (
            ["latest", "--epochs", "1"],
            "--resume: 20* was begun with --epochs its default, not 1 -> leave out*",
        ),
        (["latest", "--pair", "two"], "--resume: 20* was begun with --pair its default, not two -> *"),
    ],
)
def test_options_that_are_others_are_refused(args, message, half):
    """One line says which."""
    repository, _, _ = half
    result = resume(repository, *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.slow
def test_options_are_those_of_the_run(recorded):
    """They need not be given again."""
    run_here(recorded, "benchmarks", "--pair", "two")
    folder = (recorded.path / "reports/latest").resolve()
    (folder / "trials.jsonl").unlink()
    assert resume(recorded).parseoutcomes() == {"solved": 1}


def test_a_damaged_run_is_one_line(half):
    """It names the file; so for a run that tells nothing of its plan."""
    repository, _, folder = half
    (folder / "plan.json").write_text("{")
    result = resume(repository)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *plan.json: damaged (*"])
    assert len(result.stderr.str().strip().splitlines()) == 1


@pytest.mark.slow
def test_the_table_of_an_interrupted_run_says_so(recorded):
    """How many of how many, which are missing, and how to go on; in the report's files as well."""
    recorded.makeconftest(
        "from harness.plugin.session import BenchmarkSession\n"
        "real = BenchmarkSession.run\n"
        "def run(self, trial):\n"
        "    if trial.pair.name == 'two':\n"
        "        raise KeyboardInterrupt\n"
        "    return real(self, trial)\n"
        "BenchmarkSession.run = run\n"
    )
    result = run_apart(recorded, "benchmarks")
    result.stdout.fnmatch_lines(
        [
            "*Not complete: 2 of 3 trials.*",
            "interrupted: 2 of 3 trials have a result; not: two/add/1",
            "go on: pytest benchmarks --resume=20*",
        ]
    )
    assert "Not complete: 2 of 3 trials." in (recorded.path / "reports/latest/pairs.md").read_text()
    assert (recorded.path / "reports/latest" / ALIVE).exists()


def test_a_run_that_was_stopped_at_once_can_go_on(recorded):
    """Ctrl-C before the first result: there is no table, but the way to go on."""
    recorded.makeconftest(
        "from harness.plugin.session import BenchmarkSession\n"
        "def run(self, trial):\n"
        "    raise KeyboardInterrupt\n"
        "BenchmarkSession.run = run\n"
    )
    result = run_apart(recorded, "benchmarks")
    result.stdout.fnmatch_lines(
        ["interrupted: 0 of 3 trials have a result; not: *", "go on: pytest benchmarks --resume=20*"]
    )


@pytest.mark.slow
def test_killed_runs_lose_nothing_and_pay_for_nothing_twice(tmp_path):
    """Three kills at seeded moments; `bench/kill.py` makes fifty."""
    tally = campaign(tmp_path, 3, seed=4, say=lambda _: None, per_run=3)
    assert tally.kills.total() == 3
    assert (tally.lost, tally.twice, tally.problems) == (0, 0, [])
