"""The Anthropic-compatible API: messages, whole or streamed.

Covered: system and message content as a string or text blocks, a prefilled last assistant message, stop
sequences, max tokens, temperature, a seed (which Claude has not; by default 0), streaming (at once, when the
answer is whole), and one tool, Claude Code's ``Write``. The models are too small to call it, so a fixed
policy does: the code in the model's answer to ``Write the file NAME.`` becomes one call, and after the tool's
result the turn ends. Not covered: other tools, images, thinking, prompt caching (the token counts of which
are 0: they would depend on what was asked before).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt

from harness.agents.code_blocks import extract_code
from harness.local.models import requests
from harness.local.models.chat import (
    NO_MODEL,
    Completion,
    EngineFailure,
    Message,
    RequestError,
    TextModel,
    UnknownModel,
)
from harness.local.models.requests import TextBlock

WRITE = "Write"
REQUESTED_FILE = re.compile(r"Write the (?:test )?file ([\w./-]*\w\.py)\b")
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "stop_sequence": "stop_sequence"}


class ToolBlock(requests.Part):
    """A tool call of an earlier answer, or its result, of which only the success matters here."""

    type: Literal["tool_use", "tool_result"]
    is_error: bool | None = None


Block = Annotated[TextBlock | ToolBlock, Field(discriminator="type")]


class InputMessage(requests.Part):
    """One message of the conversation. Role ``system`` is for an agent's notes about its environment."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Block], BeforeValidator(requests.as_blocks)]

    @property
    def text(self) -> str:
        """The text blocks, without tool calls and results."""
        return requests.joined([block for block in self.content if isinstance(block, TextBlock)])


class ToolOffer(requests.Part):
    """A tool on offer; of its definition only the name is used."""

    name: str


class MessagesRequest(requests.RequestBody):
    """The body of ``POST /v1/messages``."""

    max_tokens: PositiveInt
    messages: Annotated[list[InputMessage], Field(min_length=1)]
    system: requests.TextBlocks | None = None
    stop_sequences: list[Annotated[str, Field(min_length=1)]] | None = None
    seed: NonNegativeInt = 0
    stream: bool | None = None
    tools: list[ToolOffer] | None = None


def answer(body: Any, models: Mapping[str, TextModel]) -> dict[str, Any]:
    """Answer one request; raise RequestError if it is malformed, not covered, too long or names no model."""
    request = requests.parse(MessagesRequest, body)
    prompt = _prompt(request)
    model = models[request.model]
    blocks = [block for message in request.messages for block in message.content]
    results = [block for block in blocks if block.type == "tool_result"]
    if results:
        text = "It could not be written." if results[-1].is_error else "It is written."
        return _message(body, NO_MODEL, {"type": "text", "text": text})
    made = model.complete(prompt, request.sampling(request.max_tokens, request.stop_sequences))
    call = _write_call(request, made) if request.tools else None
    if call:
        return _message(body, made, {"type": "tool_use", "id": f"toolu_{requests.digest(body)}", **call})
    return _message(body, made, {"type": "text", "text": made.text})


def error(problem: RequestError) -> dict[str, Any]:
    """Return an error body in Anthropic's format."""
    details = {"type": "invalid_request_error", "message": str(problem)}
    if isinstance(problem, UnknownModel):
        details = {"type": "not_found_error", "message": f"model: {problem}"}
    elif isinstance(problem, EngineFailure):
        details["type"] = "api_error"
    return {"type": "error", "error": details}


def _prompt(request: MessagesRequest) -> list[Message]:
    """Return the conversation for the model; of an agent's own additions it gets none."""
    agent = any(tool.name == WRITE for tool in request.tools or ())
    if request.tools and not agent:
        raise RequestError("tools: only Write is supported by this local server")
    # An agent's system blocks are about the agent, except the last, which its user wrote.
    system = requests.joined((request.system or [])[-1:] if agent else request.system)
    prompt = [Message("system", system)] if system else []
    for number, message in enumerate(request.messages):
        only_text = all(isinstance(block, TextBlock) for block in message.content)
        if message.role != "system" and only_text:
            prompt.append(Message(message.role, message.text))
        elif not agent and message.role == "system":
            raise RequestError(f"messages.{number}.role: Input should be 'user' or 'assistant'")
        elif not agent:
            raise RequestError(f"messages.{number}.content: only text is supported without the tool Write")
    return prompt


def _write_call(request: MessagesRequest, made: Completion) -> dict[str, Any] | None:
    """Return the call that writes the code in the model's answer to the requested file; None without code."""
    users = "\n".join(message.text for message in request.messages if message.role == "user")
    files = REQUESTED_FILE.findall(users)
    code = extract_code(made.text, files[-1], cut_off=made.finish == "length") if files else None
    return {"name": WRITE, "input": {"file_path": files[-1], "content": code}} if code is not None else None


def _message(body: Any, made: Completion, block: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{requests.digest(body)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else STOP_REASONS[made.finish],
        "stop_sequence": made.stop_sequence,
        "usage": {
            "input_tokens": made.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": made.completion_tokens,
        },
    }


def stream(message: Mapping[str, Any]) -> bytes:
    """Return the body of a streamed answer, made from the answer that would be sent whole."""
    events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(message))
    return "".join(events).encode()


def _events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    started = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**started, "usage": {**usage, "output_tokens": 1}}}
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            empty = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stopped = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    output = {"output_tokens": usage["output_tokens"]}
    yield {"type": "message_delta", "delta": stopped, "usage": output}
    yield {"type": "message_stop"}
