"""Is a task right, before a model sees it.

Its reference passes acceptance; each known bug fails it, and so does the reference with empty functions;
all alike in several runs with other seeds. Acceptance asks for no name that the specification keeps to
itself.

A hidden test that has no twin (``twins.py``) is named, but is no mistake: code that forges only what such
tests judge is not found out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, SpecError, UsageError
from harness.grading.python_source import _unannounced, emptied, syntax_problem
from harness.grading.verdict import Grader, accepted
from harness.sandbox import Sandbox, TestRun
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home
from harness.tasks import loader
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Task

RUNS = 5
UNREVIEWED = "unreviewed"


@dataclass(frozen=True)
class Checked:
    """One file.

    Attributes:
        shown: The file as messages name it.
        problems: What is wrong with it, one line each.
        warnings: What is worth knowing and no mistake, one line each.
        note: What else was found, in a few words; may be empty.
    """

    shown: str
    problems: list[str]
    note: str = ""
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the problems and warnings, and then what there is to say about the file as a whole."""
        summary = "; ".join(filter(None, ["" if self.problems else "ok", self.note]))
        return [*self.problems, *self.warnings, *([f"{self.shown}: {summary}"] if summary else [])]


@dataclass(frozen=True)
class Proof:
    """What grading a task without a model showed.

    Attributes:
        solved: The reference passes acceptance.
        empty_solved: So does the reference with empty functions; None if it has no function.
        problems: What is wrong with the task, one line each.
        warnings: Hidden tests without a twin, one line each.
    """

    solved: bool
    empty_solved: bool | None
    problems: list[str]
    warnings: tuple[str, ...] = ()


def check(given: Path, root: Path) -> Iterator[Checked]:
    """Check a task or source file, or a folder of them with its pairs and prices.

    The tasks of a source file are checked where ``pytest`` with the same argument would run them.

    Args:
        given: The file or folder.
        root: What paths are shown relative to.

    Raises:
        UsageError: There is nothing at ``given``, or it is a source that is not installed.
    """
    if not given.exists():
        raise UsageError(f"{given}: no such file or folder")
    given = given.resolve()
    suite = Suite(_benchmarks_folder(given), root, Selection(paths=frozenset({given})), {})
    own = [suite.folder / name for name in (loader.PAIRS_FILE, loader.PRICES_FILE)]
    known = [*filter(os.path.lexists, own), *suite.files(), *suite.sources()]
    known += [path for path in suite.unreadable() if path not in own]
    paths = [given] if not given.is_dir() else [path for path in known if path.is_relative_to(given)]
    if not paths:
        raise UsageError(f"no task files in {given.name}", remedy="add one, such as benchmarks/add.yaml")
    with ExitStack() as stack:
        sight = Sight(root, (root, *home()))
        seeds = [ForkServer(sight=sight, seed=seed) for seed in range(RUNS)]
        sandboxes = [stack.enter_context(server) for server in seeds]
        for path in paths:
            shown = suite.display(path)
            try:
                yield _checked(path, suite, sandboxes)
            except SpecError as error:
                yield Checked(shown, error.problems)
            except HarnessError as error:  # a source that is not installed, a machine that cannot run it
                if isinstance(error, UsageError) and len(paths) == 1:
                    raise
                yield Checked(shown, [str(error) if shown in str(error) else f"{shown}: {error}"])


def stops_pytest(given: Path, root: Path, environment: Mapping[str, str]) -> str:
    """Return why a plain ``pytest`` would end before its first trial, though each file is right; or nothing.

    Args:
        given: As for ``check``.
        root: As for ``check``.
        environment: May name models in place of a pairs file.
    """
    suite = Suite(_benchmarks_folder(given.resolve()), root, Selection(), environment)
    try:
        suite.check_mix()
    except SpecError:
        return ""  # a problem of the pairs file
    except UsageError as error:
        return str(error)
    return ""


def _checked(path: Path, suite: Suite, sandboxes: Sequence[Sandbox]) -> Checked:
    shown = suite.display(path)
    if path.name == loader.PAIRS_FILE:
        suite.named_pairs  # noqa: B018  (raises what is wrong with it)
        return Checked(shown, [])
    if path.name == loader.PRICES_FILE:
        loader.load_prices(path, shown)
        return Checked(shown, [])
    if not suite.collects(path):
        return Checked(shown, [], "its tasks are checked when it is named")
    proofs = {suite.named(path, task): proof(task, sandboxes) for task in suite.tasks(path)}
    problems = [f"{place}: {line}" for place, each in proofs.items() for line in each.problems]
    warnings = tuple(f"{place}: {line}" for place, each in proofs.items() for line in each.warnings)
    if suite.file(path).is_source:
        return Checked(shown, problems, _counts(proofs.values()), warnings)
    bugs = any(task.bugs for task in suite.tasks(path))
    note = "" if bugs else "no known bugs, so testers are not graded on them"
    return Checked(shown, problems, note, warnings)


def _counts(proofs: Iterable[Proof]) -> str:
    solved = [each.solved for each in proofs]
    empty = [each.empty_solved for each in proofs if each.empty_solved is not None]
    references = f"references: {sum(solved)} of {len(solved)} solved"
    return f"{references}; empty functions: {sum(empty)} of {len(empty)} solved"


def proof(task: Task, sandboxes: Sequence[Sandbox]) -> Proof:
    """Grade what a task says is right and what it says is wrong.

    Args:
        task: The task.
        sandboxes: Where its tests run, once in each; those differ in their seeds.

    Raises:
        SandboxError: Nothing could be run.
    """
    graders = [Grader(task, sandbox) for sandbox in sandboxes]
    grader = graders[0]
    found = [f"acceptance: uses {name!r}, which the spec does not name" for name in _unannounced(task)]
    run = grader.acceptance({**task.files, task.code_file: task.reference})
    broken = syntax_problem(task.reference, task.code_file)
    solved = not broken and accepted(run)
    if broken:
        found.append(f"reference: does not compile: {broken}")
    elif not solved:
        found.append(f"reference: does not pass acceptance: {_why(run)}")
    empty = "" if broken else emptied(task.reference)
    empty_solved = accepted(grader.acceptance({**task.files, task.code_file: empty})) if empty else None
    if empty_solved:
        found.append("acceptance: passes on functions that do nothing; sharpen the tests")
    for bug in task.bugs:
        where = f"bugs: {bug.name!r}"
        if syntax_problem(bug.code, task.code_file):
            found.append(f"{where}: does not compile, so any test catches it; give a plausible bug")
        elif grader.acceptance({**task.files, task.code_file: bug.code}).passed:
            found.append(f"{where}: passes acceptance; sharpen the tests or drop the bug")
    codes = [("reference", task.reference), *((f"bugs: {bug.name!r}", bug.code) for bug in task.bugs)]
    found = found or [line for where, code in codes for line in _flaky(where, code, task, graders)]
    if UNREVIEWED in task.tags:
        found.append(
            f"tags: {UNREVIEWED}: models wrote reference and acceptance: review them, add bugs, drop the tag"
        )
    warnings = tuple(f"acceptance: no twin of {name}: {why}" for name, why in grader.without_twin().items())
    return Proof(solved, empty_solved, found, warnings if solved else ())


def _flaky(where: str, code: str, task: Task, graders: Sequence[Grader]) -> list[str]:
    """Name the tests that do not come out alike in all runs."""
    runs = [grader.acceptance({**task.files, task.code_file: code}) for grader in graders]
    outcomes = [{test.name: test.outcome for test in run.tests} for run in runs]
    names = list(dict.fromkeys(name for each in outcomes for name in each))
    flaky = [name for name in names if len({each.get(name) for each in outcomes}) > 1]
    if not flaky and len({run.status for run in runs}) == 1:
        return []
    what = flaky[0] if flaky else " or ".join(sorted({run.status for run in runs}))
    return [
        f"{where}: not the same in {len(runs)} runs with different seeds: {what}; tests must not be flaky"
    ]


def _benchmarks_folder(path: Path) -> Path:
    """Return the outermost folder called ``benchmarks`` round a path, or the path's own folder."""
    folder = path if path.is_dir() else path.parent
    named = [parent for parent in (folder, *folder.parents) if parent.name == "benchmarks"]
    return named[-1] if named else folder


def _why(run: TestRun) -> str:
    bad = next((test for test in run.tests if test.outcome != "passed"), None)
    if bad is None:
        return run.detail or run.status.replace("_", " ")
    return f"{bad.name}: {bad.text.splitlines()[0] if bad.text else bad.outcome}"
