"""Further known bugs, made from a task's reference: one small change of it at a time, in a seeded order.

What to change is mutmut's choice (its mutation operators: an off-by-one number, ``<`` for ``<=``, a dropped
argument, a missing case ...), on libcst's syntax tree; its command, database and configuration are not used.

**Not** made are changes that no test could or every test would notice: in annotations, decorators, imports,
docstrings, messages of exceptions, ``__dunder__`` assignments and the part for ``python file.py``; and a
value replaced by ``None``, which crashes wherever it is used and so tells good tests from poor ones badly.
A change can still leave the behaviour as it was, so ``proven`` takes those that the acceptance tests notice.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import UsageError
from harness.grading.python_source import syntax_problem
from harness.grading.verdict import Grader
from harness.sandbox import Sandbox
from harness.tasks.task import Bug, Task, digest
from harness.text import shorten

if TYPE_CHECKING:
    import libcst

TRIES = 10  # mutants that are tested for one that is wanted
MAX_SNIPPET = 40
NONE = "Constant(value=None)"


class _Change(NamedTuple):
    """One node of a source, what to put in its place, and the operator that says so."""

    old: libcst.CSTNode
    new: libcst.CSTNode
    operator: str


def mutants(source: str, *, seed: int, limit: int | None = None) -> tuple[Bug, ...]:
    """Versions of a Python source that differ from it, and from each other, in one thing each.

    All of them compile, and none differs in its formatting alone. Source and seed decide which they are
    and their order, on any machine and under any Python, as long as mutmut stays the same; a ``limit``
    takes the first ones of that order.

    Raises:
        UsageError: The extra ``mutants`` is not installed, or the source cannot be read.
    """
    return tuple(islice(_seeded(source, seed, known=()), limit))


def proven(task: Task, wanted: int, fails: Callable[[Bug], bool], *, seed: int) -> tuple[Bug, ...]:
    """Return the first mutants of a task's reference that fail its acceptance tests.

    One that passes them may be as right as the reference, so it is no known bug. Those that the task
    already lists are left out. At most ``TRIES * wanted`` mutants are tested, so there may be fewer. Whether
    one ``fails`` is asked in the seeded order, only as often as needed.

    Raises:
        UsageError: As in ``mutants``.
    """
    made = _seeded(task.reference, seed, known=[bug.code for bug in task.bugs])
    return tuple(islice(filter(fails, islice(made, TRIES * wanted)), wanted))


def _seeded(source: str, seed: int, *, known: Iterable[str]) -> Iterator[Bug]:
    """All mutants but the known ones, each made when it is asked for."""
    problem = syntax_problem(source, "the source")
    if problem:
        raise UsageError(f"no mutants: {problem}", remedy="run `harness validate`")
    try:
        module, changes = _changes(source)
        seen = {ast.dump(ast.parse(code)) for code in (source, *known) if not syntax_problem(code, "")}
        nones = ast.dump(ast.parse(source)).count(NONE)
        number = 0
        for change in _in_order(changes, source, seed):
            code = _applied(change, module)
            meaning = "" if syntax_problem(code, "") else ast.dump(ast.parse(code))
            if not meaning or meaning in seen or meaning.count(NONE) > nones:
                continue
            seen.add(meaning)
            number += 1
            yield Bug(name=f"mutant {number}: {_described(change, source, code, module)}", code=code)
    except RecursionError:
        raise UsageError("no mutants: the source is nested too deeply") from None


def _in_order(changes: list[_Change], source: str, seed: int) -> list[_Change]:
    """Shuffled by a hash: unlike ``random``'s, this order is defined here, for every version of Python."""
    places = sorted(range(len(changes)), key=lambda place: digest([seed, source, place]))
    return [changes[place] for place in places]


def _changes(source: str) -> tuple[libcst.Module, list[_Change]]:
    """Return the syntax tree and all that mutmut would change in it, in the order of the source."""
    try:
        import libcst
        from mutmut.mutation.mutators import mutation_operators
    except ImportError:
        raise UsageError(
            "mutants need the extra 'mutants'", remedy="pip install 'pair-harness[mutants]'"
        ) from None
    try:
        module = libcst.parse_module(source)
    except libcst.ParserSyntaxError as error:
        raise UsageError(
            f"no mutants: libcst {libcst.LIBCST_VERSION} cannot read line {error.raw_line} of the source"
        ) from None
    return module, [
        _Change(node, new, operator.__name__.removeprefix("operator_"))
        for node in _worth_changing(module)
        for kind, operator in mutation_operators
        if isinstance(node, kind)
        for new in operator(node)
    ]


def _worth_changing(node: libcst.CSTNode) -> Iterator[libcst.CSTNode]:
    """Yield the node and all below it, but for parts that tests do not see, or that break the import."""
    import libcst as cst
    from libcst import matchers as m

    dunder = m.Name(m.MatchRegex(r"__\w+__"))
    unseen = (
        m.Expr(m.SimpleString() | m.ConcatenatedString())
        | m.Assign(targets=[m.AssignTarget(dunder)])
        | m.AnnAssign(target=dunder)
        | m.If(test=m.Comparison(left=m.Name("__name__")))
    )
    parts = cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Raise, cst.TypeAlias
    below = [node]
    while below:
        node = below.pop()
        if not isinstance(node, (*parts, cst.TypeParameters)) and not m.matches(node, unseen):
            yield node
            below.extend(reversed(node.children))


def _applied(change: _Change, module: libcst.Module) -> str:
    import libcst

    changed = module.deep_replace(change.old, change.new)
    assert isinstance(changed, libcst.Module)
    return changed.code


def _described(change: _Change, source: str, code: str, module: libcst.Module) -> str:
    """Return the line where the two differ, and how: ``line 7: a + b -> a - b``."""
    lines = enumerate(zip_longest(source.split("\n"), code.split("\n")), start=1)
    line = next(number for number, (before, after) in lines if before != after)
    old, new = (
        shorten(" ".join(module.code_for_node(node).split()), MAX_SNIPPET)
        for node in (change.old, change.new)
    )
    return f"line {line}: {change.operator if old == new else f'{old} -> {new}'}"


def known_mutants(task: Task, sandbox: Sandbox, wanted: int, *, seed: int = 0) -> tuple[Bug, ...]:
    """Up to so many mutants of the reference that acceptance rejects: those that it accepts may be right.

    Raises:
        UsageError: The library that makes them is not installed.
    """
    acceptance = Grader(task, sandbox).acceptance
    return proven(task, wanted, lambda bug: not acceptance(task.with_code(bug.code)).passed, seed=seed)
