"""What a Letta agent did in a turn: values, and how an answer of Letta becomes them. Sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.agents.messages import ExecutedCall, ToolCall, ToolReturn, Turn
from harness.agents.transcript import Usage, count
from harness.text import well_formed

if TYPE_CHECKING:
    from letta_client.types.agents import LettaResponse  # noqa: TID251  (a type alone)


def turn_of(response: LettaResponse) -> Turn:
    """What an answer of Letta says.

    Raises:
        AttributeError, TypeError: It is no answer of Letta.
    """
    texts: list[tuple[bool, str]] = []
    calls: list[ToolCall] = []
    asked_for: dict[str, tuple[ToolCall, int]] = {}
    returns: dict[str, ToolReturn] = {}
    for message in response.messages:
        if message.message_type == "reasoning_message":
            texts.append((True, message.reasoning))
        elif message.message_type == "assistant_message":
            texts.append((False, _text(message.content)))
        elif message.message_type == "approval_request_message":
            calls = _calls(message)
        elif message.message_type == "tool_call_message":
            asked_for |= {call.call_id: (call, len(texts)) for call in _calls(message)}
        elif message.message_type == "tool_return_message":
            returns |= {each.call_id: each for each in _returns(message)}
    return Turn(
        texts=tuple((thinking, well_formed(text)) for thinking, text in texts if text),
        calls=tuple(calls) if response.stop_reason.stop_reason == "requires_approval" else (),
        stop=str(response.stop_reason.stop_reason),
        usage=Usage.from_letta(vars(response.usage)),
        steps=count(response.usage.step_count),
        ran=tuple(
            ExecutedCall(call, returns[call_id], before)
            for call_id, (call, before) in asked_for.items()
            if call_id in returns
        ),
    )


def _calls(message: Any) -> list[ToolCall]:
    asked = message.tool_calls if isinstance(message.tool_calls, list) else [message.tool_call]
    return [
        ToolCall(c.tool_call_id or "", well_formed(c.name or ""), well_formed(c.arguments or ""))
        for c in asked
    ]


def _returns(message: Any) -> list[ToolReturn]:
    told = message.tool_returns if isinstance(message.tool_returns, list) else [message]
    return [
        ToolReturn(each.tool_call_id, each.status == "success", well_formed(_text(each.tool_return)))
        for each in told
    ]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(getattr(part, "text", "") or "" for part in content)
