"""``harness runs``: which runs there are, how far they came, and how to go on with them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from harness.cli.reports import REPORTS


@click.command()
@click.option("--all", "everything", is_flag=True, help="All runs, not the newest 20.")
@REPORTS
@click.option("--format", "output_format", type=click.Choice(["terminal", "json"]), default="terminal")
def runs(*, everything: bool, reports: Path, output_format: str) -> None:
    """List the runs in reports/, newest first: complete, interrupted or running.

    For one that was interrupted the command that goes on with it stands below its line. A complete one with
    infra errors can be resumed as well: these trials are run again. The percentage is that of models on
    tasks: what mocks solve, and steps of courses, would make a mean of nothing.
    """
    from harness.cli.console import say
    from harness.results.run_folder import run_folders
    from harness.terminal import printable_line

    folders = run_folders(reports)
    shown = folders if everything else folders[:20]
    rows = [row_of(folder) for folder in shown]
    if output_format == "json":
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not rows:
        say(f"no run in {reports}: `pytest benchmarks` makes one")
    longest = max((len(row["run"]) for row in rows), default=0)
    for row in rows:
        click.echo(printable_line(in_words(row, longest)))
        if row["go_on"]:
            click.echo(printable_line(f"    {row['go_on']}"))
    if len(folders) > len(shown):
        say(f"and {len(folders) - len(shown)} older: --all lists them")


def row_of(folder: Path) -> dict[str, Any]:
    """Return what there is to say of a run."""
    from harness.errors import UsageError
    from harness.results import run_state
    from harness.results.run_state import State

    row: dict[str, Any] = {"run": folder.name, "go_on": "", "cost": None, "planned": None}
    try:
        state = run_state.read(folder, State) if (folder / run_state.STATE).exists() else None
    except UsageError as error:
        return {**row, "state": "damaged", "problem": str(error)}
    if state is None:
        return {**row, "state": "unknown", **counts(folder)}
    status = run_state.status_of(folder, state)
    figures = state.figures if status == "complete" and state.figures else None
    row |= {"state": status, "planned": state.planned, "pairs": state.pairs, "began": state.began}
    known = figures.model_dump(exclude={"schema_version"}, exclude_none=True) if figures else {}
    row |= known if "models" in known else counts(folder) | known
    if status == "interrupted" or (status == "complete" and row["measured"] < state.planned):
        row["go_on"] = state.command(folder.name)
    return row


def counts(folder: Path) -> dict[str, int]:
    """Count the results of a run, without the checks and libraries of its tables."""
    from harness.results.run_folder import TRIALS

    last: dict[str, tuple[bool, bool, bool]] = {}  # measured, solved, of a model on a task
    with suppress(OSError), (folder / TRIALS).open("rb") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):
                row = json.loads(line)
                measured = row["kind"] == "model"
                of_model = measured and row["backend"] != "mock" and not row.get("course")
                last[row["trial"]] = (measured, row["outcome"] == "solved", of_model)
    return {
        "finished": len(last),
        "measured": sum(measured for measured, _, _ in last.values()),
        "solved": sum(solved for _, solved, _ in last.values()),
        "models": sum(of_model for _, _, of_model in last.values()),
        "solved_by_models": sum(solved and of_model for _, solved, of_model in last.values()),
    }


def in_words(row: dict[str, Any], longest: int) -> str:
    """Return a run's line."""
    from harness.results.columns import counted

    head = f"{row['run']:{longest}}  {row['state']:11}"
    if "problem" in row:
        return f"{head}  {row['problem']}"
    is_whole = row["planned"] in (None, row["finished"])
    of = "" if is_whole else f"{row['finished']} of "
    parts = [of + counted(row["finished"] if is_whole else row["planned"], "trial")]
    if row["models"]:
        percent = f"{100 * row['solved_by_models'] / row['models']:.1f} %"
        is_all = row["models"] == row["measured"]
        parts.append(f"{percent} solved" if is_all else f"models solved {percent} of {row['models']}")
    elif row["measured"]:
        parts.append(f"{row['solved']} solved, no task by a model")
    if infra := row["finished"] - row["measured"]:
        parts.append(counted(infra, "infra error"))
    if row["cost"]:
        parts.append(f"${row['cost']:.2f}")
    pairs = row.get("pairs", [])
    parts.append(", ".join(pairs[:2]) + (f" and {len(pairs) - 2} more" if pairs[2:] else ""))
    return f"{head}  {'; '.join(filter(None, parts))}"
