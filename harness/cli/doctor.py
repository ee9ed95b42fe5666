"""``harness doctor``: what it offers, and nothing of how it is done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import one_line_errors, say

if TYPE_CHECKING:
    from harness.backends.checks.finding import Finding
    from harness.tasks.trial import Pair

BENCHMARKS = Path("benchmarks")


@click.command()
@click.option("--live", is_flag=True, help="Also make the cheapest real calls: Letta, Claude, OpenAI.")
@click.option("--pair", "names", multiple=True, metavar="NAME", help="What this pair needs; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
@one_line_errors
def doctor(live: bool, names: tuple[str, ...], as_json: bool) -> None:
    """Check this machine, its keys and, with --live, the services. Each line: ok, warning or error.

    Without --live nothing leaves this machine. With --live each pair that --pair names is tried for a
    fraction of a cent; without --pair, the models of ORCH_MODEL and CLAUDE_MODEL, or their defaults. No key
    is ever shown.

    Exit code: 0 no error, 1 an error was found, 2 a wrong argument.
    """
    from harness.backends.checks.finding import counts, worst
    from harness.redact import redact_json

    found = []
    for each in _findings(names, live=live):
        found.append(each)
        if not as_json:
            say(f"{each.level:<8}{each}")
    if as_json:
        click.echo(json.dumps(redact_json([asdict(each) for each in found], os.environ), indent=2))
    else:
        hint = "" if live else "; nobody was asked, --live asks"
        click.echo(f"{counts(found)}{hint}")
    sys.exit(1 if worst(found) == "error" else 0)


def _findings(names: tuple[str, ...], *, live: bool) -> Iterator[Finding]:
    from harness.backends.checks.environment import variables
    from harness.cli.machine import machine

    pairs = _pairs(names)
    yield from machine(Path.cwd())
    yield from variables(os.environ, pairs)
    if live:
        yield from _live(pairs)


def _live(pairs: list[Pair]) -> Iterator[Finding]:
    from harness.backends.checks import services
    from harness.backends.checks.finding import Finding
    from harness.backends.endpoints import anywhere
    from harness.errors import ApiError
    from harness.tasks.trial import CLAUDE_MODEL, ORCH_MODEL, default_models

    if pairs:
        yield from services.of_pairs(pairs, os.environ)
    else:
        try:
            where = anywhere(os.environ)
        except ApiError as error:
            yield Finding("letta", "error", error.message, error.remedy)
            return
        handle, model = default_models(os.environ) or (ORCH_MODEL, CLAUDE_MODEL)
        yield from services.letta(where, [handle] if default_models(os.environ) else [])
        if os.environ.get("ANTHROPIC_API_KEY", "").strip():
            yield services.claude_model(where, model, "ANTHROPIC_API_KEY")
    if os.environ.get("OPENAI_API_KEY", "").strip():
        yield services.openai(os.environ)


def _pairs(names: tuple[str, ...]) -> list[Pair]:
    """The pairs of these names.

    Raises:
        UsageError: There is no such pair.
        SpecError: The pairs file is wrong.
    """
    from harness.tasks.suite import Selection, Suite

    return Suite(BENCHMARKS, Path(), Selection(pairs=names), {}).pairs if names else []
