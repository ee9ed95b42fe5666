"""Prove tasks on all cores, without a model; what was proved of a task is remembered.

A task's reference passes acceptance; each known bug fails it, and so does the reference with empty functions;
all alike in several runs with other seeds. A proof without a problem is kept by the digest of the task, of
the code that proves it, and of all that its runs depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from harness.errors import SandboxError
from harness.grading.python_source import _unannounced, emptied, syntax_problem
from harness.grading.verdict import Grader, accepted
from harness.sandbox import Sandbox, TestRun, Visible, fork_server
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home
from harness.sandbox.run_cache import digest_of_sources, ground
from harness.store import Store, default_folder
from harness.tasks.task import Task

RUNS = 5
UNREVIEWED = "unreviewed"


@dataclass(frozen=True)
class Proof:
    """What grading a task without a model showed.

    Attributes:
        solved: The reference passes acceptance.
        empty_solved: So does the reference with empty functions; None if it has no function.
        problems: What is wrong with the task, one line each.
        warnings: Hidden tests without a twin, or with weak ones alone, one line each.
        remembered: It was proved by an earlier call.
    """

    solved: bool
    empty_solved: bool | None
    problems: list[str]
    warnings: tuple[str, ...] = ()
    remembered: bool = False


PROOF = TypeAdapter(Proof)


class Prover:
    """Prove tasks, as many at once as there are cores.

    Args:
        root: The repository, which no code may see.
        remember: Take what was proved before, and keep what is proved now; not where the code under test
            could write to what is kept.
    """

    def __init__(self, root: Path, *, remember: bool) -> None:
        self._probe = fork_server.probe()
        self._store: Store | None = None
        if remember and self._probe.isolation != "none":
            with suppress(OSError):
                self._store = Store(default_folder("proofs"))
        hidden = (root, *home(), *([self._store.folder] if self._store else ()))
        self._sight = Sight(root, hidden)
        self._unstarted = ForkServer(sight=self._sight)
        self._code = digest_of_sources(Path(__file__).parent)
        self._grounds: dict[Visible, str] = {}
        self._servers = ExitStack()
        self._of_thread = threading.local()
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._servers.close()  # which ends the runs that are left
        self._pool.shutdown()
        if self._store is not None:
            self._store.prune()
            self._store.close()

    def prove(self, task: Task, guess: str = "") -> Future[Proof]:
        """Begin to prove a task; see ``proof``."""
        return self._pool.submit(self._prove, task, guess)

    def _prove(self, task: Task, guess: str) -> Proof:
        key = self._key(task, guess)
        known = self._store.read(key) if self._store else None
        with suppress(ValidationError):
            if known is not None:
                return replace(PROOF.validate_json(known, strict=True), remembered=True)
        found = proof(task, [_Ending(server, self._is_over) for server in self._seeds()], guess)
        if self._store and not found.problems:
            self._store.write(key, PROOF.dump_json(found).decode())
        return found

    def _key(self, task: Task, guess: str) -> str:
        visible = Visible(task.packages, task.paths)
        if visible not in self._grounds:
            self._grounds[visible] = ground(self._unstarted.seeing(visible), self._probe)
        depends = [task.model_dump(mode="json"), guess, self._grounds[visible], self._code, RUNS]
        text = json.dumps(depends, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _seeds(self) -> list[ForkServer]:
        """Return this thread's sandboxes, which differ in their seeds."""
        if not hasattr(self._of_thread, "servers"):
            servers = [ForkServer(sight=self._sight, seed=seed) for seed in range(RUNS)]
            self._of_thread.servers = [self._servers.enter_context(each) for each in servers]
        return list(self._of_thread.servers)


class _Ending:
    """A sandbox that takes no run any more when all is over: an interrupt waits for no proof."""

    def __init__(self, sandbox: Sandbox, is_over: threading.Event) -> None:
        self._sandbox = sandbox
        self._is_over = is_over

    def seeing(self, visible: Visible) -> _Ending:
        """See ``Sandbox.seeing``."""
        return _Ending(self._sandbox.seeing(visible), self._is_over)

    def run(self, *order: Any, **more: Any) -> TestRun:
        """See ``Sandbox.run``."""
        if self._is_over.is_set():
            raise SandboxError("proving was interrupted")
        return self._sandbox.run(*order, **more)


def proof(task: Task, sandboxes: Sequence[Sandbox], guess: str = "") -> Proof:
    """Grade what a task says is right and what it says is wrong.

    Args:
        task: The task.
        sandboxes: Where its tests run, once in each; those differ in their seeds.
        guess: Code that follows all conventions of the task, but with other values: a lucky guess.

    Raises:
        SandboxError: Nothing could be run.
    """
    graders = [Grader(task, sandbox) for sandbox in sandboxes]
    grader = graders[0]
    found = [f"acceptance: uses {name!r}, which the spec does not name" for name in _unannounced(task)]
    run = grader.acceptance(task.with_code(task.reference))
    broken = syntax_problem(task.reference, task.code_file)
    solved = not broken and accepted(run)
    if broken:
        found.append(f"reference: does not compile: {broken}")
    elif not solved:
        found.append(f"reference: does not pass acceptance: {_why(run)}")
    empty = "" if broken else emptied(task.reference)
    empty_solved = accepted(grader.acceptance(task.with_code(empty))) if empty else None
    if empty_solved:
        found.append("acceptance: passes on functions that do nothing; sharpen the tests")
    for bug in task.bugs:
        where = f"bugs: {bug.name!r}"
        if syntax_problem(bug.code, task.code_file):
            found.append(f"{where}: does not compile, so any test catches it; give a plausible bug")
        elif grader.acceptance(task.with_code(bug.code)).passed:
            found.append(f"{where}: passes acceptance; sharpen the tests or drop the bug")
    for name in task.conventions:
        found += _convention(name, task, grader, guess)
    codes = [("reference", task.reference), *((f"bugs: {bug.name!r}", bug.code) for bug in task.bugs)]
    found = found or [line for where, code in codes for line in _flaky(where, code, task, graders)]
    if UNREVIEWED in task.tags:
        found.append(
            f"tags: {UNREVIEWED}: models wrote reference and acceptance: review them, add bugs, drop the tag"
        )
    warnings = [f"acceptance: no twin of {name}: {why}" for name, why in grader.without_twin().items()]
    if weak := grader.weak_tests():
        name, why = next(iter(weak.items()))
        warnings.append(
            f"acceptance: code that reads its tests can pass them: {name}: {why}; write one out as a value"
        )
    return Proof(solved, empty_solved, found, tuple(warnings) if solved else ())


def _convention(name: str, task: Task, grader: Grader, guess: str) -> list[str]:
    """Say what is wrong with the tests of a convention: code that ignores it fails these, and no other."""
    own, found = f"test_{name}", []
    ignoring = next(bug.code for bug in task.bugs if bug.name == name)
    for code, what in ((ignoring, f"the bug {name!r}"), (guess, "right code with other values")):
        outcomes = {test.name: test.outcome for test in grader.acceptance(task.with_code(code)).tests}
        failed = [test for test, outcome in outcomes.items() if outcome != "passed"]
        if code and not any(test.startswith(own) for test in failed):
            found.append(f"acceptance: no {own}... fails on {what}: the convention could be met by luck")
        if code == ignoring and (others := [test for test in failed if not test.startswith(own)]):
            found.append(f"acceptance: {others[0]} fails on {what}; it must be right but for the convention")
    return found


def _flaky(where: str, code: str, task: Task, graders: Sequence[Grader]) -> list[str]:
    """Name the tests that do not come out alike in all runs."""
    runs = [grader.acceptance(task.with_code(code)) for grader in graders]
    outcomes = [{test.name: test.outcome for test in run.tests} for run in runs]
    names = list(dict.fromkeys(name for each in outcomes for name in each))
    flaky = [name for name in names if len({each.get(name) for each in outcomes}) > 1]
    if not flaky and len({run.status for run in runs}) == 1:
        return []
    what = flaky[0] if flaky else " or ".join(sorted({run.status for run in runs}))
    return [
        f"{where}: not the same in {len(runs)} runs with different seeds: {what}; tests must not be flaky"
    ]


def _why(run: TestRun) -> str:
    bad = next((test for test in run.tests if test.outcome != "passed"), None)
    if bad is None:
        return run.detail or run.status.replace("_", " ")
    return f"{bad.name}: {bad.text.splitlines()[0] if bad.text else bad.outcome}"
