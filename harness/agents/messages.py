"""The values that the conversation and its backends exchange, and what a Claude backend has to offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.agents.transcript import Role, Usage


@dataclass(frozen=True)
class Answer:
    """An answer of Claude's. ``cut_off``: it ran into ``max_tokens``; ``steps``: requests that it took."""

    text: str
    model: str
    usage: Usage
    cut_off: bool
    steps: int = 1


class Refused(Exception):
    """Claude's API refused a request because of what is in it: the models' doing, not a fault."""


class Claude(Protocol):
    """A backend for the coder and the tester.

    Its methods raise ``Refused`` for a request that is unacceptable, such as a prompt that is too long,
    and ``ApiError`` if the service cannot be used.
    """

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:
        """Send one system prompt and one user message.

        ``options`` are the further fields of a request of the Messages API: ``max_tokens`` and more.
        """

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request of the Messages API on, for tools in Letta's sandbox; return the answer's body."""


@dataclass(frozen=True)
class ToolCall:
    """A call that waits for its return. ``arguments`` is the JSON text that the model wrote."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ExecutedCall:
    """A call that Letta executed itself, and what it returned; ``before``: the number of texts before it."""

    call: ToolCall
    ok: bool
    text: str
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
