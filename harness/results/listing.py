"""List single trials of a run: which tasks does a pair fail, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.results import aggregate
from harness.results.columns import backend_of, counted, mark_of, marked
from harness.results.dataframe import Table
from harness.results.layout import Columns
from harness.results.tables import Row
from harness.terminal import one_line
from harness.text import shorten

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS: Columns = [
    ("task", lambda row: row["trial"]),
    ("verdict", lambda row: row["outcome"]),
    ("detail", lambda row: one_line(row["detail"])),
]
SHORTEST_DETAIL = 24


def chosen(trials: Table, pairs: Sequence[str], outcomes: Sequence[str], *, failed: bool) -> list[Row]:
    """Return the rows of these pairs and outcomes, all where none is named; ``failed``: what is not solved.

    Raises:
        UsageError: The run has no such pair or outcome.
    """
    rows = aggregate.rows_of(trials)
    for name, wanted in (("pair", pairs), ("outcome", outcomes)):
        known = sorted({row[name] for row in rows})
        if unknown := [each for each in wanted if each not in known]:
            raise UsageError(
                f"no trial of this run has the {name} {unknown[0]!r}",
                remedy=f"use one of: {', '.join(known)}",
            )
    return [
        row
        for row in rows
        if (not pairs or row["pair"] in pairs)
        and (not outcomes or row["outcome"] in outcomes)
        and not (failed and row["outcome"] == "solved")
    ]


def print_trials(console: Console, rows: Sequence[Row], run: str, *, wide: bool = False) -> None:
    """Print one line for each trial under its pair's name; a screen shortens reasons, unless ``wide``."""
    longest_task = max((len(_name(row)) for row in rows), default=0)
    longest_outcome = max((len(row["outcome"]) for row in rows), default=0)
    room = max(SHORTEST_DETAIL, console.width - longest_task - longest_outcome - 6)
    is_cut, previous = False, None
    for row in rows:
        if row["pair"] != previous:
            previous = row["pair"]
            of_pair = [each for each in rows if each["pair"] == previous]
            counts = Counter(each["outcome"].replace("_", " ") for each in of_pair)
            parts = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
            console.print(
                f"{one_line(marked(previous, mark_of({backend_of(row['backend'], row['coder'])})))}: {parts}",
                markup=False,
                soft_wrap=True,
            )
        detail = one_line(row["detail"])
        outcome = row["outcome"].replace("_", " ")
        line = f"  {_name(row):{longest_task}}  {outcome:{longest_outcome}}  "
        shown = shorten(detail, room) if console.is_terminal and not wide else detail
        is_cut, line = is_cut or shown != detail, line + shown
        console.print(line.rstrip(), markup=False, soft_wrap=True)
    if is_cut:
        console.print("reasons are shortened: --wide shows them whole", markup=False)
    if rows:
        console.print(f"{counted(len(rows), 'trial')}; one of them whole: ", end="", markup=False)
        console.print(f"harness show {rows[0]['trial']} --run {run}", markup=False, soft_wrap=True)
    else:
        console.print("no trial", markup=False)


def _name(row: dict[str, Any]) -> str:
    return one_line(f"{row['task']}/{row['epoch']}")
