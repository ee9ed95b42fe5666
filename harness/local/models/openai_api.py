"""The OpenAI-compatible API: chat completions, not streamed, as Letta asks for them.

Covered: system, user, assistant and tool messages with text; function tools; ``tool_choice`` auto, required,
none or one named function; temperature, top_p, seed, stop, max tokens. Not covered: images, streaming,
several choices, parallel tool calls, log probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasPath, BeforeValidator, Field, Json, NonNegativeInt

from harness.local.models import chat, scripted_memory, scripted_orchestrator, tool_calls
from harness.local.models.chat import Message, RequestError, Tool, ToolCall, ToolChoice
from harness.local.models.engine import CONTEXT
from harness.local.models.requests import Part, RequestBody, TextBlocks, digest, joined, parse
from harness.local.stack.catalogue import SCRIPTED, SCRIPTED_MEMORY

# The longest answer of a small model, which may never stop by itself. Letta allows it 16384 tokens.
MAX_ANSWER = 1024
POLICIES = {SCRIPTED: scripted_orchestrator.reply, SCRIPTED_MEMORY: scripted_memory.reply}
FunctionName = Annotated[str, Field(validation_alias=AliasPath("function", "name"))]


class InputCall(Part):
    """A tool call of an earlier answer; its arguments are a JSON object as text."""

    id: str | None = None
    name: FunctionName
    arguments: Annotated[Json[dict[str, Any]], BeforeValidator(lambda text: text or "{}")] = Field(
        default={}, validation_alias=AliasPath("function", "arguments")
    )


class InputMessage(Part):
    """One message of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: TextBlocks | None = None
    tool_calls: list[InputCall] | None = None
    tool_call_id: str | None = None

    def as_message(self) -> Message:
        """Return it in the words that the models share."""
        calls = [ToolCall(call.name, call.arguments, call.id or "") for call in self.tool_calls or ()]
        role = "system" if self.role == "developer" else self.role
        return Message(role, joined(self.content), tuple(calls), self.tool_call_id or "")


class ToolOffer(Part):
    """A tool on offer; ``parameters`` is a JSON Schema of type object."""

    name: FunctionName
    description: str | None = Field(default=None, validation_alias=AliasPath("function", "description"))
    parameters: dict[str, Any] | None = Field(
        default=None, validation_alias=AliasPath("function", "parameters")
    )


class NamedChoice(Part):
    """The choice of one tool, which must be called."""

    name: FunctionName


class ChatRequest(RequestBody):
    """The body of ``POST /v1/chat/completions``."""

    messages: Annotated[list[InputMessage], Field(min_length=1)]
    tools: list[ToolOffer] | None = None
    tool_choice: ToolChoice | NamedChoice | None = None
    stop: str | list[str] | None = None
    max_tokens: NonNegativeInt | None = None
    max_completion_tokens: NonNegativeInt | None = None
    stream: Literal[False] | None = None

    def offer(self) -> tuple[list[Tool], ToolChoice]:
        """Return the tools that may be called, and whether one must be."""
        tools = [Tool(each.name, each.description or "", each.parameters or {}) for each in self.tools or ()]
        if isinstance(self.tool_choice, NamedChoice):
            name = self.tool_choice.name
            tools = [tool for tool in tools if tool.name == name]
            if not tools:
                raise RequestError(f"tool_choice: no tool {name!r} is on offer")
            return tools, "required"
        if self.tool_choice == "none" or not tools:
            return [], "none"
        return tools, self.tool_choice or "auto"


def models(served: Iterable[str]) -> dict[str, Any]:
    """Return the body of ``GET /v1/models``."""
    shared = {"object": "model", "created": 0, "owned_by": "local", "max_model_len": CONTEXT}
    return {"object": "list", "data": [{"id": name, **shared} for name in (*POLICIES, *served)]}


def answer(body: Any, models: Mapping[str, chat.TextModel]) -> dict[str, Any]:
    """Answer one request; raise RequestError if it is malformed, not covered, too long or names no model."""
    request = parse(ChatRequest, body)
    messages = [message.as_message() for message in request.messages]
    tools, choice = request.offer()
    reply: ToolCall | str
    if request.model in POLICIES:
        reply, made = POLICIES[request.model](messages, tools, choice), chat.NO_MODEL
    else:
        model = models[request.model]
        limit = request.max_completion_tokens or request.max_tokens or MAX_ANSWER
        stop = [request.stop] if isinstance(request.stop, str) else request.stop
        sampling = request.sampling(min(limit, MAX_ANSWER), stop)
        text_allowed = choice != "required"
        instructions = tool_calls.describe(tools, text_allowed=text_allowed) if tools else ""
        schema = tool_calls.answer_schema(tools, text_allowed=text_allowed) if tools else None
        made = model.complete(tool_calls.as_plain_text(messages, instructions), sampling, schema)
        reply = tool_calls.parse_answer(made.text) if tools else made.text
    earlier_calls = sum(len(message.tool_calls) for message in messages)
    return _chat_body(body, made, reply, call_id=f"call_{earlier_calls + 1}")


def error(problem: RequestError) -> dict[str, Any]:
    """Return an error body in OpenAI's format."""
    message, code = str(problem), None
    if isinstance(problem, chat.UnknownModel):
        message, code = f"The model `{problem}` does not exist", "model_not_found"
    elif isinstance(problem, chat.PromptTooLong):
        message = f"This model's maximum context length is {CONTEXT} tokens: {problem}"
        code = "context_length_exceeded"
    kind = "server_error" if isinstance(problem, chat.EngineFailure) else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _chat_body(request: Any, made: chat.Completion, reply: ToolCall | str, *, call_id: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    finish = "length" if made.finish == "length" else "stop"
    if isinstance(reply, str):
        message["content"] = reply
    else:
        function = {"name": reply.name, "arguments": json.dumps(dict(reply.arguments))}
        message["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
        finish = "tool_calls"
    return {
        "id": f"chatcmpl-{digest(request)}",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": made.prompt_tokens,
            "completion_tokens": made.completion_tokens,
            "total_tokens": made.prompt_tokens + made.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": made.cached_tokens},
        },
    }
