"""Find what the harness has left in a Letta server, and remove it.

A trial that was killed leaves its agent, and Letta 0.16.8 keeps an agent's memory blocks when the agent goes.
Ours are: agents and tools with our tag; blocks of no agent whose label and text are those that the harness
writes (a block cannot be tagged where an agent is made). Nothing else is ever touched. Letta's filter for
blocks without agents gives some twice and others not at all, so who holds a block is read from the agents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from harness.agents import prompts
from harness.backends.letta.client import LABEL, Kind, Server
from harness.tasks.pair import NOT_IN_NAMES

if TYPE_CHECKING:
    from letta_client import Letta  # noqa: TID251  (a type alone)

PAGE = 100
BLOCKS = {"role": prompts.ROLE_BLOCK, "workspace": prompts.WORKSPACE_BLOCK}


@dataclass(frozen=True)
class Leftover:
    """An agent, block or tool of ours.

    Attributes:
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

    An agent that was used less than ``still_in_use`` ago may belong to a run that is going on; while there is
    one, the tools and blocks are in use, too. Errors are those of ``Server``.
    """
    return server.ask(lambda client: _found(client, now, still_in_use))


def _found(client: Letta, now: datetime, still_in_use: timedelta) -> list[Leftover]:
    # Blocks before agents: whoever makes an agent meanwhile has its blocks counted as held, not as left.
    blocks = [each for label in BLOCKS for each in client.blocks.list(label=label, limit=PAGE)]
    everyone = list(client.agents.list(limit=PAGE, include=["agent.tags", "agent.blocks"]))
    tools = list(client.tools.list(limit=PAGE))
    agents = [_agent(each, now, still_in_use) for each in everyone if LABEL in (each.tags or ())]
    busy = any(each.in_use for each in agents)
    held = {block.id for agent in everyone for block in agent.blocks or ()}
    others = [
        *(
            Leftover("block", str(each.id), str(each.label), in_use=busy)
            for each in blocks
            if each.id not in held and each.value == BLOCKS.get(str(each.label))
        ),
        *(Leftover("tool", str(e.id), str(e.name), in_use=busy) for e in tools if LABEL in (e.tags or ())),
    ]
    # Letta lists some twice.
    return [*sorted(agents, key=lambda each: (each.name, each.thing_id)), *dict.fromkeys(others)]


def made_between(server: Server, trial: str, began: datetime, ended: datetime) -> list[str]:
    """Return the agents that a trial made in this time; errors are those of ``Server``.

    A process that was killed while it waited for a new agent never knew its id.
    """
    name = NOT_IN_NAMES.sub("_", trial)
    return server.ask(
        lambda client: [
            str(each.id)
            for each in client.agents.list(name=name, tags=[LABEL], limit=PAGE)
            if each.name == name
            and (made := _agent(each, ended, timedelta()).last_used)
            and began <= made <= ended
        ]
    )


def remove(server: Server, leftovers: Sequence[Leftover], tell: Callable[[Leftover], None]) -> None:
    """Delete what is not in use, and tell of each when it is gone; errors are those of ``Server``.

    A block is checked once more: somebody may have taken it meanwhile.
    """

    def held(block_id: str) -> bool:
        return server.ask(lambda client: any(client.blocks.agents.list(block_id, limit=1)))

    for each in leftovers:
        if not each.in_use and not (each.kind == "block" and held(each.thing_id)):
            server.remove(each.kind, each.thing_id)
            tell(each)


def _agent(state: Any, now: datetime, still_in_use: timedelta) -> Leftover:
    times = (state.created_at, state.updated_at, state.last_run_completion)
    last = max((at if at.tzinfo else at.replace(tzinfo=UTC) for at in times if at), default=None)
    in_use = last is not None and now - last < still_in_use
    return Leftover("agent", str(state.id), str(state.name), last, in_use)
