"""Assemble all tables of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.results import aggregate, compare, courses
from harness.results.columns import BY, backend_of, counted, marked
from harness.results.compare import Comparison, Ranking
from harness.results.dataframe import Table
from harness.tasks.pair import AUTHORS, ON_APP_SERVER

Row = dict[str, Any]
NAMES_A_SERVER = ("pair", "orchestrator")  # rows in which V1 and the App Server cannot meet
RANKED = ("pair", "orchestrator", "coder")  # best first; others have an order of their own
NAMES_A_WRITER = ("pair", "coder", "tester")  # rows in which mocks and models cannot meet


MANY = 3  # names in a line; more are counted


@dataclass(frozen=True)
class Tables:
    """All tables of a run.

    Attributes:
        by: Rows of ``aggregate.summary``, for each of ``columns.BY``.
        testers: Rows by tester, without those that wrote no test file.
        comparisons: Of all pairs with each other.
        ranking: Which pairs are best, and how sure that is.
        note: A line on what the figures are.
        courses: A row for each pair on courses, whose trials are in no other table (``courses.rows``).
        memory: Kinds of memory on courses, compared with each other.
    """

    by: Mapping[str, list[Row]]
    testers: list[Row]
    comparisons: list[Comparison]
    ranking: Ranking
    note: str
    courses: list[Row] = field(default_factory=list)
    memory: list[Comparison] = field(default_factory=list)

    @property
    def pairs(self) -> list[Row]:
        """Return a row for each pair."""
        return self.by["pair"]


def tables_of(trials: Table, further: str = "") -> Tables:
    """Return all tables of a run from its priced trials; ``further`` ends the note."""
    whole, trials = trials, courses.plain(trials)
    by = {name: rows_by(trials, name) for name in BY}
    comparisons = compare.between_pairs(trials)
    return Tables(
        by=by,
        testers=[row for row in by["tester"] if row["test_files"]],
        comparisons=comparisons,
        ranking=compare.rank(comparisons, by["pair"], "pair"),
        note=note(aggregate.rows_of(trials), by["pair"], len(whole) - len(trials)) + further,
        courses=courses.rows(whole),
        memory=courses.between_kinds(whole),
    )


def rows_by(trials: Table, by: str) -> list[Row]:
    """Return the rows of one table of results.

    Rows that pool several pairs (of an orchestrator, a task, a tag ...) leave out mocks, unless there is
    nothing else: what the task file wrote must not raise a model's rate. Nor do the two kinds of Letta
    server meet in a row: the App Server is left out there, unless there is nothing else.
    """
    pooled = trials if by in NAMES_A_SERVER else aggregate.of_one_server(trials)
    pooled = pooled if by in NAMES_A_WRITER else aggregate.apart(pooled)
    rows = aggregate.rows_of(aggregate.summary(pooled, by))
    return sorted(rows, key=_place) if by in RANKED else rows


def _place(row: Row) -> tuple[bool, bool, float, float]:
    """Return the place of a row: best first, then cheapest; then mocks, then what was not measured."""
    cost = math.inf if row["cost_per_trial"] is None else row["cost_per_trial"]
    return not row["trials"], row["mark"] == "mock", -(row["solved_pct"] or 0), cost


def _settings(pairs: list[Row]) -> list[str]:
    """Return who is asked with which settings, pairs that do the same together."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in pairs:
        roles: dict[str, list[str]] = {}
        for role in AUTHORS:
            if settings := row[f"{role}_settings"]:
                roles.setdefault(settings, []).append(role)
        for settings, found in roles.items():
            who = names.setdefault((" and ".join(found), settings), [])
            who.append(marked(row["pair"], row["mark"]))
    return [
        f"{who[0]} asks its {roles} with {settings}"
        if len(who) == 1
        else f"{', '.join(who[:-1])} and {who[-1]} ask their {roles} with {settings}"
        for (roles, settings), who in names.items()
    ]


def note(rows: list[Row], pairs: list[Row], steps: int = 0) -> str:
    """Return a line on the figures: replayed or live, of how many epochs, and what stands in for what.

    Rows are of the trials, pairs of the pair table; the run has so many steps of courses besides.
    """
    measured = [row for row in rows if row["kind"] == "model"]
    days = sorted({row["recorded_at"] for row in measured if row["recorded_at"]})
    replayed = sum(row["mode"] == "replay" for row in measured)
    how = {0: "live", len(measured): "replayed"}.get(replayed, f"{replayed} of them replayed")
    parts = [f"{counted(len(measured), 'trial')} measured, {how}" if measured else "no trial was measured"]
    if len(rows) > len(measured):
        parts.append(f"{counted(len(rows) - len(measured), 'infra error')}, in no percentage")
    if steps:
        parts.append(f"{counted(steps, 'step')} of courses besides, in the table of courses alone")
    if days:
        parts.append(f"recorded {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else ""))
    epochs = sorted({row["k"] for row in pairs if row["k"] > 1})
    if epochs:
        parts.append(f"k of pass@k and pass^k is {', '.join(map(str, epochs))}")
    of_all = len({row["task"] for row in measured})
    partly = [row for row in pairs if 0 < row["tasks"] < of_all]
    if partly:
        those = [f"{row['tasks']} with {marked(row['pair'], row['mark'])}" for row in partly[:MANY]]
        those += [f"fewer with {counted(len(partly) - MANY, 'more pair')}"] if len(partly) > MANY else []
        parts.append(f"{of_all} tasks, but {', '.join(those)}: percentages are of different tasks")
    repeated = [marked(row["pair"], row["mark"]) for row in pairs if row["repeated"]]
    if repeated:
        parts.append(
            f"the epochs of {', '.join(repeated)} are the same conversations, so one of each counts in "
            "intervals and pass@k"
        )
    parts += _settings(pairs)
    if any(backend_of(row["backend"], row["coder"]) == "local" for row in rows):
        parts.append("stand-in: a small local model in place of Claude")
    mocks = sum(row["backend"] == "mock" for row in rows)
    if 0 < mocks < len(rows):
        parts.append(f"{counted(mocks, 'mock trial')}: in no row with those of models")
    if mocks:
        parts.append("mock: no model wrote code or tests, but the task file did")
    app = [row for row in rows if row["orchestrator"].endswith(ON_APP_SERVER)]
    if app:
        version = ", ".join(sorted({row["letta_version"] for row in app if row["letta_version"]}))
        parts.append(f"{ON_APP_SERVER.strip()}: the orchestrator lived in {version or 'it'}, not in Letta V1")
    if 0 < len(app) < len(rows):
        parts.append(f"these {len(app)} trials are in no row that pools orchestrators")
    return "; ".join(parts) + "."
