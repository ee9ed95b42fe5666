"""Tool calling for a model that was not trained for it: a prompt, a grammar, and reading back the answer.

The prompt lists the tools in a few lines, and a JSON schema restricts the answer to one of
``{"tool": NAME, "arguments": {...}}`` and ``{"answer": TEXT}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.local.models.chat import Message, Tool, ToolCall, types_of
from harness.local.models.letta_wrapping import json_object, tool_return, without_metadata

# Without a bound the small model may fall into a loop inside a string, and the answer never closes.
MAX_STRING = 800


def describe(tools: Sequence[Tool], *, text_allowed: bool) -> str:
    """Describe the tools and the answer format for the system prompt."""
    lines = ["You can call these tools:"]
    for tool in tools:
        parameters = ", ".join(name if name in tool.required else f"{name}?" for name in tool.properties)
        first_line = tool.description.strip().partition("\n")[0]
        lines.append(f"- {tool.name}({parameters}): {first_line}")
    lines.append('To call a tool answer {"tool": "<name>", "arguments": {...}}.')
    if text_allowed:
        lines.append('When all is done answer {"answer": "<text>"}.')
    return "\n".join(lines)


def answer_schema(tools: Sequence[Tool], *, text_allowed: bool) -> dict[str, Any]:
    """Return the JSON schema of all allowed answers."""
    options = []
    for tool in tools:
        properties = {name: _bounded(schema) for name, schema in tool.properties.items()}
        call = {"tool": {"const": tool.name}, "arguments": _object(properties, tool.required)}
        options.append(_object(call, ["tool", "arguments"]))
    if text_allowed:
        options.append(_object({"answer": {"type": "string", "maxLength": MAX_STRING}}, ["answer"]))
    return {"anyOf": options}


def parse_answer(text: str) -> ToolCall | str:
    """Parse an answer. One that was cut off before it closed is a text: there is no call to make."""
    answer = json_object(text)
    if "tool" in answer:
        return ToolCall(str(answer["tool"]), answer.get("arguments") or {})
    return str(answer.get("answer", text))


def as_plain_text(messages: Sequence[Message], instructions: str) -> list[Message]:
    """Rewrite a conversation with tool calls in the roles and the format that the model knows.

    Without Letta's additions, which differ from agent to agent, the same task gets the same answer at
    temperature 0.
    """
    system = [without_metadata(message.text) for message in messages if message.role == "system"]
    parts = [part for part in (*system, instructions) if part]
    plain = [Message("system", "\n\n".join(parts))] if parts else []
    for message in messages:
        if message.role == "tool":
            succeeded, text = tool_return(message.text)
            plain.append(Message("user", f"{'Tool result' if succeeded else 'Tool error'}: {text}"))
        elif message.tool_calls:
            calls = [{"tool": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]
            plain.extend(Message("assistant", json.dumps(call)) for call in calls)
        elif message.role != "system":
            plain.append(message)
    return plain


def _bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a parameter's schema what a grammar supports; whatever is not a scalar becomes a string."""
    if "enum" in schema:
        return {"enum": list(schema["enum"])}
    scalars = [each for each in types_of(schema) if each in ("integer", "number", "boolean")]
    if scalars and "string" not in types_of(schema):
        return {"type": scalars[0]}
    return {"type": "string", "maxLength": min(int(schema.get("maxLength", MAX_STRING)), MAX_STRING)}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
