"""harness/verdict.py: from test runs to one outcome."""

import typing
from pathlib import Path

import pytest

from harness.grading.mutants import known_mutants
from harness.grading.python_source import syntax_problem
from harness.grading.verdict import (
    ACCEPTANCE_FILE,
    INFRA_OUTCOMES,
    MODEL_OUTCOMES,
    OF_STATUS,
    Grade,
    Grader,
    ModelOutcome,
)
from harness.sandbox import Test, TestRun
from harness.sandbox.fork_server import ForkServer
from harness.tasks.loader import load_task
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Bug, Limits, Task

GOOD = "def add(a, b):\n    return a + b\n"
BAD = "def add(a, b):\n    return a - b\n"
TESTS = "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
PASSED = TestRun("passed", (Test("t", "passed"),))
FAILED = TestRun(
    "failed", (Test("a", "passed"), Test("b", "failed", "AssertionError: assert -1 == 3\nat t.py:5"))
)


def a_task(**changes):
    fields = {
        "id": "add",
        "title": "Add",
        "spec": "Add.",
        "code_file": "add.py",
        "test_file": "test_add.py",
        "reference": GOOD,
        "acceptance": "from add import add\n\n\ndef test_hidden():\n    assert add(2, 2) == 4\n",
        "limits": Limits(timeout_s=5),
    }
    return Task(**{**fields, **changes})


class ScriptedSandbox:
    """Gives the run that is written down for a content of the code file; keeps what it was given."""

    def __init__(self, runs):
        self.runs = runs
        self.given = []

    def run(self, files, test_path, limits):
        self.given.append((dict(files), test_path))
        return self.runs[files["add.py"]]


def judged(*attempts, runs=None, stop="done", coder_called=True, task=None):
    """The verdict on attempts, each a mapping of files."""
    grader = Grader(task or a_task(), ScriptedSandbox({GOOD: PASSED, BAD: FAILED, **(runs or {})}))
    return grader.verdict(list(attempts), stop, coder_called=coder_called)


# --- outcomes ---------------------------------------------------------------------------------------

CASES = {
    "solved": {"files": {"add.py": GOOD}},
    "wrong": {"files": {"add.py": BAD}},
    "no_code": {"files": {"test_add.py": TESTS}},
    "syntax_error": {"files": {"add.py": "def add(:\n"}},
    "timeout": {"files": {"add.py": "x = 1"}, "run": TestRun("timeout", detail="not in time")},
    "crashed": {"files": {"add.py": "x = 1"}, "run": TestRun("crashed", detail="signal 11")},
    "gave_up": {"files": {}, "coder_called": False},
    "limit": {"files": {"add.py": BAD}, "stop": "tool_call_limit"},
}


@pytest.mark.parametrize("outcome", MODEL_OUTCOMES)
def test_each_outcome_has_its_cause_and_a_reason(outcome):
    """Every word of the design is reached by what it stands for, and says why it is not solved."""
    case = CASES[outcome]
    verdict = judged(
        case["files"],
        runs={"x = 1": case.get("run")},
        stop=case.get("stop", "done"),
        coder_called=case.get("coder_called", True),
    )
    assert verdict.outcome == outcome
    assert (verdict.detail == "") == (outcome == "solved")
    assert "\n" not in verdict.detail
    assert verdict.solved_at == (1 if outcome == "solved" else None)


def test_model_and_infra_outcomes_never_mix():
    """A word is either a measurement or an error."""
    assert not set(MODEL_OUTCOMES) & set(INFRA_OUTCOMES)
    assert set(OF_STATUS.values()) <= set(typing.get_args(ModelOutcome))


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (TestRun("no_tests"), "wrong"),
        (TestRun("no_tests", (Test("t", "skipped"),)), "wrong"),
        (TestRun("memory", (Test("t", "failed", "MemoryError"),)), "timeout"),
        (TestRun("failed", (Test("t", "xpassed"),)), "wrong"),
        (TestRun("failed", (Test("t", "error", ""),)), "wrong"),
        (TestRun("crashed"), "crashed"),
        (TestRun("crashed", (Test("t", "passed"),)), "crashed"),
    ],
)
def test_any_run_that_did_not_pass_has_a_reason(run, outcome):
    """However little a run left behind, the detail is one line of words."""
    verdict = judged({"add.py": "x = 1"}, runs={"x = 1": run})
    assert verdict.outcome == outcome
    assert verdict.detail.strip()


def test_the_detail_of_wrong_code_is_its_first_assertion():
    """A reader sees how many passed and the first thing that failed, in one bounded line."""
    assert judged({"add.py": BAD}).detail == (
        "1 of 2 acceptance tests passed; AssertionError: assert -1 == 3"
    )
    long = TestRun("failed", (Test("t", "failed", "x" * 10_000),))
    assert len(judged({"add.py": "x = 1"}, runs={"x = 1": long}).detail) <= 300


@pytest.mark.parametrize("stop", ["tool_call_limit", "step_limit", "token_limit"])
@pytest.mark.parametrize(
    ("files", "coder_called", "why"),
    [
        ({"add.py": BAD}, True, "acceptance tests passed"),
        ({"add.py": "def"}, True, "add.py:1"),
        ({}, True, "not written"),
        ({}, False, "not called"),
    ],
)
def test_a_limit_outweighs_every_reason_but_keeps_it(stop, files, coder_called, why):
    """Unsolved at a limit is ``limit``, and the detail says both."""
    verdict = judged(files, stop=stop, coder_called=coder_called)
    assert verdict.outcome == "limit"
    assert verdict.detail.startswith(f"the {stop.replace('_', ' ')} was reached; ")
    assert why in verdict.detail


@pytest.mark.parametrize("stop", ["done", "tool_call_limit", "step_limit", "token_limit"])
def test_solved_outweighs_a_limit(stop):
    """Code that passes is solved, however the trial ended."""
    assert judged({"add.py": GOOD}, stop=stop).outcome == "solved"


def test_giving_up_outweighs_missing_code():
    """Without a call of the coder there is nobody else to blame."""
    assert judged({}, coder_called=False).outcome == "gave_up"


def test_given_code_does_not_count_as_the_coders():
    """Where the task gives a right file and nobody calls the coder, no attempt has solved it."""
    verdict = judged({"add.py": GOOD}, coder_called=False)
    assert (verdict.outcome, verdict.solved_at) == ("gave_up", None)


# --- attempts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "outcome", "solved_at"),
    [
        ([GOOD], "solved", 1),
        ([BAD, GOOD], "solved", 2),
        ([GOOD, GOOD], "solved", 1),
        ([None, "def", GOOD], "solved", 3),
        ([GOOD, BAD], "wrong", 1),
        ([BAD, BAD], "wrong", None),
        ([GOOD, None], "no_code", 1),
    ],
)
def test_the_last_attempt_decides_and_the_first_good_one_is_named(codes, outcome, solved_at):
    """The outcome is that of the end; ``solved_at`` tells whether a repair was needed, or did harm."""
    verdict = judged(*[{} if code is None else {"add.py": code} for code in codes])
    assert (verdict.outcome, verdict.solved_at) == (outcome, solved_at)


def test_generated_tests_are_graded_beside_the_code():
    """Their run is part of the verdict, and missing where a file is."""
    assert judged({"add.py": BAD, "test_add.py": TESTS}).generated == FAILED
    assert judged({"add.py": BAD}).generated is None
    assert judged({"test_add.py": TESTS}).generated is None


# --- the tester -------------------------------------------------------------------------------------

SHARP = "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert add(-1, 1) == 0\n"
BUGS = (
    Bug(name="subtracts", code=BAD),
    Bug(name="forgets the sign", code="def add(a, b):\n    return abs(a) + b\n"),
)
GRADES = {
    "sharp": (SHARP, Grade(True, 2, 0, 2, 1, 1)),
    "blunt": (TESTS, Grade(True, 1, 1, 2, 0, 1)),
    "trivially-true": ("def test_a(): assert True\n", Grade(True, 0, 2, 2, 0, 1)),
    "empty": ("", Grade(False, 0, 0, 2, 0, 1)),
    "all-skipped": (
        "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n",
        Grade(False, 0, 0, 2, 0, 1),
    ),
    "rejects-all": ("def test_a(): assert False\n", Grade(False, 0, 0, 2, 0, 1)),
    "upside-down": (
        "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == -1\n",
        Grade(False, 0, 1, 2, 0, 1),
    ),
    "does-not-compile": ("def test_a(:\n", Grade(False, 0, 0, 2, 0, 1)),
    "never-ends": ("while True: pass\n", Grade(False, 0, 0, 2, 0, 1)),
}


@pytest.mark.parametrize("name", GRADES)
def test_a_tester_is_graded_on_right_and_on_wrong_code(name, sandbox):
    """Good tests accept the reference and catch the bugs; tests that reject everything catch nothing."""
    tests, grade = GRADES[name]
    task = a_task(bugs=BUGS, limits=Limits(timeout_s=1))
    mutant = Bug(name="m", code="def add(a, b):\n    return max(a, 0) + b\n")
    grader = Grader(task, sandbox, lambda _: (mutant,))
    verdict = grader.verdict([{"add.py": GOOD, "test_add.py": tests}], "done", coder_called=True)
    assert verdict.tester == grade


def test_a_tester_that_wrote_nothing_has_no_grade():
    """It may never have been called: that is no fault of its tests."""
    assert judged({"add.py": GOOD}).tester is None


def test_a_tester_is_graded_even_where_the_code_is_missing():
    """Its tests stand on their own."""
    assert judged({"test_add.py": TESTS}, task=a_task(bugs=BUGS[:1])).tester == Grade(True, 1, 0, 1)


def test_tests_that_do_not_finish_on_the_reference_meet_no_bug():
    """What takes all its time on right code is not run again and again on wrong code."""
    sandbox = ScriptedSandbox({GOOD: TestRun("timeout", detail="late")})
    grader = Grader(a_task(bugs=BUGS), sandbox)
    assert grader.tester({"test_add.py": TESTS}) == Grade(False, 0, 0, 2)
    assert len(sandbox.given) == 1


def test_mutants_that_may_be_right_are_no_bugs(sandbox):
    """Only what acceptance rejects is a known bug; the same seed gives the same ones."""
    task = a_task(reference="def add(a, b):\n    total = a\n    total += b\n    return total\n")
    found = known_mutants(task, sandbox, 3)
    assert 1 <= len(found) <= 3
    grader = Grader(task, sandbox)
    assert not any(grader.acceptance({"add.py": each.code}).passed for each in found)
    assert known_mutants(task, sandbox, 3) == found


ROOT = Path(__file__).parents[2]
SHIPPED = Suite(ROOT / "benchmarks", ROOT, Selection(), {}).files()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_an_oracle_solves_every_shipped_task_and_a_bug_none(path, sandbox):
    """The reference is solved, each known bug is not; acceptance as generated tests is a perfect tester."""
    task = load_task(path, path.name)
    fresh = ForkServer(warm=False)
    for code, solved in [(task.reference, True), *((bug.code, False) for bug in task.bugs)]:
        grader = Grader(task, sandbox)
        files = {**task.files, task.code_file: code, task.test_file: task.acceptance}
        verdict = grader.verdict([files], "done", coder_called=True)
        assert (verdict.outcome == "solved") == solved
        assert verdict.tester == Grade(True, len(task.bugs), 0, len(task.bugs))
        assert Grader(task, fresh).acceptance(files) == verdict.acceptance
    for tests, valid in [("", False), ("def test_a(): pass\n", True)]:
        grade = Grader(task, sandbox).tester({**task.files, task.test_file: tests})
        assert (grade.valid, grade.bugs_caught) == (valid, 0)


# --- what runs --------------------------------------------------------------------------------------


def test_acceptance_never_sees_the_generated_tests():
    """The hidden tests run beside all files but those of the tester, and under a name of their own."""
    sandbox = ScriptedSandbox({GOOD: PASSED})
    task = a_task()
    Grader(task, sandbox).acceptance({"add.py": GOOD, "test_add.py": TESTS, "data.txt": "1"})
    assert sandbox.given == [
        ({"add.py": GOOD, "data.txt": "1", ACCEPTANCE_FILE: task.acceptance}, ACCEPTANCE_FILE)
    ]


def test_a_package_of_the_same_name_does_not_stand_in_for_the_code():
    """add/__init__.py would be imported in place of add.py, and judged in place of it."""
    sandbox = ScriptedSandbox({BAD: FAILED})
    files = {"add.py": BAD, "add/__init__.py": GOOD, "addition/x.py": "", "test_add.py": TESTS}
    assert judged(files).outcome == "wrong"
    Grader(a_task(), sandbox).generated(files)
    assert set(sandbox.given[0][0]) == {"add.py", "addition/x.py", "test_add.py"}


def test_a_model_cannot_supply_the_acceptance_tests():
    """A file of that very name is replaced by the hidden one."""
    sandbox = ScriptedSandbox({GOOD: PASSED})
    Grader(a_task(), sandbox).acceptance({"add.py": GOOD, ACCEPTANCE_FILE: "def test_x(): pass"})
    assert sandbox.given[0][0][ACCEPTANCE_FILE] == a_task().acceptance


def test_the_same_files_run_once():
    """A second look at the same files gives the first result again; other files run."""
    sandbox = ScriptedSandbox({GOOD: PASSED, BAD: FAILED})
    grader = Grader(a_task(), sandbox)
    files = {"add.py": GOOD, "test_add.py": TESTS}
    assert grader.generated(files) is grader.generated(dict(reversed(files.items())))
    assert len(sandbox.given) == 1
    grader.verdict([files, files], "done", coder_called=True)
    assert len(sandbox.given) == 2  # acceptance; the reference is this very code
    grader.generated({**files, "add.py": BAD})
    assert len(sandbox.given) == 3


def test_code_that_does_not_compile_is_not_run_for_acceptance():
    """No process is started to learn what the compiler knows."""
    sandbox = ScriptedSandbox({})
    assert Grader(a_task(), sandbox).verdict([{"add.py": "("}], "done", coder_called=True).acceptance is None
    assert sandbox.given == []


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (GOOD, "solved"),
        (BAD, "wrong"),
        ("import os\n\nos._exit(0)\n", "crashed"),
        ("import sys\n\nsys.exit(0)\n", "crashed"),
        (
            GOOD + "\n\nimport pytest\n\npytest.skip('x', allow_module_level=True)\n",
            "wrong",
        ),
    ],
    ids=["good", "bad", "os-exit", "sys-exit", "skips-the-tests"],
)
def test_real_code_in_the_real_sandbox(code, outcome, sandbox):
    """Code cannot leave early, or skip its tests, into being solved."""
    verdict = Grader(a_task(), sandbox).verdict([{"add.py": code}], "done", coder_called=True)
    assert verdict.outcome == outcome
    assert (verdict.detail == "") == (outcome == "solved")


# --- syntax -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("", ""),
        ("x = 1", ""),
        ('"\\d"', ""),
        ("x is 1", ""),
        ("def f(:\n", "a.py:1: "),
        ("x = 1\n y = 2\n", "a.py:2: unexpected indent"),
        ("x = 1\nreturn x\n", "a.py:2: 'return' outside function"),
        ("\x00", "a.py"),
        ("x = '\ud800'", "a.py"),
        ("x = " + "(" * 1000, "a.py:1: too many nested parentheses"),
        ("x = " + "-" * 100_000 + "1", "a.py: "),
        ("x = " + "1+" * 100_000 + "1", "a.py: "),
        ("from __future__ import braces", "a.py:1: not a chance"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_file_that_does_not_compile_says_why_in_one_line(code, problem):
    """Every text gets a line or nothing, never an exception or a warning."""
    found = syntax_problem(code, "a.py")
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
    assert "\n" not in found
    assert len(found) < 300
