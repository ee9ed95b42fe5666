"""The tables for people: in the terminal (rich) and in Markdown. The figures come from ``table.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.agents.transcript import ROLES
from harness.results.compare import Comparison
from harness.results.stats import Interval
from harness.results.tables import Row, Tables

NARROWEST = 100
WIDEST_NAME = 24
TEXTS = (
    "pair",
    "orchestrator",
    "coder",
    "tester",
    "task",
    "tag",
    "difficulty",
    "role",
    "model",
    "first",
    "second",
)
KINDS = ("input", "cache_write", "cache_read", "output")
Columns = list[tuple[str, Callable[[Any], str]]]


def _plain(key: str) -> Callable[[Row], str]:
    return lambda row: str(row[key])


def _percent(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[key] is None else f"{row[key]:.1f}"


def dollars(value: float | None) -> str:
    """Money in so many digits that something never looks like nothing."""
    if value is None or value == 0:
        return "unknown" if value is None else "$0"
    sign, size = "-" if value < 0 else "", abs(value)
    return (
        f"{sign}${size:.2f}" if size >= 1 else f"{sign}${size:.2g}" if size >= 1e-4 else f"{sign}${size:.1e}"
    )


def _name(by: str) -> Callable[[Row], str]:
    """What a row is of; a pair is marked where no model wrote anything."""
    return lambda row: f"{row[by]} (mock)" if by == "pair" and row.get("backend") == "mock" else str(row[by])


def _bounds(row: Row) -> str:
    low, high = row["solved_low_pct"], row["solved_high_pct"]
    return "-" if low is None else f"{low:.1f}-{high:.1f}"


def results(by: str) -> Columns:
    """The columns of a table of results, the first of which names its rows."""
    return [
        (by, _name(by)),
        ("trials", _plain("trials")),
        ("solved\n%", _percent("solved_pct")),
        ("95 %\ninterval", _bounds),
        ("at 1st\n%", _percent("solved_at_1_pct")),
        ("pass\n@k %", _percent("pass_at_k_pct")),
        ("pass\n^k %", _percent("pass_hat_k_pct")),
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


def _count(key: str) -> Callable[[Row], str]:
    return lambda row: f"{row[key]:,}"


def _for_all(show: Callable[[Row], str]) -> Callable[[Row], str]:
    """Shown in the row of all roles together, which alone has such a figure."""
    return lambda row: show(row) if row["role"] == "all" else ""


SPENDING: Columns = [
    ("pair", _plain("pair")),
    ("role", _plain("role")),
    ("model", _plain("model")),
    ("input", _count("input")),
    ("cache\nwrite", _count("cache_write")),
    ("cache\nread", _count("cache_read")),
    ("output", _count("output")),
    ("cost", lambda row: dollars(row["cost"])),
    ("per\nsolved", _for_all(lambda row: dollars(row["cost_per_solved"]) if row["solved"] else "-")),
    ("p50\ns", _for_all(_percent("wall_p50_s"))),
    ("p95\ns", _for_all(_percent("wall_p95_s"))),
]


def spending_rows(rows: list[Row]) -> list[Row]:
    """One row for each pair and role, and one for all roles of the pair; none where nothing was measured."""
    result = []
    for row in rows:
        if not row["trials"]:
            continue
        for role in ROLES:
            kinds = {kind: row[f"{role}_{kind}"] for kind in KINDS}
            model = row[role]
            result.append(
                {"pair": row["pair"], "role": role, "model": model, "cost": row[f"{role}_cost"], **kinds}
            )
        totals = {kind: sum(int(row[f"{role}_{kind}"]) for role in ROLES) for kind in KINDS}
        own = {key: row[key] for key in ("cost", "cost_per_solved", "solved", "wall_p50_s", "wall_p95_s")}
        result.append({"pair": row["pair"], "role": "all", "model": "", **own, **totals})
    return result


def _between(interval: Interval | None, show: Callable[[float], str]) -> str:
    return f" [{show(interval.low)}, {show(interval.high)}]" if interval else ""


def _points(value: float) -> str:
    return f"{value:+.1f}"


def _signed_dollars(value: float) -> str:
    return dollars(value) if value <= 0 else f"+{dollars(value)}"


def _difference(each: Comparison) -> str:
    if each.difference_pct is None:
        return "-"
    return f"{_points(each.difference_pct)}{_between(each.interval_pct, _points)}"


def _cost_difference(each: Comparison) -> str:
    if each.cost is None:
        return "unknown" if each.tasks else "-"
    return f"{_signed_dollars(each.cost)}{_between(each.cost_interval, _signed_dollars)}"


def _token_difference(each: Comparison) -> str:
    def whole(value: float) -> str:
        return f"{value:+,.0f}"

    return "-" if each.tokens is None else f"{whole(each.tokens)}{_between(each.tokens_interval, whole)}"


DIFFERENCES: Columns = [
    ("first", lambda each: each.first),
    ("second", lambda each: each.second),
    ("tasks", lambda each: str(each.tasks)),
    ("points", _difference),
    ("p", lambda each: f"{each.p_holm:.2g}" if each.tasks else "-"),
    ("second is", lambda each: each.verdict),
    ("could show", lambda each: "-" if each.smallest_pct is None else f"{each.smallest_pct:.1f}"),
    ("tasks that\ndiffer", lambda each: str(len(each.flips))),
]
SAVINGS: Columns = [
    *DIFFERENCES[:2],
    ("cost a trial", _cost_difference),
    ("tokens a trial", _token_difference),
]


def in_short(tables: Tables) -> str:
    """Which pair is best, and which are not shown to be worse; empty where there is but one."""
    if len(tables.best) + len(tables.comparisons) < 2:
        return ""
    best, *others = tables.best
    shown = f"not shown to be worse: {', '.join(others)}" if others else "all others are shown to be worse"
    return f"best: {best}; {shown} (paired by task, exact McNemar or sign-flip test, Holm, 5 %)"


def markdown(tables: Tables) -> str:
    """All tables in Markdown."""
    parts = [markdown_table(results("pair"), tables.pairs)]
    if tables.testers:
        parts.append(markdown_table(TESTERS, tables.testers))
    parts.append(markdown_table(SPENDING, spending_rows(tables.pairs)))
    parts += [text.replace("|", "\\|") for text in (in_short(tables), tables.note) if text]
    return "\n\n".join(parts) + "\n"


def markdown_table(columns: Columns, rows: Sequence[Any]) -> str:
    """One table in Markdown."""
    lines = [
        "| " + " | ".join(title.replace("\n", " ") for title, _ in columns) + " |",
        "|" + "|".join("---" if title in TEXTS else "---:" for title, _ in columns) + "|",
    ]
    lines += ["| " + " | ".join(text(row).replace("|", "\\|") for _, text in columns) + " |" for row in rows]
    return "\n".join(lines)


def terminal(writer: Any) -> Any:
    """A rich console on the stream that pytest itself writes to."""
    from rich.console import Console

    return Console(
        file=writer._file,  # noqa: SLF001  (pytest offers no other way to it)
        width=max(NARROWEST, writer.fullwidth),
        force_terminal=writer.hasmarkup,
        no_color=not writer.hasmarkup,
        highlight=False,
    )


def console() -> Any:
    """A rich console on standard output, wide enough for the tables."""
    from rich.console import Console

    found = Console(highlight=False)
    found.width = max(NARROWEST, found.width)
    return found


def print_tables(tables: Tables, console: Any) -> None:
    """All tables to a rich console."""
    print_table(console, results("pair"), tables.pairs)
    if tables.testers:
        print_table(console, TESTERS, tables.testers, "testers")
    spending = [column for column in SPENDING if column[0] != "model"]
    print_table(console, spending, spending_rows(tables.pairs), "tokens and cost")
    for text in (in_short(tables), tables.note):
        if text:
            console.print(text, markup=False, soft_wrap=True)


def print_table(console: Any, columns: Columns, rows: Sequence[Any], title: str = "") -> None:
    """One table to a rich console, and an empty line."""
    console.print(_rich(title, columns, rows))
    console.print()


def _rich(title: str, columns: Columns, rows: Sequence[Any]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=0, show_edge=False)
    first, name_of = columns[0]
    longest = max((len(name_of(row)) for row in rows), default=0)
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
