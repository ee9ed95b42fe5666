"""Parse an answer of Letta into a turn. Sends nothing.

The answer is plain JSON: to build the client's own object of every part of it takes longer than to replay the
request that it answers.
"""

from __future__ import annotations

from typing import Any

from harness.agents.messages import ExecutedCall, ToolCall, Turn
from harness.agents.transcript import Usage, count
from harness.text import well_formed


def turn_of(response: Any) -> Turn:
    """Parse an answer of Letta, a JSON value.

    Raises:
        AttributeError, KeyError, TypeError: It is no answer of Letta.
    """
    texts: list[tuple[bool, str]] = []
    calls: list[ToolCall] = []
    executed: dict[str, tuple[ToolCall, int]] = {}
    returns: dict[str, tuple[bool, str]] = {}
    if not isinstance(messages := response.get("messages"), list):
        raise TypeError("its messages are no list")
    for message in messages:
        match message["message_type"]:
            case "reasoning_message":
                texts.append((True, _optional(message.get("reasoning"))))
            case "assistant_message":
                texts.append((False, _text(message["content"])))
            case "approval_request_message":
                calls = _calls(message)
            case "tool_call_message":
                executed |= {call.call_id: (call, len(texts)) for call in _calls(message)}
            case "tool_return_message":
                returns |= _returns(message)
    stop = str(response["stop_reason"]["stop_reason"])
    return Turn(
        texts=tuple((thinking, well_formed(text)) for thinking, text in texts if text),
        calls=tuple(calls) if stop == "requires_approval" else (),
        stop=stop,
        usage=Usage.from_letta(response["usage"]),
        steps=count(response["usage"].get("step_count")),
        ran=tuple(
            ExecutedCall(call, *returns[call_id], before)
            for call_id, (call, before) in executed.items()
            if call_id in returns
        ),
    )


def _calls(message: Any) -> list[ToolCall]:
    # Letta 0.16.8 sends parallel calls in the plural, and the first of them in the singular, too.
    calls = message.get("tool_calls")
    return [
        ToolCall(
            _optional(call.get("tool_call_id")),
            well_formed(_optional(call.get("name"))),
            well_formed(_optional(call.get("arguments"))),
        )
        for call in (calls if isinstance(calls, list) else [message["tool_call"]])
    ]


def _returns(message: Any) -> dict[str, tuple[bool, str]]:
    returns = message.get("tool_returns")
    return {
        each["tool_call_id"]: (each["status"] == "success", well_formed(_text(each["tool_return"])))
        for each in (returns if isinstance(returns, list) else [message])
    }


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_optional(part.get("text")) for part in content)


def _optional(text: object) -> str:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"expected a text, got {type(text).__name__}")
    return text or ""
