"""Values and protocols that the conversation and its backends exchange: turns, tool calls, answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from harness.agents.prompts import CODER_TOOL, TESTER_TOOL
from harness.agents.transcript import Role, Usage


@dataclass(frozen=True)
class Answer:
    """What Claude said. ``cut_off``: it ran into ``max_tokens``."""

    text: str
    model: str
    usage: Usage
    cut_off: bool


class Refused(Exception):
    """Claude's API refused a request because of what is in it: the models' doing, not a fault."""


class Claude(Protocol):
    """What the coder and the tester need of a backend."""

    def ask(self, role: Role, model: str, system: str, prompt: str, max_tokens: int) -> Answer:
        """Ask once.

        Raises:
            Refused: The request itself was unacceptable, such as a prompt that is too long.
            ApiError: The service could not be used.
        """


@dataclass(frozen=True)
class ServerTools:
    """Registered tools that an agent gets.

    Attributes:
        names: Of the tools.
        secrets: Environment variables of the child in which Letta runs them for this agent.
    """

    names: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)


MAX_TOLD = 1000  # characters that Letta keeps of an error


@dataclass(frozen=True)
class ToolCall:
    """A call that waits for its return. ``arguments`` is the JSON text that the model wrote."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ToolReturn:
    """The answer to a tool call."""

    call_id: str
    ok: bool
    text: str


@dataclass(frozen=True)
class ExecutedCall:
    """A call that Letta carried out itself. ``before``: how many texts of the turn came before it."""

    call: ToolCall
    returned: ToolReturn
    before: int


@dataclass(frozen=True)
class Turn:
    """What the agent did until it paused for tools or ended.

    Attributes:
        texts: ``(thinking, text)`` in order.
        calls: Tool calls to answer; empty when the turn has ended.
        stop: Letta's stop reason, such as ``end_turn``, ``max_steps`` or ``invalid_llm_response``.
        usage: Tokens of the model calls since the last answer; ``steps`` is their number.
        ran: Server tools that were called in the turn, in order.
    """

    texts: tuple[tuple[bool, str], ...]
    calls: tuple[ToolCall, ...]
    stop: str
    usage: Usage
    steps: int
    ran: tuple[ExecutedCall, ...] = ()


def as_letta_says(tool: str, message: str) -> str:
    """What an agent hears of a server tool that raised ``ToolError``."""
    return f"Error executing function {tool}: ToolError: {' '.join(message.split())}"[:MAX_TOLD]


TOOLS = (CODER_TOOL, TESTER_TOOL)


SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HARNESS_BRIEF", "HARNESS_WORKSPACE")


class ServerSide(Protocol):
    """What a trial needs of it."""

    @property
    def tools(self) -> ServerTools:
        """What the agent gets."""

    def answered(self) -> AbstractContextManager[None]:
        """Inside, Claude answers as it answered Letta's tools since the last time."""

    def check(self, files: Mapping[str, str]) -> None:
        """Compare the files of the calls carried out again with those that Letta's tools wrote.

        Raises:
            ApiError: They differ, or Claude was asked more than the calls account for.
        """


class Replayed:
    """Where everything is recorded."""

    tools = ServerTools(TOOLS, dict.fromkeys(SECRETS, "replayed"))

    def answered(self) -> AbstractContextManager[None]:
        """Nothing to do: the trial's player answers."""
        return nullcontext()

    def check(self, files: Mapping[str, str]) -> None:
        """Nothing to do: it was checked before the recording was kept."""
