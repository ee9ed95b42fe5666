"""Is a task right, before a model sees it: its reference passes acceptance, each known bug fails it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import spec
from harness.errors import SpecError, UsageError
from harness.sandbox import Sandbox, TestRun
from harness.sandbox.fork_server import ForkServer
from harness.suite import Selection, Suite
from harness.trial import Task
from harness.verdict import Grader, accepted, syntax_problem


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
    own = [suite.folder / name for name in (spec.PAIRS_FILE, spec.PRICES_FILE)]
    paths = [given] if given.is_file() else [path for path in (*own, *suite.files()) if path.is_file()]
    paths = [path for path in paths if path.is_relative_to(given)]
    if not paths:
        raise UsageError(f"no task files in {given.name}", remedy="add one, such as benchmarks/add.yaml")
    with ForkServer(hidden=(root, Path.home())) as sandbox:
        for path in paths:
            try:
                yield suite.shown(path), _problems_of(path, suite, sandbox)
            except SpecError as error:
                yield suite.shown(path), error.problems


def _problems_of(path: Path, suite: Suite, sandbox: Sandbox) -> list[str]:
    shown = suite.shown(path)
    if path.name == spec.PAIRS_FILE:
        spec.load_pairs(path, shown)
        return []
    if path.name == spec.PRICES_FILE:
        spec.load_prices(path, shown)
        return []
    return [f"{shown}: {line}" for line in problems(suite.task(path), sandbox)]


def problems(task: Task, sandbox: Sandbox) -> list[str]:
    """What is wrong with a task, one line each; empty if nothing is.

    Raises:
        SandboxError: Nothing could be run.
    """
    grader = Grader(task, sandbox)
    found = []
    run = grader.acceptance({**task.files, task.code_file: task.reference})
    broken = syntax_problem(task.reference, task.code_file)
    if broken:
        found.append(f"reference: does not compile: {broken}")
    elif not accepted(run):
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
