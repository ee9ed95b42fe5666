"""The values that the conversation and its backends exchange, and what a Claude backend has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.agents.transcript import Role, Usage


@dataclass(frozen=True)
class Answer:
    """An answer of Claude's. ``cut_off``: it ran into ``max_tokens``."""

    text: str
    model: str
    usage: Usage
    cut_off: bool


class Refused(Exception):
    """Claude's API refused a request because of what is in it: the models' doing, not a fault."""


class Claude(Protocol):
    """A backend for the coder and the tester."""

    def ask(self, role: Role, model: str, system: str, prompt: str, max_tokens: int) -> Answer:
        """Send one system prompt and one user message.

        Raises:
            Refused: The request itself was unacceptable, such as a prompt that is too long.
            ApiError: The service could not be used.
        """


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
    """A call that Letta executed itself. ``before``: the number of the turn's texts that came before it."""

    call: ToolCall
    returned: ToolReturn
    before: int


@dataclass(frozen=True)
class Turn:
    """An agent's turn, up to its end or to the next tool calls that the harness executes.

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
