"""An answer of the Messages API as the server-sent events in which it is streamed, all at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def stream(message: Mapping[str, Any]) -> bytes:
    """The body of a streamed answer, from the answer that would be sent whole."""
    return b"".join(_event(kind, value) for kind, value in _events(message))


def _events(message: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield "message_start", {"message": {**begun, "usage": {**usage, "output_tokens": 1}}}
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            empty = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield "content_block_start", {"index": index, "content_block": empty}
        yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    stopped = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield "message_delta", {"delta": stopped, "usage": {"output_tokens": usage["output_tokens"]}}
    yield "message_stop", {}


def _event(kind: str, value: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **value})}\n\n".encode()
