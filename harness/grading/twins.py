"""Disguise a hidden test file: put a *twin* beside each test, which right code must fail.

A twin is the same test with one expectation falsified: in ``assert f(x) == 3`` another number, in
``pytest.raises(ValueError)`` another class. Code that passes a test and its twin did not compute the answer:
it returned what was expected, equals everything, or changed how tests are judged.

What is falsified becomes a parameter of the test, so that a test and its twin are two cases of one
parametrised function and differ in one value. Names of tests, names of cases and their order are random, so
nothing but the right answer tells them apart.

Only the task's own file is read here, never anything that a model wrote.

Not covered: tests in ``unittest.TestCase`` and other derived classes keep their form and get no twin; tests
that assert nothing have nothing to falsify.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

from harness.grading.falsify import Falsifier
from harness.grading.rows import Function, Rows, called, literal_rows
from harness.grading.sites import VALUE, Finder, Form, Site, apart, is_fixture, tests_of

ENOUGH = 4  # pairs of a file; where it has fewer tests, each gets several twins
PLACES = (1, 2, 4, 7, 3, 5, 6)  # see `patterns`


@dataclass(frozen=True)
class Case:
    """One case of a hidden test.

    Attributes:
        test: The test function as its file names it, such as ``test_sum`` or ``TestSum::test_zero``.
        row: Name of the row of its parameters; empty without.
        number: The row's place among the rows.
        twin: Number of the twin; 0 for the test itself.
        raises: The twin expects another exception.
    """

    test: str
    row: str
    number: int
    twin: int
    raises: bool = False


@dataclass(frozen=True)
class Disguise:
    """A hidden test file in disguise.

    Attributes:
        source: The text to run.
        cases: What stands behind each random word that names a case.
        tests: What stands behind each random name of a test function.
        without: Tests that have no twin, and why.
        weak: Tests that code can tell from all of their twins if it reads them, and why.
    """

    source: str
    cases: Mapping[str, Case]
    tests: Mapping[str, str]
    without: Mapping[str, str]
    weak: Mapping[str, str]

    @property
    def times(self) -> int:
        """How often a test runs, with its twins: so many times as long as alone it may take."""
        return 1 + max((case.twin for case in self.cases.values()), default=1)


class _Made(NamedTuple):
    """The values of one case."""

    values: list[ast.expr]
    marks: list[ast.keyword]
    case: Case


@dataclass
class _Disguiser:
    tree: ast.Module
    rng: random.Random
    skip: Mapping[str, int]
    cases: dict[str, Case] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    without: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, list[Site]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pytest = self.word()
        self.finder = Finder(self.tree, self.rng)
        self.used = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}

    def word(self) -> str:
        """Return a random word that names nothing else."""
        return "".join(self.rng.choices("abcdefghijkmnpqrstuvwxyz", k=12))

    def run(self) -> Disguise:
        """Disguise the whole file."""
        tests = dict(tests_of(self.tree))
        rows = sum(len(found.rows) if (found := literal_rows(each)) else 1 for each in tests.values())
        for name, function in tests.items():
            self.test(function, name, 1 if rows >= ENOUGH else len(PLACES))
        self.forget_defaults()
        self.forget_literals()
        weak = {name: reason for name, sites in self.chosen.items() if (reason := self.weakness(sites))}
        after = _prologue(self.tree)
        self.tree.body.insert(after, ast.Import([ast.alias("pytest", self.pytest)]))
        source = ast.unparse(ast.fix_missing_locations(self.tree))
        return Disguise(source, self.cases, self.tests, self.without, weak)

    def test(self, function: Function, name: str, most: int) -> None:
        """Give a test its twins and a random name."""
        if function.name in self.used or is_fixture(function):
            self.without[name] = "its file refers to it"
            self.tests[function.name] = name
            return
        rows = literal_rows(function)
        found = list(self.finder.sites(function, rows))
        sites = found[self.skip.get(name, 0) :]
        if isinstance(function, ast.AsyncFunctionDef):
            self.without[name] = "it is asynchronous"
        elif not sites:
            self.without[name] = "nothing in it can be falsified" if found else "it asserts nothing"
        elif sites[0].column and rows:
            self.falsify_column(function, name, rows, sites[0])
        else:
            chosen = apart(sites)
            strong = sum(site.strength == chosen[0].strength for site in chosen)
            # Which one code cannot know: none can be cheated on safely.
            chosen = [*self.rng.sample(chosen[:strong], strong), *chosen[strong:]]
            self.chosen[name] = chosen[:most]
            self.falsify_nodes(function, name, rows, self.chosen[name])
        function.name = f"test_{self.word()}"
        self.tests[function.name] = name

    def falsify_column(self, function: Function, name: str, rows: Rows, site: Site) -> None:
        """Give each row a twin that expects something else."""
        at = rows.names.index(site.column)
        made: list[_Made] = []
        values = [row[at] for row in rows.rows]
        falsifier = Falsifier(self.rng)
        others = falsifier.exceptions(values) if site.raises else falsifier.column(values)
        for number, (row, other) in enumerate(zip(rows.rows, others, strict=True)):
            wrong = [*row[:at], other, *row[at + 1 :]]
            case = Case(name, rows.ids[number], number, 0)
            made += [
                _Made(row, rows.marks[number], case),
                _Made(wrong, rows.marks[number], replace(case, twin=1, raises=site.raises)),
            ]
        self.decorate(function, rows.names, made, rows.place)

    def falsify_nodes(self, function: Function, name: str, rows: Rows | None, sites: list[Site]) -> None:
        """Make parameters of these sites: a case in which all are right, and twins with wrong ones."""
        words = [site.word or self.word() for site in sites]
        for word, site in zip(words, sites, strict=True):
            self.hoist(function, site, word)
        made: list[_Made] = []
        for number, row in enumerate(rows.rows if rows else [[]]):
            marks = rows.marks[number] if rows else []
            case = Case(name, rows.ids[number] if rows else "", number, 0)
            for twin, pattern in enumerate(patterns(len(sites))):
                chosen = list(zip(sites, pattern, strict=True))
                values = [site.wrong if is_wrong else site.right for site, is_wrong in chosen]
                raises = any(site.raises for site, is_wrong in chosen if is_wrong)
                made.append(_Made([*row, *values], marks, replace(case, twin=twin, raises=raises)))
        self.decorate(function, [*(rows.names if rows else ()), *words], made, rows.place if rows else None)

    def hoist(self, function: Function, site: Site, word: str) -> None:
        """Put a parameter in the place of a node; in a helper, pass it on in every call of the test."""
        function.args.kwonlyargs.append(ast.arg(word))
        function.args.kw_defaults.append(None)
        if not site.helper:
            _Replace(site.node, _hoisted(site, word)).visit(function)
            return
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and called(node) == site.helper:
                node.keywords.append(ast.keyword(word, ast.Name(word, ast.Load())))
        if not site.word:
            helper = self.finder.functions[site.helper]
            _Replace(site.node, _hoisted(site, word)).visit(helper)
            helper.args.kwonlyargs.append(ast.arg(word))
            helper.args.kw_defaults.append(copy.deepcopy(site.right))
            site.word = word
            self.finder.in_use.setdefault(site.helper, []).append(site)

    def forget_defaults(self) -> None:
        """Take the right values out of the heads of helpers, where every call passes them."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        names = [node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        for name in self.finder.in_use:
            arguments = self.finder.functions[name].args
            passed = [
                {each.arg for each in call.keywords}
                for call in calls
                if isinstance(call.func, ast.Name) and call.func.id == name
            ]
            for at, argument in enumerate(arguments.kwonlyargs):
                given = sum(argument.arg in each for each in passed)
                if given == len(passed) == names.count(name):
                    arguments.kw_defaults[at] = None

    def forget_literals(self) -> None:
        """Take constants away that stood only where a parameter stands now."""
        read = {node.id for node in ast.walk(self.tree) if _is_read(node)}
        gone = {id(self.finder.literals[name]) for name in self.finder.replaced - read}
        self.tree.body = [
            node for node in self.tree.body if not (isinstance(node, ast.Assign) and id(node.value) in gone)
        ]

    def weakness(self, sites: list[Site]) -> str:
        """Return why code that reads a test can tell which of its cases is right; empty if it cannot."""
        strong = [site for site in sites if site.strength <= VALUE]
        if strong:
            seen = all(self.is_seen(site) for site in strong)
            return "the values that it expects stand elsewhere in its file" if seen else ""
        raises = all(site.raises for site in sites)
        return "it expects an exception alone" if raises else "what it expects is computed, or a truth"

    def is_seen(self, site: Site) -> bool:
        """Return True if a right value is left where a parameter did not take its place."""
        if site.helper:
            arguments = self.finder.functions[site.helper].args
            defaults = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            return any(argument.arg == site.word and default is not None for argument, default in defaults)
        return any(node.value is site.right for node in self.tree.body if isinstance(node, ast.Assign))

    def decorate(self, function: Function, names: list[str], made: list[_Made], place: int | None) -> None:
        """Give a test its cases, in random order, instead of the rows at ``place``."""
        elements: list[ast.expr] = []
        for each in self.rng.sample(made, len(made)):
            token = self.word()
            self.cases[token] = each.case
            values, marks = copy.deepcopy((each.values, each.marks))
            keywords = [ast.keyword("id", ast.Constant(token)), *marks]
            elements.append(ast.Call(self.of_pytest("param"), values, keywords))
        listed = ast.List([ast.Constant(each) for each in names], ast.Load())
        rows = ast.List(elements, ast.Load())
        decorator = ast.Call(self.of_pytest("mark", "parametrize"), [listed, rows], [])
        if place is None:
            function.decorator_list.append(decorator)
        else:
            function.decorator_list[place] = decorator

    def of_pytest(self, *path: str) -> ast.expr:
        node: ast.expr = ast.Name(self.pytest, ast.Load())
        for part in path:
            node = ast.Attribute(node, part, ast.Load())
        return node


def disguise(acceptance: str, rng: random.Random, skip: Mapping[str, int] | None = None) -> Disguise:
    """Disguise a hidden test file, whose text compiles.

    ``rng`` decides names, order and false values: whoever runs the code must not know its seed. ``skip``:
    test -> how many of the places to falsify to pass over.
    """
    return _Disguiser(ast.parse(acceptance), rng, skip or {}).run()


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.expr | None, new: ast.expr) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def patterns(sites: int) -> list[list[bool]]:
    """Return which sites are wrong in each case of a test; in the first none is.

    Each site is wrong in half of the cases, each two together in a quarter, and so on: any of the cases
    could be the one in which all is right. (A simplex code, the dual of Hamming's.)
    """
    cases = 2 if sites == 1 else 4 if sites <= 3 else 8
    places = sorted(PLACES) if cases == 4 else PLACES
    return [[(case & place).bit_count() % 2 == 1 for place in places[:sites]] for case in range(cases)]


def _is_read(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)


def _hoisted(site: Site, word: str) -> ast.expr:
    """Return what stands in the place of the node: the parameter, or a use of it."""
    if site.form == Form.VALUE:
        return ast.Name(word, ast.Load())
    made = ast.parse(f"{site.form.value.format(word)}(None)", mode="eval").body
    assert isinstance(made, ast.Call)
    made.args = [site.node]
    return made


def _prologue(tree: ast.Module) -> int:
    """Return how many statements have to stay first: the docstring and imports from ``__future__``."""
    count = 0
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")):
            break
        count += 1
    return count
