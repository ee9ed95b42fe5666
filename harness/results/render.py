"""Render tables in the terminal (rich) and in Markdown. The figures come from ``aggregate.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.agents.transcript import ROLES
from harness.results.columns import BY, KINDS, marked
from harness.results.compare import Ranking
from harness.results.pricing import dollars
from harness.results.stats import Interval
from harness.results.tables import Row, Tables

NARROWEST = 100
WIDEST_NAME = 24
TEXTS = (*BY, "role", "model", "first", "second")
Columns = list[tuple[str, Callable[[Any], str]]]


def _percent(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[key] is None else f"{row[key]:.1f}"


def _share(part: str, whole: str) -> Callable[[Row], str]:
    return lambda row: f"{row[part]} of {row[whole]}" if row[whole] else "-"


def _of_all_roles(cell: Callable[[Row], str]) -> Callable[[Row], str]:
    """Return a cell that is empty but in the row of all roles together, which alone has such a figure."""
    return lambda row: cell(row) if row["role"] == "all" else ""


def _name(by: str) -> Callable[[Row], str]:
    """Return a cell that names the row, and says what stands in for its models."""
    return lambda row: marked(row[by], row["mark"])


def _bounds(row: Row) -> str:
    low, high = row["solved_low_pct"], row["solved_high_pct"]
    return "-" if low is None else f"{low:.1f}-{high:.1f}"


def results(by: str) -> Columns:
    """Return the columns of a table of results, the first of which names its rows."""
    return [
        (by, _name(by)),
        ("trials", "{trials}".format_map),
        ("solved\n%", _percent("solved_pct")),
        ("95 %\ninterval", _bounds),
        ("at 1st\n%", _percent("solved_at_1_pct")),
        ("pass\n@k %", _percent("pass_at_k_pct")),
        ("pass\n^k %", _percent("pass_hat_k_pct")),
        ("repairs", "{repairs}".format_map),
        ("tool\nerrors", "{tool_errors}".format_map),
        ("forged", "{forged}".format_map),
        ("http\nretries", "{transport_retries}".format_map),
        ("infra\nerrors", "{infra_errors}".format_map),
    ]


TESTERS: Columns = [
    ("tester", _name("tester")),
    ("test\nfiles", "{test_files}".format_map),
    ("passed\n%", _percent("generated_passed_pct")),
    ("false\nalarm %", _percent("false_alarm_pct")),
    ("false\npass %", _percent("false_pass_pct")),
    ("bugs\ncaught", _share("bugs_caught", "bugs_total")),
    ("mutants\ncaught", _share("mutants_caught", "mutants_total")),
]


SPENDING: Columns = [
    ("pair", _name("pair")),
    ("role", "{role}".format_map),
    ("model", "{model}".format_map),
    ("input", "{input:,}".format_map),
    ("cache\nwrite", "{cache_write:,}".format_map),
    ("cache\nread", "{cache_read:,}".format_map),
    ("output", "{output:,}".format_map),
    ("cost", lambda row: dollars(row["cost"])),
    ("per\nsolved", _of_all_roles(lambda row: dollars(row["cost_per_solved"]) if row["solved"] else "-")),
    ("p50\ns", _of_all_roles(_percent("wall_p50_s"))),
    ("p95\ns", _of_all_roles(_percent("wall_p95_s"))),
]


def spending_rows(pairs: list[Row]) -> list[Row]:
    """Return a row for each pair and role, and one for all its roles; none where nothing was measured."""
    rows = []
    for pair in pairs:
        if not pair["trials"]:
            continue
        for role in ROLES:
            kinds = {kind: pair[f"{role}_{kind}"] for kind in (*KINDS, "cost")}
            rows.append(
                {"pair": pair["pair"], "mark": pair["mark"], "role": role, "model": pair[role], **kinds}
            )
        totals = {kind: sum(row[kind] for row in rows[-len(ROLES) :]) for kind in KINDS}
        rows.append({**pair, "role": "all", "model": "", **totals})
    return rows


def _change(value: float | None, interval: Interval | None, number: Callable[[float], str]) -> str:
    """Return a difference with its interval, or ``-`` where it is unknown."""
    if value is None:
        return "-"
    return number(value) + (f" [{number(interval.low)}, {number(interval.high)}]" if interval else "")


def _signed_dollars(value: float) -> str:
    return dollars(value) if value <= 0 else f"+{dollars(value)}"


DIFFERENCES: Columns = [
    ("first", lambda each: each.names[0]),
    ("second", lambda each: each.names[1]),
    ("tasks", lambda each: str(each.tasks)),
    ("points", lambda each: _change(each.difference_pct, each.interval_pct, "{:+.1f}".format)),
    ("p", lambda each: f"{each.p_holm:.2g}" if each.tasks else "-"),
    ("second is", lambda each: each.verdict),
    ("could show", lambda each: "-" if each.smallest_pct is None else f"{each.smallest_pct:.1f}"),
    ("tasks that\ndiffer", lambda each: str(len(each.flips))),
]
SAVINGS: Columns = [
    *DIFFERENCES[:2],
    (
        "cost a trial",
        lambda each: (
            "unknown"
            if each.cost is None and each.tasks
            else _change(each.cost, each.cost_interval, _signed_dollars)
        ),
    ),
    ("tokens a trial", lambda each: _change(each.tokens, each.tokens_interval, "{:+,.0f}".format)),
]


def headline(ranking: Ranking) -> str:
    """Tell which is best or which are tied, and what is shown of the others; empty where there is but one."""
    if len((*ranking.best, *ranking.close, *ranking.worse, *ranking.mocks)) < 2:
        return ""
    best = f"best: {ranking.best[0]}"
    if len(ranking.best) > 1:
        best = f"tied at {ranking.rate_pct:.1f} %: {', '.join(ranking.best)} (cheaper first, then faster)"
    parts = [best]
    if ranking.close:
        parts.append(f"not shown to be worse: {', '.join(ranking.close)}")
    elif ranking.worse:
        parts.append("all others are shown to be worse")
    if ranking.mocks:
        parts.append(f"apart, as no model wrote their code: {', '.join(ranking.mocks)}")
    method = " (paired by task, exact McNemar or sign-flip test, Holm, 5 %)"
    return "; ".join(parts) + method * bool(ranking.close or ranking.worse)


def markdown(tables: Tables) -> str:
    """Return all tables in Markdown."""
    parts = [markdown_table(results("pair"), tables.pairs)]
    if tables.testers:
        parts.append(markdown_table(TESTERS, tables.testers))
    parts.append(markdown_table(SPENDING, spending_rows(tables.pairs)))
    parts += [text.replace("|", "\\|") for text in (headline(tables.ranking), tables.note) if text]
    return "\n\n".join(parts) + "\n"


def markdown_table(columns: Columns, rows: Sequence[Any]) -> str:
    """Return one table in Markdown."""
    lines = [
        "| " + " | ".join(title.replace("\n", " ") for title, _ in columns) + " |",
        "|" + "|".join("---" if title in TEXTS else "---:" for title, _ in columns) + "|",
    ]
    lines += ["| " + " | ".join(cell(row).replace("|", "\\|") for _, cell in columns) + " |" for row in rows]
    return "\n".join(lines)


def pytest_console(writer: Any) -> Any:
    """Return a rich console on the stream that pytest itself writes to."""
    from rich.console import Console

    return Console(
        file=writer._file,  # noqa: SLF001  (pytest offers no other way to it)
        width=max(NARROWEST, writer.fullwidth),
        force_terminal=writer.hasmarkup,
        no_color=not writer.hasmarkup,
        highlight=False,
    )


def stdout_console() -> Any:
    """Return a rich console on standard output, wide enough for the tables."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(NARROWEST, console.width)
    return console


def print_tables(tables: Tables, console: Any) -> None:
    """Print all tables to a rich console."""
    print_table(console, results("pair"), tables.pairs)
    if tables.testers:
        print_table(console, TESTERS, tables.testers, "testers")
    spending = [column for column in SPENDING if column[0] != "model"]
    print_table(console, spending, spending_rows(tables.pairs), "tokens and cost")
    for text in (headline(tables.ranking), tables.note):
        if text:
            console.print(text, markup=False, soft_wrap=True)


def print_table(console: Any, columns: Columns, rows: Sequence[Any], title: str = "") -> None:
    """Print one table to a rich console, and an empty line. Under a title, a name is not repeated."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", padding=0, show_edge=False)
    first, name_of = columns[0]
    longest = max((len(name_of(row)) for row in rows), default=0)
    for name, _ in columns:
        least = min(longest, WIDEST_NAME) if name == first else None
        table.add_column(name, justify="left" if name in TEXTS else "right", overflow="fold", min_width=least)
    previous = None
    for row in rows:
        name, *cells = (cell(row) for _, cell in columns)
        table.add_row(*map(Text, ("" if title and name == previous else name, *cells)))
        previous = name
    console.print(table)
    console.print()
