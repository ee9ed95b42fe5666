"""The ``harness`` command, assembled from one module for each subject.

Those import click alone at their top, and the rest when they run: ``harness --help`` starts fast. The
trials themselves are run by pytest (``harness/plugin/``).
"""

from __future__ import annotations

import re

import click

from harness import __version__
from harness.cli.cassettes import cassettes
from harness.cli.cluster import cluster_run
from harness.cli.console import OneLineErrors
from harness.cli.doctor import doctor
from harness.cli.export import export
from harness.cli.init import init
from harness.cli.letta import letta, models
from harness.cli.local import down, status, up
from harness.cli.merge import merge
from harness.cli.reports import compare, report, show
from harness.cli.run.command import run
from harness.cli.runs import runs
from harness.cli.task_files import new, schema, validate
from harness.cli.view import view

GROUPS = {
    "Tasks, pairs and recordings": [init, new, validate, schema, cassettes],
    "Live runs": [doctor, models, up, status, down, run, cluster_run, letta],
    "Results": [runs, report, compare, show, view, merge, export],
}


class GroupedCommands(OneLineErrors):
    """The top of the command line: its commands in groups, each with a whole sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write a section for each group."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(str(each.name), first_sentence(each)) for each in commands])


def first_sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    paragraph = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.?]) (?=[A-Z`])", paragraph)[0]


@click.group(
    cls=GroupedCommands,
    commands=[each for commands in GROUPS.values() for each in commands],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Evaluate coding agents made of two models. The trials themselves run with `pytest benchmarks`."""
