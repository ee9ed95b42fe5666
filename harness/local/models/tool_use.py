"""Tool use for a model that is too small for it: what it writes as a text goes through the Write tool.

A fixed policy around the text model, good enough for an agent that is told ``Write the file NAME.``: the
model answers as it would without tools, and the code in its answer becomes one call of ``Write``; after the
tool's result the turn ends. Other tools are never called. Claude does better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.agents.code_blocks import extract_code
from harness.local.models.bodies import want
from harness.local.models.chat import Completion

WRITE = "Write"
ASKED_FOR = re.compile(r"Write the (?:test )?file ([\w./-]*\w\.py)\b")


def offers_write(body: Mapping[str, Any]) -> bool:
    """Whether a request offers the Write tool.

    Raises:
        BadBody: ``tools`` is no list of objects.
    """
    tools = body.get("tools") or []
    listed = isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)
    want(listed, "tools: Input should be a list of objects")
    return any(tool.get("name") == WRITE for tool in tools)


def blocks(
    body: Mapping[str, Any], number: str, complete: Callable[[], Completion]
) -> tuple[list[dict[str, Any]], Completion | None]:
    """The content of an answer, and what the model generated for it, if it was asked.

    Args:
        body: The request.
        number: Makes the id of a call, the same for the same request.
        complete: Lets the model answer as if there were no tools.
    """
    result = _last_result(body["messages"])
    if result is not None:
        text = "It could not be written." if result.get("is_error") else "It is written."
        return [{"type": "text", "text": text}], None
    made = complete()
    asked = ASKED_FOR.findall(_said(body["messages"]))
    code = extract_code(made.text, asked[-1], cut_off=made.finish == "length") if asked else None
    if code is None:
        return [{"type": "text", "text": made.text}], made
    call = {"file_path": asked[-1], "content": code}
    return [{"type": "tool_use", "id": f"toolu_{number}", "name": WRITE, "input": call}], made


def _last_result(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    found = [
        block for message in messages for block in _blocks(message) if block.get("type") == "tool_result"
    ]
    return found[-1] if found else None


def _said(messages: Sequence[Mapping[str, Any]]) -> str:
    users = [message for message in messages if message.get("role") == "user"]
    return "\n".join(
        str(message["content"])
        if isinstance(message.get("content"), str)
        else "\n".join(str(block.get("text", "")) for block in _blocks(message))
        for message in users
    )


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
