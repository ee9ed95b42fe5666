"""Command-line error handling and printing: one line for each error, no secrets, no terminal codes."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.settings import is_benchmarks_folder
from harness.errors import HarnessError, UsageError
from harness.redact import redact
from harness.terminal import discard, one_line, printable


class OneLineErrors(click.Group):
    """A group of commands: the one place where their errors become messages and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program, its help included; where a disk or a reader refuses, end with 1.

        Whoever reads the output may stop (``| head``): then nothing is said.
        """
        try:
            return super().main(*args, **options)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            say(f"error: {place}{error.strerror or error}", err=True)
            discard(sys.stdout)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print each line of a ``HarnessError`` and exit with its code."""
        if any(name.lower().endswith("_proxy") for name in os.environ):
            from harness.local.stack.ports import spare_proxy

            spare_proxy(os.environ)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal may know ASCII or Latin-1 alone
        try:
            result = super().invoke(ctx)
            if sys.stdout:  # it may be closed: ``>&-``
                sys.stdout.flush()
            return result
        except HarnessError as error:
            lines = printable(str(error)).splitlines()  # whole: a key may be split by lines
            say(*(f"error: {line}" for line in lines), err=True)
            here = Path.cwd()
            if (
                isinstance(error, UsageError)
                and (here / "pairs.yaml").is_file()
                and is_benchmarks_folder(here)
            ):
                say(
                    "note: this is the benchmarks folder itself; the root of the repository is one up",
                    err=True,
                )
            sys.exit(error.exit_code)


def say(*lines: str, err: bool = False) -> None:
    """Print lines, without secrets and without what a terminal would act on."""
    if lines:
        click.echo(redact("\n".join(map(one_line, lines)), os.environ), err=err)
