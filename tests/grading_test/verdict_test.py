"""harness/grading/verdict.py: from test runs to one outcome."""

import typing
from pathlib import Path

import pytest

from harness.grading.mutants import known_mutants
from harness.grading.python_source import syntax_problem
from harness.grading.verdict import (
    INFRA_OUTCOMES,
    MODEL_OUTCOMES,
    OF_STATUS,
    Attempt,
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
HIDDEN = "from add import add\n\n\ndef test_hidden():\n    assert add(2, 2) == 4\n"
# Asserts nothing, so it has no twin, and a script need not tell tests from twins.
WITHOUT_TWIN = "from add import add\n\n\ndef test_hidden():\n    add(2, 2)\n"
PASSED = TestRun("passed", (Test("a", "passed"), Test("b", "passed")))
FAILED = TestRun(
    "failed",
    (Test("a", "passed"), Test("b", "failed", "AssertionError: assert -1 == 3\nat t.py:5")),
    collected=2,
)


def a_task(**changes):
    fields = {
        "id": "add",
        "title": "Add",
        "spec": "Add.",
        "code_file": "add.py",
        "test_file": "test_add.py",
        "reference": GOOD,
        "acceptance": HIDDEN,
        "limits": Limits(timeout_s=5),
    }
    return Task(**{**fields, **changes})


class ScriptedSandbox:
    """Gives the run that is written down for a content of the code file; keeps what it was given."""

    def __init__(self, runs):
        self.runs = runs
        self.given = []

    def seeing(self, _):
        return self

    def run(self, files, test_path, limits, *, code_path="", hidden=None):
        self.given.append((dict(files), test_path, hidden))
        return self.runs[files["add.py"]]

    @property
    def codes(self):
        """The code files that were run, in order."""
        return [files["add.py"] for files, *_ in self.given]


def attempt(files):
    """Files whose tests are the tester's; the others are the coder's."""
    return Attempt(files, {path: "tester" if path == "test_add.py" else "coder" for path in files})


def judged(*attempts, runs=None, stop="done", coder_called=True, task=None):
    """The verdict on attempts, each a mapping of files."""
    task = task or a_task(acceptance=WITHOUT_TWIN)
    grader = Grader(task, ScriptedSandbox({GOOD: PASSED, BAD: FAILED, **(runs or {})}))
    return grader.verdict([attempt(files) for files in attempts], stop, coder_called=coder_called)


# --- outcomes ---------------------------------------------------------------------------------------

CASES = {
    "solved": {"files": {"add.py": GOOD}},
    "wrong": {"files": {"add.py": BAD}},
    "no_code": {"files": {"test_add.py": TESTS}},
    "syntax_error": {"files": {"add.py": "x = 1"}, "run": TestRun("passed", syntax="add.py:1: invalid")},
    "timeout": {"files": {"add.py": "x = 1"}, "run": TestRun("timeout", detail="not in time")},
    "crashed": {"files": {"add.py": "x = 1"}, "run": TestRun("crashed", detail="signal 11")},
    "forged": {"files": {"add.py": "x = 1"}, "run": TestRun("passed", (Test("a", "passed"),))},
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


def test_the_tester_is_graded_on_right_files_alone():
    """Nothing that the coder wrote beside them takes part, nor a file where they have a folder."""
    task = a_task(acceptance=WITHOUT_TWIN, code_files={"lib/a.py": GOOD})
    sandbox = ScriptedSandbox({GOOD: PASSED})
    files = {"add.py": GOOD, "conftest.py": "boom", "lib": "", "data.py": "X = 1", "test_add.py": TESTS}
    authors = {**dict.fromkeys(files, "coder"), "lib": "tester", "data.py": "tester", "test_add.py": "tester"}
    assert Grader(task, sandbox).tester(Attempt(files, authors)).valid
    assert set(sandbox.given[0][0]) == {"add.py", "lib/a.py", "data.py", "test_add.py"}


def test_what_the_tester_wrote_over_a_given_file_is_not_the_coders_doing():
    """The hidden tests meet the file as the task gives it; what the coder made of it stays."""
    task = a_task(acceptance=WITHOUT_TWIN, files={"rates.py": "RATE = 2"})
    for author, text in (("tester", "RATE = 2"), ("coder", "# tests of rates")):
        sandbox = ScriptedSandbox({GOOD: PASSED})
        tried = Attempt(
            {"add.py": GOOD, "rates.py": "# tests of rates"}, {"add.py": "coder", "rates.py": author}
        )
        Grader(task, sandbox).verdict([tried], "done", coder_called=True)
        assert sandbox.given[-1][0]["rates.py"] == text


def test_model_and_infra_outcomes_never_mix():
    """A word is either a measurement or an error."""
    assert not set(MODEL_OUTCOMES) & set(INFRA_OUTCOMES)
    assert {outcome for outcome, _ in OF_STATUS.values()} <= set(typing.get_args(ModelOutcome))


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (TestRun("no_tests", (Test("a", "skipped"), Test("b", "skipped"))), "wrong"),
        (TestRun("passed", (Test("a", "passed"), Test("b", "skipped"))), "wrong"),
        (TestRun("memory", (Test("a", "failed", "MemoryError"),)), "timeout"),
        (TestRun("failed", (Test("a", "xpassed"), Test("b", "passed"))), "wrong"),
        (TestRun("failed", (Test("a", "error", ""), Test("b", "passed"))), "wrong"),
        (TestRun("failed", (Test("t.py", "error", "ImportError: x"),)), "wrong"),
        (TestRun("crashed"), "crashed"),
        (TestRun("crashed", (Test("a", "passed"),)), "crashed"),
        (TestRun("forged", detail="the code wrote into the report of its tests"), "forged"),
        (TestRun("no_tests"), "forged"),
        (TestRun("passed", PASSED.tests[:1]), "forged"),
    ],
)
def test_any_run_that_did_not_pass_has_a_reason(run, outcome):
    """However little a run left behind, the detail is one line of words.

    Fewer tests than the reference has, or others, cannot be: somebody took them away.
    """
    verdict = judged({"add.py": "x = 1"}, runs={"x = 1": run})
    assert verdict.outcome == outcome
    assert verdict.detail.strip()


def test_the_detail_of_wrong_code_is_its_first_assertion():
    """A reader sees how many passed and the first thing that failed, in one bounded line."""
    assert judged({"add.py": BAD}).detail == (
        "1 of 2 acceptance tests passed; AssertionError: assert -1 == 3"
    )
    long = TestRun("failed", (Test("a", "failed", "x" * 10_000), Test("b", "passed")), collected=2)
    assert len(judged({"add.py": "x = 1"}, runs={"x = 1": long}).detail) <= 300


def test_code_that_cannot_be_imported_failed_no_number_of_tests():
    """Nobody counts the tests of a file that breaks off."""
    broken = TestRun("failed", (Test("acceptance", "error", "ImportError: no add"),))
    detail = judged({"add.py": "x = 1"}, runs={"x = 1": broken}).detail
    assert detail == "no acceptance test could be collected; ImportError: no add"


@pytest.mark.parametrize("stop", ["tool_call_limit", "step_limit", "token_limit"])
@pytest.mark.parametrize(
    ("files", "coder_called", "why"),
    [
        ({"add.py": BAD}, True, "acceptance tests passed"),
        ({"add.py": "def"}, True, "does not compile"),
        ({}, True, "not written"),
        ({}, False, "not called"),
    ],
)
def test_a_limit_outweighs_every_reason_but_keeps_it(stop, files, coder_called, why):
    """Unsolved at a limit is ``limit``, and the detail says both."""
    runs = {"def": TestRun("passed", syntax="it does not compile")}
    verdict = judged(files, stop=stop, coder_called=coder_called, runs=runs)
    assert verdict.outcome == "limit"
    assert verdict.detail.startswith(f"the {stop.replace('_', ' ')} was reached; ")
    assert why in verdict.detail


@pytest.mark.parametrize("stop", ["done", "tool_call_limit", "step_limit", "token_limit"])
def test_solved_and_forged_outweigh_a_limit(stop):
    """Code that passes is solved, and code that cheats is forged, however the trial ended."""
    assert judged({"add.py": GOOD}, stop=stop).outcome == "solved"
    assert judged({"add.py": "x = 1"}, stop=stop, runs={"x = 1": TestRun("forged", detail="x")}).outcome == (
        "forged"
    )


def test_code_by_the_tester_is_not_the_coders():
    """Who wrote the code file last decides whose it is; a file that the task gives has no author."""
    grader = Grader(a_task(acceptance=WITHOUT_TWIN), ScriptedSandbox({GOOD: PASSED}))
    outcomes = [
        grader.verdict([Attempt({"add.py": GOOD}, authors)], "done", coder_called=True).outcome
        for authors in ({}, {"add.py": "coder"}, {"add.py": "tester"})
    ]
    assert outcomes == ["solved", "solved", "no_code"]


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
    runs = {"def": TestRun("passed", syntax="it does not compile")}
    verdict = judged(*[{} if code is None else {"add.py": code} for code in codes], runs=runs)
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
    files = {"add.py": GOOD, "test_add.py": tests}
    assert grader.verdict([attempt(files)], "done", coder_called=True).tester == grade


def test_a_tester_that_wrote_nothing_has_no_grade():
    """It may never have been called: that is no fault of its tests."""
    assert judged({"add.py": GOOD}).tester is None


def test_a_tester_is_graded_even_where_the_code_is_missing():
    """Its tests stand on their own."""
    task = a_task(bugs=BUGS[:1], acceptance=WITHOUT_TWIN)
    assert judged({"test_add.py": TESTS}, task=task).tester == Grade(True, 1, 0, 1)


@pytest.mark.parametrize("authors", [{}, {"test_add.py": "coder"}])
def test_tests_that_the_tester_did_not_write_are_not_graded(authors):
    """Where the coder replaced them, or the task gives them, there is no work of a tester to grade."""
    grader = Grader(a_task(bugs=BUGS), ScriptedSandbox({}))
    assert grader.tester(Attempt({"test_add.py": TESTS}, authors)) is None


def test_tests_that_do_not_finish_on_the_reference_meet_no_bug():
    """What takes all its time on right code is not run again and again on wrong code."""
    sandbox = ScriptedSandbox({GOOD: TestRun("timeout", detail="late")})
    grader = Grader(a_task(bugs=BUGS), sandbox)
    assert grader.tester(attempt({"test_add.py": TESTS})) == Grade(False, 0, 0, 2)
    assert len(sandbox.given) == 1


@pytest.mark.parametrize(
    ("on_reference", "on_bug", "expected"),
    [
        ("passed", "failed", "caught"),
        ("passed", "passed", "accepted"),
        ("failed", "passed", "accepted"),
        ("failed", "failed", "rejected"),
        ("timeout", "failed", "not tried"),
    ],
)
def test_each_bug_is_listed_with_what_became_of_it(on_reference, on_bug, expected):
    """A file that rejects right code as well has caught nothing; the run on the reference is kept."""
    task = a_task(bugs=BUGS[:1])
    runs = {GOOD: TestRun(on_reference), BUGS[0].code: TestRun(on_bug)}
    grade = Grader(task, ScriptedSandbox(runs)).tester(attempt({"test_add.py": TESTS}))
    assert grade.on_bugs == ((BUGS[0].name, expected),)
    assert grade.on_reference == TestRun(on_reference)


def test_slow_tests_catch_nothing_by_being_slow(sandbox, monkeypatch):
    """A mutant gets less time than a bug, unless the reference would not pass in it either."""
    monkeypatch.setattr("harness.grading.verdict.MUTANT_TIMEOUT_S", 0.3)
    mutant = Bug(name="mutant", code=BAD)
    grader = Grader(a_task(bugs=BUGS[:1]), sandbox, lambda _: (mutant,))
    slow = "import time\nfrom add import add\ndef test_it():\n    time.sleep(0.6)\n"
    for more, caught in (("", 0), ("    assert add(1, 2) == 3\n", 1)):
        grade = grader.tester(attempt({"test_add.py": slow + more}))
        assert (grade.valid, grade.mutants_caught) == (True, caught)


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
ALSO_ANEW = ("add", "money", "build_order")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_an_oracle_solves_every_shipped_task(path, sandbox):
    """The reference beside acceptance as generated tests is solved; none is taken for forgery.

    That no known bug is solved is what `harness validate` proves of every task.
    """
    task = load_task(path, path.name)
    files = {task.code_file: task.reference, task.test_file: task.acceptance}
    authors = {task.code_file: "coder", task.test_file: "tester"}
    attempts = [Attempt({**task.files, **files}, authors)]
    grader = Grader(task.model_copy(update={"bugs": ()}), sandbox)
    assert grader.verdict(attempts, "done", coder_called=True).outcome == "solved"


@pytest.mark.parametrize("name", ALSO_ANEW)
@pytest.mark.slow
def test_a_bug_is_solved_nowhere_and_a_perfect_tester_catches_it(name, sandbox):
    """A process in which pytest starts anew shows the same, of the reference and of the bugs."""
    path = next(path for path in SHIPPED if path.stem == name)
    task = load_task(path, path.name)
    fresh = Grader(task, ForkServer(warm=False))
    grader = Grader(task, sandbox)
    for outcome, code in [("solved", task.reference), *(("wrong", bug.code) for bug in task.bugs)]:
        files = {**task.files, task.code_file: code, task.test_file: task.acceptance}
        authors = {task.code_file: "coder", task.test_file: "tester"}
        verdict = grader.verdict([Attempt(files, authors)], "done", coder_called=True)
        assert verdict.outcome == outcome
        assert verdict.tester == Grade(True, len(task.bugs), 0, len(task.bugs))
        assert fresh.acceptance(files) == verdict.acceptance
    for tests, valid in [("", False), ("def test_a(): pass\n", True)]:
        grade = grader.tester(Attempt({**task.files, task.test_file: tests}, {task.test_file: "tester"}))
        assert (grade.valid, grade.bugs_caught) == (valid, 0)


# --- what runs --------------------------------------------------------------------------------------


def test_acceptance_never_sees_the_generated_tests():
    """The hidden tests run beside all files but those of the tester, and under a name of their own.

    They lie nowhere on the disk, and under that name they are not what the task says.
    """
    sandbox = ScriptedSandbox({GOOD: PASSED})
    task = a_task(acceptance=WITHOUT_TWIN)
    Grader(task, sandbox).acceptance({"add.py": GOOD, "test_add.py": TESTS, "data.txt": "1"})
    files, name, hidden = sandbox.given[-1]
    assert files == {"add.py": GOOD, "data.txt": "1"}
    assert name not in ("test_add.py", "test_hidden_acceptance.py")
    assert hidden.source != task.acceptance


def test_a_package_of_the_same_name_does_not_stand_in_for_the_code():
    """add/__init__.py would be imported in place of add.py, and judged in place of it."""
    sandbox = ScriptedSandbox({BAD: FAILED})
    files = {"add.py": BAD, "add/__init__.py": GOOD, "addition/x.py": "", "test_add.py": TESTS}
    assert judged(files).outcome == "wrong"
    Grader(a_task(), sandbox).generated(files)
    assert set(sandbox.given[0][0]) == {"add.py", "addition/x.py", "test_add.py"}


def test_a_model_cannot_supply_the_acceptance_tests():
    """The file's name is made of the hidden tests, which no model knows; what it writes stays beside it."""
    names = set()
    for comment in ("", "# a", "# b"):
        sandbox = ScriptedSandbox({GOOD: PASSED})
        Grader(a_task(acceptance=WITHOUT_TWIN + comment), sandbox).acceptance({"add.py": GOOD})
        names |= {name for _, name, _ in sandbox.given}
    assert len(names) == 3


def test_the_same_files_run_once():
    """A second look at the same files gives the first result again; other files run."""
    sandbox = ScriptedSandbox({GOOD: PASSED, BAD: FAILED})
    grader = Grader(a_task(acceptance=WITHOUT_TWIN), sandbox)
    files = {"add.py": GOOD, "test_add.py": TESTS}
    assert grader.generated(files) is grader.generated(dict(reversed(files.items())))
    assert len(sandbox.given) == 1
    grader.verdict([attempt(files), attempt(files)], "done", coder_called=True)
    assert len(sandbox.given) == 3  # acceptance on the reference and on this very code; its tests ran
    grader.generated({**files, "add.py": BAD})
    assert len(sandbox.given) == 4


def test_code_that_does_not_compile_is_not_run(sandbox):
    """Only the sandbox compiles it, and stops there: no test is collected, and there is no run to show."""
    grader = Grader(a_task(), sandbox)
    verdict = grader.verdict([attempt({"add.py": "("})], "done", coder_called=True)
    assert (verdict.outcome, verdict.acceptance) == ("syntax_error", None)
    assert verdict.detail == "add.py:1: '(' was never closed"
    assert grader.acceptance({"add.py": "("}).collected == 0


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
    """Code cannot leave early into being solved, nor by a skip of the file that tests it."""
    verdict = Grader(a_task(), sandbox).verdict([attempt({"add.py": code})], "done", coder_called=True)
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
