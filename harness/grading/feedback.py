"""What the orchestrator is told when its work does not stand up: bounded, and the same everywhere.

It comes from the *generated* tests only: the hidden acceptance tests never reach a model.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.agents.loop import Check
from harness.sandbox import TestRun
from harness.tasks.task import Task

MAX_CHARS = 2000
MAX_FAILURES = 5


def feedback(task: Task, files: Mapping[str, str], run: TestRun | None) -> Check:
    """Return what the orchestrator may know of an attempt that left these files, and this run of its tests.

    There is no run if a file is missing.
    """
    missing = [path for path in (*task.written, task.test_file) if path not in files]
    if missing:
        return Check(False, "files are missing.", "\n".join(f"{path} was not written" for path in missing))
    if run is not None and run.syntax:
        return Check(False, f"{task.code_file} does not compile.", run.syntax)
    if run is None or run.passed:
        return Check(True, "", "")
    if run.status == "no_tests":
        return Check(False, "no test ran.", f"{task.test_file} holds no test that runs")
    if run.detail or run.status in ("timeout", "crashed", "forged"):
        return Check(
            False, "the tests did not finish.", run.detail or "the test run ended before it was done"
        )
    return Check(False, "the tests fail.", _failures(run)[:MAX_CHARS])


def _failures(run: TestRun) -> str:
    failed = [test for test in run.tests if test.outcome in ("failed", "error", "xpassed")]
    parts = [f"{test.text or test.outcome}\nFAILED {test.name}" for test in failed[:MAX_FAILURES]]
    if len(failed) > MAX_FAILURES:
        parts.append(f"... and {len(failed) - MAX_FAILURES} more")
    counts = f"{len(failed)} failed, {run.passes} passed"
    return "\n\n".join([*parts, counts])
