"""``harness letta`` and ``harness models``: look after a Letta server, and list the models on offer."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.cli.console import say
from harness.results.columns import counted

if TYPE_CHECKING:
    from harness.backends.letta.cleanup import Leftover
    from harness.backends.letta.client import Server

OLDER_THAN = click.option(
    "--older-than",
    "minutes",
    type=click.IntRange(min=0),
    default=60,
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
    server = connect()
    found, now = find_leftovers(server, minutes)
    if as_json:
        rows = []
        for each in found:
            last_used = each.last_used.isoformat() if each.last_used else None
            named = {"kind": each.kind, "id": each.thing_id, "name": each.name}
            rows.append({**named, "last_used": last_used, "in_use": each.in_use})
        click.echo(json.dumps(rows, indent=2))
        return
    say(*(describe(each, now) for each in found), f"{counts(found)} at {server.base_url}")


@letta.command("clean")
@click.option("--delete", is_flag=True, help="Really remove them. Default: only tell.")
@OLDER_THAN
def letta_clean(delete: bool, minutes: int) -> None:
    """Remove agents, memory blocks and tools that the harness has made and no run uses; nothing else.

    Tells what it would remove; removes with --delete. Agents go first: their blocks are left without an
    agent, and go with them.
    """
    from harness.backends.letta.cleanup import remove

    server = connect()
    found, now = find_leftovers(server, minutes)
    idle = [each for each in found if not each.in_use]
    if delete:
        removed: list[Leftover] = []

        def note(each: Leftover) -> None:
            removed.append(each)
            say(f"removed {describe(each, now)}")

        remove(server, [each for each in found if each.kind == "agent"], note)
        rest, _ = find_leftovers(server, minutes)
        remove(server, [each for each in rest if each.kind != "agent"], note)
        say(f"{counts(removed)} removed at {server.base_url}")
    else:
        say(*(f"would remove {describe(each, now)}" for each in idle))
        more = "; --delete removes them, and the blocks of these agents" if idle else ""
        say(f"{counts(idle)} to remove at {server.base_url}{more}")
    if kept := [each for each in found if each.in_use]:
        say(f"{counts(kept)} left alone: in use, or used in the last {minutes} minutes")


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
    offers: dict[str, list[str]] = {}
    problems = []
    with unlogged():
        try:
            server = connect()
            offers[f"orchestrators, of Letta at {server.base_url}"] = server.models()
        except ApiError as error:
            problems.append(error)
        if where.claude_key:
            try:
                offers[f"coders and testers, at {without_password(where.claude_url)}"] = [
                    name + (f" (until {ends})" if ends and not as_json else "")
                    for name, ends in messages_api.offered(where.claude_url, where.claude_key).items()
                ]
            except ApiError as error:
                problems.append(error)
    if as_json:
        by_role = {head.partition(",")[0].replace(" ", "_"): names for head, names in offers.items()}
        click.echo(json.dumps(by_role, indent=2))
    else:
        for head, names in offers.items():
            say(f"{head}:", *(f"    {name}" for name in names))
    say(*(f"error: {problem}" for problem in problems), err=True)
    sys.exit(1 if problems else 0)


def connect() -> Server:
    """Return the Letta server that the environment names, or the embedded stack's."""
    from harness.backends.endpoints import anywhere
    from harness.backends.letta.client import Server
    from harness.backends.retries import Transport

    where = anywhere(os.environ)
    return Server(where.letta_url, where.letta_key, Transport(attempts=2), timeout_s=60)


def find_leftovers(server: Server, minutes: int) -> tuple[list[Leftover], datetime]:
    """Return what the harness has left there, and when that was seen."""
    from harness.backends.letta.cleanup import find
    from harness.redact import unlogged

    now = datetime.now(UTC)
    with unlogged():
        return find(server, now, timedelta(minutes=minutes)), now


def describe(each: Leftover, now: datetime) -> str:
    """Return a line on one thing: kind, id, name, age, use."""
    age = ""
    if each.last_used is not None:
        minutes = max(0, int((now - each.last_used).total_seconds() // 60))
        age = f"  used {minutes} min ago" if minutes < 120 else f"  used {minutes // 60} h ago"
    return f"{each.kind:<6}{each.thing_id}  {each.name}{age}{'  in use' if each.in_use else ''}"


def counts(leftovers: list[Leftover]) -> str:
    """Return how many there are of each kind, in words."""
    kinds = [each.kind for each in leftovers]
    return ", ".join(counted(kinds.count(kind), kind) for kind in ("agent", "block", "tool"))
