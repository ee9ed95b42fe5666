"""harness/grading/feedback.py: what the orchestrator is told when its work does not stand up."""

import pytest

from harness.grading.feedback import MAX_CHARS, MAX_FAILURES, feedback
from harness.grading.verdict import Grader
from harness.sandbox import Test, TestRun
from harness.tasks.task import Limits, Task

FILES = {"add.py": "x = 1\n", "test_add.py": "y = 1\n"}
SECRET = "hidden-acceptance-text"


def a_task():
    return Task(
        id="add",
        title="Add",
        spec="Add.",
        code_file="add.py",
        test_file="test_add.py",
        reference=SECRET,
        acceptance=f"def test_hidden():\n    assert 1 == 2, '{SECRET}'\n",
        limits=Limits(timeout_s=5),
    )


def check(run, files=FILES):
    return feedback(a_task(), files, run)


def a_failure(number=1, text="AssertionError: assert 1 == 2"):
    return Test(f"test_add.py::test_{number}", "failed", text)


def test_work_that_stands_up_gets_no_words():
    """Passed is passed."""
    assert check(TestRun("passed", (Test("t", "passed"),))) == type(check(None))(True, "", "")


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({}, ["add.py", "test_add.py"]),
        ({"add.py": "x = 1"}, ["test_add.py"]),
        ({"test_add.py": "y = 1"}, ["add.py"]),
    ],
)
def test_missing_files_are_named(files, missing):
    """The orchestrator learns which file nobody wrote."""
    result = check(None, files)
    assert not result.passed
    assert result.output.splitlines() == [f"{path} was not written" for path in missing]


def test_code_that_does_not_compile_is_told_with_its_line():
    """The compiler's word comes before any test's."""
    result = check(TestRun("failed", (a_failure(),), syntax="add.py:2: invalid syntax"))
    assert (result.passed, result.summary) == (False, "add.py does not compile.")
    assert result.output.startswith("add.py:2: ")


@pytest.mark.parametrize(
    "run",
    [
        TestRun("no_tests"),
        TestRun("no_tests", (Test("t", "skipped"),)),
        TestRun("timeout", detail="the tests did not end in time"),
        TestRun("memory", (Test("t", "failed", "MemoryError"),)),
        TestRun("crashed", detail="the test process ended with signal 11 before it reported"),
        TestRun("failed", (Test("t", "xpassed"),)),
        TestRun("failed", (Test("t", "error", ""),)),
    ],
    ids=lambda run: run.status,
)
def test_whatever_went_wrong_is_told(run):
    """Each kind of failing run has a summary and an output, neither empty."""
    result = check(run)
    assert not result.passed
    assert result.summary.strip()
    assert result.output.strip()


@pytest.mark.parametrize("tests", [(), (Test("t", "passed"),)], ids=["none", "some"])
def test_a_session_that_ended_early_is_not_told_as_failing_tests(tests):
    """Where no test failed, "0 failed" would send the orchestrator to look for what is not there."""
    result = check(TestRun("crashed", tests))
    assert not result.passed
    assert "0 failed" not in result.output
    assert "fail" not in result.summary


def test_the_assertion_comes_first():
    """The first words of the output are what was expected and what came, then the test's name."""
    result = check(
        TestRun("failed", (Test("t0", "passed"), a_failure(1), Test("e", "error", "ImportError: x")))
    )
    assert result.output.splitlines() == [
        "AssertionError: assert 1 == 2",
        "FAILED test_add.py::test_1",
        "",
        "ImportError: x",
        "FAILED e",
        "",
        "2 failed, 1 passed",
    ]


def test_only_a_few_failures_are_told():
    """The others are counted."""
    result = check(TestRun("failed", tuple(a_failure(n) for n in range(50))))
    assert result.output.count("FAILED") == MAX_FAILURES
    assert "... and 45 more" in result.output
    assert "50 failed, 0 passed" in result.output


@pytest.mark.parametrize(
    "run",
    [
        TestRun("failed", tuple(a_failure(n, "x" * 100_000) for n in range(50))),
        TestRun("failed", (Test("n" * 100_000, "failed", "x"),)),
    ],
    ids=["texts", "name"],
)
def test_the_output_is_bounded(run):
    """However much a test says, the next prompt holds a page of it."""
    assert len(check(run).output) <= MAX_CHARS


def test_nothing_of_the_hidden_tests_is_told(sandbox):
    """With right or wrong code, the words come from the generated tests alone."""
    files = {
        "add.py": "def add(a, b):\n    return a - b\n",
        "test_add.py": "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    }
    grader = Grader(a_task(), sandbox)
    assert not grader.acceptance(files).passed
    result = feedback(a_task(), files, grader.generated(files))
    assert result.output.startswith("assert -1 == 3\n")
    assert "hidden" not in repr(result)
