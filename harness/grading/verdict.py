"""What running the code showed: from test runs to one outcome for the trial.

Two agents, two grades. Hidden acceptance tests grade the coder. The tester is graded by running its tests
on the reference, which they should accept, and on known bugs, which they should catch. The transcript is
not consulted here, but for why it stopped and whether the coder was called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from harness.agents.transcript import Stop
from harness.grading.python_source import syntax_problem
from harness.sandbox import Sandbox, Status, TestRun
from harness.tasks.task import Bug, Limits, Task

ModelOutcome = Literal["solved", "wrong", "no_code", "syntax_error", "timeout", "crashed", "gave_up", "limit"]
InfraOutcome = Literal[
    "missing_cassette",
    "stale_cassette",
    "unsafe_cassette",
    "api_error",
    "sandbox_error",
    "spec_error",
    "harness_error",
]
Outcome = ModelOutcome | InfraOutcome
MODEL_OUTCOMES: tuple[ModelOutcome, ...] = get_args(ModelOutcome)
INFRA_OUTCOMES: tuple[InfraOutcome, ...] = get_args(InfraOutcome)
ACCEPTANCE_FILE = "test_hidden_acceptance.py"
OF_STATUS: dict[Status, ModelOutcome] = {
    "passed": "wrong",
    "failed": "wrong",
    "no_tests": "wrong",
    "timeout": "timeout",
    "memory": "timeout",
    "crashed": "crashed",
}
WITHOUT_DETAIL: dict[Status, str] = {
    "passed": "an acceptance test was skipped",
    "failed": "an acceptance test failed",
    "no_tests": "no acceptance test ran",
    "timeout": "the acceptance tests did not end in time",
    "memory": "the acceptance tests ran out of memory",
    "crashed": "the acceptance tests ended before they were done",
}
MUTANT_TIMEOUT_S = 2.0
Files = Mapping[str, str]
Mutants = Callable[[Task], tuple[Bug, ...]]


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
    """

    valid: bool
    bugs_caught: int
    bugs_accepted: int
    bugs_total: int
    mutants_caught: int = 0
    mutants_total: int = 0


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


class Grader:
    """Grades the files of one task. Running the same files twice gives the first result again.

    Args:
        task: The task.
        sandbox: Where everything runs.
        mutants: Gives further known bugs, derived from the reference; asked when a tester is graded.
    """

    def __init__(self, task: Task, sandbox: Sandbox, mutants: Mutants = no_mutants) -> None:
        self._task = task
        self._sandbox = sandbox
        self._mutants = mutants
        self._runs: dict[tuple[object, ...], TestRun] = {}

    def _plain(self, files: Files) -> dict[str, str]:
        """The files without a package that would be imported in place of the code file."""
        package = f"{self._task.code_file.removesuffix('.py')}/"
        given = self._task.files
        return {path: text for path, text in files.items() if path in given or not path.startswith(package)}

    def generated(self, files: Files) -> TestRun | None:
        """The generated tests on the generated code; None if either file is missing."""
        if self._task.code_file not in files or self._task.test_file not in files:
            return None
        return self._run(files, self._task.test_file)

    def acceptance(self, files: Files) -> TestRun:
        """The hidden acceptance tests. They never see the generated tests."""
        hidden = (self._task.test_file, ACCEPTANCE_FILE)
        seen = {path: text for path, text in files.items() if path.split("/")[0] not in hidden}
        return self._run({**seen, ACCEPTANCE_FILE: self._task.acceptance}, ACCEPTANCE_FILE)

    def verdict(self, attempts: list[Files], stop: Stop, *, coder_called: bool) -> Verdict:
        """The grades of a trial, from the files as each attempt left them."""
        last = attempts[-1]
        generated = self.generated(last)
        tester = self.tester(last)
        blocked = self._blocked(last, coder_called=coder_called)
        acceptance = None if blocked else self.acceptance(last)
        tried = enumerate(attempts, start=1) if coder_called else ()
        solved_at = next((n for n, files in tried if self._solves(files)), None)
        if acceptance and accepted(acceptance):
            return Verdict("solved", "", solved_at, acceptance, generated, tester)
        outcome, detail = blocked or _failed(acceptance)
        if stop != "done":
            limit = stop.replace("_limit", " limit").replace("_", " ")
            outcome, detail = "limit", f"the {limit} was reached; {detail}"
        return Verdict(outcome, detail, solved_at, acceptance, generated, tester)

    def tester(self, files: Files) -> Grade | None:
        """The grade of the generated tests in these files; None if there are none.

        Tests that do not even finish on the reference are not tried on the bugs.
        """
        task = self._task
        if task.test_file not in files:
            return None
        on_reference = self._generated_on(task.reference, files)
        mutants = self._mutants(task)
        valid, finished = on_reference.passed, on_reference.status in ("passed", "failed")
        on_bugs = [self._generated_on(bug.code, files) for bug in task.bugs] if finished else []
        brief = task.limits.model_copy(update={"timeout_s": min(task.limits.timeout_s, MUTANT_TIMEOUT_S)})
        on_mutants = [self._generated_on(each.code, files, brief) for each in mutants] if valid else []
        return Grade(
            valid=valid,
            bugs_caught=sum(not run.passed for run in on_bugs) if valid else 0,
            bugs_accepted=sum(run.passed for run in on_bugs),
            bugs_total=len(task.bugs),
            mutants_caught=sum(not run.passed for run in on_mutants),
            mutants_total=len(mutants),
        )

    def _generated_on(self, code: str, files: Files, limits: Limits | None = None) -> TestRun:
        return self._run({**files, self._task.code_file: code}, self._task.test_file, limits)

    def _solves(self, files: Files) -> bool:
        return not self._blocked(files, coder_called=True) and accepted(self.acceptance(files))

    def _blocked(self, files: Files, *, coder_called: bool) -> tuple[ModelOutcome, str] | None:
        """Why there is nothing to run, if so."""
        path = self._task.code_file
        if not coder_called:
            return "gave_up", "the coder was not called"
        if path not in files:
            return "no_code", f"{path} was not written"
        problem = syntax_problem(files[path], path)
        return ("syntax_error", problem) if problem else None

    def _run(self, files: Files, test_path: str, limits: Limits | None = None) -> TestRun:
        files, limits = self._plain(files), limits or self._task.limits
        key = (limits, test_path, *sorted(files.items()))
        if key not in self._runs:
            self._runs[key] = self._sandbox.run(files, test_path, limits)
        return self._runs[key]


def accepted(run: TestRun) -> bool:
    """Whether every hidden test passed: the code must not be able to skip one, or expect it to fail."""
    return run.passed and run.passes == len(run.tests)


def _failed(run: TestRun | None) -> tuple[ModelOutcome, str]:
    if run is None:
        return "no_code", "nothing could be run"
    bad = next((test for test in run.tests if test.outcome not in ("passed", "skipped", "xfailed")), None)
    bad = bad or next((test for test in run.tests if test.outcome != "passed"), None)
    detail = run.detail or WITHOUT_DETAIL[run.status]
    if bad is not None:
        first = bad.text.splitlines()[0] if bad.text else bad.outcome
        detail = f"{run.passes} of {len(run.tests)} acceptance tests passed; {first}"
    return OF_STATUS[run.status], detail[:300]
