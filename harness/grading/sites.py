"""Find the places of a test whose expectation can be falsified.

Only the task's own file is read here, never anything that a model wrote.

Not covered: ``assert`` in functions inside of tests, and methods of ``unittest.TestCase``.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from harness.grading.falsify import Falsifier, walk_values
from harness.grading.rows import Function, Rows, called

COLUMN, VALUE, RAISES, WEAK = range(4)  # how sure a twin is to catch code that computes nothing
HARMLESS = frozenset(
    [
        *("approx", "len", "sorted", "sum", "repr", "join", "date", "datetime"),
        *("set", "list", "dict", "tuple", "str", "int", "float", "frozenset"),
    ]
)
NOTHING = ast.Constant(None)
# Another value of the same kind, lest an answer that equals all of its kind fail where it must.
ADDED = {
    "bool": "1",
    "int": "1",
    "float": "1.0",
    "str": "'o'",
    "bytes": "b'o'",
    "list": "[0]",
    "tuple": "(0,)",
}
CHANGES = ", ".join(f"{kind}: {more}" for kind, more in ADDED.items())
OTHER = f"value + {{{{{CHANGES}}}}}[type(value)] if type(value) in ({', '.join(ADDED)}) else [value]"


class Form(Enum):
    """What stands in place of a node: a parameter, or the node in the hands of one."""

    VALUE = ""
    IS = "(lambda value: bool(value) is {0})"
    IS_NOT = "(lambda value: bool(value) is not {0})"
    ITSELF_OR_OTHER = f"(lambda value: (value, {OTHER})[{{0}}])"
    OTHER_OR_ITSELF = f"(lambda value: ({OTHER}, value)[{{0}}])"


@dataclass
class Site:
    """A place whose expectation can be falsified.

    ``column`` names the parameter to falsify; otherwise ``node`` is replaced by a new parameter, which is
    ``right`` in the test and ``wrong`` in its twin. ``helper`` is the called function in which it stands,
    ``word`` its parameter, if another test has replaced the node already.
    """

    strength: int
    right: ast.expr = NOTHING
    wrong: ast.expr = NOTHING
    node: ast.expr = NOTHING
    column: str = ""
    helper: str = ""
    word: str = ""
    raises: bool = False
    form: Form = Form.VALUE


class Finder:
    """Finds what can be falsified in the tests of one file; ``rng`` decides between constants, and how."""

    def __init__(self, tree: ast.Module, rng: random.Random) -> None:
        self.rng = rng
        self.falsifier = Falsifier(rng)
        self.falsified = self.falsifier.falsified
        self.functions = {node.name: node for node in tree.body if isinstance(node, Function)}
        self.literals: Mapping[str, ast.expr] = dict(_literals(tree))
        self.replaced: set[str] = set()  # of these, those that a test may have a parameter for
        self.in_use: dict[str, list[Site]] = {}

    def sites(self, function: Function, rows: Rows | None) -> Iterator[Site]:
        """Yield what can be falsified in a test, the strongest first."""
        found = [*self.statements(function, rows), *self.in_helpers(function)]
        yield from sorted(found, key=lambda site: site.strength)

    def statements(self, function: Function, rows: Rows | None) -> Iterator[Site]:
        """Yield what can be falsified in the statements of a function, in their order."""
        free = _expected_only(function, rows.names) if rows else set()
        for node in walk(function):
            if isinstance(node, ast.Assert):
                yield from self.of_assert(node, free)
            elif isinstance(node, ast.With):
                yield from self.of_raises(node, free)

    def of_assert(self, statement: ast.Assert, free: set[str]) -> Iterator[Site]:
        """Yield what can be falsified in an assertion: parameters, constants, the whole."""
        test = statement.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
            side = _expected_side(test)
            for name in ast.walk(side):
                if isinstance(name, ast.Name) and name.id in free:
                    yield Site(COLUMN, column=name.id)
            values = [node for node in walk_values(side) if isinstance(node, ast.Constant)]
            if values:
                node = self.rng.choice(values)
                falsified = self.falsifier.far if _in_tolerance(side, node) else self.falsified
                yield Site(VALUE, node, falsified(node), node)
            elif isinstance(side, ast.List | ast.Tuple | ast.Dict) and not ast.dump(side).count("Name("):
                yield Site(VALUE, side, self.falsified(side), side)
            for name in ast.walk(side):
                if isinstance(name, ast.Name) and name.id in self.literals:
                    literal = self.literals[name.id]
                    self.replaced.add(name.id)
                    yield Site(VALUE, literal, self.falsified(literal), name)
            if isinstance(test.ops[0], ast.Eq) and not values:
                yield self.two_ways(Form.ITSELF_OR_OTHER, Form.OTHER_OR_ITSELF, side)
        elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.In):
            side = test.comparators[0]
            if isinstance(side, ast.List | ast.Tuple | ast.Set) and _all_constants(side):
                yield Site(VALUE, side, self.falsifier.all_falsified(side), side)
        yield self.two_ways(Form.IS_NOT, Form.IS, test)

    def of_raises(self, statement: ast.With, free: set[str]) -> Iterator[Site]:
        """Yield the exceptions that ``with pytest.raises(...)`` expects."""
        for item in statement.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and call.args and called(call) == "raises"):
                continue
            error = call.args[0]
            if isinstance(error, ast.Name) and error.id in free:
                yield Site(COLUMN, column=error.id, raises=True)
            elif isinstance(error, ast.Name | ast.Attribute | ast.Tuple):
                wrong = self.falsifier.exception(error)
                if wrong is not None:
                    yield Site(RAISES, error, wrong, error, raises=True)

    def in_helpers(self, function: Function) -> Iterator[Site]:
        """Yield what can be falsified in the functions of the file that a test calls."""
        called = dict.fromkeys(
            node.func.id
            for node in walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        )
        for name in called:
            helper = self.functions.get(name)
            if helper is None or is_fixture(helper) or name.startswith("test"):
                continue
            yield from self.in_use.get(name, ())
            for site in self.statements(helper, None):
                site.helper = name
                yield site

    def two_ways(self, zero: Form, one: Form, node: ast.expr) -> Site:
        """Return a site that is right by a falsy parameter in the one form, by a true one in the other."""
        right = bool(self.rng.getrandbits(1))
        return Site(WEAK, ast.Constant(right), ast.Constant(not right), node, form=one if right else zero)


def apart(sites: list[Site]) -> list[Site]:
    """Return the sites that can be falsified one at a time in one test: none inside another, no weak ones."""
    chosen: list[Site] = []
    for site in sites:
        nodes = {id(node) for each in chosen for node in ast.walk(each.node)}
        if site.node is NOTHING or id(site.node) in nodes or (chosen and site.strength == WEAK):
            continue
        if site.word or not any(id(each.node) in map(id, ast.walk(site.node)) for each in chosen):
            chosen.append(site)
    return chosen


def tests_of(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the test functions of a file, and the test methods of its plain classes."""
    for node in tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not node.bases:
            for method in node.body:
                if isinstance(method, Function) and method.name.startswith("test"):
                    yield f"{node.name}::{method.name}", method


def walk(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, not those of functions inside it."""
    below: list[ast.AST] = list(function.body)
    while below:
        node = below.pop(0)
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            below = [*ast.iter_child_nodes(node), *below]


def _expected_side(test: ast.Compare) -> ast.expr:
    """Return the side of a comparison that calls only harmless functions; the right one if in doubt."""
    left, right = test.left, test.comparators[0]
    return left if _calls(right) and not _calls(left) else right


def _calls(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Call) and called(each) not in HARMLESS for each in ast.walk(node))


def _expected_only(function: Function, names: list[str]) -> set[str]:
    """Return the parameters that the code under test cannot get: they are in no call but harmless ones."""
    given = {
        name.id
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and called(call) not in {*HARMLESS, "raises"}
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        for name in ast.walk(argument)
        if isinstance(name, ast.Name)
    }
    assigned = {
        name.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.For | ast.comprehension)
        for name in ast.walk(node.value if isinstance(node, ast.Assign) else node.iter)
        if isinstance(name, ast.Name)
    }
    return set(names) - given - assigned


def _literals(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants of the module that are written out, and assigned once."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                ast.literal_eval(node.value)
            except ValueError:
                continue
            yield node.targets[0].id, node.value


def _in_tolerance(side: ast.expr, node: ast.AST) -> bool:
    """Return True for a part of what ``pytest.approx`` is given."""
    return any(
        isinstance(call, ast.Call)
        and called(call) == "approx"
        and any(node is each for each in ast.walk(call))
        for call in ast.walk(side)
    )


def _all_constants(node: ast.List | ast.Tuple | ast.Set) -> bool:
    return bool(node.elts) and all(isinstance(each, ast.Constant) for each in node.elts)


def is_fixture(function: Function) -> bool:
    """Return True for a pytest fixture."""
    return any("fixture" in ast.unparse(each) for each in function.decorator_list)
