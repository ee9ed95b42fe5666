"""What the grades of a trial rest on, for people to read: the task's own files and the result of each test.

It stands beside the transcripts of a run (``tasks/<task>.json``, and ``grades`` in a trial's file). It holds
the reference and the hidden tests, so it is for the task's author; no model is ever sent any of it.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from harness.grading.verdict import Verdict
from harness.sandbox import TestRun
from harness.tasks.task import Task


class CaseResult(TypedDict):
    """One test of a run; ``text`` says why it did not pass."""

    name: str
    outcome: str
    text: str


class BugResult(TypedDict):
    """A known bug, and whether the tester's file failed on it."""

    name: str
    result: Literal["caught", "accepted", "rejected", "not tried"]


class Grades(TypedDict):
    """The test runs of a trial; None where there was none.

    Attributes:
        acceptance: The hidden tests on the last attempt's code.
        generated: The tester's tests on the last attempt's code.
        on_reference: The tester's tests on the reference.
        on_bugs: The tester's tests on the task's known bugs.
    """

    acceptance: list[CaseResult] | None
    generated: list[CaseResult] | None
    on_reference: list[CaseResult] | None
    on_bugs: list[BugResult]


class KnownBug(TypedDict):
    """A plausible wrong solution, as the task has it."""

    name: str
    code: str


class TaskTexts(TypedDict):
    """What a task's author wrote."""

    title: str
    spec: str
    code_file: str
    test_file: str
    reference: str
    acceptance: str
    bugs: list[KnownBug]


def task_texts(task: Task) -> TaskTexts:
    """Return what a task's author wrote."""
    return {
        "title": task.title,
        "spec": task.spec,
        "code_file": task.code_file,
        "test_file": task.test_file,
        "reference": task.reference,
        "acceptance": task.acceptance,
        "bugs": [{"name": bug.name, "code": bug.code} for bug in task.bugs],
    }


def grades(verdict: Verdict) -> Grades:
    """Return the test runs that a verdict rests on."""
    tester = verdict.tester
    return {
        "acceptance": _tests(verdict.acceptance),
        "generated": _tests(verdict.generated),
        "on_reference": _tests(tester.on_reference if tester else None),
        "on_bugs": [{"name": name, "result": result} for name, result in tester.on_bugs] if tester else [],
    }


def _tests(run: TestRun | None) -> list[CaseResult] | None:
    if run is None:
        return None
    return [{"name": test.name, "outcome": test.outcome, "text": test.text} for test in run.tests]
