"""Print tables in a terminal, no wider than it is (rich)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.results.compare import Comparison
from harness.results.layout import Columns, fitting, in_every_row, informative
from harness.results.render import (
    COSTS,
    COURSES,
    DIFFERENCES,
    SAVINGS,
    SPENDING,
    TESTERS,
    TEXTS,
    cost_rows,
    headline,
    memory_verdicts,
    results,
    spending_rows,
)
from harness.results.tables import Tables

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 40
WIDEST = 1000
SHORTEST_NAME = 24


def pytest_console(writer: Any) -> Console:
    """Return a rich console on the stream that pytest itself writes to."""
    from rich.console import Console

    return Console(
        file=writer._file,  # noqa: SLF001  (pytest offers no other way to it)
        width=max(NARROWEST, writer.fullwidth),
        force_terminal=writer.hasmarkup,
        no_color=not writer.hasmarkup,
        highlight=False,
    )


def stdout_console(*, wide: bool = False) -> Console:
    """Return a rich console on standard output; ``wide``: lines may be longer than the screen."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = WIDEST if wide else max(NARROWEST, console.width)
    return console


def print_tables(tables: Tables, console: Console, *, wide: bool = False) -> None:
    """Print all tables; ``wide``: with every column and role, though the screen be narrower.

    Where no trial was measured there are no figures: the note alone.
    """
    left_out = _print_pairs(tables, console, wide=wide)
    if tables.courses:
        left_out |= print_table(console, COURSES, tables.courses, "courses", wide=wide)
        for text in memory_verdicts(tables.memory):
            console.print(text, markup=False)
    print_left_out(console, left_out)


def _print_pairs(tables: Tables, console: Console, *, wide: bool) -> set[str]:
    """Print the tables of trials that are no steps of a course; return what there was no room for."""
    if not any(row["trials"] for row in tables.pairs):
        if tables.pairs or not tables.courses:
            console.print(tables.note, markup=False)
        return set()
    left_out = print_table(console, results("pair"), tables.pairs, wide=wide)
    if tables.testers:
        left_out |= print_table(console, TESTERS, tables.testers, "testers", wide=wide)
    if wide:
        print_table(console, SPENDING, spending_rows(tables.pairs), "tokens and cost", wide=True)
    else:
        left_out |= print_table(console, COSTS, cost_rows(tables.pairs), "tokens and cost")
    for text in (*headline(tables.ranking), tables.note):
        if text:
            console.print(text, markup=False)
    return left_out


def print_left_out(console: Console, left_out: set[str], command: str = "report") -> None:
    """Print which columns the screen had no room for."""
    if left_out:
        names = ", ".join(sorted(" ".join(title.split()) for title in left_out))
        console.print(f"no room for: {names} (harness {command} --wide)", markup=False)


def print_table(  # noqa: PLR0913  (what a table is, and three ways to vary it)
    console: Console,
    columns: Columns,
    rows: Sequence[Any],
    title: str = "",
    *,
    wide: bool = False,
    heading: Callable[[Any], str] | None = None,
) -> set[str]:
    """Print one table, and an empty line; return the columns that there was no room for.

    ``wide``: all columns, and lines as long as they get; a name that stands above is not repeated.
    ``heading``: names the group of a row, which stands above it on a line of its own.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    useful = columns if wide else informative(columns, rows)
    names = [columns[0][1](row) for row in rows]
    headings = [heading(row) if heading else "" for row in rows]
    longest = max(map(len, [*names, *headings]), default=0)
    room = console.width - longest + max(map(len, names), default=0)
    kept = useful if wide else fitting(useful, rows, room)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for number, (name, _) in enumerate(kept):
        table.add_column(
            name,
            justify="left" if name in TEXTS else "right",
            overflow="fold",
            no_wrap=number > 0,
            min_width=None if number else longest if wide else min(longest, SHORTEST_NAME),
        )
    previous = ("", "")
    for row, name, above in zip(rows, names, headings, strict=True):
        if above != previous[0]:
            table.add_row(Text(above))
        cells = ["" if wide and (above, name) == previous else name, *(cell(row) for _, cell in kept[1:])]
        table.add_row(*map(Text, cells))
        previous = (above, name)
    if title:
        console.print(Text(title, style="table.title"))  # rich's own is no wider than the table
    console.print(table, crop=False)
    left_out = [column for column in useful if column not in kept]
    if not wide and (same := in_every_row(columns, rows)):
        console.print(same, markup=False)
    if len(rows) == 1 and left_out:  # a single row has room below itself
        besides = (f"{' '.join(title.split())} {cell(rows[0])}" for title, cell in left_out)
        console.print(f"besides: {', '.join(besides)}", markup=False)
        left_out = []
    console.print()
    return {title for title, _ in left_out}


def print_comparisons(console: Console, comparisons: Sequence[Comparison], *, wide: bool = False) -> set[str]:
    """Print differences, then cost and tokens; return the columns that there was no room for.

    Two names have no room beside each other on a narrow screen: the first stands above its rows.
    """
    left_out: set[str] = set()
    for columns, title in ((DIFFERENCES, ""), (SAVINGS, "cost and tokens")):
        if wide:
            print_table(console, columns, comparisons, title, wide=True)
            continue
        indented: Columns = [("compared", lambda each: f"  {each.names[1]}"), *columns[2:]]
        left_out |= print_table(
            console, indented, comparisons, title, heading=lambda each: f"against {each.names[0]}"
        )
    return left_out
