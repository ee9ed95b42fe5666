"""Is a task right, before a model sees it: its reference passes acceptance, each known bug fails it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import spec
from harness.errors import SpecError, UsageError
from harness.sandbox import Sandbox, SubprocessSandbox, TestRun
from harness.suite import Selection, Suite
from harness.trial import Task
from harness.verdict import Grader, syntax_problem


def check(given: Path, root: Path) -> Iterator[tuple[str, list[str]]]:
    """Check a task file, or a folder of them with its pairs and prices.

    Args:
        given: The file or folder.
        root: What paths are shown relative to.

    Yields:
        Each file as shown, with its problems, one line each.

    Raises:
        UsageError: There is nothing at ``given``.
        SandboxError: Nothing could be run.
    """
    if not given.exists():
        raise UsageError(f"{given}: no such file or folder")
    given = given.resolve()
    suite = Suite(_benchmarks_folder(given), root, Selection(), {})
    if given.is_dir():
        readers = {spec.PAIRS_FILE: spec.load_pairs, spec.PRICES_FILE: spec.load_prices}
        for name, read in readers.items():
            path = given / name
            if path.is_file():
                try:
                    read(path, suite.shown(path))
                    yield suite.shown(path), []
                except SpecError as error:
                    yield suite.shown(path), error.problems
    for path in (
        [given] if given.is_file() else [file for file in suite.files() if file.is_relative_to(given)]
    ):
        shown = suite.shown(path)
        try:
            yield shown, [f"{shown}: {line}" for line in problems(suite.task(path), SubprocessSandbox())]
        except SpecError as error:
            yield shown, error.problems


def problems(task: Task, sandbox: Sandbox) -> list[str]:
    """What is wrong with a task, one line each; empty if nothing is.

    Raises:
        SandboxError: Nothing could be run.
    """
    grader = Grader(task, sandbox)
    found = []
    run = grader.acceptance({**task.files, task.code_file: task.reference})
    if not run.passed:
        found.append(f"reference: does not pass acceptance: {_why(run)}")
    for bug in task.bugs:
        where = f"bugs: {bug.name!r}"
        if syntax_problem(bug.code, task.code_file):
            found.append(f"{where}: does not compile, so any test catches it; give a plausible bug")
        elif grader.acceptance({**task.files, task.code_file: bug.code}).passed:
            found.append(f"{where}: passes acceptance; sharpen the tests or drop the bug")
    return found


def _benchmarks_folder(path: Path) -> Path:
    """The outermost folder called ``benchmarks`` round a path, or the path's own folder."""
    folder = path if path.is_dir() else path.parent
    named = [parent for parent in (folder, *folder.parents) if parent.name == "benchmarks"]
    return named[-1] if named else folder


def _why(run: TestRun) -> str:
    bad = next((test for test in run.tests if test.outcome != "passed"), None)
    if bad is None:
        return run.detail or run.status.replace("_", " ")
    return f"{bad.name}: {bad.text.splitlines()[0] if bad.text else bad.outcome}"
