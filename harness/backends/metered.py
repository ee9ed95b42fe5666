"""Claude and the orchestrator's agent with a meter at their calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.agents.loop import Agent
from harness.agents.messages import Answer, Claude, Turn
from harness.agents.transcript import Returned, Role, Usage
from harness.backends.budget import Meter


@dataclass(frozen=True)
class MeteredClaude:
    """Claude, each call of whom is reserved and counted."""

    claude: Claude
    meter: Meter

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:
        """Send one system prompt and one user message; see ``Claude.ask``."""
        return self.meter.call(
            role,
            model,
            lambda: self.claude.ask(role, model, system, prompt, options),
            lambda answer: (answer.usage, answer.steps),
        )

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request on; see ``Claude.forward``. It waits for nobody: Letta's turn is under way."""
        return self.meter.call(
            role, str(body["model"]), lambda: self.claude.forward(role, body), _used, patient=False
        )


def _used(body: bytes) -> tuple[Usage, int]:
    """Return the tokens of an answer of the Messages API; none of one that says none: others judge it."""
    try:
        return Usage.from_messages(json.loads(body)["usage"]), 1
    except (ValueError, KeyError, TypeError, RecursionError):
        return Usage(), 1


@dataclass(frozen=True)
class MeteredAgent:
    """An orchestrator, each turn of which is reserved and counted."""

    agent: Agent
    model: str
    meter: Meter

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        """Send a user message."""
        return self.meter.call("orchestrator", self.model, lambda: self.agent.say(text, tools), _turn)

    def work(self, text: str, max_steps: int) -> Turn:
        """Send a user message, for a turn with server tools; see ``loop.Agent``."""
        return self.meter.call("orchestrator", self.model, lambda: self.agent.work(text, max_steps), _turn)

    def answer(self, returns: Sequence[Returned], tools: Sequence[dict[str, Any]]) -> Turn:
        """Send the returns of the tool calls that the agent waits for."""
        return self.meter.call("orchestrator", self.model, lambda: self.agent.answer(returns, tools), _turn)

    def blocks(self) -> dict[str, str]:
        """Return its memory, label -> text."""
        return self.agent.blocks()

    @property
    def id(self) -> str:
        """Its id in Letta."""
        return self.agent.id


def _turn(turn: Turn) -> tuple[Usage, int]:
    return turn.usage, max(1, turn.steps)
