"""The OpenAI dialect: chat completions, not streamed, as Letta asks for them.

Covered: system, user, assistant and tool messages with text; function tools; ``tool_choice`` auto, required,
none or one named function; temperature, top_p, seed, stop, max tokens. Not covered: images, streaming,
several choices, parallel tool calls, log probabilities.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.local.models import scripted, tool_calls
from harness.local.models.bodies import BadBody, number, text_of, text_or_none, want
from harness.local.models.chat import (
    Completion,
    Message,
    PromptTooLong,
    Role,
    Sampling,
    Text,
    TextModel,
    Tool,
    ToolCall,
    ToolChoice,
)

SCRIPTED = "scripted"
SMOLLM = "smollm2-135m-instruct"
CONTEXT_WINDOW = 8192
# The longest answer of the small model, which may never stop by itself. Letta allows it 16384 tokens.
MAX_ANSWER = 1024
_ROLES: Mapping[Any, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True)
class ChatRequest:
    """A parsed chat completion request."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    tool_choice: ToolChoice
    sampling: Sampling


def models() -> dict[str, Any]:
    """The body of ``GET /v1/models``."""
    return {
        "object": "list",
        "data": [
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "local",
                "max_model_len": CONTEXT_WINDOW,
            }
            for name in (SCRIPTED, SMOLLM)
        ],
    }


def answer(body: Any, model: TextModel) -> tuple[int, dict[str, Any]]:
    """Answers one request: an HTTP status and a body, both for success and for failure."""
    try:
        request = parse(body)
        if request.model == SCRIPTED:
            return 200, _scripted(request, body)
        if request.model == SMOLLM:
            return 200, _smollm(request, body, model)
    except BadBody as problem:
        return 400, error(str(problem), kind="invalid_request_error")
    except PromptTooLong as problem:
        message = f"This model's maximum context length is {CONTEXT_WINDOW} tokens: {problem}"
        return 400, error(message, kind="invalid_request_error", code="context_length_exceeded")
    return 404, error(
        f"The model `{request.model}` does not exist", kind="invalid_request_error", code="model_not_found"
    )


def error(message: str, *, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error body as OpenAI shapes it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def parse(body: Any) -> ChatRequest:
    """Parses a request body.

    Raises:
        BadBody: A field is missing, has the wrong type or asks for what is not covered.
    """
    want(isinstance(body, dict), "the body must be a JSON object")
    want(isinstance(body.get("model"), str), "model: a string is required")
    want(
        isinstance(body.get("messages"), list) and body["messages"], "messages: a non-empty list is required"
    )
    want(not body.get("stream"), "stream: only false is supported by this local server")
    tools = tuple(_tool(item, f"tools.{i}") for i, item in enumerate(body.get("tools") or []))
    tools, choice = _choose(tools, body.get("tool_choice"))
    return ChatRequest(
        model=body["model"],
        messages=tuple(_message(item, f"messages.{i}") for i, item in enumerate(body["messages"])),
        tools=tools,
        tool_choice=choice,
        sampling=_sampling(body),
    )


def _sampling(body: Mapping[str, Any]) -> Sampling:
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or MAX_ANSWER
    stop = body.get("stop") or []
    return Sampling(
        max_tokens=int(min(number(limit, "max_completion_tokens", low=1), MAX_ANSWER)),
        temperature=number(body.get("temperature") or 0, "temperature", low=0),
        top_p=number(body.get("top_p") or 1, "top_p", low=0),
        seed=int(number(body.get("seed") or 0, "seed")),
        stop=tuple([stop] if isinstance(stop, str) else stop),
    )


def _message(item: Any, where: str) -> Message:
    want(isinstance(item, dict), f"{where}: an object is required")
    role = _ROLES.get(item.get("role"))
    if role is None:
        raise BadBody(f"{where}.role: unknown role {item.get('role')!r}")
    calls = tuple(
        _call(call, f"{where}.tool_calls.{i}") for i, call in enumerate(item.get("tool_calls") or [])
    )
    text = text_or_none(item.get("content"), f"{where}.content")
    return Message(role, text or "", calls, str(item.get("tool_call_id") or ""))


def _call(item: Any, where: str) -> ToolCall:
    want(
        isinstance(item, dict) and isinstance(item.get("function"), dict),
        f"{where}.function: an object is required",
    )
    try:
        arguments = json.loads(item["function"].get("arguments") or "{}")
    except ValueError:
        arguments = None
    want(isinstance(arguments, dict), f"{where}.function.arguments: a JSON object is required")
    return ToolCall(str(item["function"].get("name")), arguments, str(item.get("id") or ""))


def _tool(item: Any, where: str) -> Tool:
    want(
        isinstance(item, dict) and isinstance(item.get("function"), dict),
        f"{where}.function: an object is required",
    )
    function = item["function"]
    want(isinstance(function.get("name"), str), f"{where}.function.name: a string is required")
    return Tool(
        function["name"], text_of(function.get("description") or ""), function.get("parameters") or {}
    )


def _choose(tools: tuple[Tool, ...], choice: Any) -> tuple[tuple[Tool, ...], ToolChoice]:
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        named = tuple(tool for tool in tools if tool.name == name)
        want(bool(named), f"tool_choice: no tool {name!r} is on offer")
        return named, "required"
    want(choice in (None, "auto", "required", "none"), f"tool_choice: unknown choice {choice!r}")
    if choice == "none" or not tools:
        return (), "none"
    return tools, "required" if choice == "required" else "auto"


def _scripted(request: ChatRequest, body: Any) -> dict[str, Any]:
    """No language model reads or writes anything here, so the usage is truly zero."""
    reply = scripted.reply(request.messages, request.tools, request.tool_choice)
    return _completion(request, body, reply, Completion("", 0, 0, 0, "stop"))


def _smollm(request: ChatRequest, body: Any, model: TextModel) -> dict[str, Any]:
    text_allowed = request.tool_choice != "required"
    instructions, schema = "", None
    if request.tools:
        instructions = tool_calls.describe(request.tools, text_allowed=text_allowed)
        schema = tool_calls.answer_schema(request.tools, text_allowed=text_allowed)
    messages = tool_calls.as_plain_text(request.messages, instructions)
    completion = model.complete(messages, request.sampling, schema)
    reply = tool_calls.parse_answer(completion.text) if request.tools else Text(completion.text)
    return _completion(request, body, reply, completion)


def _completion(request: ChatRequest, body: Any, reply: ToolCall | Text, made: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    finish = "length" if made.finish == "length" else "stop"
    if isinstance(reply, Text):
        message["content"] = reply.text
    else:
        call = replace(reply, id=f"call_{sum(len(m.tool_calls) for m in request.messages) + 1}")
        function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
        message["tool_calls"] = [{"id": call.id, "type": "function", "function": function}]
        finish = "tool_calls"
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": made.prompt_tokens,
            "completion_tokens": made.completion_tokens,
            "total_tokens": made.prompt_tokens + made.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": made.cached_tokens},
        },
    }
