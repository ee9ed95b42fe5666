"""Courses in tables: how much is solved at which place of a course, and what memory changes.

A course run (pair, course, epoch) is one sample: its steps share an agent, and what that agent noted. Two
kinds of memory are compared step by step, and then course run by course run. Controls, whose specifications
restate every convention, stand apart: there memory has nothing to add.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from harness.errors import UsageError
from harness.results import aggregate
from harness.results.columns import SETTINGS, TOKENS
from harness.results.compare import Comparison, adjust, compare
from harness.results.dataframe import Table
from harness.results.sides import Side, narrowed
from harness.results.stats import rate_interval

KINDS = ("none", "fresh", "carried", "carried, with history")  # of memory, from the least to the most
Row = dict[str, Any]


def plain(trials: Table) -> Table:
    """Return the trials that are no steps of a course."""
    return trials[trials["course"].isna()]


def steps(trials: Table, *, control: bool = False) -> Table:
    """Return the steps of courses, or those of controls."""
    is_control = trials["control"].fillna(value=False).astype(bool)
    return trials[trials["course"].notna() & (is_control == control)]


def rows(trials: Table) -> list[Row]:
    """Return a row for each pair on courses, and one for each on their controls.

    Returns:
        Those of ``aggregate.summary`` by pair, and ``memory``; ``control``; ``runs``, how many course runs
        were measured; ``curve``, the percentage solved at each place of a course, None where nothing was
        measured; ``memory_calls`` and ``recalled``, summed; ``tokens_per_step``. The interval is clustered by
        course run; of a single run that is neither all solved nor all failed there is none.
    """
    found = []
    for control in (False, True):
        chosen = steps(trials, control=control)
        for row in aggregate.rows_of(aggregate.summary(chosen, "pair")) if len(chosen) else ():
            of_pair = chosen[chosen["pair"] == row["pair"]]
            found.append(row | _more(of_pair) | {"control": control})
    order = {name: at for at, name in enumerate(KINDS)}
    return sorted(found, key=lambda row: (row["control"], order.get(row["memory"], 9), row["pair"]))


def _more(of_pair: Table) -> Row:
    measured = of_pair[of_pair["kind"] == "model"]
    solved = (measured["outcome"] == "solved").astype(int)
    counts = [(len(each), int(each.sum())) for _, each in solved.groupby(_run_of(measured))]
    interval = rate_interval(counts)
    if len(counts) == 1:  # one sample, of which nobody knows how it varies
        ((size, number),) = counts
        interval = rate_interval([(1, number // size)]) if number in (0, size) else None
    by_step = solved.groupby(measured["step"].astype(int)).mean()
    last = int(of_pair["step"].max())
    tokens = float(measured[list(TOKENS)].sum(axis=1).mean()) if len(measured) else None
    return {
        "memory": str(of_pair["memory"].iloc[0]),
        "runs": len(counts),
        "solved_low_pct": interval and round(100 * interval.low, 1),
        "solved_high_pct": interval and round(100 * interval.high, 1),
        "curve": [round(100 * float(by_step[n]), 1) if n in by_step else None for n in range(1, last + 1)],
        "memory_calls": int(measured["memory_calls"].sum()),
        "recalled": int(measured["recalled"].sum()),
        "tokens_per_step": tokens,
    }


def by_memory(trials: Table, only: tuple[str, str] | None = None) -> list[Comparison]:
    """Compare kinds of memory where all else is the same, or ``only`` two: on courses, then on controls.

    Raises:
        UsageError: There are no two, or not these.
    """
    known = sorted({str(each) for each in trials.loc[trials["course"].notna(), "memory"]})
    for name in only or ():
        if name not in known:
            remedy = f"use two of: {', '.join(known)}" if known else "run pairs on a course"
            raise UsageError(f"no course was run with memory {name!r}", remedy=remedy)
    if len(known) < 2:
        raise UsageError(
            "there are no two kinds of memory to compare on a course",
            remedy="run pairs with memory: none, fresh and carried on the same course",
        )
    return between_kinds(trials, only)


def between_kinds(trials: Table, only: tuple[str, str] | None = None) -> list[Comparison]:
    """Compare as ``by_memory`` does; nothing where there are no two.

    What memory does to one system is a question of its own: p values are adjusted for the comparisons of
    that system, so that no further pair in a run changes what is said of the others.
    """
    measured = narrowed(trials[(trials["kind"] == "model") & trials["course"].notna()])
    alike = [name for name in SETTINGS if name in measured]
    are_several = len(measured[alike].drop_duplicates()) > 1  # and have to be named, of controls too
    return [
        each
        for control in (False, True)
        for _, group in steps(measured, control=control).groupby(alike, observed=True, dropna=False)
        for each in _of_system(group, only or KINDS, control=control, is_named=are_several)
    ]


def _of_system(group: Table, kinds: Sequence[str], *, control: bool, is_named: bool) -> list[Comparison]:
    models = f" {group['orchestrator'].iloc[0]}+{group['coder'].iloc[0]}" if is_named else ""
    sides = [
        Side(f"{kind}{models}{' (control)' if control else ''}", of_kind)
        for kind in kinds
        if len(of_kind := group[group["memory"] == kind])
    ]
    return adjust([compare(a, b) for a, b in combinations(sides, 2)])


def _run_of(table: Table) -> Any:
    return table["course"].astype(str) + "[" + table["epoch"].astype(str) + "]"
