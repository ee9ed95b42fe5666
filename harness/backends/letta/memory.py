"""Agents with Letta's memory tools.

Letta 0.16.8 executes these tools in its own process, without its tool sandbox, and keeps an agent's blocks
when the agent is deleted: here they go with it. ``role`` and ``workspace`` are read-only to the agent;
``notes`` is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from harness.agents import prompts
from harness.agents.loop import MEMORY_TOOLS
from harness.agents.memory import NOTES
from harness.backends.letta.client import Agent, Server, deleted_at_the_end
from harness.tasks.pair import Orchestrator

NOTES_CHARS = 20_000
MAX_STEPS = 12  # model calls of one turn: a weak model may go on and on with its memory


@contextmanager
def new_agent(  # noqa: PLR0913  (as Server.agent)
    server: Server,
    name: str,
    of: Orchestrator,
    texts: Mapping[str, str],
    system: str,
    *,
    outlives: bool,
    created: Callable[[str], None],
) -> Iterator[Agent]:
    """Create an agent with memory that exists as long as the block runs; ``outlives``: unless that succeeds.

    ``created`` is called with the id of one that does not outlive the block. ``texts`` are the blocks that it
    cannot change, label -> text.
    """
    agent = create(server, name, of, texts, system)
    with deleted_at_the_end(partial(delete, server, agent.id), outlives=outlives):
        if not outlives:
            created(agent.id)
        yield agent


def create(server: Server, name: str, of: Orchestrator, texts: Mapping[str, str], system: str) -> Agent:
    """Create an agent with memory; see ``new_agent``.

    Without Letta's rules of its base tools, as it makes agents of this type itself. With them it depends on
    the model's name whether they exist, and their text stands in the prompt only once that is written anew:
    ``carried`` would be told about its memory tools what ``fresh`` is not.
    """
    fixed = [{"label": label, "value": value, "read_only": True} for label, value in texts.items()]
    notes = {"label": NOTES, "value": "", "limit": NOTES_CHARS, "description": prompts.memory["notes"]}
    agent_id = server.create_agent(
        name,
        of,
        system=system + prompts.memory["system"],
        memory_blocks=[*fixed, notes],
        tools=list(MEMORY_TOOLS),
        include_base_tool_rules=False,
    )
    return server.existing_agent(agent_id, MAX_STEPS)


def delete(server: Server, agent_id: str) -> None:
    """Delete an agent and its blocks, as far as they are there."""
    blocks = server.ask(lambda client: [str(each.id) for each in client.agents.blocks.list(agent_id)])
    server.remove("agent", agent_id)
    for block_id in blocks:
        server.remove("block", block_id)


def go_back(server: Server, agent_id: str, notes: str, *, cut: bool) -> None:
    """Bring an agent back to the end of a step: to what it had noted, and without its messages if ``cut``."""
    server.stop(agent_id)
    if cut:
        server.ask(lambda client: client.agents.messages.reset(agent_id))
    if server.existing_agent(agent_id, MAX_STEPS).blocks().get(NOTES) != notes:
        server.ask(lambda client: client.agents.blocks.update(NOTES, agent_id=agent_id, value=notes))
