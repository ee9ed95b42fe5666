"""How a run ends: its tables, what changed since a baseline, which gates it missed, and who is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from harness.agents.transcript import ROLES, Usage
from harness.errors import UsageError
from harness.results import aggregate, compare, gates, render, report
from harness.results.columns import KINDS
from harness.results.dataframe import frame, read
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.run_folder import RunFolder
from harness.results.tables import Tables, tables_of

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
BUG = "the report could not be made, which is a bug in the harness"


@dataclass(frozen=True)
class RunSummary:
    """What there is to say at the end.

    Attributes:
        changes: A line for each pair that the baseline has, too.
        failures: A line for each gate that was missed.
        problem: Why the report could not be written, or empty.
    """

    tables: Tables
    changes: tuple[str, ...]
    failures: tuple[str, ...]
    problem: str = ""

    @classmethod
    def of(cls, run: RunFolder, prices: Prices, wanted: Gates, *, write: bool) -> RunSummary:
        """The end of a run whose records are all there; its report is written, if asked for."""
        trials = aggregate.add_costs(frame(run.rows), prices)
        tables = tables_of(trials)
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
        problem = _written(run.path, trials, tables) if write else ""
        if problem.startswith(BUG):
            failures.append(problem)
        ending = cls(tables, tuple(changes), tuple(failures), problem)
        _summarise(ending, os.environ)
        return ending


def _written(folder: Path, trials: Any, tables: Tables) -> str:
    try:
        report.write_report(folder, trials, tables)
    except OSError as error:
        return f"not written to {error.filename or folder}: {error.strerror}"
    except Exception as error:  # noqa: BLE001  (the tables are there, and must not be lost for it)
        return f"{BUG}: {type(error).__name__}: {error}"
    return ""


def _summarise(ending: RunSummary, environment: Mapping[str, str]) -> None:
    """Append the tables to the job summary of GitHub Actions, where there is one."""
    path = environment.get(SUMMARY_VARIABLE, "")
    if not path:
        return
    lines = [*(f"- {line}" for line in ending.changes), *(f"- **gate:** {line}" for line in ending.failures)]
    text = "\n\n".join(["## Pairs", render.markdown(ending.tables), "\n".join(lines)]).rstrip() + "\n"
    with suppress(OSError), Path(path).open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)


def properties(row: Mapping[str, Any], prices: Prices) -> Iterator[tuple[str, object]]:
    """A trial's figures for a JUnit file: outcome, attempts, tokens by role, and cost where it is known."""
    yield "outcome", row["outcome"]
    if row["kind"] != "model":
        return
    yield "attempts", row["attempts"]
    dollars: float | None = 0.0
    for role in ROLES:
        usage = Usage(*(row[f"{role}_{kind}"] for kind in KINDS))
        yield f"{role}_tokens_in", usage.input + usage.cache_write + usage.cache_read
        yield f"{role}_tokens_out", usage.output
        part = (
            prices.cost(row[role], usage, date.fromisoformat(row["recorded_at"][:10]))
            if usage != Usage()
            else 0.0
        )
        dollars = None if dollars is None or part is None else dollars + part
    yield "cost_usd", "unknown" if dollars is None else f"{dollars:.6f}"
