"""Tool calling for a model without training for it: prompt, answer schema, reading back."""

from __future__ import annotations

import pytest

from harness.local.models.chat import Message, Tool, ToolCall
from harness.local.models.letta_wrapping import without_metadata
from harness.local.models.tool_calls import MAX_STRING, answer_schema, as_plain_text, describe, parse_answer

CODER = Tool(
    "run_claude_coder",
    "Write code.\nMore words.",
    {"properties": {"spec": {"type": "string"}, "tries": {"type": "integer"}}, "required": ["spec"]},
)


def test_the_prompt_names_each_tool_with_its_parameters() -> None:
    """A tool is told in one line, optional parameters marked."""
    assert "- run_claude_coder(spec, tries?): Write code." in describe([CODER], text_allowed=True)


def test_a_required_call_leaves_no_text_answer() -> None:
    """Without texts neither the prompt nor the schema holds one."""
    assert '"answer"' not in describe([CODER], text_allowed=False)
    assert len(answer_schema([CODER], text_allowed=False)["anyOf"]) == 1
    assert len(answer_schema([CODER], text_allowed=True)["anyOf"]) == 2


def test_every_string_is_bounded() -> None:
    """A string without a bound could loop for ever, so each one gets a greatest length."""
    arguments = answer_schema([CODER], text_allowed=False)["anyOf"][0]["properties"]["arguments"]
    assert arguments["properties"] == {
        "spec": {"type": "string", "maxLength": MAX_STRING},
        "tries": {"type": "integer"},
    }
    assert arguments["required"] == ["spec"]


def test_answers_are_read_back() -> None:
    """A call is a call, an answer a text, and an answer that was cut off is the text it is."""
    assert parse_answer('{"tool": "t", "arguments": {"a": 1}}') == ToolCall("t", {"a": 1})
    assert parse_answer('{"answer": "done"}') == "done"
    assert parse_answer('{"tool": "t", "argum') == '{"tool": "t", "argum'


def test_a_conversation_becomes_roles_that_the_model_knows() -> None:
    """Calls become assistant texts, returns become user texts without Letta's wrapping and time stamp."""
    plain = as_plain_text(
        [
            Message("system", "Be good."),
            Message("assistant", "", (ToolCall("t", {"a": 1}, "c"),)),
            Message("tool", '{"status": "Failed", "message": "boom", "time": "now"}', (), "c"),
        ],
        "Tools: t",
    )
    assert plain == [
        Message("system", "Be good.\n\nTools: t"),
        Message("assistant", '{"tool": "t", "arguments": {"a": 1}}'),
        Message("user", "Tool error: boom"),
    ]


def test_two_agents_made_alike_give_the_same_prompt() -> None:
    """The agent's id and the time in Letta's system prompt do not reach the small model."""
    prompts = [
        as_plain_text(
            [Message("system", f"Be good.\n<memory_metadata>\n- AGENT_ID: {n}\n</memory_metadata>")], ""
        )
        for n in (1, 2)
    ]
    assert prompts[0] == prompts[1] == [Message("system", "Be good.")]


@pytest.mark.parametrize(
    "line",
    [{"type": ["integer", "null"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}],
    ids=["list", "any of"],
)
def test_what_may_be_null_keeps_its_type_and_may_be_left_out(line):
    """Letta offers memory_insert so, and fails where the line's number is a text or null."""
    parameters = {
        "properties": {"label": {"type": "string"}, "line": line, "note": {"type": ["string", "null"]}},
        "required": ["label", "line", "note"],
    }
    tool = Tool("memory_insert", "Insert.", parameters)
    assert "memory_insert(label, line?, note?)" in describe([tool], text_allowed=False)
    schema = answer_schema([tool], text_allowed=False)
    arguments = schema["anyOf"][0]["properties"]["arguments"]
    assert arguments["properties"]["line"] == {"type": "integer"}
    assert arguments["properties"]["note"]["type"] == "string"
    assert arguments["required"] == ["label"]


def system_prompt(*labels):
    """As Letta 0.16.8 writes it, with memory blocks in this order."""
    blocks = (
        f"<{label}>\n<description>\n\n</description>\n<metadata>\n- chars_limit=100000\n</metadata>\n"
        f"<value>\nof {label}\n\nmore\n</value>\n</{label}>\n\n"
        for label in labels
    )
    head = "Orchestrate.\n\n<memory_blocks>\nThe following memory blocks are currently engaged:\n\n"
    metadata = f"<memory_metadata>\n- AGENT_ID: agent-{len(labels)}-{labels[0]}\n</memory_metadata>"
    return f"{head}{''.join(blocks)}</memory_blocks>\n\n{metadata}"


def test_agents_that_are_made_alike_say_the_same():
    """Letta gives each agent's blocks an order of its own, and its small orchestrators heed it."""
    one, other = system_prompt("role", "notes", "workspace"), system_prompt("workspace", "role", "notes")
    assert without_metadata(one) == without_metadata(other)
    assert "agent-" not in without_metadata(one)
    assert all(f"<value>\nof {name}\n\nmore\n" in without_metadata(one) for name in ("role", "notes"))


def test_a_prompt_of_another_form_is_left_as_it_is():
    """Also one whose notes look like the beginning of a block."""
    for prompt in (
        "Orchestrate.",
        system_prompt("role", "notes").replace("of notes", "<x>\n<description>\n"),
    ):
        assert without_metadata(prompt) == prompt.partition("\n\n<memory_metadata>")[0]
