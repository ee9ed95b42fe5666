"""harness/grading/acceptance.py: what a run in disguise shows."""

import ast
import random
import resource

import pytest

from harness.errors import SpecError
from harness.grading import acceptance as module
from harness.grading.acceptance import Acceptance
from harness.grading.falsify import Falsifier
from harness.grading.twins import disguise
from harness.grading.verdict import Attempt, Grader
from harness.sandbox import Test, TestRun
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.tasks.task import Limits, Task

GOOD = "def add(a, b):\n    return a + b\n"
ROWS = """\
import pytest
from add import add

@pytest.mark.parametrize(("a", "b", "total"), [(1, 2, 3), (4, 5, 9), (-1, 1, 0), (7, 7, 14)])
def test_sum(a, b, total):
    assert add(a, b) == total

def test_twice():
    assert add(2, 2) == 4
"""
NAMES = ["test_sum[1-2-3]", "test_sum[4-5-9]", "test_sum[-1-1-0]", "test_sum[7-7-14]", "test_twice"]


def a_task(acceptance=ROWS, **changes):
    fields = {
        "id": "add",
        "title": "Add",
        "spec": "Add.",
        "code_file": "add.py",
        "test_file": "test_add.py",
        "reference": GOOD,
        "acceptance": acceptance,
        "limits": Limits(timeout_s=5),
    }
    return Task(**{**fields, **changes})


def verdict(sandbox, code, task=None, **files):
    """The verdict on a code file, beside other files of the coder."""
    written = {"add.py": code, **files}
    attempt = Attempt(written, dict.fromkeys(written, "coder"))
    return Grader(task or a_task(), sandbox).verdict([attempt], "done", coder_called=True)


def judged(sandbox, change):
    """What is made of the reference's own run, with its rows changed: (name, is a twin, outcome)."""
    proof = Acceptance(a_task(), sandbox, random.Random(1)).proof
    rows = [
        (name, bool(case.twin), "failed" if case.twin else "passed") for name, case in proof.cases.items()
    ]
    tests = tuple(Test(name, outcome) for name, _, outcome in change(rows))
    return proof.judge(TestRun("failed", tests, collected=len(tests)))


# --- judging ------------------------------------------------------------------------------------------


def test_tests_are_named_and_ordered_as_in_their_file(sandbox):
    """Nothing of the disguise is left in what a run shows."""
    run = Grader(a_task(), sandbox).acceptance({"add.py": GOOD})
    assert ([test.name for test in run.tests], run.collected) == (NAMES, 5)
    assert run.passed
    assert run == Grader(a_task(), sandbox).acceptance({"add.py": GOOD})


def test_a_test_that_passes_with_its_twin_is_forged(sandbox):
    """One such pair is enough; a twin that passes where its test fails is merely wrong."""

    def with_one_twin(rows):
        at = next(at for at, (_, twin, _) in enumerate(rows) if twin)
        return [*rows[:at], (*rows[at][:2], "passed"), *rows[at + 1 :]]

    run = judged(sandbox, lambda rows: [(*row[:2], "passed") for row in rows])
    assert run.status == "forged"
    assert run.detail.startswith("5 of 5 hidden tests pass whatever they expect")
    assert judged(sandbox, with_one_twin).status == "forged"
    turned = judged(sandbox, lambda rows: [(n, twin, "passed" if twin else "failed") for n, twin, _ in rows])
    assert turned.status == "failed"


def test_fewer_tests_are_forged(sandbox):
    """The reference's run says which tests there are; others, which the code brought, count for nothing."""
    assert judged(sandbox, lambda rows: rows).status == "passed"
    assert judged(sandbox, lambda rows: rows[:-1]).status == "forged"
    assert judged(sandbox, lambda _: []).status == "forged"
    for outcome in ("passed", "failed"):
        more = ("test_x.py::test_more", False, outcome)
        assert judged(sandbox, lambda rows, more=more: [*rows, more]).status == "passed"
    assert (
        judged(sandbox, lambda rows: [*rows[:-1], ("test_x.py::test_m", False, "passed")]).status == "forged"
    )


def test_a_test_reported_twice_is_forged(sandbox):
    """It must not fill the place of another: who omits the half of each pair gains nothing."""
    for keeps_twin in (True, False):

        def twice(rows, keeps_twin=keeps_twin):
            return [(name, twin, "passed") for name, twin, _ in rows if twin is keeps_twin] * 2

        assert judged(sandbox, twice).status == "forged"
    assert judged(sandbox, lambda rows: [rows[0], *rows[:-1]]).status == "forged"


LOOP = """\
import pytest
from add import evens

def test_parity():
    for n in evens(9):
        assert n % 2 == 0

def test_all():
    assert evens(5) == [0, 2, 4]
"""


def test_wrong_code_that_passes_a_loop_over_nothing_is_no_forger(sandbox):
    """Such a test passes with its twin; it counts as failed. Alone, nothing tells it from a forger's."""
    reference = "def evens(n): return [*range(0, n, 2)]\n"
    nothing = "def evens(n): return []\n"
    found = verdict(sandbox, nothing, a_task(LOOP, reference=reference))
    assert (found.outcome, found.detail.partition(";")[0]) == ("wrong", "0 of 2 acceptance tests passed")
    only = a_task(LOOP.partition("def test_all")[0], reference=reference)
    assert verdict(sandbox, nothing, only).outcome == "forged"
    assert verdict(sandbox, reference, only).outcome == "solved"


ERRORS = """\
import pytest
from add import {0}

@pytest.mark.parametrize("n, error", [(3, OutOfStock), (0, ValueError), (-1, ValueError)])
def test_it(n, error):
    with pytest.raises(error):
        take(n)

def test_unexpected():
    with pytest.raises({1}):
        take(0)
"""
TAKE = """\
class OutOfStock({0}): pass
def take(n):
    if n < 1:
        raise {1}
    raise OutOfStock
"""


@pytest.mark.parametrize("expected", ["Exception", "ValueError", "(ValueError, TypeError)"])
def test_errors_may_derive_from_whatever_the_code_derives_them_from(expected, sandbox):
    """What a twin expects is no relative of what a test does, in any sensible hierarchy."""
    task = a_task(
        ERRORS.format("OutOfStock, take", expected), reference=TAKE.format("Exception", "ValueError")
    )
    for base, error in (("ValueError", "ValueError"), ("EOFError, BufferError", "UnicodeError")):
        assert verdict(sandbox, TAKE.format(base, error), task).outcome == "solved"
    assert verdict(sandbox, TAKE.format("Exception", "OutOfStock"), task).outcome == "wrong"


@pytest.mark.parametrize("approx", ["rel=0.05", "abs=1"])
def test_what_a_tolerance_allows_is_right(approx, sandbox):
    """A twin expects what is far outside of both tolerances."""
    test = (
        "import pytest\nfrom add import add\n\ndef test_it():\n    assert add() == pytest.approx(20.0, {})\n"
    )
    task = a_task(test.format(approx), reference="def add(): return 20.0\n")
    for seed in range(8):
        proof = Acceptance(task, sandbox, random.Random(seed))
        assert proof.run({"add.py": "def add(): return 20.9\n"}).status == "passed"
        assert proof.run({"add.py": "def add(): return 22.0\n"}).status == "failed"


READER = """\
import sys
def add(n):
    around = sys._getframe(1).f_globals
    return {1: 7, 2: around.get("WANTED", 0)}[n]
"""


def test_a_constant_of_the_hidden_file_is_not_there_to_be_read(sandbox):
    """A test has a parameter in its place; where the code is given it as well, it stays."""
    test = "from add import add\n\nWANTED = 1234\n{}\ndef test_it():\n    assert add(2) == WANTED\n"
    reference = "def add(n): return {1: 7, 2: 1234}[n]\n"
    assert verdict(sandbox, READER, a_task(test.format(""), reference=reference)).outcome == "wrong"
    given = "SEEN = 7\nassert add(1) == SEEN\n"
    assert verdict(sandbox, reference, a_task(test.format(given), reference=reference)).outcome == "solved"


def test_tests_that_a_hidden_file_takes_from_the_code_count_for_nothing(sandbox):
    """``import *`` of code that brings tests of its own, right and wrong ones."""
    task = a_task("from add import *\n\ndef test_it():\n    assert add(1, 2) == 3\n")
    own = "def test_add(): assert {}\nclass TestAdd:\n    def test_it(self): assert {}\n"
    for outcome in (True, False):
        assert verdict(sandbox, GOOD + own.format(outcome, outcome), task).outcome == "solved"
    assert verdict(sandbox, "def add(a, b): return 0\n" + own.format(1, 1), task).outcome == "wrong"


def test_a_slow_test_may_take_as_long_as_alone_for_each_twin(sandbox):
    """Seven assertions of one test make seven twins."""
    test = "from add import add\n\ndef test_it():\n" + "".join(
        f"    assert add({n}, 1) == {n + 1}\n" for n in range(7)
    )
    slow = f"import time\n{GOOD}".replace("    return", "    time.sleep(0.3 * (a == 0))\n    return")
    task = a_task(test, limits=Limits(timeout_s=0.6))
    assert verdict(sandbox, slow, task).outcome == "solved"


STATEFUL = "seen = []\n\ndef add(a, b):\n    seen.append(a)\n    return a + b + (len(seen) > {}) * 100\n"
NUMBERED = "from add import add\n\ndef test_first():\n    assert add() == {}\n"


def test_right_code_that_remembers_is_run_apart(sandbox):
    """A test that fails only because its twin ran before it passes in a process of its own."""
    task = a_task("from add import add\n\ndef test_it():\n    assert add(1, 2) == 3\n")
    for _ in range(4):
        assert verdict(sandbox, STATEFUL.format(1), task).outcome == "solved"
        assert verdict(sandbox, STATEFUL.format(0), task).outcome == "wrong"


def test_right_code_that_counts_is_not_forged(sandbox):
    """A number that is the next one each time may be what a twin expects; apart, it is not."""
    counter = "n = 0\n\ndef add():\n    global n\n    n += 1\n    return n\n"
    task = a_task(NUMBERED.format(1), reference="def add(): return 1\n")
    for _ in range(6):
        assert verdict(sandbox, counter, task).outcome == "solved"


def test_a_reference_that_remembers_passes(sandbox):
    """It is run apart as well."""
    counter = "n = 0\n\ndef add():\n    global n\n    n += 1\n    return n\n"
    for _ in range(4):
        assert verdict(sandbox, counter, a_task(NUMBERED.format(1), reference=counter)).outcome == "solved"


def test_code_that_cannot_be_imported_is_wrong(sandbox):
    """An error while the tests are collected is the code's, and its reason is told."""
    found = verdict(sandbox, "import nothing_of_that_name\n")
    assert (found.outcome, "No module named 'nothing_of_that_name'" in found.detail) == ("wrong", True)
    assert verdict(sandbox, "def plus(a, b): return a + b\n").outcome == "wrong"


def test_code_that_does_not_compile_has_its_own_outcome(sandbox):
    """The line is told."""
    found = verdict(sandbox, "def add(a, b):\n    return (a\n")
    assert (found.outcome, found.detail) == ("syntax_error", "add.py:2: '(' was never closed")


def test_a_byte_order_mark_is_judged_as_python_judges_it(sandbox):
    """Python reads a file that begins with one."""
    assert verdict(sandbox, f"\ufeff{GOOD}").outcome == "solved"
    assert verdict(sandbox, f"\ufeff\ufeff{GOOD}").outcome == "syntax_error"


def test_a_declared_encoding_is_judged_as_python_judges_it(sandbox):
    """The bytes of the file are compiled, not its text."""
    assert verdict(sandbox, f"# coding: latin-1\n{GOOD}").outcome == "solved"
    assert verdict(sandbox, f"# coding: nonsense\n{GOOD}").outcome == "syntax_error"


@pytest.mark.parametrize("code", [GOOD, "def add(a, b):\n    return 1\n"], ids=["passes", "fails"])
def test_a_reference_that_fails_says_nothing_of_any_code(code, sandbox):
    """It is neither a model's success nor its failure: the task is wrong."""
    with pytest.raises(SpecError, match="the reference does not pass acceptance"):
        verdict(sandbox, code, a_task(reference="def add(a, b):\n    return 0\n"))


@pytest.mark.parametrize("mark", ["skipif(True, reason='old')", "skip", "xfail"])
def test_a_reference_of_which_a_test_is_skipped_says_nothing_either(mark, sandbox):
    """Every code would be wrong, as it is for a version of Python that the task does not fit."""
    hidden = "import pytest\nfrom add import add\n\n\ndef test_a():\n    assert add(1, 2) == 3\n\n\n"
    hidden += f"@pytest.mark.{mark}\ndef test_b():\n    assert add(1, 2) == 4\n"
    with pytest.raises(SpecError, match="the reference does not pass acceptance"):
        verdict(sandbox, GOOD, a_task(hidden))


@pytest.mark.parametrize("value", [20.0, 7, 0.05, 0.5, 0, 0.0, 1e300, 123456789, 9.99])
def test_which_of_two_numbers_is_false_does_not_follow_from_them(value):
    """Each leads to the other, and the change is larger than usual tolerances."""

    def images(number):
        made = (Falsifier(random.Random(seed)).far(ast.Constant(number)) for seed in range(40))
        return {ast.literal_eval(each) for each in made}

    for false in images(value):
        assert type(value) is type(false)
        assert abs(false - value) >= max(0.3 * min(abs(value), abs(false)), 0.4)
        assert value in images(false) or value == 0


LIAR = """\
class Is({0}):
    __hash__ = None
    def __eq__(self, other): return isinstance(other, {0})
def add(): return Is()
"""


@pytest.mark.parametrize(("kind", "value"), [("int", "3"), ("str", "'ab'"), ("list", "[1]")])
def test_what_equals_all_of_its_kind_is_forged(kind, value, sandbox):
    """Where the expected value is computed, a twin expects another one of the same kind."""
    task = a_task(
        f"from copy import copy\nfrom add import add\n\nWANTED = copy({value})\n\n"
        "def test_it():\n    assert add() == copy(WANTED)\n",
        reference=f"def add(): return {value}\n",
    )
    grader = Grader(task, sandbox)
    assert (grader.acceptance({"add.py": task.reference}).status, grader.without_twin()) == ("passed", {})
    assert grader.acceptance({"add.py": LIAR.format(kind)}).status == "forged"


def test_wrong_code_that_ends_pytest_has_crashed(sandbox):
    """Tests that did not run any more are missing, which is no forgery, whatever failed before."""
    code = "def add(a, b):\n    if a == 4:\n        raise KeyboardInterrupt\n    return a + b\n"
    grader = Grader(a_task(), sandbox)
    for number in range(4):
        assert grader.acceptance({"add.py": f"{code}# {number}\n"}).status == "crashed"
    for _ in range(4):
        assert Grader(a_task(), sandbox).acceptance({"add.py": code}).status == "crashed"


DATES = """\
from datetime import date
from add import add

def test_it():
    assert date(2024, add(1, 1), 29) == date(2024, 2, 29)
"""


@pytest.mark.parametrize(
    "acceptance",
    [
        "from add import add\n\ndef test_it():\n    assert add(3, 3) == sum(3 for _ in 'ab')\n",
        "from add import add\n\ndef test_it():\n    assert add(1, 1) in (2, add(5, 5))\n",
        DATES,
    ],
)
def test_a_twin_that_proves_nothing_is_replaced(acceptance, sandbox):
    """Another place is falsified, until the reference fails the twin."""
    for seed in range(4):
        proof = Acceptance(a_task(acceptance), sandbox, random.Random(seed)).proof
        assert (proof.without_twin, proof.run.passed) == ({}, True)


def test_a_disguise_never_makes_a_test_fail(sandbox):
    """A test that fails as soon as it has parameters is run without."""
    acceptance = (
        "from add import add\n\ndef test_it(request):\n    assert add(1, 1) == 2\n"
        "    assert not hasattr(request.node, 'callspec')\n"
    )
    proof = Acceptance(a_task(acceptance), sandbox).proof
    assert proof.without_twin == {"test_it": "nothing in it can be falsified"}
    assert proof.run.passed


# --- files of the coder ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["{}/__init__.py", "{}.py", "deep/{}/__init__.py", "{0}/{0}/__init__.py"])
def test_no_file_of_the_coder_stands_in_for_the_hidden_tests(path, sandbox):
    """Even who knows the name of the hidden file gains nothing by a module or package of that name."""
    task = a_task()
    grader = Grader(task, sandbox)
    stem = grader._acceptance._file.removesuffix(".py")
    shadow = path.format(stem)
    files = {"add.py": "def add(a, b): return 0\n", shadow: "def test_sum(): pass\n"}
    for each in (files, {**files, "add.py": f"import {stem}\n{files['add.py']}"}):
        found = grader.verdict([Attempt(each, {"add.py": "coder"})], "done", coder_called=True)
        assert found.outcome in ("wrong", "forged")


# --- compilation --------------------------------------------------------------------------------------------

BOMBS = {
    "comprehensions": "[x " + "for()in()" * 54_000 + "]",
    "dotted-name": "import " + ".".join("a" * 60_000),
    "parentheses": "x = " + "(" * 100_000,
    "unary": "x = " + "-" * 100_000 + "1",
    "sums": "x = " + "1+" * 100_000 + "1",
    "attributes": "x" + ".a" * 60_000,
    "else-ifs": "if 0: pass\n" + "elif 0: pass\n" * 20_000,
    "power": "x = 9**9**9",
    "repeat": "x = 'ab' * (1 << 40)",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_for_the_compiler_is_the_models_outcome(name, sandbox):
    """Text that is hard to compile neither kills nor bloats this process: only a run compiles it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = verdict(sandbox, BOMBS[name], a_task(limits=Limits(timeout_s=2, memory_mb=256)))
    assert found.outcome in ("syntax_error", "wrong", "timeout", "crashed")
    assert found.detail
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert verdict(sandbox, GOOD).outcome == "solved"


@pytest.mark.parametrize("name", ["add.so", "add.abi3.so", "add.pyd", "add/__init__.py"])
def test_what_python_would_import_in_place_of_the_code_is_left_out(name, sandbox):
    """Nobody can replace the code file by a library or a package of its name."""
    assert Grader(a_task(), sandbox).acceptance({"add.py": GOOD, name: "no library"}).passed


def test_the_same_tests_are_disguised_alike_in_every_process(sandbox):
    """A replay shows the same on every machine: the disguise depends on the task alone.

    It depends on what no run sees, too: who has read the hidden tests cannot tell how they are disguised.
    """
    first, second = (Acceptance(a_task(), sandbox) for _ in range(2))
    assert (first.proof.disguise, first._file) == (second.proof.disguise, second._file)
    assert Acceptance(a_task(ROWS + "\n"), sandbox).proof.disguise != first.proof.disguise
    other = Acceptance(a_task(reference=f"{GOOD}# unseen\n"), sandbox)
    assert other._file != first._file
    assert other.proof.disguise != first.proof.disguise


def test_a_disguise_is_kept_where_runs_are(sandbox, tmp_path, monkeypatch):
    """Each worker would make it anew; what is damaged is made again, and another task's is another."""
    made = []
    monkeypatch.setattr(module, "disguise", lambda *args: made.append(args) or disguise(*args))
    kept = CachedSandbox(sandbox, RunCache(tmp_path), sandbox.probe)
    first = Acceptance(a_task(), kept).proof
    for where in (kept, sandbox):
        assert Acceptance(a_task(), where).proof.disguise == first.disguise
    assert len(made) == 2  # once kept, and once in a sandbox that keeps nothing
    for entry in tmp_path.iterdir():
        if not entry.name.startswith("."):
            entry.write_bytes(entry.read_bytes()[:-3])
    assert Acceptance(a_task(), kept).proof.disguise == first.disguise
    assert Acceptance(a_task(ROWS + "\n"), kept).proof.disguise != first.disguise
    assert len(made) == 4
