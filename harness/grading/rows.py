"""Read the rows of ``pytest.mark.parametrize`` from a test's source, and name them as pytest does.

Not covered: rows that are computed, and ``ids`` that are a function; such a decorator stays as it is.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Rows:
    """A literal ``parametrize`` decorator."""

    place: int
    names: list[str]
    rows: list[list[ast.expr]]
    ids: list[str]
    marks: list[list[ast.keyword]]


def literal_rows(function: Function) -> Rows | None:
    """Return the first decorator ``parametrize`` whose rows are written out."""
    for place, decorator in enumerate(function.decorator_list):
        if not (isinstance(decorator, ast.Call) and called(decorator) == "parametrize"):
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
            return Rows(place, names, rows, _unique(ids), marks)
    return None


def _row(element: ast.expr, *, single: bool) -> tuple[list[ast.expr] | None, list[ast.keyword], str]:
    """Return the values of a row, its marks and its id; no values where they are not written out."""
    marks: list[ast.keyword] = []
    row_id = None
    if isinstance(element, ast.Call) and called(element) == "param":
        values = element.args
        row_id = next((each.value for each in element.keywords if each.arg == "id"), None)
        marks = [each for each in element.keywords if each.arg == "marks"]
    elif single:
        values = [element]
    elif isinstance(element, ast.Tuple | ast.List):
        values = element.elts
    else:
        return None, [], ""
    if any(isinstance(each, ast.Starred) for each in values):
        return None, [], ""
    return list(values), marks, str(row_id.value) if isinstance(row_id, ast.Constant) else ""


def _id(name: str, value: ast.expr, number: int) -> str:
    """Return the name that pytest gives to a value; https://docs.pytest.org/en/stable/example/parametrize.html."""
    if isinstance(value, ast.Name) and hasattr(getattr(builtins, value.id, None), "__name__"):
        return value.id
    try:
        known = ast.literal_eval(value)
    except ValueError:
        return f"{name}{number}"
    if isinstance(known, bytes):
        return known.decode("ascii", "backslashreplace")
    plain = known is None or isinstance(known, str | int | float | complex | bool)
    return str(known).encode("unicode_escape").decode() if plain else f"{name}{number}"


def _unique(ids: list[str]) -> list[str]:
    """Make the names of rows unique by numbers, as pytest does."""
    made = list(ids)
    numbers: Counter[str] = Counter()
    for at, each in enumerate(ids):
        if ids.count(each) == 1:
            continue
        between = "_" if each[-1:].isdigit() else ""
        while f"{each}{between}{numbers[each]}" in made:
            numbers[each] += 1
        made[at] = f"{each}{between}{numbers[each]}"
        numbers[each] += 1
    return made


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [name.strip() for name in node.value.split(",") if name.strip()]
    if isinstance(node, ast.Tuple | ast.List) and all(isinstance(each, ast.Constant) for each in node.elts):
        return [str(each.value) for each in node.elts if isinstance(each, ast.Constant)]
    return []


def called(call: ast.Call) -> str:
    """Return the last name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
