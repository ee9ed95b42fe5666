"""Choose the columns of a table that tell its rows apart, and that a screen has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Columns: TypeAlias = list[tuple[str, Callable[[Any], str]]]  # title, with line ends; text of a row's cell

NOTHING = frozenset({"", "-", "0"})
ALWAYS = frozenset({"solved\n%", "95 %\ninterval", "role", "model", "points", "p", "verdict", "passed\n%"})
LEAST_FIRST = (  # what a narrow screen goes without, in this order
    "tasks that\ndiffer",
    "detectable\npoints",
    "95 % int.\n(tokens)",
    "95 % int.\n(cost)",
    "95th pct.\nseconds",
    "http\nretries",
    "tool\nerrors",
    "repairs",
    "cache\nwrite",
    "memory\ncalls",
    "specs with\nmemory",
    "from\ncache",
    "pass@k\n(any) %",
    "pass^k\n(all) %",
    "mutants\ncaught",
    "tasks",
    "cost per\ntrial",
    "median\nseconds",
    "tokens of\na trial",
    "1st try\n%",
    "forged",
    "tokens\nout",
    "tokens\nin",
)


def informative(columns: Columns, rows: Sequence[Any]) -> Columns:
    """Return the columns without those that are zero or unknown in all rows, or the same in several."""
    if not rows:
        return columns
    kept = []
    for number, (title, cell) in enumerate(columns):
        values = {cell(row) for row in rows}
        is_dull = values <= NOTHING or (len(values) == 1 and len(rows) > 1)
        if not is_dull or number == 0 or title in ALWAYS:
            kept.append((title, cell))
    return kept


def in_every_row(columns: Columns, rows: Sequence[Any]) -> str:
    """Return a line on what is the same in all rows, and therefore in no column; may be empty."""
    titles = {title for title, _ in informative(columns, rows)}
    same = {title: cell(rows[0]) for title, cell in columns if title not in titles}
    parts = [f"{' '.join(title.split())} {text}" for title, text in same.items() if text not in NOTHING]
    return f"in every row: {', '.join(parts)}" if parts else ""


def fitting(columns: Columns, rows: Sequence[Any], width: int) -> Columns:
    """Return the columns that so many characters have room for, one blank between two of them."""

    def needed(title: str, cell: Callable[[Any], str]) -> int:
        return max(map(len, [*title.split("\n"), *map(cell, rows)])) + 1

    widths = {title: needed(title, cell) for title, cell in columns}
    for title in LEAST_FIRST:
        if sum(widths.values()) - 1 <= width:
            break
        widths.pop(title, None)
    return [column for column in columns if column[0] in widths]
