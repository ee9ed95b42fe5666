"""Trials that are lost with their worker, that are tried again, or that a dead endpoint ends."""

import json
import os
from pathlib import Path

import pytest
import warm

PAIRS = """\
pairs:
  one: {orchestrator: {model: openai/x}, coder: a, tester: a, backend: local}
"""
TASK = """\
title: Add
difficulty: trivial
spec: Write add(a, b).
code_file: add.py
test_file: test_add.py
reference: |
  def add(a, b): return a + b
acceptance: |
  from add import add
  def test_add(): assert add(1, 2) == 3
"""
DIES_ONCE = """
import os
from harness.plugin.session import BenchmarkSession

real = BenchmarkSession.run

def run(self, trial):
    if trial.task.id == "bad":
        os._exit(3)
    return real(self, trial)

BenchmarkSession.run = run
"""
FAILS_ONCE = """
import pathlib
from harness.plugin.session import BenchmarkSession

real = BenchmarkSession.run

def run(self, trial):
    mark = pathlib.Path("was-here")
    if not mark.exists():
        mark.touch()
        raise OSError("the disk is away")
    return real(self, trial)

BenchmarkSession.run = run
"""
NOBODY_ANSWERS = """
from harness.errors import ApiError
from harness.plugin.session import BenchmarkSession

def run(self, trial):
    raise ApiError("Letta at http://127.0.0.1:9 cannot be reached (transport retries: 4)")

BenchmarkSession.run = run
"""


def repository(root: Path, conftest: str) -> Path:
    (root / "benchmarks").mkdir()
    for name in ("bad", "good", "other"):
        (root / f"benchmarks/{name}.yaml").write_text(TASK)
    (root / "benchmarks/pairs.yaml").write_text(PAIRS)
    (root / "conftest.py").write_text(conftest)
    return root


def run(root: Path, *args: str) -> tuple[int, str, list[dict[str, object]]]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = warm.run(["benchmarks", "-p", "no:cacheprovider", *args], root, environment)
    lines = (root / "reports/latest/trials.jsonl").read_text().splitlines()
    return done.returncode, done.stdout, [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """A run of three trials in which one takes its worker with it."""
    return run(repository(tmp_path_factory.mktemp("lost"), DIES_ONCE), "-n", "2")


def test_a_trial_whose_worker_dies_has_a_row(lost):
    """It is an error of the harness, with what xdist knows of it; the other trials have theirs."""
    _, _, rows = lost
    outcomes = {row["task"]: row["outcome"] for row in rows}
    assert outcomes == {"bad": "harness_error", "good": "missing_cassette", "other": "missing_cassette"}
    detail = next(row["detail"] for row in rows if row["task"] == "bad")
    assert "crashed while running" in str(detail)


def test_a_lost_worker_fails_the_run_and_is_counted(lost):
    """The run says so: exit code 1, and an infra error in the table's note."""
    code, output, _ = lost
    assert code == 1
    assert "HARNESS ERROR" in output or "harness error" in output.lower()
    assert "3 infra errors" in output


def test_a_trial_that_is_tried_again_has_one_row_and_is_told(tmp_path):
    """With --reruns of pytest-rerunfailures the last try counts, and the run names the trial."""
    _, output, rows = run(
        repository(tmp_path, FAILS_ONCE), *("-p", "pytest_rerunfailures", "--reruns", "1"), "-k", "good"
    )
    assert [row["outcome"] for row in rows] == ["missing_cassette"]
    assert "tried again" in output
    assert "one/good/1: missing_cassette" in output


def test_a_dead_endpoint_stops_the_run_and_is_told_once(tmp_path):
    """After three trials in a row nothing is tried any more; --keep-going tries them all."""
    root, options = (
        repository(tmp_path, NOBODY_ANSWERS),
        ("--record=once", "--no-live-checks", "--epochs=2", "--allow-unknown-price"),
    )
    code, output, rows = run(root, *options)
    assert (code, len(rows)) == (1, 3)
    told = output.partition("short test summary")[0]
    assert told.count("cannot be reached (transport retries: 4)") == 1
    assert "stopping: 3 trials in a row of the pair one ended with an API error" in output
    code, output, rows = run(root, *options, "--keep-going")
    assert (code, len(rows)) == (1, 6)
    assert "stopping" not in output
