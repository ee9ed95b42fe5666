"""Remove from a conversation what Letta adds to it before it reaches a model.

Its App Server adds nothing: a tool's return comes as its text alone, an error begins with ``Error``.

Seen with Letta 0.16.8 and an agent of type ``letta_v1_agent``: a person's message comes through as it is;
a tool's return comes as ``{"status": "OK"|"Failed", "message": ..., "time": ...}``; Letta's own notices
(alerts, summaries of a shortened conversation) come as user messages ``{"type": "system_alert", ...}``; the
system prompt ends with the agent's id and a time stamp; memory blocks stand there in an order that is another
for each agent, and that a small model heeds. Older agent types wrap a person's message too, as
``{"type": "user_message", "message": ..., "time": ...}``.
"""

from __future__ import annotations

import json
import re
from typing import Any

_BLOCKS = re.compile(r"(?<=\n\n)<[\w-]+>\n<description>\n.*(?=\n\n</memory_blocks>)", re.DOTALL)
_BLOCK = re.compile(r"^<([\w-]+)>\n<description>\n", re.MULTILINE)
_METADATA = re.compile(r"\s*<memory_metadata>.*?</memory_metadata>", re.DOTALL)


def user_text(text: str) -> str | None:
    """Return what a person wrote, or None for a notice of Letta's own."""
    wrapped = json_object(text)
    if not isinstance(wrapped.get("type"), str) or "time" not in wrapped:
        return text
    inner = wrapped.get("message")
    return inner if wrapped["type"] == "user_message" and isinstance(inner, str) else None


def tool_return(text: str) -> tuple[bool, str]:
    """Return True if the tool succeeded, and what it returned."""
    wrapped = json_object(text)
    if wrapped.get("status") not in ("OK", "Failed") or "message" not in wrapped:
        return not text.startswith("Error"), text
    inner = wrapped["message"]
    return wrapped["status"] == "OK", inner if isinstance(inner, str) else json.dumps(inner)


def without_metadata(system_prompt: str) -> str:
    """Remove from the system prompt what differs between two agents made alike; sort the memory blocks."""
    return _BLOCKS.sub(lambda match: _in_order(match[0]), _METADATA.sub("", system_prompt), count=1)


def _in_order(blocks: str) -> str:
    """Sort memory blocks by their labels, unless one of them is not whole."""
    begins = [match.start() for match in _BLOCK.finditer(blocks)]
    found = [blocks[begin:end].strip() for begin, end in zip(begins, [*begins[1:], None], strict=True)]
    labels = [block[1 : block.index(">")] for block in found]
    whole = all(block.endswith(f"</{label}>") for block, label in zip(found, labels, strict=True))
    return "\n\n".join(sorted(found)) if whole else blocks


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; any other text is like an empty one."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
