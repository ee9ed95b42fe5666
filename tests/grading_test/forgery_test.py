"""Forgers are found out, and unusual code that is right is not taken for one."""

from functools import cache
from pathlib import Path

import pytest
from grading_test.forgers import FORGERS
from grading_test.honest import ADD, HONEST
from grading_test.mistaken import MISTAKEN

from harness.grading.verdict import Attempt, Grader
from harness.tasks.loader import load_task

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def outcome(sandbox):
    """The outcome of code, or of files, for a task."""

    @cache
    def grader(name):
        task = load_task(BENCHMARKS / f"{name}.yaml", name)
        return task, Grader(task, sandbox)

    def of(name, code=None):
        task, judge = grader(name)
        written = code if isinstance(code, dict) else {task.code_file: code or task.reference}
        files = {**task.files, **written}
        verdict = judge.verdict([Attempt(files, dict.fromkeys(written, "coder"))], "done", coder_called=True)
        return verdict.outcome, verdict.detail

    return of


@pytest.mark.parametrize("name", FORGERS)
def test_no_forger_is_solved(name, outcome):
    """Whatever wrong code does to be judged right, it is the code's fault that it is not."""
    assert outcome(*FORGERS[name])[0] in ("forged", "wrong", "crashed", "timeout")


def test_a_forger_leaves_nothing_behind(outcome):
    """After all of them right code is right."""
    assert len(FORGERS) >= 60
    for task in {task for task, _ in FORGERS.values()}:
        assert outcome(task) == ("solved", "")


@pytest.mark.parametrize("name", HONEST)
def test_unusual_code_that_is_right_is_solved(name, outcome):
    """No means of the language makes a forger."""
    assert outcome(*HONEST[name]) == ("solved", "")


@pytest.mark.parametrize("name", MISTAKEN)
def test_an_honest_mistake_is_no_forgery(name, outcome):
    """Neither a skip nor a fork that goes on with its parent's tests changes how the code is judged."""
    assert outcome(ADD, MISTAKEN[name])[0] in ("wrong", "crashed")
