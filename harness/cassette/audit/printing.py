"""Print the table of all cassettes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.terminal import one_line

WIDTH = 100


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows of ``Entry.row``, at most 100 columns wide, and how many are in which state."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("trial", "outcome", "recorded", "kB", "exch.", "letta", "format", "state"):
        table.add_column(
            name,
            justify="right" if name in ("kB", "exch.", "format") else "left",
            overflow="fold" if name in ("trial", "state") else "ellipsis",
        )
    for row in rows:
        cells = [
            row["trial"],
            row["outcome"],
            row["recorded_at"],
            f"{row['bytes'] / 1000:.1f}",
            row["exchanges"],
            row["versions"].get("letta"),
            row["format"],
        ]
        state = Text(row["state"], style="green" if row["state"] == "ok" else "red")
        table.add_row(*(Text(one_line("-" if cell is None else str(cell))) for cell in cells), state)
    out = console()
    out.print(table)
    states = Counter(row["state"] for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    out.print(Text(f"{len(rows)} cassettes" + (f": {counted}" if counted else "")))


def console() -> Console:
    """Return a console on standard output, at most 100 columns wide."""
    found = Console(highlight=False)
    if not found.is_terminal or found.width > WIDTH:
        found.width = WIDTH
    return found
