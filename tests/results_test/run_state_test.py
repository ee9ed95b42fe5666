"""What a run was begun with, and whether it goes on."""

import subprocess
import sys

import pytest

from harness.errors import UsageError
from harness.results.run_state import (
    Figures,
    Plan,
    State,
    changed,
    fields_of,
    is_alive,
    plan_of,
    read,
    status_of,
    write,
)

LIVES = """
import os, sys
from pathlib import Path
from harness.results.run_state import Alive
alive = Alive(Path(sys.argv[1]))
if os.fork() == 0:
    os.close(1)
    sys.stdin.read()
    os._exit(0)
print("lives", flush=True)
sys.stdin.read()
"""
BEGUN = State(began="2026-11-26T12:00:00+00:00", arguments=["benchmarks"], options={}, pairs=["a"], planned=2)


def test_the_plan_comes_back_and_tells_what_has_changed(tmp_path, trial):
    """A digest for each field of task and pair: the names of those that differ can be told."""
    plan = plan_of([trial, trial.model_copy(update={"epoch": 2})])
    write(tmp_path, plan)
    assert read(tmp_path, Plan) == plan
    assert plan.trials == ["gpt+haiku/add/1", "gpt+haiku/add/2"]
    other = trial.task.model_copy(update={"spec": "Write it.", "acceptance": "def test_no(): assert 0\n"})
    assert changed(plan.tasks["add"].fields, fields_of(other)) == ["spec", "acceptance"]
    more_epochs = trial.pair.model_copy(update={"epochs": 7})
    assert changed(plan.pairs["gpt+haiku"], fields_of(more_epochs)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", r"damaged \(\$: Invalid JSON"),
        ('{"schema": 2}', "written by another version of the harness"),
        ('{"schema": 1, "began": 7}', r"damaged \(\$\.began: "),
    ],
)
def test_a_state_that_cannot_be_used_is_one_line(text, message, tmp_path):
    """It names the file and what is wrong with it."""
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=f"run.json: {message}"):
        read(tmp_path, State)


@pytest.fixture
def other(tmp_path):
    """Another process that says that it lives, with a child that has all it had open."""
    command = [sys.executable, "-c", LIVES, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "lives\n"
        yield process


def test_a_run_lives_as_long_as_one_of_its_processes(tmp_path, other):
    """Killed, it is interrupted at once, though a child of it lives on."""
    assert not is_alive(tmp_path / "nowhere")
    assert status_of(tmp_path, BEGUN) == "running"
    other.kill()
    other.wait()
    assert status_of(tmp_path, BEGUN) == "interrupted"


@pytest.mark.parametrize(
    ("finished", "status"), [(None, "interrupted"), (1, "interrupted"), (2, "complete"), (3, "complete")]
)
def test_a_run_is_complete_when_all_its_trials_have_a_row(finished, status, tmp_path):
    """One that ended in good order without all of them was interrupted."""
    figures = finished and Figures(finished=finished, measured=1, solved=1, cost=None)
    ended = BEGUN.model_copy(update={"ended": "2026-11-26T12:01:00+00:00", "figures": figures})
    assert status_of(tmp_path, ended) == status
