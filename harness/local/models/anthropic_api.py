"""The Anthropic dialect: messages, whole or streamed.

Covered: ``system`` and message content as a string or text blocks, a prefilled last assistant message, stop
sequences, max tokens, temperature, streaming (at once, when the answer is whole), and of tools as much as
Claude Code's ``Write`` needs (``tool_use.py``). Not covered: other tools, images, thinking, prompt caching
(the token counts of which are 0).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from harness.local.models import tool_use
from harness.local.models.bodies import BadBody, number, text_of, want
from harness.local.models.chat import Completion, Message, PromptTooLong, Sampling, TextModel

SMOLLM = "smollm2-135m-instruct"


def answer(body: Any, model: TextModel) -> tuple[int, dict[str, Any]]:
    """Answers one request: an HTTP status and a body, both for success and for failure."""
    try:
        messages, sampling = parse(body)
        if body["model"] != SMOLLM:
            return 404, error(f"model: {body['model']}", kind="not_found_error")
        if tool_use.offers_write(body):
            made = tool_use.blocks(body, _digest(body), lambda: model.complete(messages, sampling))
            return 200, _message(body, *made)
        completion = model.complete(messages, sampling)
        return 200, _message(body, [{"type": "text", "text": completion.text}], completion)
    except (BadBody, PromptTooLong) as problem:
        return 400, error(str(problem), kind="invalid_request_error")


def error(message: str, *, kind: str) -> dict[str, Any]:
    """An error body as Anthropic shapes it."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def request_id(body: Any) -> str:
    """An id that depends on the request alone, so that a recording of it is stable."""
    return f"req_{_digest(body)}"


def parse(body: Any) -> tuple[list[Message], Sampling]:
    """Parses a request body.

    Raises:
        BadBody: A field is missing, has the wrong type or asks for what is not covered.
    """
    want(isinstance(body, dict), "the body must be a JSON object")
    want(isinstance(body.get("model"), str), "model: Field required")
    want("max_tokens" in body, "max_tokens: Field required")
    want(
        isinstance(body.get("messages"), list) and body["messages"],
        "messages: at least one message is required",
    )
    writes = tool_use.offers_write(body)
    want(writes or not body.get("tools"), "tools: only Write is supported by this local server")
    system = text_of(_own_words(body.get("system")) if writes else body.get("system") or "", "system")
    messages = [Message("system", system)] if system else []
    for i, item in enumerate(body["messages"]):
        want(isinstance(item, dict), f"messages.{i}: Input should be an object")
        if writes and (item.get("role") == "system" or _is_tool_traffic(item)):
            continue  # what an agent says of its surroundings, and what the policy answers by itself
        want(
            item.get("role") in ("user", "assistant"),
            f"messages.{i}.role: Input should be 'user' or 'assistant'",
        )
        messages.append(Message(item["role"], text_of(item.get("content"), f"messages.{i}.content")))
    return messages, Sampling(
        max_tokens=int(number(body["max_tokens"], "max_tokens", low=1)),
        temperature=number(body.get("temperature") or 0, "temperature", low=0),
        top_p=number(body.get("top_p") or 1, "top_p", low=0),
        stop=_stops(body.get("stop_sequences") or []),
    )


def _own_words(system: Any) -> Any:
    """Of an agent's system blocks the last, which its user wrote: the others are about the agent."""
    return system[-1:] if isinstance(system, list) else system or ""


def _is_tool_traffic(item: dict[str, Any]) -> bool:
    content = item.get("content")
    kinds = [b.get("type") for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    return bool({"tool_use", "tool_result"} & set(kinds))


def _stops(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(stop, str) and stop for stop in value):
        raise BadBody("stop_sequences: a list of non-empty strings is required")
    return tuple(value)


def _message(body: Any, content: list[dict[str, Any]], made: Completion | None) -> dict[str, Any]:
    """The answer's body. Without a completion the policy spoke: it costs nothing."""
    made = made or Completion("", 0, 0, 0, "stop")
    reasons = {"stop": "end_turn", "length": "max_tokens", "stop_sequence": "stop_sequence"}
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{_digest(body)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else reasons[made.finish],
        "stop_sequence": made.stop_sequence,
        "usage": {
            "input_tokens": made.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": made.completion_tokens,
        },
    }


def _digest(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]
