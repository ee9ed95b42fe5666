"""Lay out tables for people: their columns, and Markdown. The figures come from ``aggregate.py``.

The terminal's are printed by ``terminal_tables.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from harness.agents.transcript import ROLES
from harness.results import aggregate
from harness.results.columns import BY, KINDS, counted, marked
from harness.results.compare import Comparison, Ranking
from harness.results.layout import Columns, in_every_row, informative
from harness.results.pricing import dollars
from harness.results.stats import Interval
from harness.results.tables import Row, Tables

BARS = "▁▂▃▄▅▆▇█"
MANY = 4  # sentences on what is not shown: the three of one system, and its control's
TEXTS = ("memory", *BY, "role", "model", "first", "second", "compared", "verdict")


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


def _tokens(row: Row, kind: str) -> int:
    return int(sum(row[f"{role}_{kind}"] for role in ROLES))


def _per_solved(row: Row) -> str:
    return dollars(row["cost_per_solved"]) if row["solved"] else "-"


def short_count(value: float) -> str:
    """Return a number with three digits and its unit: ``12.3 k``."""
    for unit in ("", " k", " M"):
        if abs(value) < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:,.3f} G"


def results(by: str) -> Columns:
    """Return the columns of a table of results, the first of which names its rows."""
    return [
        (by, _name(by)),
        ("trials", "{trials}".format_map),
        ("solved\n%", _percent("solved_pct")),
        ("95 %\ninterval", _bounds),
        ("1st try\n%", _percent("solved_at_1_pct")),
        ("pass@k\n(any) %", _percent("pass_at_k_pct")),
        ("pass^k\n(all) %", _percent("pass_hat_k_pct")),
        ("repairs", "{repairs}".format_map),
        ("tool\nerrors", "{tool_errors}".format_map),
        ("forged", "{forged}".format_map),
        ("http\nretries", "{transport_retries}".format_map),
        ("infra\nerrors", "{infra_errors}".format_map),
    ]


def _curve(row: Row) -> str:
    """Return the rates at each place of a course, in order, as bars; a dot where nothing was measured."""
    top = len(BARS) - 1
    return "".join("·" if each is None else BARS[round(each / 100 * top)] for each in row["curve"])


def _course_name(row: Row) -> str:
    return marked(row["pair"], ", ".join(filter(None, [row["mark"], "control" if row["control"] else ""])))


COURSES: Columns = [
    ("pair", _course_name),
    ("memory", "{memory}".format_map),
    ("course\nruns", "{runs}".format_map),
    ("solved\n%", _percent("solved_pct")),
    ("95 %\ninterval", _bounds),
    ("step by\nstep", _curve),
    ("memory\ncalls", "{memory_calls}".format_map),
    ("specs with\nmemory", "{recalled}".format_map),
    (
        "tokens\nof a step",
        lambda row: "-" if row["tokens_per_step"] is None else short_count(row["tokens_per_step"]),
    ),
    ("cost", lambda row: dollars(row["cost"])),
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
    ("cost per\nsolved", _of_all_roles(_per_solved)),
    ("median\nseconds", _of_all_roles(_percent("wall_p50_s"))),
    ("95th pct.\nseconds", _of_all_roles(_percent("wall_p95_s"))),
]
COSTS: Columns = [
    ("pair", _name("pair")),
    ("tokens\nin", lambda row: short_count(_tokens(row, "input") + _tokens(row, "cache_write"))),
    ("from\ncache", lambda row: short_count(_tokens(row, "cache_read"))),
    ("tokens\nout", lambda row: short_count(_tokens(row, "output"))),
    ("cost", lambda row: dollars(row["cost"])),
    ("cost per\ntrial", lambda row: dollars(row["cost_per_trial"])),
    ("cost per\nsolved", _per_solved),
    ("median\nseconds", _percent("wall_p50_s")),
    ("95th pct.\nseconds", _percent("wall_p95_s")),
]


def cost_rows(pairs: list[Row]) -> list[Row]:
    """Return the rows of pairs of which something was measured."""
    return [row for row in pairs if row["trials"]]


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


def _range(interval: Interval | None, number: Callable[[float], str]) -> str:
    return f"{number(interval.low)} to {number(interval.high)}" if interval else "-"


def _known(each: Comparison, value: float | None, number: Callable[[float], str]) -> str:
    """Return a difference; ``-`` where nothing was compared, ``unknown`` where a price is."""
    return number(value) if value is not None else "unknown" if each.tasks else "-"


def _signed_count(value: float) -> str:
    return short_count(value) if value <= 0 else f"+{short_count(value)}"


def _signed_dollars(value: float) -> str:
    return dollars(value) if value <= 0 else f"+{dollars(value)}"


def _detectable(each: Comparison) -> str:
    return "-" if each.smallest_pct is None or each.is_too_small else f"{each.smallest_pct:.1f}"


DIFFERENCES: Columns = [
    ("first", lambda each: each.names[0]),
    ("second", lambda each: each.names[1]),
    ("tasks", lambda each: str(each.tasks)),
    ("points", lambda each: "-" if each.difference_pct is None else f"{each.difference_pct:+.1f}"),
    ("95 %\ninterval", lambda each: _range(each.interval_pct, "{:+.1f}".format)),
    ("p", lambda each: f"{each.p_holm:.2g}" if each.tasks else "-"),
    ("verdict", lambda each: each.verdict),
    ("detectable\npoints", _detectable),
    ("tasks that\ndiffer", lambda each: str(len(each.flips))),
]
SAVINGS: Columns = [
    *DIFFERENCES[:2],
    ("cost of\na trial", lambda each: _known(each, each.cost, _signed_dollars)),
    ("95 % int.\n(cost)", lambda each: _range(each.cost_interval, _signed_dollars)),
    ("tokens of\na trial", lambda each: _known(each, each.tokens, _signed_count)),
    ("95 % int.\n(tokens)", lambda each: _range(each.tokens_interval, _signed_count)),
]


def verdict(each: Comparison) -> str:
    """Return what one comparison shows, in a sentence."""
    return f"verdict: {conclusion(each)}"


def memory_verdicts(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a sentence on each comparison of kinds of memory, and one on many that show no difference."""
    compared = [each for each in comparisons if each.tasks]
    shown = [each for each in compared if each.verdict != "not shown"]
    others = [each for each in compared if each.verdict == "not shown"]
    told = [*shown, *(others if len(others) <= MANY else ())]
    texts = [f"memory: {conclusion(each)} ({counted(each.tasks, 'course run')})" for each in told]
    if len(others) > MANY:
        what = f"{len(others)} other comparisons" if shown else f"any of {len(others)} comparisons"
        texts.append(f"memory: no difference shown in {what} (harness compare --by memory lists them)")
    return texts


def conclusion(each: Comparison) -> str:
    """Return what one comparison shows."""
    first, second = each.names
    if each.interval_pct is None:
        return f"nothing to compare: {second} and {first} have no task in common"
    low, high = each.interval_pct.low, each.interval_pct.high
    figures = f"{each.difference_pct:+.1f} points [{low:+.1f}, {high:+.1f}], p = {each.p_holm:.2g}"
    if each.verdict != "not shown":
        return f"{second} is {each.verdict} than {first}: {figures}"
    least = f"; even alone, it takes {each.smallest_pct:.1f} points to show one"
    least = "; so few can show none, however large" if each.is_too_small else least
    return f"no difference shown between {second} and {first}: {figures}{least}"


def took_part(comparisons: Sequence[Comparison], pairs: Sequence[str], why: str) -> list[str]:
    """Return which pairs each side of comparisons by another name has, and which none has, and why."""
    sides: dict[str, set[str]] = {}
    for each in comparisons:
        for name, of_side in zip(each.names, each.pairs, strict=True):
            sides.setdefault(name, set()).update(of_side)
    lines = [f"  {name}: {', '.join(sorted(found))}" for name, found in sides.items()]
    if others := sorted(set(pairs).difference(*sides.values())):
        lines.append(f"  in no comparison, as {why}: {', '.join(others)}")
    return ["pairs compared:", *lines]


def headline(ranking: Ranking) -> list[str]:
    """Tell which is best or which are tied, and what is shown of the others; nothing of a single one."""
    if len((*ranking.best, *ranking.close, *ranking.worse, *ranking.mocks)) < 2:
        return []
    partners = " with the same partners" if ranking.paired else ""
    best = f"best: {ranking.best[0]}"
    if len(ranking.best) > 1:
        where = partners or f" at {ranking.rate_pct:.1f} %"
        order = "" if ranking.paired else " (cheaper first, then faster)"
        best = f"tied{where}: {', '.join(ranking.best)}{order}"
    elif ranking.close or ranking.better:
        best = f"{'ahead' if ranking.paired else 'highest'}{partners}: {ranking.best[0]}"
    parts = [best]
    than = " than each of these" if len(ranking.best) > 1 else ""
    method = " (paired by task, exact McNemar or sign-flip test, Holm, 5 %)"
    if ranking.better:
        parts.append(f"but shown to be better where compared: {', '.join(ranking.better)}{method}")
    if close := [name for name in ranking.close if name not in ranking.better]:
        parts.append(f"not shown to be worse{than}: {', '.join(close)}{method}")
    if ranking.worse and not ranking.close:
        parts.append(f"shown to be worse{than}: {', '.join(ranking.worse)}{method}")
    if ranking.mocks:
        parts.append(f"apart, as no model wrote their code: {', '.join(ranking.mocks)}")
    return parts


def markdown(tables: Tables) -> str:
    """Return all tables in Markdown."""
    parts = [markdown_table(results("pair"), tables.pairs)]
    if tables.testers:
        parts.append(markdown_table(TESTERS, tables.testers))
    parts.append(markdown_table(COSTS, cost_rows(tables.pairs)))
    texts = ["; ".join(headline(tables.ranking)), tables.note]
    if tables.courses:
        parts.append(markdown_table(COURSES, tables.courses))
        texts.append("; ".join(memory_verdicts(tables.memory)))
    return "\n\n".join([*parts, *(text.replace("|", "\\|") for text in texts if text)]) + "\n"


def as_text(columns: Columns, rows: Sequence[Row], output_format: str) -> str:
    """Return rows as ``csv`` or ``json``, whole, or as ``md``, with these columns."""
    if output_format == "csv":
        return aggregate.to_csv(list(rows))
    if output_format == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    return markdown_table(columns, rows) + "\n"


def markdown_table(columns: Columns, rows: Sequence[Any]) -> str:
    """Return one table in Markdown; below it, what is the same in all its rows."""
    kept = informative(columns, rows)
    lines = [
        "| " + " | ".join(title.replace("\n", " ") for title, _ in kept) + " |",
        "|" + "|".join("---" if title in TEXTS else "---:" for title, _ in kept) + "|",
    ]
    lines += ["| " + " | ".join(cell(row).replace("|", "\\|") for _, cell in kept) + " |" for row in rows]
    if same := in_every_row(columns, rows):
        lines += ["", same.replace("|", "\\|")]
    return "\n".join(lines)
