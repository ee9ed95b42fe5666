"""``harness letta`` and ``harness models``: what they offer, and nothing of how it is done."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.cli.console import say

if TYPE_CHECKING:
    from harness.backends.letta.cleanup import Leftover
    from harness.backends.letta.client import Server

IN_USE_MINUTES = 60
OLDER_THAN = click.option(
    "--older-than",
    "minutes",
    type=click.IntRange(min=0),
    default=IN_USE_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="An agent used since then counts as in use; while there is one, so do tools and blocks.",
)


@click.group()
def letta() -> None:
    """See and remove what the harness has left in a Letta server: LETTA_BASE_URL, or the embedded stack's."""


@letta.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
@OLDER_THAN
def letta_list(as_json: bool, minutes: int) -> None:
    """List agents, memory blocks and tools that the harness has made, and nothing else."""
    server = _server()
    found, now = _found(server, minutes)
    if as_json:
        rows = [
            {
                "kind": each.kind,
                "id": each.thing_id,
                "name": each.name,
                "last_used": each.last_used.isoformat() if each.last_used else None,
                "in_use": each.in_use,
            }
            for each in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for each in found:
        say(_line(each, now))
    say(f"{_counts(found)} at {server.base_url}")


@letta.command("clean")
@click.option("--delete", is_flag=True, help="Really remove them. Default: only tell.")
@OLDER_THAN
def letta_clean(delete: bool, minutes: int) -> None:
    """Remove agents, memory blocks and tools that the harness has made and no run uses; nothing else.

    Tells what it would remove; removes with --delete. Agents go first: their blocks are left without an
    agent, and go with them.
    """
    from harness.backends.letta.cleanup import remove

    server = _server()
    found, now = _found(server, minutes)
    gone: list[Leftover] = []
    if delete:

        def tell(each: Leftover) -> None:
            gone.append(each)
            say(f"removed {_line(each, now)}")

        remove(server, [each for each in found if each.kind == "agent"], tell)
        rest, _ = _found(server, minutes)
        remove(server, [each for each in rest if each.kind != "agent"], tell)
        say(f"{_counts(gone)} removed at {server.base_url}")
    else:
        idle = [each for each in found if not each.in_use]
        for each in idle:
            say(f"would remove {_line(each, now)}")
        more = "; --delete removes them, and the blocks of these agents" if idle else ""
        say(f"{_counts(idle)} to remove at {server.base_url}{more}")
    kept = [each for each in found if each.in_use]
    if kept:
        say(f"{_counts(kept)} left alone: in use, or used in the last {minutes} minutes")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def models(as_json: bool) -> None:
    """List the orchestrator models that Letta offers, and Claude's models if ANTHROPIC_API_KEY is set.

    A handle that is listed can stand as `orchestrator` in a pair, or after --orchestrator.
    """
    from harness.backends.claude import messages_api
    from harness.backends.endpoints import anywhere
    from harness.errors import ApiError
    from harness.redact import unlogged, without_password

    where = anywhere(os.environ)
    shown: dict[str, list[str]] = {}
    problems = []
    with unlogged():
        try:
            server = _server()
            shown[f"orchestrators, of Letta at {server.base_url}"] = server.models()
        except ApiError as error:
            problems.append(error)
        if where.claude_key:
            try:
                offered = messages_api.offered(where.claude_url, where.claude_key)
                shown[f"coders and testers, at {without_password(where.claude_url)}"] = [
                    each.name + (f" (until {each.retires})" if each.retires and not as_json else "")
                    for each in offered
                ]
            except ApiError as error:
                problems.append(error)
    if as_json:
        names = [key.partition(",")[0].replace(" ", "_") for key in shown]
        click.echo(json.dumps(dict(zip(names, shown.values(), strict=True)), indent=2))
    else:
        for head, names in shown.items():
            say(f"{head}:")
            for name in names:
                say(f"    {name}")
    for problem in problems:
        say(f"error: {problem}", err=True)
    sys.exit(1 if problems else 0)


def _server() -> Server:
    from harness.backends.endpoints import anywhere
    from harness.backends.letta.client import Server
    from harness.backends.retries import Transport

    where = anywhere(os.environ)
    return Server(where.letta_url, where.letta_key, Transport(attempts=2), timeout_s=60)


def _found(server: Server, minutes: int) -> tuple[list[Leftover], datetime]:
    from harness.backends.letta.cleanup import find
    from harness.redact import unlogged

    now = datetime.now(UTC)
    with unlogged():
        return find(server, now, timedelta(minutes=minutes)), now


def _line(each: Leftover, now: datetime) -> str:
    age = ""
    if each.last_used is not None:
        minutes = max(0, int((now - each.last_used).total_seconds() // 60))
        age = f"  used {minutes} min ago" if minutes < 120 else f"  used {minutes // 60} h ago"
    return f"{each.kind:<6}{each.thing_id}  {each.name}{age}{'  in use' if each.in_use else ''}"


def _counts(leftovers: list[Leftover]) -> str:
    kinds = [each.kind for each in leftovers]
    numbers = [(kind, kinds.count(kind)) for kind in ("agent", "block", "tool")]
    return ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in numbers)
