"""Finish a run: compute its tables, check its gates, write its report and the job summary of CI."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.results import aggregate, compare, gates, render, report
from harness.results.dataframe import Table, read
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.run_state import incomplete
from harness.results.tables import Row, Tables, tables_of

OUTCOME = ["trial", "pair", "kind", "outcome", "detail"]
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True)
class RunSummary:
    """The results of a run: its tables, a line for each pair of the baseline, and for each missed gate.

    ``outcomes``: of each trial the columns ``OUTCOME``.
    """

    tables: Tables
    outcomes: list[Row]
    changes: list[str]
    failures: list[str]
    problem: str  # why the report could not be written, or empty


def finish(folder: Path, records: Table, prices: Prices, wanted: Gates, *, write: bool) -> RunSummary:
    """Summarise a run whose records are complete; write its report if asked to, and the job summary."""
    trials = aggregate.add_costs(records, prices)
    tables = tables_of(trials, incomplete(folder, len(trials)))
    changes: list[str] = []
    failures: list[str] = []
    if wanted.fail_under is not None:
        failures += gates.too_few_solved(tables.pairs, wanted.fail_under)
    if wanted.records:
        try:
            earlier = aggregate.add_costs(read(wanted.records), prices)
            found = compare.between_runs(earlier, trials, (wanted.baseline, "this run"), "pair")
            changes += map(gates.in_one_line, found)
            failures += gates.worse(found)
        except UsageError as error:
            failures.append(str(error))
    problem = ""
    if write:
        try:
            report.write_report(folder, trials, tables, prices)
        except OSError as error:
            problem = not_written(error, folder)
        except Exception as error:  # noqa: BLE001  (the tables are there, and must not be lost for it)
            bug = "the report could not be made, which is a bug in the harness"
            problem = f"{bug}: {type(error).__name__}: {error}"
            failures.append(problem)
    summary = RunSummary(tables, aggregate.rows_of(trials[OUTCOME]), changes, failures, problem)
    if path := os.environ.get(SUMMARY_VARIABLE):
        append_job_summary(Path(path), summary)
    return summary


def not_written(error: OSError, folder: Path) -> str:
    """Return the line that says why a run's folder cannot be written."""
    return f"not written to {error.filename or folder}: {error.strerror}"


def append_job_summary(path: Path, summary: RunSummary) -> None:
    """Append the tables to the file of GitHub's job summary; one that cannot be written fails nothing."""
    lines = [f"- {line}" for line in summary.changes]
    lines += [f"- **gate:** {line}" for line in summary.failures]
    text = "\n\n".join(["## Pairs", render.markdown(summary.tables), "\n".join(lines)]).rstrip() + "\n"
    with suppress(OSError), path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)
