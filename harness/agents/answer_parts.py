"""Put code together that an answer gives in parts: mends of some of its definitions, and pieces of one file.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library and modules of that text only.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath

from harness.agents.answer_blocks import FILE_NAME
from harness.agents.answer_pieces import (
    IMPORT,
    Definition,
    Piece,
    bound_names,
    is_empty,
    with_variants,
)
from harness.agents.answer_words import matches
from harness.agents.python_text import Parser, module_of

MAX_PARTS = 30  # of one file
MAX_MENDS = 50  # that are tried
BUILTINS = frozenset(dir(builtins))
LEFT_OUT = re.compile(r"#.*(?:\.\.\.|\u2026|\b(?:existing|rest of|unchanged|same as)\b)", re.IGNORECASE)
FUTURE = re.compile(r"^from __future__ import [\w, ]+$", re.MULTILINE)


def with_mends(pieces: Sequence[Piece], path: str, parser: Parser) -> list[Piece]:
    """Put mends of some definitions, and methods that stand alone, into the piece that they belong to."""
    done: list[Piece] = []
    owners: dict[str, int] = {}  # by name: which piece defines it; `class`: which has the last one
    tries = 0
    for piece in with_variants(pieces):
        names = ["class"] if piece.is_methods else [name for name in piece.units if "." not in name]
        number = max((owners[name] for name in names if name in owners), default=len(done))
        new = None
        is_known = number < len(done) and tries < MAX_MENDS
        if is_known and not piece.is_aside and piece.may_replace(done[number], path):
            new, tries = _mended(done[number], piece, parser), tries + 1
        if new:
            done[number] = new
        else:
            number = len(done)
            done.append(piece)
        units = done[number].units
        has_class = any(isinstance(node, ast.ClassDef) for node in units.values())
        for name in (*units, "class") if has_class else units:
            if name not in owners or not done[number].is_aside:
                owners[name] = number
    return done


def _mended(base: Piece, piece: Piece, parser: Parser) -> Piece | None:
    """Put definitions of a piece into one that has others beside them, or the class that they are methods of.

    Those that it has already are replaced if the new ones are said to be mends, or the old ones to be old.
    """
    if piece.units and _is_excerpt(piece):  # the whole of it stands in the other piece
        return base
    replaces = piece.said == "mend" or base.is_aside
    targets = _targets(base, piece)
    known = [name for name in targets if name in base.units]
    is_addition = all("." in name for name in targets) and not known
    if base.units.keys() <= targets.keys():
        return None
    if not (piece.is_methods or is_addition or (replaces and known)):
        return None
    edits: list[tuple[int, int, str]] = []  # from the end of one line to that of another, and their new text
    for name, node in targets.items():
        old, owner = base.units.get(name), base.units.get(name.partition(".")[0])
        if old and replaces and not is_empty(node):
            edits.append((_above(old), old.end_lineno or 0, _source(piece, node, old.col_offset)))
        elif not old and isinstance(owner, ast.ClassDef):
            end = owner.end_lineno or 0
            edits.append((end, end, "\n" + _source(piece, node, owner.body[0].col_offset)))
    if not edits:
        return base if piece.is_methods else None
    edits += _needs(base, piece, targets, min(edits)[0])
    lines = base.code.split("\n")
    edits.sort(key=lambda edit: edit[:2])
    for begin, end, text in edits[::-1]:
        lines[begin:end] = text.split("\n")
    code = "\n".join(lines)
    tree = parser.tree(code)
    return Piece(piece.block if base.is_aside else base.block, code, tree, base.label) if tree else None


def _is_excerpt(piece: Piece) -> bool:
    """Return True if a function of a piece leaves something out: ``# ...``, or a bare ``...`` there."""
    lines = piece.code.split("\n")
    functions = [
        node
        for node in (ast.walk(piece.tree) if piece.tree else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return any(
        any(map(LEFT_OUT.search, lines[each.lineno - 1 : each.end_lineno]))
        or (len(each.body) > 1 and any(map(_is_ellipsis, each.body)))
        for each in functions
    )


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


def _needs(
    base: Piece, piece: Piece, targets: Mapping[str, Definition], first: int
) -> Iterator[tuple[int, int, str]]:
    """Yield what new definitions bring along: it stands above the first of them, and imports above all."""
    start = max(_above(top) for top in base.body if _above(top) <= first)
    head = min(_above(top) for top in base.body if not _stays_first(top))
    bound = set().union(*(bound_names([top], frozenset()) or () for top in base.body))
    placed = {id(node) for name, node in targets.items() if "." in name or name in base.units}
    for top in piece.body:
        names = bound_names([top], frozenset()) or set()
        if not (id(top) in placed or names <= bound or _stays_first(top)):
            line, gap = (head, "") if isinstance(top, IMPORT) else (start, "\n\n")
            yield line, line, _source(piece, top, 0) + gap


def _targets(base: Piece, piece: Piece) -> dict[str, Definition]:
    """Return a piece's definitions, by the names that they have in another piece."""
    found: dict[str, Definition] = {}
    classes = [
        name for name, node in base.units.items() if isinstance(node, ast.ClassDef) and "." not in name
    ]
    for name, node in piece.units.items():
        owner = name.partition(".")[0]
        if piece.is_methods and classes:
            having = [each for each in classes if f"{each}.{name}" in base.units]
            found[f"{(having or classes)[-1]}.{name}"] = node
        elif _is_part(owner, piece, base) == ("." in name):
            found[name] = node
    return found


def _is_part(name: str, piece: Piece, base: Piece) -> bool:
    """Return True if a class lacks methods that it has in another piece."""
    return any(each.startswith(f"{name}.") and each not in piece.units for each in base.units)


def _stays_first(node: ast.stmt) -> bool:
    """Return True for a docstring and for an import from the future."""
    return isinstance(node, ast.Expr) or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _above(node: ast.stmt) -> int:
    """Return the number of lines above a statement and its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return (decorators[0] if decorators else node).lineno - 1


def _source(piece: Piece, node: ast.stmt, indent: int) -> str:
    """Return the lines of a statement, moved to an indent."""
    lines = piece.code.split("\n")[_above(node) : node.end_lineno]
    lines = [line[node.col_offset :] if line[: node.col_offset].isspace() else line for line in lines]
    return "\n".join(" " * indent + line if line.strip() else line for line in lines)


def parts_of(best: Piece, pieces: Sequence[Piece], path: str, *, tests: bool) -> list[Piece]:
    """Return the pieces that are one file, in its order: the best, what that lacks, what stands beside it."""
    if not best.block.is_fenced or not best.is_bare:
        return [best]
    subject = PurePosixPath(path).stem.removeprefix("test_").removesuffix("_test") if tests else ""
    others = [
        each
        for each in pieces
        if each is not best
        and each.block.is_fenced
        and each.block.may_be_python
        and each.is_bare
        and each.label in ("", best.label)
        and (each.binds or each.is_guard)
        and (tests or not (module_of(path) in each.imports or each.has_tests or each.has_fixtures))
    ]
    parts = [best]
    for _ in range(MAX_PARTS):
        bound = set().union(*(each.binds | each.defined(tests=True) | each.inside for each in parts))
        lacks = set().union(*(each.uses for each in parts)) - bound - BUILTINS
        # What a test file tests stands elsewhere: without its import, no other definition is the tests' own.
        own = not tests or any(each.imports_part(subject) for each in parts)
        more = (
            each
            for each in others
            if bound.isdisjoint(each.defined(tests=True))
            and (
                (each.binds & lacks and (own or each.imports_part(subject) or not each.defined(tests=True)))
                or _stands_beside(each, parts, bound, (path, f"{subject}.py"), tests=tests)
            )
        )
        if not (found := next(more, None)):
            break
        parts.append(found)
        others = [each for each in others if each is not found]
    chosen = set(map(id, parts))
    ordered: list[Piece] = []
    for piece in sorted((each for each in pieces if id(each) in chosen), key=lambda piece: piece.place):
        users = (n for n, each in enumerate(ordered) if piece.binds & each.needs_first - each.binds)
        ordered.insert(next(users, len(ordered)), piece)
    return ordered


def _stands_beside(
    piece: Piece, parts: Sequence[Piece], bound: AbstractSet[str], files: Sequence[str], *, tests: bool
) -> bool:
    """Return True for a part of a file that binds these names if none of its other parts needs it."""
    named = FILE_NAME.findall(piece.block.before[:300])
    if piece.is_aside or not all(any(matches(name, file) for file in files) for name in named):
        return False
    if tests:
        return piece.has_tests or piece.has_fixtures or (piece.is_guard and not bound.isdisjoint(piece.uses))
    if not bound.isdisjoint(piece.uses):
        return piece.is_guard or (piece.goes_on and bound.isdisjoint(piece.calls))
    packages = set().union(*(each.foreign for each in parts))
    is_one_more = piece.foreign <= packages and (piece.label == parts[0].label or piece.is_introduced)
    return is_one_more and piece.goes_on and piece.calls.isdisjoint(piece.binds)


def joined(parts: Sequence[Piece]) -> str:
    """Return the text of a file that is given in parts; imports from the future go to its top."""
    codes = [each.code.strip("\n").rstrip() for each in parts]
    if any("__future__" in each.imports for each in parts[1:]):
        future = dict.fromkeys(line for code in codes for line in FUTURE.findall(code))
        codes = ["\n".join(future), *(FUTURE.sub("", code).strip("\n") for code in codes)]
    return "\n\n\n".join(codes)
