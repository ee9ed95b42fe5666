"""Parse an answer of Letta into a turn. Sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.agents.messages import ExecutedCall, ToolCall, Turn
from harness.agents.transcript import Usage, count
from harness.text import well_formed

if TYPE_CHECKING:
    from letta_client.types.agents import LettaResponse  # noqa: TID251  (a type alone)


def turn_of(response: LettaResponse) -> Turn:
    """Parse an answer of Letta.

    Raises:
        AttributeError, TypeError: It is no answer of Letta.
    """
    texts: list[tuple[bool, str]] = []
    calls: list[ToolCall] = []
    executed: dict[str, tuple[ToolCall, int]] = {}
    returns: dict[str, tuple[bool, str]] = {}
    if not isinstance(response.messages, list):
        raise TypeError("its messages are no list")
    for message in response.messages:
        match message.message_type:
            case "reasoning_message":
                texts.append((True, _optional(message.reasoning)))
            case "assistant_message":
                texts.append((False, _text(message.content)))
            case "approval_request_message":
                calls = _calls(message)
            case "tool_call_message":
                executed |= {call.call_id: (call, len(texts)) for call in _calls(message)}
            case "tool_return_message":
                returns |= _returns(message)
    stop = str(response.stop_reason.stop_reason)
    return Turn(
        texts=tuple((thinking, well_formed(text)) for thinking, text in texts if text),
        calls=tuple(calls) if stop == "requires_approval" else (),
        stop=stop,
        usage=Usage.from_letta(vars(response.usage)),
        steps=count(response.usage.step_count),
        ran=tuple(
            ExecutedCall(call, *returns[call_id], before)
            for call_id, (call, before) in executed.items()
            if call_id in returns
        ),
    )


def _calls(message: Any) -> list[ToolCall]:
    # Letta 0.16.8 sends parallel calls in the plural, and the first of them in the singular, too.
    calls = message.tool_calls if isinstance(message.tool_calls, list) else [message.tool_call]
    return [
        ToolCall(
            _optional(c.tool_call_id), well_formed(_optional(c.name)), well_formed(_optional(c.arguments))
        )
        for c in calls
    ]


def _returns(message: Any) -> dict[str, tuple[bool, str]]:
    returns = message.tool_returns if isinstance(message.tool_returns, list) else [message]
    return {e.tool_call_id: (e.status == "success", well_formed(_text(e.tool_return))) for e in returns}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_optional(getattr(part, "text", "")) for part in content)


def _optional(text: object) -> str:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"expected a text, got {type(text).__name__}")
    return text or ""
