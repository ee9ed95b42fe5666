"""Assemble all tables of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.results import aggregate, compare
from harness.results.columns import BY
from harness.results.compare import Comparison
from harness.results.dataframe import Table

Row = dict[str, Any]


@dataclass(frozen=True)
class Tables:
    """All tables of a run.

    Attributes:
        by: Rows of ``aggregate.summary``, for each of ``columns.BY``.
        testers: Rows by tester, without those that wrote no test file.
        comparisons: Of all pairs with each other.
        best: The pair with the highest rate, and those that are not shown to be worse.
        note: A line on what the figures are.
    """

    by: Mapping[str, list[Row]]
    testers: list[Row]
    comparisons: list[Comparison]
    best: list[str]
    note: str

    @property
    def pairs(self) -> list[Row]:
        """Return a row for each pair."""
        return self.by["pair"]


def tables_of(trials: Table, further: str = "") -> Tables:
    """Return all tables of a run from its priced trials; ``further`` ends the note."""
    by = {name: aggregate.rows_of(aggregate.summary(trials, name)) for name in BY}
    rates = {row["pair"]: row["solved_pct"] for row in by["pair"] if row["trials"]}
    comparisons = compare.within_run(trials, "pair") if len(rates) > 1 else []
    return Tables(
        by=by,
        testers=[row for row in by["tester"] if row["test_files"]],
        comparisons=comparisons,
        best=compare.best(comparisons, rates),
        note=note(aggregate.rows_of(trials), by["pair"]) + further,
    )


def note(rows: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> str:
    """Return a line on the figures: replayed or live, of how many epochs, and what stands in for what.

    Rows are of the trials, pairs of the pair table.
    """
    measured = [row for row in rows if row["kind"] == "model"]
    days = sorted({row["recorded_at"] for row in measured if row["recorded_at"]})
    replayed = sum(row["mode"] == "replay" for row in measured)
    parts = [f"{len(measured)} trials measured, {replayed} of them replayed"]
    if len(rows) > len(measured):
        parts.append(f"{len(rows) - len(measured)} infra errors, in no percentage")
    if days:
        parts.append(f"recorded {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else ""))
    epochs = sorted({row["k"] for row in pairs if row["k"] > 1})
    if epochs:
        parts.append(f"k of pass@k and pass^k is {', '.join(map(str, epochs))}")
    if any(row["backend"] == "local" for row in rows):
        parts.append("backend local: a small local model stands in for Claude")
    if any(row["backend"] == "mock" for row in rows):
        parts.append("backend mock: no model wrote code or tests, but the task file did")
    return "; ".join(parts) + "."
