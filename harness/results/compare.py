"""Compare two sets of trials, paired by task, and tell whether their difference is real.

Each task's pass rate on one side stands against its pass rate on the other (``stats.py`` names the methods);
tasks that only one side has, or that changed between two runs, take no part and are named. An orchestrator
may meet a task with several coders, and a coder with several orchestrators: each of these counts where both
sides have it, and once. Steps of a course are paired each with that of the same epoch; the sample is then the
course run, with the mean of its steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from operator import itemgetter
from statistics import fmean
from typing import Any, Literal

from harness.errors import UsageError
from harness.results.columns import marked
from harness.results.dataframe import Table
from harness.results.sides import By, Side, in_one_place, narrowed, where_both_are
from harness.results.stats import (
    ALPHA,
    FEWEST,
    Interval,
    difference_interval,
    holm,
    mean_interval,
    paired_p,
    smallest_shown,
)


@dataclass(frozen=True)
class Flip:
    """A task on which the two sides differ. Rates are from 0 to 1."""

    task: str
    first: float
    second: float
    first_trial: str
    second_trial: str


@dataclass(frozen=True)
class Comparison:
    """The second side against the first.

    Attributes:
        tasks: That both sides measured: tasks, or course runs.
        steps: Of these course runs; 0 for tasks.
        left_out: Tasks that only one side measured.
        changed: Tasks that are not the same on both sides.
        first_pct: Mean over these tasks, or course runs, of the first side's pass rates, in percent.
        difference_pct: Second minus first, in percentage points, with its 95 % interval.
        p: Two-sided, of no difference; ``p_holm`` adjusted for all comparisons made at once.
        smallest_pct: True difference that these tasks would have shown four times in five.
        flips: The tasks that differ, those where the second side gained most first.
        cost: Dollars a trial, second minus first; None where a price is unknown.
        tokens: Tokens a trial, all roles and kinds together, second minus first.
        marks: What stands in for the models of each side, if anything does.
        servers: The Letta servers that the orchestrators of each side lived in.
        pairs: The pairs whose trials each side has.
    """

    first: str
    second: str
    tasks: int
    left_out: tuple[str, ...]
    changed: tuple[str, ...]
    first_pct: float | None = None
    second_pct: float | None = None
    difference_pct: float | None = None
    interval_pct: Interval | None = None
    p: float = 1.0
    p_holm: float = 1.0
    smallest_pct: float | None = None
    flips: tuple[Flip, ...] = ()
    cost: float | None = None
    cost_interval: Interval | None = None
    tokens: float | None = None
    tokens_interval: Interval | None = None
    steps: int = 0
    marks: tuple[str, str] = ("", "")
    servers: tuple[str, str] = ("", "")
    pairs: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def names(self) -> tuple[str, str]:
        """Return both sides for display, with what stands in for their models."""
        return marked(self.first, self.marks[0]), marked(self.second, self.marks[1])

    @property
    def server_note(self) -> str:
        """Return a sentence if the two sides lived in different Letta servers: that may be the difference."""
        if self.servers[0] == self.servers[1]:
            return ""
        (a, b), (one, other) = self.names, self.servers
        return f"{a} lived in Letta {one}, {b} in Letta {other}: the server is part of the difference"

    @property
    def is_too_small(self) -> bool:
        """True if nothing could have been shown: not even if all of it agreed."""
        return 0 < self.tasks < FEWEST

    @property
    def verdict(self) -> Literal["better", "worse", "not shown"]:
        """Return what is shown of the second side, at a level of 5 % over all comparisons."""
        if self.p_holm >= ALPHA or not self.difference_pct:
            return "not shown"
        return "better" if self.difference_pct > 0 else "worse"


def between_runs(first: Table, second: Table, names: tuple[str, str], by: By) -> list[Comparison]:
    """Compare the same pairs (or orchestrators, or coders) in two runs, given by their priced trials.

    Orchestrators and coders are compared where all else is the same in both runs, if it is anywhere.

    Raises:
        UsageError: Nothing is in both.
    """
    a, b = _measured_by(first, by), _measured_by(second, by)
    both = sorted(a.keys() & b.keys())
    if not both:
        raise UsageError(f"no {by} has measured trials in both {names[0]} and {names[1]}")
    compared = []
    for at in both:
        of_a, of_b = a[at], b[at]
        if by != "pair" and len((alike := in_one_place(of_a, of_b, by))[0]):
            of_a, of_b = alike
        sides = Side(f"{at} in {names[0]}", of_a), Side(f"{at} in {names[1]}", of_b)
        compared += _compare_parts(*sides, apart=by != "pair")
    return adjust(compared)


def within_run(trials: Table, by: By, only: tuple[str, str] | None = None) -> list[Comparison]:
    """Compare all pairs (or orchestrators, or coders) of a run with each other, or ``only`` two of them.

    Orchestrators and coders are compared where all else is the same: with the same other model, flow, tools
    and backend; with mocks and without in comparisons of their own. Of pairs, a mock is compared with a model
    where both are named.

    Raises:
        UsageError: There is no such name, or nothing to compare.
    """
    known = _measured_by(trials, by)
    for name in only or ():
        if name not in known:
            few = [
                "nothing was measured in this run",
                f"this run has {''.join(known)} alone: record another {by}",
            ]
            remedy = few[len(known)] if len(known) < 2 else f"use two of: {', '.join(known)}"
            raise UsageError(f"no {by} {name!r} has measured trials", remedy=remedy)
    compared = _compare_all(known, by, only)
    if not compared:
        what = "that differ in nothing else" if by != "pair" else "that can be compared"
        raise UsageError(f"there are no two {by}s {what}")
    return compared


def between_pairs(trials: Table) -> list[Comparison]:
    """Compare all pairs of a run as ``within_run`` does; nothing where there are no two."""
    return _compare_all(_measured_by(trials, "pair"), "pair", None)


def _compare_all(known: dict[str, Table], by: By, only: tuple[str, str] | None) -> list[Comparison]:
    sides = {name: Side(name, trials) for name, trials in known.items()}
    compared = []
    for first, second in [only] if only else combinations(known, 2):
        a, b = sides[first], sides[second]
        if by != "pair":
            alike = in_one_place(a.trials, b.trials, by)
            a, b = replace(a, trials=alike[0]), replace(b, trials=alike[1])
        compared += _compare_parts(a, b, apart=only is None or by != "pair")
    # Those of one side stand together, and mocks after models.
    return adjust(sorted(compared, key=lambda each: ("mock" in each.marks, each.names[0])))


def _compare_parts(a: Side, b: Side, *, apart: bool) -> list[Comparison]:
    """Compare what both have; with ``apart``, what mocks wrote in a comparison of its own."""
    parts = zip(a.apart, b.apart, strict=True) if apart else [(a, b)]
    return [compare(one, other) for one, other in parts if len(one.trials) and len(other.trials)]


@dataclass(frozen=True)
class Ranking:
    """Who is best, and how sure that is.

    Attributes:
        best: Those with the highest rate: several if they are tied, the cheaper first, then the faster.
        rate_pct: The rate of the first of them.
        paired: True if they are, in place of that, those that are behind no other where both have the same
            partners: the rates of orchestrators and of coders are with all partners that each had.
        close: Those that are not shown to be worse, than each of the best if several are tied.
        worse: Those that are.
        mocks: Those in which no model wrote anything; never the best, unless there is nothing else.
        better: Those of ``close`` that are shown to be better all the same, where the two could be compared.
    """

    best: tuple[str, ...] = ()
    rate_pct: float = 0.0
    paired: bool = False
    close: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    mocks: tuple[str, ...] = ()
    better: tuple[str, ...] = ()


def rank(comparisons: list[Comparison], rows: list[dict[str, Any]], by: str) -> Ranking:
    """Rank the rows of ``aggregate.summary``, named by ``by``, with the comparisons of ``within_run``."""
    measured = [row for row in rows if row["trials"]]
    models = sorted([row for row in measured if row["mark"] != "mock"] or measured, key=_place)
    if not models:
        return Ranking()
    names = {marked(row[by], row["mark"]): row for row in models}
    best = [name for name, row in names.items() if _place(row)[0] == _place(models[0])[0]]
    compared = {name for each in comparisons for name in each.names}
    behind = {each.names[each.difference_pct < 0] for each in comparisons if each.difference_pct}
    unbeaten = [name for name in names if name in compared - behind]
    met = {frozenset(each.names) for each in comparisons if each.difference_pct is not None}
    paired = by != "pair" and bool(unbeaten) and met.issuperset(map(frozenset, combinations(unbeaten, 2)))
    best = unbeaten if paired else best
    shown = [each for each in comparisons if each.verdict != "not shown"]
    beaten = {each.names if each.verdict == "better" else each.names[::-1] for each in shown}
    worse = {name for name in names if all((name, winner) in beaten for winner in best)}
    better = {winner for loser, winner in beaten if loser in best}
    return Ranking(
        best=tuple(best),
        rate_pct=names[best[0]]["solved_pct"],
        paired=paired,
        close=tuple(name for name in names if name in compared - worse and name not in best),
        worse=tuple(name for name in names if name in worse),
        mocks=tuple(marked(row[by], row["mark"]) for row in measured if row not in models),
        better=tuple(name for name in names if name in better),
    )


def _place(row: dict[str, Any]) -> tuple[float, float, float]:
    """Return what rows are ranked by: rate, dollars and seconds; what is unknown comes last."""
    cost, seconds = (math.inf if row[key] is None else row[key] for key in ("cost_per_trial", "wall_p50_s"))
    return -row["solved"] / row["trials"], cost, seconds


def _measured_by(trials: Table, by: By) -> dict[str, Table]:
    """Return the measured trials of each name, sorted by name."""
    measured = narrowed(trials)[trials["kind"] == "model"]
    return {
        str(name): group for name, group in sorted(measured.groupby(by, observed=True), key=itemgetter(0))
    }


def compare(a: Side, b: Side) -> Comparison:
    """Compare two sides, the second against the first."""
    every = a.by_task.index.union(b.by_task.index)
    a, b = where_both_are(a, b)
    mine, yours = a.by_task, b.by_task
    shared = mine.index.intersection(yours.index).sort_values()
    same = mine.loc[shared, "task_digest"] == yours.loc[shared, "task_digest"]
    changed = shared[~same.to_numpy(bool)]
    tasks = shared.difference(changed)
    left_out = tuple(map(str, every.difference(shared)))
    comparison = Comparison(
        a.name,
        b.name,
        len(tasks),
        left_out,
        tuple(map(str, changed)),
        marks=(a.mark, b.mark),
        servers=(a.servers, b.servers),
        pairs=(a.pairs, b.pairs),
    )
    if not len(tasks):
        return comparison
    mine, yours = _distinct_runs(mine.loc[tasks], yours.loc[tasks])
    figures = ["solved", "cost", "tokens"]
    of_tasks = [side[figures].astype(float) for side in (mine, yours)]
    of_tasks.append(of_tasks[1] - of_tasks[0])
    first, second, differences = (each.groupby(mine["sample"]).mean() for each in of_tasks)
    means: dict[str, Any] = {}
    for name in ("cost", "tokens"):
        if of_tasks[-1][name].notna().all():
            values = differences[name].tolist()
            means |= {name: float(differences[name].mean()), f"{name}_interval": mean_interval(values)}
    rates = differences["solved"].tolist()
    rows = map(Flip, mine.index, mine["solved"], yours["solved"], mine["trial"], yours["trial"])
    flips = [flip for flip in rows if flip.first != flip.second]
    interval, smallest = difference_interval(rates), smallest_shown(rates)
    return replace(
        comparison,
        tasks=len(rates),
        steps=len(mine) if (mine["sample"] != mine.index).any() else 0,
        first_pct=100 * float(first["solved"].mean()),
        second_pct=100 * float(second["solved"].mean()),
        difference_pct=round(100 * fmean(rates), 9),  # sums that cancel out are nothing
        interval_pct=interval and Interval(100 * interval.low, 100 * interval.high),
        p=paired_p(rates),
        smallest_pct=smallest and 100 * smallest,
        flips=tuple(sorted(flips, key=lambda flip: (flip.first - flip.second, flip.task))),
        **means,
    )


def _distinct_runs(mine: Table, yours: Table) -> tuple[Table, Table]:
    """Return the steps of both sides without course runs that are another's repetition, word for word."""
    if (mine["sample"] == mine.index).all():
        return mine, yours
    said = mine["conversation"].fillna("") + " " + yours["conversation"].fillna("")
    whole = said.groupby(mine["sample"]).agg("\n".join)
    kept = mine["sample"].isin(whole[~whole.duplicated()].index)
    return mine[kept], yours[kept]


def adjust(comparisons: list[Comparison]) -> list[Comparison]:
    """Adjust the p values of comparisons that are made at once; one of nothing in common is none."""
    adjusted = iter(holm([each.p for each in comparisons if each.tasks]))
    return [replace(each, p_holm=next(adjusted)) if each.tasks else each for each in comparisons]
