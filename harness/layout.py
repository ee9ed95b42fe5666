"""The tables for people: in the terminal (rich) and in Markdown. The figures come from ``table.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.transcript import ROLES

Row = dict[str, Any]
NARROWEST = 100
WIDEST_NAME = 30
TEXTS = ("pair", "role", "model", "tester")
Columns = list[tuple[str, Callable[[Row], str]]]


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: str(row[key])


def _percent(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[key] is None else f"{row[key]:.1f}"


def _dollars(key: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row[key]
        if value is None or value == 0:
            return "unknown" if value is None else "$0"
        return f"${value:.2f}" if value >= 1 else f"${value:.2g}" if value >= 1e-4 else f"${value:.1e}"

    return text


def _pair(row: Row) -> str:
    """The pair's name, marked where no model wrote anything."""
    return f"{row['pair']} (mock)" if row.get("backend") == "mock" else str(row["pair"])


RESULTS: Columns = [
    ("pair", _pair),
    ("trials", _plain("trials")),
    ("solved\n%", _percent("solved_pct")),
    ("at 1st\n%", _percent("solved_at_1_pct")),
    ("pass\n@k %", _percent("pass_at_k_pct")),
    ("pass\n^k %", _percent("pass_hat_k_pct")),
    ("attempts", _plain("attempts")),
    ("repairs", _plain("repairs")),
    ("tool\nerrors", _plain("tool_errors")),
    ("http\nretries", _plain("transport_retries")),
    ("infra\nerrors", _plain("infra_errors")),
]


def _share(part: str, whole: str) -> Callable[[Row], str]:
    return lambda row: f"{row[part]} of {row[whole]}" if row[whole] else "-"


TESTERS: Columns = [
    ("tester", _plain("tester")),
    ("test\nfiles", _plain("test_files")),
    ("passed\n%", _percent("generated_passed_pct")),
    ("false\nalarm %", _percent("false_alarm_pct")),
    ("false\npass %", _percent("false_pass_pct")),
    ("bugs\ncaught", _share("bugs_caught", "bugs_total")),
    ("mutants\ncaught", _share("mutants_caught", "mutants_total")),
]


def _spending() -> Columns:
    def part(key: str) -> Callable[[Row], str]:
        return lambda row: f"{row[key]:,}" if isinstance(row[key], int) else str(row[key])

    return [
        ("pair", _plain("pair")),
        ("role", _plain("role")),
        ("model", _plain("model")),
        ("input", part("input")),
        ("cache\nwrite", part("cache_write")),
        ("cache\nread", part("cache_read")),
        ("output", part("output")),
        ("cost", _dollars("cost")),
        ("per\nsolved", _per_solved),
    ]


def _per_solved(row: Row) -> str:
    if row["role"] != "all":
        return ""
    return "-" if not row["solved"] else _dollars("cost_per_solved")(row)


def spending_rows(rows: list[Row]) -> list[Row]:
    """One row for each pair and role, and one for all roles of the pair; none where nothing was measured."""
    result = []
    for row in rows:
        if not row["trials"]:
            continue
        for role in ROLES:
            kinds = {kind: row[f"{role}_{kind}"] for kind in ("input", "cache_write", "cache_read", "output")}
            model = row[role]
            result.append(
                {"pair": row["pair"], "role": role, "model": model, "cost": row[f"{role}_cost"], **kinds}
            )
        totals = {
            kind: sum(int(row[f"{role}_{kind}"]) for role in ROLES)
            for kind in ("input", "cache_write", "cache_read", "output")
        }
        money = {key: row[key] for key in ("cost", "cost_per_solved", "solved")}
        result.append({"pair": row["pair"], "role": "all", "model": "", **money, **totals})
    return result


@dataclass(frozen=True)
class Tables:
    """What a run shows: rows of ``table.by_pair`` and ``table.by_tester``, and a line on what they are."""

    pairs: list[Row]
    testers: list[Row]
    note: str


def markdown(tables: Tables) -> str:
    """All tables in Markdown."""
    parts = [_markdown(RESULTS, tables.pairs)]
    if tables.testers:
        parts.append(_markdown(TESTERS, tables.testers))
    return "\n\n".join([*parts, _markdown(_spending(), spending_rows(tables.pairs)), tables.note]) + "\n"


def _markdown(columns: Columns, rows: list[Row]) -> str:
    lines = [
        "| " + " | ".join(title.replace("\n", " ") for title, _ in columns) + " |",
        "|" + "|".join("---" if title in TEXTS else "---:" for title, _ in columns) + "|",
    ]
    lines += ["| " + " | ".join(text(row).replace("|", "\\|") for _, text in columns) + " |" for row in rows]
    return "\n".join(lines)


def print_tables(tables: Tables, writer: Any) -> None:
    """All tables to pytest's terminal."""
    from rich.console import Console

    console = Console(
        file=writer._file,  # noqa: SLF001  (the stream that pytest itself writes to)
        width=max(NARROWEST, writer.fullwidth),
        force_terminal=writer.hasmarkup,
        no_color=not writer.hasmarkup,
        highlight=False,
    )
    console.print(_rich("", RESULTS, tables.pairs))
    console.print()
    if tables.testers:
        console.print(_rich("testers", TESTERS, tables.testers))
        console.print()
    spending = [column for column in _spending() if column[0] != "model"]
    console.print(_rich("tokens and cost", spending, spending_rows(tables.pairs)))
    console.print()
    console.print(tables.note, markup=False, soft_wrap=True)


def _rich(title: str, columns: Columns, rows: list[Row]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=0, show_edge=False)
    first = columns[0][0]
    longest = max((len(str(row[first])) for row in rows), default=0)
    for name, _ in columns:
        least = min(longest, WIDEST_NAME) if name == first else None
        table.add_column(name, justify="left" if name in TEXTS else "right", overflow="fold", min_width=least)
    last = None
    for row in rows:
        cells = [text(row) for _, text in columns]
        if title and cells[0] == last:
            cells[0] = ""
        else:
            last = cells[0]
        table.add_row(*(Text(cell) for cell in cells))
    return table
