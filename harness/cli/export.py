"""``harness export``: a finished run for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import say
from harness.cli.reports import BENCHMARKS, REPORTS


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["csv", "parquet", "inspect", "otel"]),
    required=True,
    help="csv, parquet: a row for each trial. inspect: logs for `inspect view`. otel: OpenTelemetry spans.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File or, for inspect, folder. Default: in the run's folder.",
)
@REPORTS
@BENCHMARKS
def export(run: str, *, output_format: str, output: Path | None, **folders: Path) -> None:
    """Write RUN for other programs: as a table, as Inspect's logs, or as OpenTelemetry spans.

    RUN is a folder in reports/, or a path. Nothing leaves this machine.
    """
    from harness.errors import UsageError
    from harness.results import aggregate
    from harness.results.dataframe import read
    from harness.results.export import inspect_log, otel, tabular
    from harness.results.report import load_prices
    from harness.results.run_folder import find_run, load_conversation

    path = find_run(run, folders["reports"])
    benchmarks = folders["benchmarks"]
    prices = load_prices(benchmarks)
    trials = aggregate.add_costs(read(path), prices)
    names = {"csv": "trials.csv", "parquet": "trials.parquet", "inspect": "inspect", "otel": "otel.json"}
    target = output or path.parent / names[output_format]
    try:
        if output_format == "csv":
            tabular.write_csv(trials, target)
        elif output_format == "parquet":
            tabular.write_parquet(trials, target)
        else:
            whole = [load_conversation(path.parent, row) for row in aggregate.rows_of(trials)]
            if output_format == "otel":
                otel.write_spans(target, path.parent.resolve().name, whole)
            else:
                inspect_log.write_logs(target, path.parent.resolve(), whole)
    except OSError as error:
        raise UsageError(
            f"{error.filename2 or error.filename or target}: cannot be written: {error.strerror}"
        ) from None
    say(f"wrote {target}")
