"""Find what the harness has left in a Letta server, and remove it.

A trial deletes its agent, but not a trial that was killed; and Letta 0.16.8 keeps an agent's memory blocks
when the agent goes. Ours are: agents and tools with our tag; blocks of no agent whose label and text are
those that the harness writes (a block cannot be tagged where an agent is made). Nothing else is ever touched.
Letta's filter for blocks without agents gives some twice and others not at all, so who holds a block is read
from the agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.agents import prompts
from harness.backends.letta.client import LABEL, Kind, Server

PAGE = 100
BLOCKS = {"role": prompts.ROLE_BLOCK, "workspace": prompts.WORKSPACE_BLOCK}


@dataclass(frozen=True)
class Leftover:
    """An agent, block or tool of ours.

    Attributes:
        kind: Which of them.
        thing_id: Its id in Letta.
        name: An agent's or tool's name, a block's label.
        last_used: When an agent was made or used last; None where Letta does not tell.
        in_use: A run may be using it.
    """

    kind: Kind
    thing_id: str
    name: str
    last_used: datetime | None = None
    in_use: bool = False


def find(server: Server, now: datetime, still_in_use: timedelta) -> list[Leftover]:
    """List all that the harness has made there: agents, then blocks, then tools.

    Args:
        server: The Letta server.
        now: The time.
        still_in_use: An agent that was used less than this ago may belong to a run that is going on; while
            there is one, the tools and blocks are in use, too.

    Raises:
        ApiError: Letta refused, failed or could not be reached.
    """

    def blocks_named(label: str) -> list[Any]:
        return server.ask(lambda client: list(client.blocks.list(label=label, limit=PAGE)))

    # Blocks before agents: whoever makes an agent meanwhile has its blocks counted as held, not as left.
    blocks = [each for label in BLOCKS for each in blocks_named(label)]
    everyone = server.ask(
        lambda client: list(client.agents.list(limit=PAGE, include=["agent.tags", "agent.blocks"]))
    )
    tools = server.ask(lambda client: list(client.tools.list(limit=PAGE)))
    agents = [_agent(each, now, still_in_use) for each in everyone if LABEL in (each.tags or ())]
    busy = any(each.in_use for each in agents)
    held = {block.id for agent in everyone for block in agent.blocks or ()}
    return [
        *sorted(agents, key=lambda each: (each.name, each.thing_id)),
        *(
            Leftover("block", str(each.id), str(each.label), in_use=busy)
            for each in _once(blocks)
            if each.id not in held and each.value == BLOCKS.get(str(each.label))
        ),
        *(
            Leftover("tool", str(each.id), str(each.name), in_use=busy)
            for each in _once(tools)
            if LABEL in (each.tags or ())
        ),
    ]


def remove(server: Server, leftovers: Sequence[Leftover], tell: Callable[[Leftover], None]) -> None:
    """Delete what is not in use. A block is checked once more: somebody may have taken it meanwhile.

    Args:
        server: The Letta server.
        leftovers: From ``find``.
        tell: Called with each when it is gone.

    Raises:
        ApiError: Letta refused, failed or could not be reached.
    """
    for each in leftovers:
        if each.in_use or (each.kind == "block" and server.ask(_holder(each.thing_id)) is not None):
            continue
        server.remove(each.kind, each.thing_id)
        tell(each)


def _holder(block_id: str) -> Callable[[Any], Any]:
    return lambda client: next(iter(client.blocks.agents.list(block_id, limit=1)), None)


def _once(things: Iterable[Any]) -> Iterable[Any]:
    return {each.id: each for each in things}.values()


def _agent(state: Any, now: datetime, still_in_use: timedelta) -> Leftover:
    times = [_aware(at) for at in (state.created_at, state.updated_at, state.last_run_completion) if at]
    last = max(times, default=None)
    in_use = last is not None and now - last < still_in_use
    return Leftover("agent", str(state.id), str(state.name), last, in_use)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
