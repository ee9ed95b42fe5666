"""Compare two sets of trials, paired by task, and tell whether their difference is real.

Each task's pass rate on one side stands against its pass rate on the other (``stats.py`` names the methods);
tasks that only one side has, or that changed between two runs, take no part and are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, get_args

from harness.errors import UsageError
from harness.results.columns import SETTINGS, TOKENS
from harness.results.stats import (
    ALPHA,
    Interval,
    difference_interval,
    holm,
    mean_interval,
    paired_p,
    smallest_shown,
)

if TYPE_CHECKING:
    from harness.results.dataframe import Table

By = Literal["pair", "orchestrator", "coder"]
BY: tuple[By, ...] = get_args(By)
MEANS = ("solved", "cost", "tokens")


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
        tasks: That both sides measured.
        left_out: Tasks that only one side measured.
        changed: Tasks that are not the same on both sides.
        first_pct: Mean over these tasks of the first side's pass rates, in percent.
        difference_pct: Second minus first, in percentage points, with its 95 % interval.
        p: Two-sided, of no difference; ``p_holm`` adjusted for all comparisons made at once.
        smallest_pct: True difference that these tasks would have shown four times in five.
        flips: The tasks that differ, those where the second side gained most first.
        cost: Dollars a trial, second minus first; None where a price is unknown.
        tokens: Tokens a trial, all roles and kinds together, second minus first.
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

    @property
    def verdict(self) -> Literal["better", "worse", "not shown"]:
        """Return what is shown of the second side, at a level of 5 % over all comparisons."""
        if self.p_holm >= ALPHA or not self.difference_pct:
            return "not shown"
        return "better" if self.difference_pct > 0 else "worse"


def between_runs(first: Table, second: Table, names: tuple[str, str], by: By) -> list[Comparison]:
    """Compare the same pairs (or orchestrators, or coders) in two runs.

    Args:
        first: Priced trials of one run.
        second: Those of the other.
        names: Of the two runs.
        by: What is the same in both.

    Raises:
        UsageError: Nothing is in both.
    """
    both = [name for name in _names(first, by) if name in _names(second, by)]
    if not both:
        raise UsageError(f"no {by} has measured trials in both {names[0]} and {names[1]}")
    pairs = ((first[first[by] == name], second[second[by] == name], name) for name in both)
    return _adjust([_compare(a, b, f"{name} in {names[0]}", f"{name} in {names[1]}") for a, b, name in pairs])


def within_run(trials: Table, by: By, only: tuple[str, str] | None = None) -> list[Comparison]:
    """Compare all pairs (or orchestrators, or coders) of a run with each other, or two of them.

    Orchestrators and coders are compared where all else is the same: with the same other model, flow, tools
    and backend.

    Args:
        trials: Priced trials.
        by: What is compared.
        only: The names of two.

    Raises:
        UsageError: There is no such name, or nothing to compare.
    """
    known = _names(trials, by)
    for name in only or ():
        if name not in known:
            raise UsageError(
                f"no {by} {name!r} has measured trials", remedy=f"use two of: {', '.join(known)}"
            )
    compared = []
    for first, second in [only] if only else combinations(known, 2):
        a, b = _alike(trials, by, first, second)
        if len(a) and len(b):
            compared.append(_compare(a, b, first, second))
    if not compared:
        what = "that differ in nothing else" if by != "pair" else "with measured trials"
        raise UsageError(f"there are no two {by}s {what}")
    return _adjust(compared)


def best(comparisons: list[Comparison], rates: dict[str, float]) -> list[str]:
    """Return the name with the highest rate, and then all that are not shown to be worse than it.

    Args:
        comparisons: From ``within_run``.
        rates: Of all names.
    """
    leader = max(rates, key=lambda name: (rates[name], name), default=None)
    if leader is None:
        return []
    worse = {
        each.second if each.first == leader else each.first
        for each in comparisons
        if leader in (each.first, each.second) and each.verdict != "not shown"
    }
    compared = {name for each in comparisons for name in (each.first, each.second)}
    return [leader, *sorted((compared & set(rates)) - worse - {leader})]


def _names(trials: Table, by: By) -> list[str]:
    measured = trials[trials["kind"] == "model"]
    return [str(name) for name in sorted(measured[by].dropna().unique())]


def _alike(trials: Table, by: By, first: str, second: str) -> tuple[Table, Table]:
    """Return the trials of two names that have a counterpart in all that surrounds them."""
    a, b = (trials[(trials[by] == name) & (trials["kind"] == "model")] for name in (first, second))
    if by == "pair" or not len(a) or not len(b):
        return a, b
    of_a, of_b = _surroundings(a, by), _surroundings(b, by)
    return a[of_a.isin(set(of_b))], b[of_b.isin(set(of_a))]


def _surroundings(trials: Table, by: By) -> Any:
    """Return all that a trial's models and settings are, but for ``by``. A coder may be its own tester."""
    table = trials[[name for name in SETTINGS if name != by]].astype(str)
    if by == "coder":
        table["tester"] = table["tester"].mask(table["tester"] == trials["coder"].astype(str), "itself")
    return table.agg("\x00".join, axis=1)


def _compare(a: Table, b: Table, first: str, second: str) -> Comparison:
    mine, yours = _by_task(a), _by_task(b)
    shared = mine.index.intersection(yours.index).sort_values()
    same = mine.loc[shared, "task_digest"] == yours.loc[shared, "task_digest"]
    changed = shared[~same.to_numpy(bool)]
    tasks = shared.difference(changed)
    left_out = tuple(sorted(map(str, mine.index.symmetric_difference(yours.index))))
    comparison = Comparison(first, second, len(tasks), left_out, tuple(map(str, changed)))
    if not len(tasks):
        return comparison
    mine, yours = mine.loc[tasks], yours.loc[tasks]
    differences = {name: (yours[name] - mine[name]).astype(float) for name in MEANS}
    rates = differences["solved"].tolist()
    interval, smallest = difference_interval(rates), smallest_shown(rates)
    return replace(
        comparison,
        first_pct=100 * float(mine["solved"].mean()),
        second_pct=100 * float(yours["solved"].mean()),
        difference_pct=100 * float(differences["solved"].mean()),
        interval_pct=interval and Interval(100 * interval.low, 100 * interval.high),
        p=paired_p(rates),
        smallest_pct=smallest and 100 * smallest,
        flips=tuple(_flips(mine, yours)),
        **_mean_of("cost", differences["cost"]),
        **_mean_of("tokens", differences["tokens"]),
    )


def _by_task(trials: Table) -> Table:
    """Return means of each task's measured trials, and the name of its first one."""
    measured = trials[trials["kind"] == "model"]
    table = measured[["task_digest", "trial", "cost"]].assign(
        task=measured["task"].astype(str),
        solved=(measured["outcome"] == "solved").astype(float),
        tokens=measured[list(TOKENS)].sum(axis=1).astype(float),
    )
    group = table.sort_values("trial").groupby("task")
    means = group[["solved", "tokens"]].mean()
    unknown = table["cost"].isna().groupby(table["task"]).any()
    return means.join(group["cost"].mean().mask(unknown)).join(group[["task_digest", "trial"]].first())


def _mean_of(name: str, differences: Any) -> dict[str, Any]:
    if differences.isna().any():
        return {}
    return {name: float(differences.mean()), f"{name}_interval": mean_interval(differences.tolist())}


def _flips(mine: Table, yours: Table) -> Iterator[Flip]:
    gains: dict[Any, float] = (yours["solved"] - mine["solved"]).to_dict()
    for task in sorted((task for task, gain in gains.items() if gain), key=lambda task: (-gains[task], task)):
        a, b = mine.loc[task], yours.loc[task]
        yield Flip(str(task), float(a["solved"]), float(b["solved"]), str(a["trial"]), str(b["trial"]))


def _adjust(comparisons: list[Comparison]) -> list[Comparison]:
    adjusted = holm([each.p for each in comparisons])
    return [replace(each, p_holm=p) for each, p in zip(comparisons, adjusted, strict=True)]
