"""Choose the trials that are held against others, and take their means by task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from harness.results.columns import SETTINGS, TOKENS, backend_of, mark_of
from harness.results.dataframe import Table

By = Literal["pair", "orchestrator", "coder", "memory"]
COMPARED = (  # columns
    *("pair", "trial", "task", "epoch", "course", "control", "memory", "outcome", "cost"),
    *("task_digest", "conversation", "letta_version", *SETTINGS, *TOKENS),
)


def narrowed(trials: Table) -> Table:
    """Return the columns that comparisons read: to choose rows costs as much as there are columns."""
    return trials[[name for name in COMPARED if name in trials]]


@dataclass(frozen=True)
class Side:
    """Measured trials that are compared with others, maybe with several, under one name."""

    name: str
    trials: Table

    @cached_property
    def mark(self) -> str:
        """What stands in for the models of all of them, if anything does."""
        asked = self.trials[["backend", "coder"]].drop_duplicates()
        return mark_of(map(backend_of, asked["backend"], asked["coder"]))

    @cached_property
    def apart(self) -> tuple[Side, Side]:
        """What is not from mocks, and what is: what a task file wrote must not raise a model's rate."""
        mocks = self.trials["backend"] == "mock"
        if not mocks.any():
            return self, replace(self, trials=self.trials[:0])
        if mocks.all():
            return replace(self, trials=self.trials[:0]), self
        return replace(self, trials=self.trials[~mocks]), replace(self, trials=self.trials[mocks])

    @cached_property
    def servers(self) -> str:
        """The Letta servers that their orchestrators lived in."""
        return " and ".join(sorted(self.trials["letta_version"].dropna().unique()))

    @cached_property
    def pairs(self) -> tuple[str, ...]:
        """The pairs that they are trials of."""
        return tuple(sorted(map(str, self.trials["pair"].unique())))

    @cached_property
    def by_task(self) -> Table:
        """Means of each task's trials, the sample it belongs to, and the name of its first one.

        A step of a course is a task of its own in each epoch, and its sample the course run. Places count
        alike, however many trials a task has in each.
        """
        trials = self.trials.sort_values("trial")
        task, epoch = trials["task"].astype(str), "[" + trials["epoch"].astype(str) + "]"
        is_step = trials["course"].notna()
        table = trials[["task_digest", "trial", "cost", "conversation"]].assign(
            task=_tasks_of(trials),
            sample=task.mask(is_step, trials["course"].astype(str) + epoch),
            solved=(trials["outcome"] == "solved").astype(float),
            tokens=trials[list(TOKENS)].sum(axis=1).astype(float),
            unknown=trials["cost"].isna().astype(float),
        )
        group = table.groupby("task")
        figures = ["solved", "tokens", "cost", "unknown"]
        means = group[figures].mean()
        if "place" in trials:
            means = table.groupby(["task", trials["place"]])[figures].mean().groupby("task").mean()
        means["cost"] = means["cost"].mask(means.pop("unknown") > 0)
        return means.join(group[["task_digest", "trial", "sample", "conversation"]].first())


def in_one_place(a: Table, b: Table, by: By) -> tuple[Table, Table]:
    """Return the trials of both that differ in ``by`` alone, with all else as their ``place``.

    Coders that test their own code are compared; where there are none, those of one tester, who may be one of
    them.
    """
    for own in (True, False) if by == "coder" else (False,):
        of_a, of_b = _surroundings(a, by, own=own), _surroundings(b, by, own=own)
        alike = (
            a.assign(place=of_a)[of_a.isin(set(of_b))],
            b.assign(place=of_b)[of_b.isin(set(of_a))],
        )
        if len(alike[0]):
            break
    return alike


def _surroundings(trials: Table, by: By, *, own: bool) -> Any:
    """Return all that a trial is made with, but for ``by``; with ``own``, a coder may be its own tester."""
    table = trials[[name for name in SETTINGS if name != by]].astype("string").fillna("").astype(object)
    if own:
        table["tester"] = table["tester"].mask(table["tester"] == trials["coder"].astype(str), "itself")
    return table.agg("\x00".join, axis=1)


def _tasks_of(trials: Table) -> Any:
    """Return each trial's task, a step of a course with its epoch."""
    task = trials["task"].astype(str)
    return task.mask(trials["course"].notna(), task + "[" + trials["epoch"].astype(str) + "]")


def where_both_are(a: Side, b: Side) -> tuple[Side, Side]:
    """Return both sides without the trials of a task in a place in which the other side has none of it."""
    if "place" not in a.trials or "place" not in b.trials:
        return a, b
    of_a, of_b = (_tasks_of(side.trials) + "\x00" + side.trials["place"] for side in (a, b))
    return (
        replace(a, trials=a.trials[of_a.isin(set(of_b))]),
        replace(b, trials=b.trials[of_b.isin(set(of_a))]),
    )
