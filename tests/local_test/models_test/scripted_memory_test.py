"""The scripted memory policy: it notes every review, and copies its notes into each specification."""

from __future__ import annotations

from harness.agents import prompts
from harness.local.models.chat import Message, Tool, ToolCall
from harness.local.models.scripted_memory import reply

WRITE, CODER = Tool("memory_insert", "", {}), Tool(prompts.CODER_TOOL, "", {})
TASK = "Implementation file: add.py\nSpecification:\nAdd."
SYSTEM = "You are.\n<notes>\n<description>\nd\n</description>\n<value>\n{}\n</value>\n</notes>"


def review(text: str) -> Message:
    return Message("user", prompts.memory["review"].format(review=text))


def test_a_review_is_noted_once() -> None:
    """One line in the block; when that has returned, the turn ends."""
    messages = [Message("system", SYSTEM.format("")), review("Mind\nthe gap.")]
    call = reply(messages, [WRITE], "auto")
    assert call == ToolCall("memory_insert", {"label": "notes", "new_string": "- Mind the gap."})
    after = [
        *messages,
        Message("assistant", "", (ToolCall("memory_insert", {}, "1"),)),
        Message("tool", "ok", (), "1"),
    ]
    assert reply(after, [WRITE], "auto") == "Noted."


def test_notes_go_into_the_specification() -> None:
    """What stands in the block reaches the coder, word for word; an empty block adds nothing."""
    told = reply(
        [Message("system", SYSTEM.format("- Mind the gap.")), Message("user", TASK)], [CODER], "auto"
    )
    assert told.arguments["spec"] == "Add.\n\nFrom earlier reviews:\n- Mind the gap."
    plain = reply([Message("system", SYSTEM.format("")), Message("user", TASK)], [CODER], "auto")
    assert plain.arguments["spec"] == "Add."


def test_an_agent_without_memory_plays_the_plain_policy() -> None:
    """No block and no memory tool: the specification as it is."""
    call = reply([Message("system", "You are."), Message("user", TASK)], [CODER], "auto")
    assert call.arguments["spec"] == "Add."
