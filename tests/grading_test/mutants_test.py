"""harness/grading/mutants.py: small changes of a reference, in a seeded order."""

import ast
import sys
from itertools import takewhile

import pytest

from harness.errors import UsageError
from harness.grading.mutants import TRIES, mutants, proven
from harness.grading.python_source import syntax_problem
from harness.tasks.task import Bug, Task

CLAMP = """\
def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value
"""
QUIRKS = {
    "hints": (
        "def f(a: int = 3, *rest: 'tuple[int, 1]', b: int | None) -> set[int] | None:\n    x: int = a + b\n",
        {1, 2},
    ),
    "decorators": (
        "import functools\n\n\n@functools.lru_cache(maxsize=128)\ndef f(n):\n    return n + 1\n",
        {6},
    ),
    "f-strings": ("def f(x, w):\n    return f'{x + 1:>{w - 1}} {x!r} {x=}' f\"{x['a']}\" 'b'\n", {2}),
    "walrus": ("def f(xs):\n    while (n := len(xs)) > 3:\n        xs.pop()\n    return n\n", {2}),
    "match": (
        "def f(p):\n match p:\n  case {'a': [1]} | -1 as x if x:\n   return 'a'\n  case _:\n   return 'b'\n",
        {3, 4, 5, 6},
    ),
    "groups": ("try:\n    x = 1\nexcept* (ValueError, OSError) as e:\n    x = 2\n", {2, 4}),
    "async": (
        "async def f(xs):\n    async with xs as y:\n        return [x async for x in y if x > 1]\n",
        {3},
    ),
    "unicode": ("def größe(ñ):\n    return 'é\u2028🎉\\N{BULLET}' if ñ > 1 else 'ﬃ'\n", {2}),
    "line-ends": ("x = 1\r\ny = x < 2\r\n", {1, 2}),
    "continued": ("x = 1 \\\n    + 2; y = (3,\n  4)", {1, 2, 3}),
    "tabs": ("def f(x):\n\tif x:\n\t\treturn not x\n\treturn x is None\n", {3, 4}),
    "lambda": ("key = lambda x, *, y=1: (-x, y)\n", {1}),
    "deep": (f"x = {'(' * 99}1{')' * 99}\n", {1}),
    "huge": ("x = 1e999, 10 ** 400, 1_0, 0xFF, 2j, 1e308\n", {1}),
}


def a_task(**changes):
    fields = {
        "id": "clamp",
        "title": "Clamp",
        "spec": "Clamp.",
        "code_file": "clamp.py",
        "test_file": "test_clamp.py",
        "reference": CLAMP,
        "acceptance": "def test_hidden(): ...",
    }
    return Task(**{**fields, **changes})


def fails(bug):
    """Whether a ``clamp`` is wrong for some small numbers."""
    names = {}
    exec(bug.code, names)
    cases = [(value, low, low + 2) for value in range(-3, 4) for low in (-1, 0)]
    return any(names["clamp"](*case) != sorted(case)[1] for case in cases)


def alike(one, other):
    """How many characters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def meaning(code):
    return ast.dump(ast.parse(code))


# --- what a mutant is -------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "lines"), QUIRKS.values(), ids=QUIRKS)
def test_every_mutant_is_another_program(source, lines):
    """Whatever the syntax: each compiles, and none equals the source, or another one, but for its format."""
    made = mutants(source, seed=0)
    assert made
    assert all(syntax_problem(bug.code, "x.py") == "" for bug in made)
    assert len({meaning(source), *(meaning(bug.code) for bug in made)}) == len(made) + 1
    assert {int(bug.name.split(":")[1].removeprefix(" line ")) for bug in made} <= lines


@pytest.mark.parametrize(("source", "lines"), QUIRKS.values(), ids=QUIRKS)
def test_a_mutant_differs_in_one_place(source, lines):
    """All before and after one short piece is the source's, to the letter."""
    for bug in mutants(source, seed=0):
        before = alike(source, bug.code)
        after = alike(source[before:][::-1], bug.code[before:][::-1])
        assert len(source) - before - after < 60


def test_a_mutant_is_named_for_its_change():
    """A name is a number of its own, the line and what became of it."""
    names = [bug.name for bug in mutants(CLAMP, seed=0)]
    assert [name.split(":")[0] for name in names] == [f"mutant {n}" for n in range(1, len(names) + 1)]
    assert sorted(name.split(": ", 1)[1] for name in names) == [
        "line 2: < low -> <= low",
        "line 4: > high -> >= high",
    ]


def test_names_and_codes_make_a_valid_task():
    """Mutants can be added to a task's known bugs as they are."""
    source = QUIRKS["match"][0]
    assert Task.model_validate({**dict(a_task()), "bugs": mutants(source, seed=0)}).bugs


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n",
        "# only a comment\n",
        '"""Only 1 docstring, 2 < 3."""\n',
        "'a' 'docstring'\n",
        "pass\n",
        "def f():\n    'Nothing.'\n",
        "from os import path\nimport copy as deepcopy\n",
        "from __future__ import annotations\n\nx: int | 3\n",
        "@wraps(len, 1)\ndef f(x: list[1] | None) -> True: ...\n",
        "def f(x):\n    raise ValueError(f'{x + 1}', 'negative')\n",
        "__all__ = ['f']\n__version__: str = '1' + '2'\n",
        "if __name__ == '__main__':\n    print(1 + 2)\n",
        "def f(x):\n    y = x\n    return g(y)\n",
    ],
)
def test_what_tests_do_not_see_has_no_mutants(source):
    """Docstrings, messages, hints, decorators, imports, dunders and the part for scripts are left alone."""
    assert mutants(source, seed=0) == ()


def test_no_value_becomes_none():
    """A value gone missing crashes at its first use; such a bug tells nothing about tests."""
    source = (
        "def f(text, sep=None):\n    parts = text.split(sep, 1)\n    return max(parts, key=lambda x: x[0])\n"
    )
    made = mutants(source, seed=0)
    assert {bug.code.count("None") for bug in made} == {1}
    assert any("split(sep, )" in bug.code for bug in made)


# --- order ------------------------------------------------------------------------------------------


def test_a_seed_and_a_source_give_the_same_mutants_everywhere():
    """Neither this machine nor this Python decides the order; mutmut's release alone may change it."""
    assert [bug.name for bug in mutants("def f(a, b):\n    return a * 2 < b + 1\n", seed=7)] == [
        "mutant 1: line 2: 2 -> 3",
        "mutant 2: line 2: 1 -> 2",
        "mutant 3: line 2: b + 1 -> b - 1",
        "mutant 4: line 2: < b + 1 -> <= b + 1",
        "mutant 5: line 2: a * 2 -> a / 2",
    ]


@pytest.mark.parametrize("hash_seed", ["0", "1", "424242"])
@pytest.mark.slow
def test_the_order_is_the_same_in_every_process(pytester, monkeypatch, hash_seed):
    """The hash seed of a process has no say."""
    source = QUIRKS["match"][0]
    script = pytester.makepyfile(
        "from harness.grading.mutants import mutants\n\n"
        f"for bug in mutants({source!r}, seed=5):\n    print(repr(bug))\n"
    )
    monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
    result = pytester.run(sys.executable, script)
    assert result.outlines == [repr(bug) for bug in mutants(source, seed=5)]


def test_another_seed_gives_the_same_mutants_in_another_order():
    """A seed only draws; what is in the urn depends on the source."""
    source = QUIRKS["huge"][0]
    orders = [[bug.code for bug in mutants(source, seed=seed)] for seed in range(4)]
    assert len({tuple(order) for order in orders}) == 4
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_a_limit_takes_the_first():
    """Asking for more never changes those that a smaller number gave."""
    source = QUIRKS["match"][0]
    everything = mutants(source, seed=1)
    for limit in (0, 1, 3, 1000):
        assert mutants(source, seed=1, limit=limit) == everything[:limit]


# --- proven -----------------------------------------------------------------------------------------


def test_only_what_fails_acceptance_is_a_known_bug():
    """A mutant that passes is no bug: at its bounds, ``clamp`` may compare either way."""
    assert len(mutants(CLAMP, seed=0)) == 2
    assert proven(a_task(), 2, fails, seed=0) == ()
    reference = "def clamp(x, low, high):\n    return low if x < low else high if x > high else x\n"
    found = proven(a_task(reference=reference), 9, fails, seed=0)
    assert found == tuple(bug for bug in mutants(reference, seed=0) if fails(bug))
    assert len(found) == 4


def test_proving_stops_when_enough_are_found():
    """Each costs a run of the tests, so none is asked for in vain, and the first in order are taken."""
    source = QUIRKS["huge"][0]
    asked = []

    def every_second(bug):
        asked.append(bug)
        return len(asked) % 2 == 0

    found = proven(a_task(reference=source), 2, every_second, seed=3)
    assert tuple(asked) == mutants(source, seed=3, limit=4)
    assert found == (asked[1], asked[3])


def test_proving_gives_up_in_the_end():
    """A reference whose mutants all pass costs a bounded number of runs."""
    asked = []
    source = "x = [" + ", ".join(map(str, range(40))) + "]\n"
    assert proven(a_task(reference=source), 2, asked.append, seed=0) == ()
    assert len(asked) == 2 * TRIES


def test_a_bug_that_the_task_lists_is_not_found_again():
    """A known bug counts once, however it is laid out, and one that does not compile is in nobody's way."""
    listed = Bug(name="a", code=CLAMP.replace("value < low", "(value  <=  low)"))
    task = a_task(bugs=(listed, Bug(name="b", code="def")))
    assert [bug.name for bug in proven(task, 9, lambda _: True, seed=0)] == [
        "mutant 1: line 4: > high -> >= high"
    ]


def test_nothing_wanted_costs_nothing(monkeypatch):
    """Zero mutants need neither the extra nor a source."""
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert proven(a_task(reference="def"), 0, fails, seed=0) == ()


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["libcst", "mutmut.mutation.mutators"])
def test_without_the_extra_the_remedy_is_named(monkeypatch, missing):
    """Who asks for mutants and has no mutmut, or another one's layout, is told what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"pip install 'pair-harness\[mutants\]'"):
        mutants(CLAMP, seed=0)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\ndef f(:\n", "the source:2: invalid syntax"),
        ("\x00", "null bytes"),
        ("x = '\ud800'\n", "UnicodeEncodeError"),
        ("x = " + "1+" * 600 + "1\n", "nested too deeply"),
        ("x = " + "-" * 100_000 + "1\n", "the source: "),
    ],
    ids=["syntax", "null", "surrogate", "deep", "deeper"],
)
def test_a_source_that_cannot_be_read_is_an_error(source, problem):
    """It is said in one line; no mutants at all would pass for tests that need none."""
    with pytest.raises(UsageError, match=problem) as error:
        mutants(source, seed=0)
    assert "\n" not in str(error.value)
