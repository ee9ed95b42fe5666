"""Finish a run: compute its tables, check its gates, write its report and the job summary of CI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from harness.errors import UsageError
from harness.results import aggregate, compare, gates, report, run_summary
from harness.results.dataframe import Table, read
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.run_state import Figures, incomplete
from harness.results.run_summary import OUTCOME, RunSummary
from harness.results.tables import Tables, tables_of


def finish(  # noqa: PLR0913  (what a run leaves)
    folder: Path, records: Table, prices: Prices, wanted: Gates, broken: Sequence[str] = (), *, write: bool
) -> RunSummary:
    """Summarise a run whose records are complete; write its report if asked to, and the job summary.

    ``broken``: as in ``RunSummary``.
    """
    trials = aggregate.add_costs(records, prices)
    with report.views_of(folder, trials, prices) if write else nullcontext() as views:
        tables = tables_of(trials, incomplete(folder, len(trials)))
        changes, failures = _gates(trials, tables, prices, wanted)
        problem = ""
        if views is not None:
            try:
                report.write_with(views, folder, trials, tables)
            except OSError as error:
                problem = not_written(error, folder)
            except Exception as error:  # noqa: BLE001  (the tables are there, and must not be lost for it)
                bug = "the report could not be made, which is a bug in the harness"
                problem = f"{bug}: {type(error).__name__}: {error}"
                failures.append(problem)
    summary = RunSummary(tables, aggregate.rows_of(trials[OUTCOME]), changes, failures, problem, broken)
    if write and not problem:
        with suppress(OSError):  # the report is there, and holds the same
            run_summary.write(folder, summary)
    run_summary.append(os.environ, summary)
    return summary


def _gates(trials: Table, tables: Tables, prices: Prices, wanted: Gates) -> tuple[list[str], list[str]]:
    """Return what changed against an earlier run, and the gates that are missed, a line each."""
    changes: list[str] = []
    failures: list[str] = []
    if wanted.fail_under is not None:
        failures += gates.too_few_solved([*tables.pairs, *tables.courses], wanted.fail_under)
    if wanted.records:
        try:
            earlier = aggregate.add_costs(read(wanted.records), prices)
            found = compare.between_runs(earlier, trials, (wanted.baseline, "this run"), "pair")
            changes += map(gates.in_one_line, found)
            failures += gates.worse(found)
        except UsageError as error:
            failures.append(str(error))
    return changes, failures


def figures_of(summary: RunSummary) -> Figures:
    """Return the figures of a run that has ended, tasks and steps of courses alike."""
    costs = [row["cost"] for row in [*summary.tables.pairs, *summary.tables.courses]]
    of_models = [row for row in summary.tables.pairs if row["mark"] != "mock"]
    return Figures(
        finished=len(summary.outcomes),
        measured=sum(row["kind"] == "model" for row in summary.outcomes),
        solved=sum(row["outcome"] == "solved" for row in summary.outcomes),
        models=sum(row["trials"] for row in of_models),
        solved_by_models=sum(row["solved"] for row in of_models),
        cost=None if None in costs else sum(costs),
    )


def not_written(error: OSError, folder: Path) -> str:
    """Return the line that says why a run's folder cannot be written."""
    return f"not written to {error.filename or folder}: {error.strerror}"
