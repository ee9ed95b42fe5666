"""The ``harness`` command, assembled from one module for each subject.

Those import click alone at their top, and the rest when they run: ``harness --help`` starts fast. The
trials themselves are run by pytest (``harness/plugin/``).
"""

from __future__ import annotations

import click

from harness import __version__
from harness.cli.cassettes import cassettes
from harness.cli.console import OneLineErrors
from harness.cli.doctor import doctor
from harness.cli.init import init
from harness.cli.letta import letta, models
from harness.cli.local import down, status, up
from harness.cli.reports import compare, report, show, view
from harness.cli.run.command import run
from harness.cli.task_files import new, schema, validate

FILES = [init, new, schema, validate, cassettes]
LIVE = [doctor, down, letta, models, run, status, up]
RUNS = [compare, report, show, view]


@click.group(
    cls=OneLineErrors,
    commands=[*FILES, *LIVE, *RUNS],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Evaluate coding agents made of two models. The trials themselves run with `pytest benchmarks`."""
