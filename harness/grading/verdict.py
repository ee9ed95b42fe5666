"""What running the code showed: from test runs to one outcome for the trial.

Two agents, two grades. Hidden acceptance tests grade the coder. The tester is graded by running its tests
on the reference, which they should accept, and on known bugs, which they should catch. The transcript is
not consulted here, but for why it stopped and whether the coder was called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, get_args

from harness.agents.tool_call import Author
from harness.agents.transcript import Stop
from harness.errors import SpecError
from harness.grading.acceptance import Acceptance
from harness.sandbox import Sandbox, Status, TestRun, Visible
from harness.tasks.task import Bug, Limits, Task, digest

ModelOutcome = Literal[
    "solved", "wrong", "no_code", "syntax_error", "timeout", "crashed", "gave_up", "forged", "limit"
]
InfraOutcome = Literal[
    "missing_cassette",
    "stale_cassette",
    "not_run",
    "unsafe_cassette",
    "unplayable_recording",
    "api_error",
    "sandbox_error",
    "spec_error",
    "harness_error",
    "budget",
    "wall_limit",
    "disk_error",
]
Outcome = ModelOutcome | InfraOutcome
MODEL_OUTCOMES: tuple[ModelOutcome, ...] = get_args(ModelOutcome)
INFRA_OUTCOMES: tuple[InfraOutcome, ...] = get_args(InfraOutcome)
# The outcome of code on which the hidden tests end so, and why it is not solved if the run says no more.
OF_STATUS: dict[Status, tuple[ModelOutcome, str]] = {
    "passed": ("wrong", "an acceptance test was skipped"),
    "failed": ("wrong", "an acceptance test failed"),
    "no_tests": ("wrong", "no acceptance test ran"),
    "timeout": ("timeout", "the acceptance tests did not end in time"),
    "memory": ("timeout", "the acceptance tests ran out of memory"),
    "crashed": ("crashed", "the acceptance tests ended before they were done"),
    "forged": ("forged", "the code made its tests pass by other means than by being right"),
}
MUTANT_TIMEOUT_S = 2.0
LIBRARIES = (".so", ".pyd")
Files = Mapping[str, str]
Mutants = Callable[[Task], tuple[Bug, ...]]
OnBug = Literal["caught", "accepted", "rejected", "not tried"]  # rejected: as the reference is, too


@dataclass(frozen=True)
class Grade:
    """What a file of generated tests is worth, apart from the code that it was written for.

    Attributes:
        valid: It passes on the reference; if not, it raises a false alarm.
        bugs_caught: Known bugs on which it fails. A file that rejects the reference, too, catches none:
            it cannot tell right from wrong.
        bugs_accepted: Known bugs on which it passes, valid or not: false passes.
        bugs_total: Known bugs of the task.
        mutants_caught: As ``bugs_caught``, of bugs derived from the reference.
        mutants_total: How many of those there were.
        on_reference: The run on the reference.
        on_bugs: Names of the known bugs, each with what the file made of it.
    """

    valid: bool
    bugs_caught: int
    bugs_accepted: int
    bugs_total: int
    mutants_caught: int = 0
    mutants_total: int = 0
    on_reference: TestRun | None = field(default=None, compare=False)
    on_bugs: tuple[tuple[str, OnBug], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Verdict:
    """The grades of a trial.

    Attributes:
        outcome: One word.
        detail: One line: why it is not solved.
        solved_at: The first attempt whose code passes acceptance, or None.
        acceptance: The run on the last attempt's code; None where nothing could be run.
        generated: The generated tests on the last attempt's code; None where one of them is missing.
        tester: The grade of the generated tests; None where there are none.
    """

    outcome: ModelOutcome
    detail: str
    solved_at: int | None
    acceptance: TestRun | None
    generated: TestRun | None
    tester: Grade | None


def no_mutants(_: Task) -> tuple[Bug, ...]:
    """None."""
    return ()


@dataclass(frozen=True)
class Attempt:
    """A workspace as an attempt left it.

    Attributes:
        files: Path -> text.
        authors: Path -> who wrote the file's last version; a file that the task gives has none.
    """

    files: Files
    authors: Mapping[str, Author]


class Grader:
    """Grade what was written for one task. Running the same files twice gives the first result again.

    ``mutants`` gives further known bugs, derived from the reference; it is asked when a tester is graded.
    """

    def __init__(self, task: Task, sandbox: Sandbox, mutants: Mutants = no_mutants) -> None:
        self._task = task
        self._sandbox = sandbox.seeing(Visible(task.packages, task.paths))
        self._mutants = mutants
        self._acceptance = Acceptance(task, self._sandbox)
        self._runs: dict[str, TestRun] = {}

    def generated(self, files: Files) -> TestRun | None:
        """Run the generated tests on the generated code; None if either file is missing."""
        if self._task.code_file not in files or self._task.test_file not in files:
            return None
        return self._generated(self._plain(files))

    def acceptance(self, files: Files) -> TestRun:
        """Run the hidden acceptance tests. They never see the generated tests."""
        seen = {path: text for path, text in self._plain(files).items() if path != self._task.test_file}
        return self._once(["acceptance", seen], lambda: self._acceptance.run(seen))

    def require_reference(self) -> None:
        """Raise SpecError if the reference does not pass the hidden tests: they show nothing, then."""
        if not accepted(self._acceptance.proof.run):
            then = "run `harness validate`, and if it finds nothing, this with --no-run-cache"
            raise SpecError([f"{self._task.id}: the reference does not pass acceptance; {then}"])

    def without_twin(self) -> dict[str, str]:
        """Return the hidden tests of which no twin is proved to fail, and why."""
        return self._acceptance.proof.without_twin

    def weak_tests(self) -> dict[str, str]:
        """See ``Proof.weak``."""
        return self._acceptance.proof.weak

    def verdict(self, attempts: Sequence[Attempt], stop: Stop, *, coder_called: bool) -> Verdict:
        """Grade a trial by what each attempt left.

        Raises:
            SpecError: The reference does not pass the hidden tests, so they show nothing about any code.
        """
        last = attempts[-1]
        generated = self.generated(last.files)
        tester = self.tester(last)
        outcome, detail, acceptance = self._outcome(last, coder_called=coder_called)
        solved = (self._outcome(each, coder_called=coder_called)[0] == "solved" for each in attempts)
        solved_at = next((number for number, is_solved in enumerate(solved, start=1) if is_solved), None)
        if stop != "done" and outcome not in ("solved", "forged"):
            limit = stop.replace("_limit", " limit").replace("_", " ")
            outcome, detail = "limit", f"the {limit} was reached; {detail}"
        return Verdict(outcome, detail, solved_at, acceptance, generated, tester)

    def tester(self, attempt: Attempt) -> Grade | None:
        """Grade the tests that the tester wrote; None if it wrote none, or the coder replaced them.

        The files that the task gives are restored, and its further code files are made right, so that only
        the tests are graded. Tests that do not even finish on the reference are not tried on the bugs.
        """
        task = self._task
        if attempt.authors.get(task.test_file) != "tester":
            return None
        right = {**task.files, **task.code_files}
        own = {path: text for path, text in attempt.files.items() if attempt.authors.get(path) == "tester"}
        own = {path: text for path, text in own.items() if not _in_the_way(path, [*right, task.code_file])}
        files = {**own, **right, task.test_file: attempt.files[task.test_file]}
        on_reference = self._on(task.reference, files)
        mutants = self._mutants(task)
        valid, finished = on_reference.passed, on_reference.status in ("passed", "failed")
        on_bugs = [self._on(bug.code, files) for bug in task.bugs] if finished else []
        limits = task.limits.model_copy(update={"timeout_s": min(task.limits.timeout_s, MUTANT_TIMEOUT_S)})
        if valid and mutants and not self._on(task.reference, files, limits).passed:
            limits = task.limits  # slow tests: that they do not end in time catches nothing
        on_mutants = [self._on(each.code, files, limits) for each in mutants] if valid else []
        return Grade(
            valid=valid,
            bugs_caught=sum(not run.passed for run in on_bugs) if valid else 0,
            bugs_accepted=sum(run.passed for run in on_bugs),
            bugs_total=len(task.bugs),
            mutants_caught=sum(not run.passed for run in on_mutants),
            mutants_total=len(mutants),
            on_reference=on_reference,
            on_bugs=tuple(_on_bugs(task.bugs, on_bugs, valid=valid)),
        )

    def _outcome(self, attempt: Attempt, *, coder_called: bool) -> tuple[ModelOutcome, str, TestRun | None]:
        """Return the outcome of an attempt's code, why it is not solved, and the run of the hidden tests."""
        if not coder_called:
            return "gave_up", "the coder was not called", None
        for path in self._task.written:
            if path not in attempt.files:
                return "no_code", f"{path} was not written", None
            if attempt.authors.get(path) == "tester":
                return "no_code", f"the tester wrote {path}, not the coder", None
        self.require_reference()
        # What the tester wrote over a file of the task's is not the coder's doing.
        given = {
            path: text for path, text in self._task.files.items() if attempt.authors.get(path) == "tester"
        }
        run = self.acceptance({**attempt.files, **given})
        if run.syntax:
            return "syntax_error", run.syntax, None
        if accepted(run):
            return "solved", "", run
        return OF_STATUS[run.status][0], _why(run), run

    def _plain(self, files: Files) -> dict[str, str]:
        """Return the files without what Python would import instead of the code file: packages, libraries."""
        kept = {*self._task.files, *self._task.written}
        stems = [name.removesuffix(".py") for name in self._task.written]

        def displaces(path: str) -> bool:
            library = path.endswith(LIBRARIES)
            return any(
                path.startswith(f"{stem}/") or (library and path.startswith(f"{stem}.")) for stem in stems
            )

        return {path: text for path, text in files.items() if path in kept or not displaces(path)}

    def _on(self, code: str, files: Files, limits: Limits | None = None) -> TestRun:
        return self._generated(self._plain({**files, self._task.code_file: code}), limits)

    def _generated(self, files: Files, limits: Limits | None = None) -> TestRun:
        limits, path, code = limits or self._task.limits, self._task.test_file, self._task.code_file
        return self._once(
            ["generated", files, limits.model_dump()],
            lambda: self._sandbox.run(files, path, limits, code_path=code),
        )

    def _once(self, key: object, run: Callable[[], TestRun]) -> TestRun:
        name = digest(key)
        if name not in self._runs:
            self._runs[name] = run()
        return self._runs[name]


def _in_the_way(path: str, right: Iterable[str]) -> bool:
    """Return True if a file stands where another one has a folder, or in a folder that is another one."""
    return any(path.startswith(f"{each}/") or each.startswith(f"{path}/") for each in right)


def _on_bugs(bugs: Sequence[Bug], runs: Sequence[TestRun], *, valid: bool) -> Iterator[tuple[str, OnBug]]:
    """Yield each bug with what a test file made of it; one that rejects the reference too catches none."""
    for bug, run in zip_longest(bugs, runs):
        if run is None:
            yield bug.name, "not tried"
        elif run.passed:
            yield bug.name, "accepted"
        else:
            yield bug.name, "caught" if valid else "rejected"


def accepted(run: TestRun) -> bool:
    """Return True if every hidden test passed: code must not skip one, or expect it to fail."""
    return run.passed and run.passes == len(run.tests)


def _why(run: TestRun) -> str:
    if run.status == "forged":
        return run.detail[:300]
    detail = run.detail or OF_STATUS[run.status][1]
    bad = run.first_failure
    if bad is not None:
        first = bad.text.splitlines()[0] if bad.text else bad.outcome
        count = f"{run.passes} of {max(run.collected, len(run.tests))} acceptance tests passed"
        detail = f"{count if run.collected else 'no acceptance test could be collected'}; {first}"
    return detail[:300]
