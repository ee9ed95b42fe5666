"""``harness merge``: the runs of several machines as one."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from harness.cli.console import say
from harness.cli.reports import BENCHMARKS, REPORTS
from harness.errors import UsageError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--fail-under", type=float, metavar="PCT", help="Fail if a pair solves less than PCT %.")
@click.option("--baseline", default="", metavar="RUN", help="Fail if a pair is shown to be worse than there.")
@REPORTS
@BENCHMARKS
def merge(
    runs: tuple[str, ...], fail_under: float | None, baseline: str, reports: Path, benchmarks: Path
) -> None:
    """Put runs together as one new run, such as the parts of `pytest benchmarks --shard K/N`.

    RUN is a folder in reports/, or a path. A trial that several runs have counts once: measured rather than
    ended by an error. Runs of different tasks, pairs or results are refused. Infra errors and missed gates
    end the command with 1, as they end a run.
    """
    from datetime import UTC, datetime

    from harness.results import gates, report
    from harness.results.columns import counted
    from harness.results.dataframe import read
    from harness.results.finish import figures_of, finish, not_written
    from harness.results.merge import broken_in, merge_plans
    from harness.results.merge import merge as merge_runs
    from harness.results.run_folder import TRIALS, find_run, point_latest_at, run_name
    from harness.results.run_summary import workflow_commands
    from harness.results.terminal_tables import print_tables, stdout_console
    from harness.terminal import printable_line

    paths = [find_run(run, reports) for run in runs]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is named twice", remedy="name each once (`latest` is one of the others)")
    wanted = gates.Gates.of(fail_under, baseline, reports)
    prices = report.load_prices(benchmarks)
    folder = reports / run_name(datetime.now(UTC))
    try:
        given = merge_runs(paths, folder)
        point_latest_at(folder)
    except OSError as error:
        raise UsageError(not_written(error, folder)) from None
    with suppress(OSError):  # first, as the page says what is missing
        merge_plans(paths, folder, None)
    summary = finish(folder, read(folder / TRIALS), prices, wanted, broken_in(paths), write=True)
    with suppress(OSError):  # what was merged is there
        merge_plans(paths, folder, figures_of(summary))
    print_tables(summary.tables, stdout_console())
    for path in paths:
        say(f"{counted(given[path], 'trial')} of {path.parent}")
    failures = [f"GATE: {line}" for line in summary.failures]
    failures += [f"its trials are missing: {line}" for line in summary.broken]
    if infra := sum(row["infra_errors"] for row in [*summary.tables.pairs, *summary.tables.courses]):
        failures.append(f"{counted(infra, 'infra error')}: `harness report --failed` lists them")
    say(*(printable_line(line) for line in [*summary.changes, *failures]))
    say(*(printable_line(line) for line in workflow_commands(summary)))
    say(f"report: {summary.problem or folder / report.PAGE}")
    if failures:
        sys.exit(1)
