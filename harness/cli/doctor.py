"""``harness doctor``: check that all is there that a live run needs, and if not, say what to do.

Not covered: whether an account will last for the whole run, and the login that the Claude CLI keeps for
itself, which nobody but the CLI reads.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import say
from harness.cli.settings import benchmarks_folder

if TYPE_CHECKING:
    from harness.backends.checks.finding import Finding


@click.command()
@click.option("--live", is_flag=True, help="Also make the cheapest real calls: Letta, Claude, OpenAI.")
@click.option("--pair", "names", multiple=True, metavar="NAME", help="What this pair needs; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
def doctor(live: bool, names: tuple[str, ...], as_json: bool) -> None:
    """Check this machine, its keys and, with --live, the services. Each line: ok, warning or error.

    Without --live nothing leaves this machine. With --live each pair that --pair names is tried for a
    fraction of a cent; without --pair, the models of ORCH_MODEL and CLAUDE_MODEL, or their defaults. No key
    is ever shown.

    Exit code: 0 no error, 1 an error was found, 2 a wrong argument.
    """
    from harness.backends.checks.finding import counts, worst
    from harness.redact import redact_json
    from harness.terminal import printable_line

    found = []
    for each in findings(names, live=live):
        found.append(each)
        if not as_json:
            say(*wrapped(f"{each.level:<8}{printable_line(str(each))}"))
    if as_json:
        click.echo(json.dumps(redact_json([asdict(each) for each in found], os.environ), indent=2))
    else:
        hint = "" if live else "; nobody was asked, --live asks"
        click.echo(f"{counts(found)}{hint}")
    sys.exit(1 if worst(found) == "error" else 0)


def wrapped(text: str) -> list[str]:
    """Return the text in lines that a terminal has room for; in a pipe, one line for programs."""
    if not sys.stdout.isatty():
        return [text]
    width = max(40, shutil.get_terminal_size().columns)
    return textwrap.wrap(
        text, width, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
    )


def findings(names: tuple[str, ...], *, live: bool) -> Iterator[Finding]:
    """Yield what is found on this computer, in the environment and, if ``live``, at the services."""
    from harness.backends.checks import services
    from harness.backends.checks.environment import variables
    from harness.backends.checks.finding import Finding
    from harness.backends.endpoints import claude_alone, letta_alone
    from harness.cli.machine import machine
    from harness.errors import ApiError
    from harness.tasks.pair import CLAUDE_MODEL, ORCH_MODEL, Orchestrator, default_models
    from harness.tasks.suite import Selection, Suite

    pairs = Suite(benchmarks_folder(), Path(), Selection(pairs=names), {}).pairs if names else []
    yield from machine(Path.cwd())
    yield from variables(os.environ, pairs)
    if not live:
        return
    if pairs:
        yield from services.of_pairs(pairs, os.environ)
    else:
        named = default_models(os.environ)
        orchestrator, coder = named or (ORCH_MODEL, CLAUDE_MODEL)
        try:
            where = letta_alone(os.environ)
            yield from services.letta(where, [Orchestrator(model=orchestrator)] if named else [])
        except ApiError as error:
            yield Finding("letta", "error", error.message, error.remedy)
        if os.environ.get("ANTHROPIC_API_KEY", "").strip():
            try:
                yield services.claude_model(claude_alone(os.environ), coder)
            except ApiError as error:
                yield Finding("claude", "error", error.message, error.remedy)
    if os.environ.get("OPENAI_API_KEY", "").strip():
        yield services.openai(os.environ)
