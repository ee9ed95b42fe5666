"""Cassettes on a terminal: the table of all, and the conversation of one, both without secrets."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.cassette.audit.describe import Part, conversation
from harness.cassette.file import Cassette
from harness.terminal import one_line, printable, printable_line

WIDTH = 100
STYLES = {"title": "bold", "exchange": "bold cyan", "sent": "magenta", "got": "green", "note": "dim"}
MARKS = {"title": "", "exchange": "", "sent": "> ", "got": "< ", "note": "  "}


def as_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows of ``Entry.row``, at most 100 columns wide, and count their states."""
    console = _console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("trial", "outcome", "recorded", "kB", "exch.", "letta", "format", "state"):
        is_number = name in ("kB", "exch.", "format")
        fold = "fold" if name in ("trial", "state") else "ellipsis"
        table.add_column(name, justify="right" if is_number else "left", overflow=fold)  # type: ignore[arg-type]
    for row in rows:
        state = Text(row["state"], style="green" if row["state"] == "ok" else "red")
        cells = [
            row["trial"],
            row["outcome"],
            row["recorded_at"],
            f"{row['bytes'] / 1000:.1f}",
            row["exchanges"],
            row["versions"].get("letta"),
            row["format"],
        ]
        table.add_row(*(Text(one_line("-" if cell is None else str(cell))) for cell in cells), state)
    console.print(table)
    states = [row["state"] for row in rows]
    counted = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    console.print(Text(f"{len(rows)} cassettes" + (f": {', '.join(counted)}" if counted else "")))


def as_text(tape: Cassette) -> None:
    """Print a recorded conversation."""
    console = _console()
    for part in conversation(tape):
        head = printable_line(part.head, os.environ)
        _print(console, Part(head, printable(part.text, os.environ), part.kind))


def _print(console: Console, part: Part) -> None:
    if part.kind == "exchange":
        console.print()
    console.print(Text(MARKS[part.kind] + part.head, style=STYLES[part.kind]))
    if part.text:
        console.print(Padding(Text(part.text.rstrip()), (0, 0, 0, 6), expand=False))


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal or console.width > WIDTH:
        console.width = WIDTH
    return console
