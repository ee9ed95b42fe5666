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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

ENOUGH = 4  # pairs of a file; where it has fewer tests, each gets several twins
COLUMN, VALUE, RAISES, WEAK = range(4)  # how sure a twin is to catch code that computes nothing
OBSCURE = ("EOFError", "BufferError", "ReferenceError", "StopAsyncIteration")  # nobody's task raises these
HARMLESS = frozenset(
    [
        *("approx", "len", "sorted", "sum", "repr", "join", "date", "datetime"),
        *("set", "list", "dict", "tuple", "str", "int", "float", "frozenset"),
    ]
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


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
        without: Tests that have no twin.
    """

    source: str
    cases: Mapping[str, Case]
    tests: Mapping[str, str]
    without: tuple[str, ...]


@dataclass
class _Rows:
    """A literal ``parametrize`` decorator."""

    place: int
    names: list[str]
    rows: list[list[ast.expr]]
    ids: list[str]
    marks: list[list[ast.keyword]]


@dataclass
class _Site:
    """A place whose expectation can be falsified.

    ``column`` names the parameter to falsify; otherwise ``node`` is replaced by a new parameter, which is
    ``right`` in the test and ``wrong`` in its twin. ``helper`` is the called function in which it stands,
    ``word`` its parameter, if another test has replaced the node already.
    """

    strength: int
    right: ast.expr | None = None
    wrong: ast.expr | None = None
    node: ast.expr | None = None
    column: str = ""
    helper: str = ""
    word: str = ""
    raises: bool = False


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
    without: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pytest = self.word()
        self.functions = {node.name: node for node in self.tree.body if isinstance(node, Function)}
        self.literals = dict(_literals(self.tree))
        self.used = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        self.in_use: dict[str, list[_Site]] = {}

    def word(self) -> str:
        """Return a random word that names nothing else."""
        return "".join(self.rng.choices("abcdefghijkmnpqrstuvwxyz", k=12))

    def run(self) -> Disguise:
        """Disguise the whole file."""
        tests = dict(_tests(self.tree))
        rows = sum(len(found.rows) if (found := _literal_rows(each)) else 1 for each in tests.values())
        for name, function in tests.items():
            self.test(function, name, 1 if rows >= ENOUGH else ENOUGH)
        after = _prologue(self.tree)
        self.tree.body.insert(after, ast.Import([ast.alias("pytest", self.pytest)]))
        source = ast.unparse(ast.fix_missing_locations(self.tree))
        return Disguise(source, self.cases, self.tests, tuple(self.without))

    def test(self, function: Function, name: str, twins: int) -> None:
        """Give a test its twins and a random name."""
        if function.name in self.used or _is_fixture(function):
            self.without.append(name)
            self.tests[function.name] = name
            return
        rows = _literal_rows(function)
        sites = list(self.sites(function, rows))[self.skip.get(name, 0) :]
        if isinstance(function, ast.AsyncFunctionDef) or not sites:
            self.without.append(name)
        elif sites[0].column and rows:
            self.falsify_column(function, name, rows, sites[0])
        else:
            self.falsify_nodes(function, name, rows, _apart(sites)[:twins])
        function.name = f"test_{self.word()}"
        self.tests[function.name] = name

    # --- where ------------------------------------------------------------------------------

    def sites(self, function: Function, rows: _Rows | None) -> Iterator[_Site]:
        """Yield what can be falsified in a test, the strongest first."""
        found = [*self.statements(function, rows), *self.in_helpers(function)]
        yield from sorted(found, key=lambda site: site.strength)

    def statements(self, function: Function, rows: _Rows | None) -> Iterator[_Site]:
        free = _expected_only(function, rows.names) if rows else set()
        for node in _walk(function):
            if isinstance(node, ast.Assert):
                yield from self.of_assert(node, free)
            elif isinstance(node, ast.With):
                yield from self.of_raises(node, free)

    def of_assert(self, statement: ast.Assert, free: set[str]) -> Iterator[_Site]:
        test = statement.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
            side = _expected_side(test)
            for name in ast.walk(side):
                if isinstance(name, ast.Name) and name.id in free:
                    yield _Site(COLUMN, column=name.id)
            values = [node for node in _walk_values(side) if isinstance(node, ast.Constant)]
            if values:
                node = self.rng.choice(values)
                yield _Site(VALUE, node, self.falsified(node), node)
            elif isinstance(side, ast.List | ast.Tuple | ast.Dict) and not ast.dump(side).count("Name("):
                yield _Site(VALUE, side, self.falsified(side), side)
            for name in ast.walk(side):
                if isinstance(name, ast.Name) and name.id in self.literals:
                    literal = self.literals[name.id]
                    yield _Site(VALUE, literal, self.falsified(literal), name)
            if isinstance(test.ops[0], ast.Eq) and not values:
                zero, other = ast.Constant(0), ast.Constant(self.rng.choice([-2, -1, 1, 2]))
                yield _Site(WEAK, zero, other, side)
        elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.In):
            side = test.comparators[0]
            if isinstance(side, ast.List | ast.Tuple | ast.Set) and _all_constants(side):
                yield _Site(VALUE, side, self.all_falsified(side), side)
        yield _Site(WEAK, ast.Constant(value=True), ast.Constant(value=False), test)

    def of_raises(self, statement: ast.With, free: set[str]) -> Iterator[_Site]:
        for item in statement.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and call.args and _called(call) == "raises"):
                continue
            error = call.args[0]
            if isinstance(error, ast.Name) and error.id in free:
                yield _Site(COLUMN, column=error.id, raises=True)
            elif isinstance(error, ast.Name | ast.Attribute | ast.Tuple):
                yield _Site(RAISES, error, ast.Name(self.rng.choice(OBSCURE)), error, raises=True)

    def in_helpers(self, function: Function) -> Iterator[_Site]:
        """Yield what can be falsified in the functions of the file that a test calls."""
        called = dict.fromkeys(
            node.func.id
            for node in _walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        )
        for name in called:
            helper = self.functions.get(name)
            if helper is None or _is_fixture(helper) or name.startswith("test"):
                continue
            yield from self.in_use.get(name, ())
            for site in self.statements(helper, None):
                site.helper = name
                yield site

    # --- how --------------------------------------------------------------------------------

    def falsify_column(self, function: Function, name: str, rows: _Rows, site: _Site) -> None:
        """Give each row a twin that expects what another row expects."""
        at = rows.names.index(site.column)
        made: list[_Made] = []
        for number, row in enumerate(rows.rows):
            wrong = list(row)
            wrong[at] = self.other(row[at], [each[at] for each in rows.rows])
            case = Case(name, rows.ids[number], number, 0)
            made += [
                _Made(row, rows.marks[number], case),
                _Made(wrong, rows.marks[number], replace(case, twin=1, raises=site.raises)),
            ]
        self.decorate(function, rows.names, made, rows.place)

    def falsify_nodes(self, function: Function, name: str, rows: _Rows | None, sites: list[_Site]) -> None:
        """Make parameters of these sites: a case in which all are right, and twins with a wrong one each."""
        words = [site.word or self.word() for site in sites]
        for word, site in zip(words, sites, strict=True):
            self.hoist(function, site, word)
        made: list[_Made] = []
        right = [site.right or ast.Constant(None) for site in sites]
        for number, row in enumerate(rows.rows if rows else [[]]):
            marks = rows.marks[number] if rows else []
            case = Case(name, rows.ids[number] if rows else "", number, 0)
            made.append(_Made([*row, *right], marks, case))
            for twin, site in enumerate(sites, start=1):
                if rows and (number + twin) % len(sites):
                    continue  # one twin for each row, of another site each time
                values = list(right)
                values[twin - 1] = site.wrong or ast.Constant(None)
                made.append(_Made([*row, *values], marks, replace(case, twin=twin, raises=site.raises)))
        self.decorate(function, [*(rows.names if rows else ()), *words], made, rows.place if rows else None)

    def hoist(self, function: Function, site: _Site, word: str) -> None:
        """Put a parameter in the place of a node; in a helper, pass it on in every call of the test."""
        function.args.kwonlyargs.append(ast.arg(word))
        function.args.kw_defaults.append(None)
        if not site.helper:
            _Replace(site.node, _hoisted(site, word)).visit(function)
            return
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and _called(node) == site.helper:
                node.keywords.append(ast.keyword(word, ast.Name(word, ast.Load())))
        if not site.word:
            helper = self.functions[site.helper]
            _Replace(site.node, _hoisted(site, word)).visit(helper)
            helper.args.kwonlyargs.append(ast.arg(word))
            helper.args.kw_defaults.append(copy.deepcopy(site.right))
            site.word = word
            self.in_use.setdefault(site.helper, []).append(site)

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

    # --- what -------------------------------------------------------------------------------

    def other(self, value: ast.expr, others: list[ast.expr]) -> ast.expr:
        """Return what another row expects, or a changed value where all expect the same."""
        known = {_meaning(each): each for each in others}
        known.pop(_meaning(value), None)
        if known:
            return known[self.rng.choice(sorted(known))]
        return self.falsified(value)

    def falsified(self, value: ast.expr) -> ast.expr:
        """Return a copy of an expression that differs in one constant."""
        changed = copy.deepcopy(value)
        constants = [node for node in _walk_values(changed) if isinstance(node, ast.Constant)]
        if constants:
            node = self.rng.choice(constants)
            node.value = self.constant(node.value)
        elif isinstance(changed, ast.Dict):
            changed.keys.append(ast.Constant(0))
            changed.values.append(ast.Constant(0))
        elif isinstance(changed, ast.List | ast.Tuple | ast.Set):
            changed.elts.append(ast.Constant(0))
        elif isinstance(changed, ast.Name):  # an exception class
            changed.id = self.rng.choice(OBSCURE)
        return changed

    def all_falsified(self, value: ast.expr) -> ast.expr:
        """Return a container of constants none of which is in the given one."""
        changed = copy.deepcopy(value)
        taken = {repr(node.value) for node in ast.walk(value) if isinstance(node, ast.Constant)}
        for node in ast.walk(changed):
            if isinstance(node, ast.Constant):
                while repr(node.value) in taken:
                    node.value = self.constant(node.value)
        return changed

    def constant(self, value: object) -> int | float | str | bytes | bool:
        """Return another value of the same kind."""
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return value + self.rng.choice([1, 2, 3] if value >= 0 else [-1, -2, -3])
        if isinstance(value, float):
            return value + self.rng.choice([0.5, 1.0, 1.5, -0.5, -1.5])
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("latin-1")).encode("latin-1")
        return 0

    def text(self, value: str) -> str:
        """Return a text that differs in one letter or digit."""
        places = [at for at, letter in enumerate(value) if letter.isascii() and letter.isalnum()]
        if not places:
            return value + self.rng.choice("aeiou")
        at = self.rng.choice(places)
        kinds = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        kind = next(each for each in kinds if value[at] in each)
        return value[:at] + self.rng.choice([each for each in kind if each != value[at]]) + value[at + 1 :]


def disguise(acceptance: str, rng: random.Random, skip: Mapping[str, int] | None = None) -> Disguise:
    """Disguise a hidden test file.

    Args:
        acceptance: Its text, which compiles.
        rng: Decides names, order and false values; whoever runs the code must not know its seed.
        skip: How many of the places to falsify to pass over: test -> number.
    """
    return _Disguiser(ast.parse(acceptance), rng, skip or {}).run()


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.expr | None, new: ast.expr) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _hoisted(site: _Site, word: str) -> ast.expr:
    """Return what stands in the place of the node: the parameter, or a use of it."""
    parameter = ast.Name(word, ast.Load())
    right = site.right
    if isinstance(right, ast.Constant) and right.value is True and not isinstance(site.node, ast.Constant):
        truth = ast.Call(ast.Name("bool", ast.Load()), [site.node], [])  # type: ignore[list-item]
        return ast.Compare(truth, [ast.Is()], [parameter])
    if isinstance(right, ast.Constant) and right.value == 0 and not isinstance(site.node, ast.Constant):
        return ast.BinOp(site.node, ast.Add(), parameter)  # type: ignore[arg-type]
    return parameter


def _apart(sites: list[_Site]) -> list[_Site]:
    """Return the sites that can be falsified one at a time in one test: none inside another, no weak ones."""
    chosen: list[_Site] = []
    for site in sites:
        nodes = {id(node) for each in chosen if each.node for node in ast.walk(each.node)}
        if site.node is None or id(site.node) in nodes or (chosen and site.strength == WEAK):
            continue
        if site.word or not any(id(each.node) in map(id, ast.walk(site.node)) for each in chosen):
            chosen.append(site)
    return chosen


def _tests(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the test functions of a file, and the test methods of its plain classes."""
    for node in tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not node.bases:
            for method in node.body:
                if isinstance(method, Function) and method.name.startswith("test"):
                    yield f"{node.name}::{method.name}", method


def _walk(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, not those of functions inside it."""
    below: list[ast.AST] = list(function.body)
    while below:
        node = below.pop(0)
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            below = [*ast.iter_child_nodes(node), *below]


def _walk_values(node: ast.expr) -> Iterator[ast.AST]:
    """Yield the nodes of an expression whose constants are values: no parts of f-strings, no slices."""
    below: list[ast.AST] = [node]
    while below:
        each = below.pop(0)
        yield each
        if not isinstance(each, ast.JoinedStr | ast.Lambda):
            below = [*ast.iter_child_nodes(each), *below]


def _expected_side(test: ast.Compare) -> ast.expr:
    """Return the side of a comparison that calls only harmless functions; the right one if in doubt."""
    left, right = test.left, test.comparators[0]
    return left if _calls(right) and not _calls(left) else right


def _calls(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Call) and _called(each) not in HARMLESS for each in ast.walk(node))


def _called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _expected_only(function: Function, names: list[str]) -> set[str]:
    """Return the parameters that the code under test cannot get: they are in no call but harmless ones."""
    given = {
        name.id
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _called(call) not in {*HARMLESS, "raises"}
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


def _literal_rows(function: Function) -> _Rows | None:
    """Return the first decorator ``parametrize`` whose rows are written out."""
    for place, decorator in enumerate(function.decorator_list):
        if not (isinstance(decorator, ast.Call) and _called(decorator) == "parametrize"):
            continue
        if len(decorator.args) != 2 or any(each.arg != "ids" for each in decorator.keywords):
            continue
        names = _names(decorator.args[0])
        listed = decorator.args[1]
        if not names or not isinstance(listed, ast.List | ast.Tuple):
            continue
        single = len(names) == 1 and not isinstance(decorator.args[0], ast.List | ast.Tuple)
        rows, marks, ids = [], [], []
        for number, element in enumerate(listed.elts):
            row, kept, row_id = _row(element, single=single)
            if row is None or len(row) != len(names):
                break
            rows.append(row)
            marks.append(kept)
            ids.append(row_id or "-".join(_id(*pair, number) for pair in zip(names, row, strict=True)))
        else:
            given = next((each.value for each in decorator.keywords), None)
            if isinstance(given, ast.List) and len(given.elts) == len(ids):
                ids = [
                    str(getattr(each, "value", "")) or old for each, old in zip(given.elts, ids, strict=True)
                ]
            elif given is not None:
                continue
            return _Rows(place, names, rows, _unique(ids), marks)
    return None


def _row(element: ast.expr, *, single: bool) -> tuple[list[ast.expr] | None, list[ast.keyword], str]:
    if isinstance(element, ast.Starred):
        return None, [], ""
    if isinstance(element, ast.Call) and _called(element) == "param":
        if any(isinstance(each, ast.Starred) for each in element.args):
            return None, [], ""
        row_id = next((each.value for each in element.keywords if each.arg == "id"), None)
        kept = [each for each in element.keywords if each.arg == "marks"]
        return list(element.args), kept, str(row_id.value) if isinstance(row_id, ast.Constant) else ""
    if single:
        return [element], [], ""
    if isinstance(element, ast.Tuple | ast.List) and not any(
        isinstance(e, ast.Starred) for e in element.elts
    ):
        return list(element.elts), [], ""
    return None, [], ""


def _id(name: str, value: ast.expr, number: int) -> str:
    """Return the name that pytest gives to a value; https://docs.pytest.org/en/stable/example/parametrize.html."""
    try:
        known = ast.literal_eval(value)
    except ValueError:
        return f"{name}{number}"
    plain = known is None or isinstance(known, str | int | float | complex | bool)
    return str(known).encode("unicode_escape").decode() if plain else f"{name}{number}"


def _unique(ids: list[str]) -> list[str]:
    """Number names that several rows have."""
    seen: dict[str, int] = {}
    made = []
    for each in ids:
        number = seen.get(each, 0)
        seen[each] = number + 1
        made.append(f"{each}{number}" if ids.count(each) > 1 else each)
    return made


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [name.strip() for name in node.value.split(",") if name.strip()]
    if isinstance(node, ast.Tuple | ast.List) and all(isinstance(each, ast.Constant) for each in node.elts):
        return [str(each.value) for each in node.elts if isinstance(each, ast.Constant)]
    return []


def _literals(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants of the module that are written out, and assigned once."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                ast.literal_eval(node.value)
            except ValueError:
                continue
            yield node.targets[0].id, node.value


def _all_constants(node: ast.List | ast.Tuple | ast.Set) -> bool:
    return bool(node.elts) and all(isinstance(each, ast.Constant) for each in node.elts)


def _is_fixture(function: Function) -> bool:
    return any("fixture" in ast.unparse(each) for each in function.decorator_list)


def _meaning(node: ast.expr) -> str:
    """Return a text that is equal for equal literals."""
    try:
        return repr(ast.literal_eval(node))
    except ValueError:
        return ast.dump(node)


def _prologue(tree: ast.Module) -> int:
    """Return how many statements have to stay first: the docstring and imports from ``__future__``."""
    count = 0
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")):
            break
        count += 1
    return count
