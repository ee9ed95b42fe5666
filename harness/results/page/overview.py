"""Arrange a run's figures as its page shows them: the ranking, the matrix, the grid of tasks, the bars.

Values in, values out; the figures themselves come from ``aggregate.py`` and ``compare.py``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from harness.agents.transcript import ROLES
from harness.results.columns import KINDS, TOKENS, backend_of, counted, mark_of, marked
from harness.results.compare import Comparison, Ranking
from harness.results.page.outcomes import INFRA, MARKS, Mark, mark_of_trial
from harness.results.pricing import dollars
from harness.results.render import short_count
from harness.results.tables import Row, Tables

MOCK = "mock"
HYPHEN = re.compile(r"(?<!\w)-(?=[$\d])")
FEW_EPOCHS = 3  # so many letters fit into a cell


def is_established(each: Comparison) -> bool:
    """Return True if a difference is more than chance, at 5 % over all comparisons of the run."""
    return each.verdict != "not shown"


def plain_p(p: float) -> str:
    """Return a p value in three decimals at the most."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def signed(value: float, digits: int = 0) -> str:
    """Return a number with its sign."""
    return with_minus(f"{round(value, digits) + 0.0:+.{digits}f}")


def with_minus(figures: str) -> str:
    """Return figures with a minus sign where a hyphen is one: not alone, nor between the ends of a range."""
    return HYPHEN.sub("\N{MINUS SIGN}", figures)


def in_dollars(pairs: Iterable[Row]) -> bool:
    """Return True if some pair cost something, or its price is unknown: else tokens tell pairs apart."""
    return any(row["trials"] and row["cost"] != 0 for row in pairs)


def tokens_per_trial(row: Row) -> float:
    """Return all tokens of a pair, of all roles and kinds, per trial."""
    return float(sum(row[name] for name in TOKENS) / max(1, row["trials"]))


def ranking_rows(tables: Tables) -> list[Row]:
    """Return a row of the ranked chart for each pair: rate, interval, standing against the best, price."""
    pairs = tables.pairs
    money = in_dollars(pairs)
    ranking = tables.ranking
    against = {
        name: each
        for each in tables.comparisons
        for name in each.names
        if ranking.best and ranking.best[0] in each.names
    }
    rows = []
    for row in pairs:
        name = marked(row["pair"], row["mark"])
        tokens = tokens_per_trial(row)
        spent = row["cost_per_trial"] if money else tokens
        rows.append(
            {
                **row,
                "spent": spent if row["trials"] else None,
                "spent_text": dollars(row["cost_per_trial"]) if money else short_count(tokens),
                "standing": _standing(name, row, ranking, against.get(name)),
                "is_mock": row["mark"] == MOCK,
                "is_best": name in ranking.best and row["mark"] != MOCK,
            }
        )
    for key, share in (("spent", "spent_share"), ("wall_p50_s", "wall_share")):
        most = max((row[key] for row in rows if row[key]), default=0)
        for row in rows:
            row[share] = 100 * row[key] / most if row[key] and most else 0
    return rows


def _standing(name: str, row: Row, ranking: Ranking, each: Comparison | None) -> str:
    if not row["trials"]:
        return "not measured"
    if row["mark"] == MOCK:
        return ""
    if name in ranking.best:
        return (
            "tied for best"
            if len(ranking.best) > 1
            else "best"
            if ranking.worse and not ranking.close
            else "highest"
        )
    if each is None or each.difference_pct is None:
        return "no task in common"
    gap = signed(abs(each.difference_pct) * (1 if name in ranking.better else -1))
    where = f" on {counted(each.tasks, 'shared task')}" if each.left_out or each.changed else ""
    return (
        f"{gap}{where}, {'established' if name in (*ranking.worse, *ranking.better) else 'could be chance'}"
    )


def matrix(tables: Tables) -> dict[str, Any]:
    """Return the differences of all pairs with each other; row minus column, in points of solved tasks."""
    pairs = [row for row in tables.pairs if row["trials"]]
    names = [marked(row["pair"], row["mark"]) for row in pairs]
    cells: dict[tuple[str, str], Row] = {}
    for number, each in enumerate(tables.comparisons):
        if each.difference_pct is None:
            continue
        for sign, key in ((-1, each.names), (1, each.names[::-1])):
            points = sign * each.difference_pct
            cells[key] = {
                "id": number,
                "mocks": MOCK in each.marks,
                "text": signed(points) if round(points) else "0",
                "kind": ("better" if points > 0 else "worse") if is_established(each) else "open",
                "says": f"{key[0]} against {key[1]}: {signed(points, 1)} points, {plain_p(each.p_holm)}, "
                + ("established" if is_established(each) else "could be chance"),
            }
    return {
        "listed": sorted(
            [(*key, cell) for key, cell in cells.items() if names.index(key[0]) < names.index(key[1])],
            key=lambda line: (line[2]["mocks"], line[2]["kind"] == "open", *map(names.index, line[:2])),
        ),
        "heads": [row["pair"] for row in pairs],
        "rows": [
            (row["pair"], [cells.get((name, other)) for other in names])
            for row, name in zip(pairs, names, strict=True)
        ],
    }


def grid(rows: Sequence[Row], pairs: Sequence[Row], *, in_order: bool = False) -> dict[str, Any]:
    """Return tasks by pair: for each task its cells, and the share that pairs of models solved.

    Tasks that are solved most often come first, so that a column shows how far a pair gets; or all stay
    ``in_order``.
    """
    columns = [row["pair"] for row in pairs]
    models = {row["pair"] for row in pairs if row["mark"] != MOCK} or set(columns)
    cells: dict[tuple[str, str], list[Row]] = defaultdict(list)
    difficulty: dict[str, str] = {}
    for row in rows:
        cells[row["task"], row["pair"]].append(row)
        difficulty[row["task"]] = row["difficulty"] or ""
    lines = []
    for task, hardness in difficulty.items():
        counted_in = [row for pair in models for row in cells.get((task, pair), ()) if row["kind"] == "model"]
        solved = sum(row["outcome"] == "solved" for row in counted_in)
        lines.append(
            {
                "task": task,
                "difficulty": hardness,
                "solved": solved,
                "of": len(counted_in),
                "pct": 100 * solved / len(counted_in) if counted_in else 0,
                "cells": [_cell(cells.get((task, pair), [])) for pair in columns],
            }
        )
    if not in_order:
        lines.sort(key=lambda line: (-line["pct"], line["task"]))
    never = sum(line["of"] and not line["solved"] for line in lines)
    always = sum(line["of"] and line["solved"] == line["of"] for line in lines)
    return {
        "pairs": columns,
        "rows": lines,
        "never": never,
        "always": always,
        "who": "model" if any(row["mark"] != MOCK for row in pairs) else "mock",
    }


def _cell(trials: list[Row]) -> Row | None:
    """Return a letter for each epoch, or a count where there are many; and which trial it leads to."""
    if not trials:
        return None
    trials = sorted(trials, key=itemgetter("epoch"))
    marks = [mark_of_trial(row) for row in trials]
    chosen = next((row for row in trials if row["outcome"] != "solved"), trials[0])
    cell: Row = {"trial": chosen["trial"], "marks": marks, "text": "", "family": ""}
    if len(trials) > FEW_EPOCHS:
        solved = sum(row["outcome"] == "solved" for row in trials)
        common = Counter(mark.family for mark in marks).most_common(1)[0][0]
        cell |= {"text": f"{solved}/{len(trials)}", "family": common, "marks": []}
    return cell


def outcome_bars(rows: Sequence[Row], pairs: Sequence[Row]) -> list[Row]:
    """Return for each pair the shares of its outcomes, in the order of ``MARKS``."""
    counts: dict[str, Counter[Mark]] = defaultdict(Counter)
    for row in rows:
        counts[row["pair"]][mark_of_trial(row)] += 1
    bars = []
    for row in pairs:
        of_pair = counts[row["pair"]]
        whole = sum(of_pair.values())
        parts = [(mark, of_pair[mark], 100 * of_pair[mark] / whole) for mark in MARKS if of_pair[mark]]
        bars.append(
            {**row, "parts": parts, "infra": of_pair.get(next(m for m in MARKS if m.key == INFRA), 0)}
        )
    return bars


def legend(rows: Sequence[Row]) -> list[Mark]:
    """Return the marks that occur, in order."""
    seen = {mark_of_trial(row) for row in rows}
    return [mark for mark in MARKS if mark in seen]


def role_shares(pairs: Sequence[Row]) -> list[Row]:
    """Return for each measured pair what each role used: dollars where something was paid, else tokens."""
    measured = [row for row in pairs if row["trials"]]
    money = in_dollars(measured)
    found = []
    for row in measured:
        if money:
            values = [row[f"{role}_cost"] for role in ROLES]
        else:
            values = [sum(row[f"{role}_{kind}"] for kind in KINDS) for role in ROLES]
        per_trial = [None if value is None else value / row["trials"] for value in values]
        text = dollars if money else short_count
        found.append(
            {
                "name": marked(row["pair"], row["mark"]),
                "is_mock": row["mark"] == MOCK,
                "parts": [
                    {"role": role, "value": value or 0, "text": "unknown" if value is None else text(value)}
                    for role, value in zip(ROLES, per_trial, strict=True)
                ],
                "total": None if None in per_trial else sum(filter(None, per_trial)),
                "total_text": "unknown" if None in per_trial else text(sum(filter(None, per_trial))),
                "solved_text": dollars(row["cost_per_solved"]) if row["solved"] else "none solved",
            }
        )
    most = max((row["total"] for row in found if row["total"]), default=0)
    for row in found:
        for part in row["parts"]:
            part["share"] = 100 * part["value"] / most if most else 0
    return found


def pair_names(rows: Iterable[Row]) -> dict[str, str]:
    """Return pair -> its name for display."""
    backends: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        backends[row["pair"]].add(backend_of(row["backend"], row["coder"]))
    return {pair: marked(pair, mark_of(found)) for pair, found in backends.items()}
