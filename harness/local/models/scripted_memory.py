"""The scripted orchestrator with a memory policy: it notes every review, and copies its notes into each spec.

No language model: what memory can do at most where nothing is forgotten, selected or put in other words. An
agent without memory tools plays the plain policy of ``scripted_orchestrator.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from harness.agents import prompts
from harness.local.models import scripted_orchestrator
from harness.local.models.chat import Message, Tool, ToolCall, ToolChoice
from harness.local.models.letta_wrapping import user_text

# As Letta 0.16.8 writes blocks into the system prompt of all models but Anthropic's.
NOTES = re.compile(r"<notes>.*?<value>\n(.*?)\n?</value>", re.DOTALL)
REVIEW = prompts.memory["review"].partition("{review}")[0]
WRITE = "memory_insert"


def reply(messages: Sequence[Message], tools: Sequence[Tool], tool_choice: ToolChoice) -> ToolCall | str:
    """Return the policy's next step; see ``scripted_orchestrator.reply``."""
    last = max((at for at, each in enumerate(messages) if each.role == "user"), default=None)
    if last is None:
        return scripted_orchestrator.reply(messages, tools, tool_choice)
    text = user_text(messages[last].text) or ""
    if text.startswith(REVIEW):
        noted = any(each.role == "tool" for each in messages[last:])
        if noted or WRITE not in {each.name for each in tools}:
            return "Noted." if noted else "There is nowhere to note it."
        note = " ".join(text.removeprefix(REVIEW).split())
        return ToolCall(WRITE, {"label": "notes", "new_string": f"- {note}"})
    told = [*messages]
    if notes := _notes(messages):
        told[last] = replace(messages[last], text=f"{text.rstrip()}\n\nFrom earlier reviews:\n{notes}")
    return scripted_orchestrator.reply(told, tools, tool_choice)


def _notes(messages: Sequence[Message]) -> str:
    found = (NOTES.search(each.text) for each in messages if each.role == "system")
    return next((match[1].strip() for match in found if match), "")
