"""Parse an answer of Letta into a turn. Sends nothing.

The answer is plain JSON, of which what is read is checked: to build the client's own object of every part of
it takes longer than to replay the request that it answers.
"""

from __future__ import annotations

from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from harness.agents.messages import ExecutedCall, ToolCall, Turn
from harness.agents.transcript import Usage, count
from harness.cassette.encoding import explain
from harness.text import well_formed


class _Part(TypedDict):
    text: NotRequired[str | None]


class _Call(TypedDict):
    tool_call_id: str | None
    name: str | None
    arguments: str | None


class _Return(TypedDict):
    tool_call_id: str
    status: str
    tool_return: str | list[_Part]


class _Reasoning(TypedDict):
    reasoning: str | None


class _Said(TypedDict):
    content: str | list[_Part]


class _Stop(TypedDict):
    stop_reason: str


class _Answer(TypedDict):
    messages: list[dict[str, Any]]
    stop_reason: _Stop
    usage: dict[str, Any]


ANSWER, KIND = TypeAdapter(_Answer), TypeAdapter(str)
REASONING, SAID = TypeAdapter(_Reasoning), TypeAdapter(_Said)
CALLS, RETURNS = TypeAdapter(list[_Call]), TypeAdapter(list[_Return])


def turn_of(response: Any) -> Turn:
    """Parse an answer of Letta, a JSON value.

    Raises:
        TypeError: It is none, and why.
    """
    if isinstance(response, str):
        raise TypeError("it is not labelled as JSON")
    try:
        return _turn_of(ANSWER.validate_python(response))
    except ValidationError as error:
        raise TypeError(explain(error)) from None


def _turn_of(answer: _Answer) -> Turn:
    texts: list[tuple[bool, str]] = []
    calls: list[ToolCall] = []
    executed: dict[str, tuple[ToolCall, int]] = {}
    returns: dict[str, tuple[bool, str]] = {}
    for message in answer["messages"]:
        match KIND.validate_python(message.get("message_type")):
            case "reasoning_message":
                texts.append((True, REASONING.validate_python(message)["reasoning"] or ""))
            case "assistant_message":
                texts.append((False, _text(SAID.validate_python(message)["content"])))
            case "approval_request_message":
                calls = _calls(message)
            case "tool_call_message":
                executed |= {call.call_id: (call, len(texts)) for call in _calls(message)}
            case "tool_return_message":
                returns |= _returns(message)
    stop = answer["stop_reason"]["stop_reason"]
    return Turn(
        texts=tuple((thinking, well_formed(text)) for thinking, text in texts if text),
        calls=tuple(calls) if stop == "requires_approval" else (),
        stop=stop,
        usage=Usage.from_letta(answer["usage"]),
        steps=count(answer["usage"].get("step_count")),
        ran=tuple(
            ExecutedCall(call, *returns[call_id], before)
            for call_id, (call, before) in executed.items()
            if call_id in returns
        ),
    )


def _calls(message: dict[str, Any]) -> list[ToolCall]:
    # Letta 0.16.8 sends parallel calls in the plural, and the first of them in the singular, too.
    calls = message.get("tool_calls")
    return [
        ToolCall(
            call["tool_call_id"] or "", well_formed(call["name"] or ""), well_formed(call["arguments"] or "")
        )
        for call in CALLS.validate_python([message.get("tool_call")] if calls is None else calls)
    ]


def _returns(message: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    returns = message.get("tool_returns")
    return {
        each["tool_call_id"]: (each["status"] == "success", well_formed(_text(each["tool_return"])))
        for each in RETURNS.validate_python([message] if returns is None else returns)
    }


def _text(content: str | list[_Part]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
