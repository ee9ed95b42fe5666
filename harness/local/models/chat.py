"""The values that the HTTP APIs and the models of the local model server exchange.

Requests of both APIs (OpenAI, Anthropic) are parsed into these, and both models answer in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]
ToolChoice = Literal["auto", "required", "none"]


@dataclass(frozen=True)
class ToolCall:
    """A tool call of a model. ``id`` is empty until an API assigns one."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One message of a conversation. ``tool_call_id`` is set only where ``role`` is ``tool``."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool on offer; ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """The schemas of the parameters, by name."""
        return self.parameters.get("properties") or {}

    @property
    def required(self) -> list[str]:
        """The names of the parameters that every call must have.

        Letta calls optional ones required and nullable; its own tools then refuse null. They may be left out.
        """
        named = [name for name in self.parameters.get("required", []) if name in self.properties]
        return [name for name in named if "null" not in types_of(self.properties[name])]


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a value may have, as JSON Schema names them."""
    if options := schema.get("anyOf"):
        return [each for option in options for each in types_of(option)]
    given = schema.get("type", [])
    return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True)
class Sampling:
    """How to decode. Temperature 0 is greedy and the default.

    Without a ``seed`` the answer is a sample like no other; with one it depends on the request alone.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """The text that a model generated, why it ended, and its usage in tokens as the model counts them.

    ``prompt_tokens`` include the cached ones, which were not evaluated again.
    """

    text: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length", "stop_sequence"]
    stop_sequence: str | None = None


# Where an answer needs no language model its usage is truly zero.
NO_MODEL = Completion("", 0, 0, 0, "stop")


class RequestError(Exception):
    """A request that cannot be answered. Each API puts it into its own error format."""

    status = 400


class UnknownModel(RequestError):
    """The requested model is not served here; the text is its name."""

    status = 404


class PromptTooLong(RequestError):
    """The prompt leaves no room in the model's context."""

    def __init__(self, tokens: int, maximum: int) -> None:
        super().__init__(f"prompt is too long: {tokens} tokens > {maximum} maximum")


class EngineFailure(RequestError):
    """The engine cannot load a model, or does not answer: no fault of the request."""

    status = 503


class TextModel(Protocol):
    """A language model. Safe to call from several threads."""

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Continue the conversation; with ``schema`` the text is JSON that fits it.

        Raise PromptTooLong or EngineFailure if it cannot.
        """
        ...
