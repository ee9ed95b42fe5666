"""``harness cluster-run``: the trials on a Dask cluster."""

from __future__ import annotations

import os
import sys

import click

from harness.cli.settings import benchmarks_folder
from harness.errors import UsageError


@click.command(
    "cluster-run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
@click.option("--scheduler", metavar="ADDRESS", help="tcp://HOST:PORT of a Dask scheduler that runs.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes on this machine, in its place [2]."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS]...")
def cluster_run(scheduler: str | None, workers: int | None, arguments: tuple[str, ...]) -> None:
    """Run the trials on the workers of a Dask cluster: `pytest benchmarks --cluster ADDRESS`.

    All else is handed on to pytest, such as `benchmarks/functions --pair gpt+sonnet --record=once`.
    Records, budget, progress, gates and exit codes are those of any run. Workers need the package alone: the
    trials, and what they replay, are sent to them. For keys they look in their own environment.
    """
    from importlib.util import find_spec

    if scheduler and workers:
        raise UsageError("--scheduler and --workers exclude each other")
    if find_spec("distributed") is None:
        raise UsageError(
            "Dask is not installed in this environment", remedy="pip install 'pair-harness[dask]'"
        )
    address = scheduler or f"local:{workers or 2}"
    paths = [each for each in arguments if os.path.exists(each.split("::", 1)[0])]
    pytest = [sys.executable, "-m", "pytest", *([] if paths else [str(benchmarks_folder())]), *arguments]
    # In this process pytest would complain that the harness is imported before its assertions are rewritten.
    os.execv(sys.executable, [*pytest, "--cluster", address])  # noqa: S606
