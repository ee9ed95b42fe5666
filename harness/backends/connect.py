"""Connect a trial to whoever answers: Letta or the fixed policy, and Claude, its command line or a mock."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from harness.agents import prompts
from harness.agents.fixed_policy import Direct
from harness.agents.loop import Agent
from harness.agents.messages import Claude
from harness.backends.budget import Meter
from harness.backends.claude.claude_code import Channel, ClaudeCode
from harness.backends.claude.cli_process import Cli, cli_versions
from harness.backends.claude.messages_api import LOCAL_TIMEOUT_S, MessagesApi
from harness.backends.endpoints import Endpoints
from harness.backends.letta import memory, tool_source
from harness.backends.letta.client import Server, ignore, require_server
from harness.backends.metered import MeteredAgent, MeteredClaude
from harness.backends.mock import Mock, no_wait
from harness.backends.retries import Transport
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial


@dataclass(frozen=True)
class Connection:
    """Who answers in a trial.

    Attributes:
        trial: The trial.
        endpoints: Where they are, or addresses that cannot exist for a replay.
        transport: Sends requests, and counts those repeated.
        files: Gives the workspace as it is.
        environment: What the Claude CLI inherits from.
        meter: Reserves and counts the trial's calls, where they are paid.
        created: Called with the id of each agent that was made in Letta.
    """

    trial: Trial
    endpoints: Endpoints
    transport: Transport
    files: Callable[[], Mapping[str, str]]
    environment: Mapping[str, str] = field(repr=False)
    meter: Meter | None = None
    created: Callable[[str], None] = ignore

    @property
    def letta(self) -> Server:
        """The orchestrator's server."""
        return Server(self.endpoints.letta_url, self.endpoints.letta_key, self.transport)

    def letta_version(self) -> str:
        """Return the version of the Letta server that takes part, asked of it; empty if none does.

        Raises:
            ApiError: It cannot be reached, or is not of the kind that the pair is for.
        """
        if self.trial.pair.is_direct:
            return ""
        version = self.letta.version()
        require_server(self.trial.pair.orchestrator, version, self.letta.base_url)
        return version

    @contextmanager
    def orchestrator(self, secrets: Mapping[str, str] | None, agent_id: str = "") -> Iterator[Agent]:
        """Return the trial's orchestrator: an agent in Letta while the block runs, or the fixed policy.

        One that lives through a course outlives the block, too; ``agent_id`` is that of its earlier steps.
        ``secrets`` are those of server tools.
        """
        pair = self.trial.pair
        if pair.is_direct:
            yield Direct()
            return
        system, role = prompts.ORCHESTRATOR, prompts.ROLE_BLOCK
        if not pair.has_tester:
            system, role = prompts.coder_only["system"], prompts.coder_only["role"]
        blocks = {"role": role, "workspace": prompts.WORKSPACE_BLOCK}
        with self._agent(system, blocks, secrets, agent_id) as agent:
            yield MeteredAgent(agent, pair.orchestrator.model, self.meter) if self.meter else agent

    def _agent(
        self, system: str, blocks: dict[str, str], secrets: Mapping[str, str] | None, agent_id: str
    ) -> AbstractContextManager[Agent]:
        pair, server, name = self.trial.pair, self.letta, self.trial.slug
        if agent_id:
            return nullcontext(server.existing_agent(agent_id, memory.MAX_STEPS))
        if pair.memory != "none":
            lasts = pair.memory == "carried"
            return memory.new_agent(
                server, name, pair.orchestrator, blocks, system, outlives=lasts, created=self.created
            )
        return server.agent(name, pair.orchestrator, system, blocks, secrets, created=self.created)

    def claude(self, channel: Channel) -> Claude:
        """Return the coder and the tester; ``channel`` records or plays what the Claude CLI reports."""
        claude = self._claude(channel)
        return MeteredClaude(claude, self.meter) if self.meter else claude

    def _claude(self, channel: Channel) -> Claude:
        url, key = self.endpoints.claude_url, self.endpoints.claude_key
        match self.trial.pair.backend:
            case "mock":
                return Mock(self.trial.task, time.sleep if self.endpoints.live else no_wait)
            case "claude-code":
                return ClaudeCode(self.files, channel, Cli(url, key, self.environment).run)
            case "local":
                return MessagesApi(url, key, self.transport, timeout_s=LOCAL_TIMEOUT_S)
        return MessagesApi(url, key, self.transport)


def versions(pair: Pair, letta: str) -> dict[str, Any]:
    """Return the versions of all that takes part in a recording; ``letta`` is that of the server, if any."""
    found: dict[str, Any] = {"letta": letta, "letta-client": version("letta-client")} if letta else {}
    found |= {"anthropic": version("anthropic"), "python": platform.python_version()}
    if pair.backend == "claude-code":
        found |= cli_versions()
    if pair.tools == "server":
        found["server-tools"] = tool_source.source_digest()
    return found
