"""harness/grading/twins.py: hidden tests in disguise, and what right code must fail."""

import ast
import random
from collections import Counter

import pytest

from harness.grading.acceptance import Proof
from harness.grading.rows import literal_rows
from harness.grading.twins import disguise, patterns
from harness.sandbox import HiddenTests
from harness.tasks.task import Limits

CODE = """\
def double(n):
    if n is None:
        raise ValueError("nothing")
    return 2 * n
def is_even(n): return n % 2 == 0
def pick(): return "b"
class Box(list): pass
"""
HEAD = "import pytest\nfrom code_ import Box, double, is_even, pick\n\n\n"
SITES = {
    "column": '@pytest.mark.parametrize(("n", "twice"), [(1, 2), (2, 4), (3, 6)])\n'
    "def test_it(n, twice):\n    assert double(n) == twice\n",
    "column-of-names": '@pytest.mark.parametrize("n, wanted", [(1, False), (2, True), (4, True)])\n'
    "def test_it(n, wanted):\n    assert is_even(n) is wanted\n",
    "column-expected-left": '@pytest.mark.parametrize("n, twice", [("a", "aa"), ("b", "bb")])\n'
    "def test_it(n, twice):\n    assert twice == double(n)\n",
    "column-of-errors": '@pytest.mark.parametrize("n, error", [(None, ValueError), ({}, TypeError)])\n'
    "def test_it(n, error):\n    with pytest.raises(error):\n        double(n)\n",
    "rows-that-are-all-alike": '@pytest.mark.parametrize(("n", "twice"), [(1, 2), (1.0, 2)])\n'
    "def test_it(n, twice):\n    assert double(n) == twice\n",
    "constant": "def test_it():\n    assert double(4) == 8\n",
    "negative": "def test_it():\n    assert double(-4) == -8\n",
    "float": "def test_it():\n    assert double(0.1) == pytest.approx(0.2, abs=1e-6)\n",
    "text": "def test_it():\n    assert double('ab') == 'abab'\n",
    "bytes": "def test_it():\n    assert double(b'ab') == b'abab'\n",
    "text-without-letters": "def test_it():\n    assert double('?') == '??'\n",
    "list": "def test_it():\n    assert double([1]) == [1, 1]\n",
    "empty-list": "def test_it():\n    assert double([]) == []\n",
    "empty-dict": "def test_it():\n    assert dict(double([])) == {}\n",
    "is-true": "def test_it():\n    assert is_even(2) is True\n",
    "is-none": "def test_it():\n    assert [].sort() is None\n",
    "raises": "def test_it():\n    with pytest.raises(ValueError, match='nothing'):\n        double(None)\n",
    "in-set": "def test_it():\n    assert pick() in {'a', 'b'}\n",
    "module-constant": "WANTED = {'a': [2]}\ndef test_it():\n"
    "    assert {'a': double([1])[:1] + []} != WANTED\n"
    "    assert {'a': [double(1)]} == WANTED\n",
    "expected-is-computed": "def test_it():\n    two = double(3)\n    assert double(3) == two\n",
    "no-equality": "def test_it():\n    assert double(3) > 5\n",
    "truth": "def test_it():\n    assert is_even(2)\n",
    "negation": "def test_it():\n    assert not is_even(3)\n",
    "not-in": "def test_it():\n    assert pick() not in ('x', 'y')\n",
    "chained": "def test_it():\n    assert 1 < double(1) == 2\n",
    "isinstance": "def test_it():\n    assert isinstance(Box(), list)\n",
    "helper": "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(5) == 10\n"
    "def test_it():\n    check(double)\n",
    "helper-of-two": "def check(n, twice):\n    assert double(n) == twice\n    assert double(0) == 0\n"
    "def test_it():\n    check(1, 2)\ndef test_that():\n    check(2, 4)\n",
    "method": "class TestIt:\n    def setup_method(self):\n        self.n = 2\n"
    "    def test_it(self):\n        assert double(self.n) == 4\n",
    "method-with-rows": 'class TestIt:\n    @pytest.mark.parametrize("n, twice", [(1, 2), (2, 4)])\n'
    "    def test_it(self, n, twice):\n        assert double(n) == twice\n",
    "stacked": '@pytest.mark.parametrize("m", [1, 2])\n'
    '@pytest.mark.parametrize("n, twice", [(1, 2), (5, 10)])\n'
    "def test_it(m, n, twice):\n    assert double(n * m) == twice * m\n",
    "rows-without-expectation": '@pytest.mark.parametrize("n", [2, 4, 6])\n'
    "def test_it(n):\n    assert is_even(n) is True\n",
    "param": '@pytest.mark.parametrize("n, twice", [pytest.param(1, 2, id="one"),'
    " pytest.param(7, 9, marks=pytest.mark.skip), (3, 6)])\n"
    "def test_it(n, twice):\n    assert double(n) == twice\n",
    "fixture": "@pytest.fixture\ndef four(tmp_path):\n    return 4\n"
    "def test_it(four):\n    assert double(four) == 8\n",
    "loop": "def test_it():\n    for n in range(3):\n        assert double(n) == n + n\n",
    "several": "def test_it():\n    assert double(1) == 2\n    assert double(2) == 4\n"
    "    assert double(3) == 6\n"
    "    assert double(4) == 8\n    assert is_even(4)\n",
    "future-import": '"""Text."""\nfrom __future__ import annotations\ndef test_it():\n'
    "    assert double(1) == 2\n",
}
NOTHING_TO_FALSIFY = {
    "asserts-nothing": ("def test_it():\n    double(1)\n", "test_it", "it asserts nothing"),
    "async": ("async def test_it():\n    assert double(1) == 2\n", "test_it", "it is asynchronous"),
    "referred-to": (
        "def test_it():\n    assert test_it and double(1) == 2\n",
        "test_it",
        "its file refers to it",
    ),
    "derived": (
        "import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self): assert double(1) == 2\n",
        "TestIt::test_it",
        "it is in a derived class",
    ),
}


def made(text, seed=1, head=HEAD):
    docstring = text.startswith('"""')
    return disguise(
        text.replace("def test_it", f"{HEAD.strip()}\ndef test_it", 1) if docstring else head + text,
        random.Random(seed),
    )


def run(sandbox, disguised):
    return sandbox.run(
        {"code_.py": CODE}, "test_x.py", Limits(timeout_s=9), hidden=HiddenTests(disguised.source)
    )


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_right_code_passes_each_test_and_fails_each_twin(name, seed, sandbox):
    """Whatever is falsified: the test keeps its meaning, and its twins contradict it."""
    disguised = made(SITES[name], seed)
    assert disguised.without == {}
    proof = Proof(disguised, run(sandbox, disguised))
    assert {test.outcome for test in proof.run.tests} <= {"passed", "skipped"}, proof.run
    twins = {name for name, case in proof.cases.items() if case.twin}
    skipped = {test.name for test in proof.run.tests if test.outcome == "skipped"}
    assert twins
    assert {proof.cases[name].name for name in twins - proof.twins} <= skipped
    assert proof.without_twin == {}


@pytest.mark.parametrize("name", NOTHING_TO_FALSIFY)
def test_what_has_nothing_to_falsify_is_named(name, sandbox):
    """Such a test keeps its form, and is known to have no twin, and why."""
    text, test, why = NOTHING_TO_FALSIFY[name]
    disguised = made(text)
    proof = Proof(disguised, run(sandbox, disguised))
    assert proof.twins == set()
    assert proof.without_twin == {test: why}


def test_names_values_and_order_depend_on_the_seed_alone():
    """The same seed gives the same text; another one other names, in another order."""
    for text in SITES.values():
        assert made(text).source == made(text).source
    one, other = (made(SITES["column"], seed) for seed in (1, 2))
    assert not set(one.cases) & set(other.cases)
    assert not set(one.tests) & set(other.tests)
    orders = {tuple(case.twin for case in made(SITES["column"], seed).cases.values()) for seed in range(20)}
    assert len(orders) > 5


IDS = (
    "[(1, 'a b'), (-2, ''), (1.5, 'é'), (True, None), (1e9, 'a\\nb'), ((1,), [2]), ({}, 'x'), (1, 'a b'),"
    " (b'x', 2j), (1000, 'y'), (print, 'z')]"
)


@pytest.mark.parametrize(
    "rows", [IDS, "[1, 1, 'x', None, [3]]", "['a', 'a', 'a1']", "[pytest.param(1, id='u'), 2]"]
)
def test_rows_keep_the_names_that_pytest_gives_them(rows, pytester):
    """A reader finds the row that failed by the name he knows."""
    names = "'n'" if "(1, 'a b')" not in rows else "('n', 'm')"
    arguments = "n, m" if "(" in names else "n"
    text = f"import pytest\n@pytest.mark.parametrize({names}, {rows})\ndef test_it({arguments}): pass\n"
    found = literal_rows(ast.parse(text).body[1])
    pytester.makepyfile(text)
    result = pytester.inline_run("--collect-only")
    items = result.getcalls("pytest_collection_modifyitems")[0].items
    assert found.ids == [item.name.removeprefix("test_it[").removesuffix("]") for item in items]


@pytest.mark.parametrize("sites", range(1, 8))
def test_any_case_could_be_the_one_in_which_all_is_right(sites):
    """Only the first is right in all; and each site is wrong in half, so that a count tells nothing."""
    cases = patterns(sites)
    assert [case for case in cases if not any(case)] == cases[:1]
    for column in zip(*cases, strict=True):
        assert Counter(column) == {True: len(cases) / 2, False: len(cases) / 2}


def test_a_helper_does_not_give_away_what_is_right():
    """The right value stands in no default where every call passes it."""
    tree = ast.parse(made(SITES["helper"]).source)
    helper = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check")
    assert helper.args.kwonlyargs
    assert helper.args.kw_defaults == [None] * len(helper.args.kwonlyargs)


def test_what_rows_expect_is_exchanged():
    """Each value is expected as often by tests as by twins, so that its frequency tells nothing."""
    text = '@pytest.mark.parametrize("n, w", [(1, "a"), (2, "b"), (3, "c"), (4, "d")])\n'
    source = made(f"{text}def test_it(n, w):\n    assert chr(96 + n) == w\n").source
    assert {source.count(f"'{letter}', id") for letter in "abcd"} == {2}


def test_no_assertion_of_a_long_test_is_safe_to_cheat_on():
    """Where a test has one twin, which of its expectations is falsified differs."""
    text = "def test_it():\n    assert double(1) == 2\n    assert double(2) == 4\n    assert double(3) == 6\n"
    others = "".join(f"def test_{n}():\n    assert double({n}) == {2 * n}\n" for n in range(4))
    asserted = [(double, right) for double, right in ((1, 2), (2, 4), (3, 6))]
    kept = Counter(
        n
        for seed in range(30)
        for n, right in asserted
        if f"double({n}) == {right}\n" in made(text + others, seed).source
    )
    assert all(0 < kept[n] < 30 for n, _ in asserted)
