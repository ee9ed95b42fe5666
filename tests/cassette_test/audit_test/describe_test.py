"""harness/cassette_show.py: a recorded conversation for a person."""

import json

import pytest
from shelves import TALK, asked, exchange

from harness.agents.transcript import Usage
from harness.cassette.audit.describe import conversation, total, usage
from harness.cassette.exchange import Exchange
from harness.cassette.file import Cassette

LETTA = "http://letta/v1/agents/agent-1/messages"


def shown(*exchanges):
    """The parts after the head, as lines of kind, head and text."""
    tape = Cassette("p/t/1", "t", "p", {}, exchanges)
    return [(each.kind, each.head, each.text) for each in conversation(tape)][3:]


def test_the_head_tells_what_was_recorded():
    """Trial, outcome, date, models and versions, or that they are unknown."""
    facts = {"at": "2026-01-02", "outcome": "solved", "coder": "c", "versions": {"letta": "1"}}
    heads = [each.head for each in conversation(Cassette("p/t/1", "t", "p", facts))]
    assert heads == ["p/t/1: solved, recorded 2026-01-02", "coder c", "letta 1"]
    assert next(conversation(Cassette("p/t/1", "t", "p"))).head == "p/t/1: outcome unknown, recorded ?"


def test_claudes_exchange():
    """The prompt, the answer, why it stopped and what it took."""
    lines = shown(TALK[0])
    assert lines[0] == ("exchange", "1. POST anthropic /v1/messages -> 200", "")
    assert ("sent", "user", "Write add.py.") in lines
    assert ("got", "Claude", "def add(a, b): return a + b") in lines
    assert lines[-1] == ("note", "stop: end_turn, 20 tokens in, 30 out, cache 0 written 7 read", "")


def test_what_was_sent_before_is_not_repeated():
    """Of a conversation that is sent again and again, only the new messages are shown."""
    turns = [{"role": "user", "content": f"turn {n}"} for n in range(5)]
    system = "A long system prompt that is the same each time. " * 5
    lines = shown(*[exchange({"system": system, "messages": turns[: n + 1]}, {}) for n in range(5)])
    assert [text for kind, _, text in lines if kind == "sent"] == [system, *(f"turn {n}" for n in range(5))]
    assert ("note", "as before: system, messages 1-4", "") in lines


def test_lettas_exchanges():
    """Messages, tool calls, tool returns, thinking and usage of the orchestrator."""
    call = {"name": "run_claude_coder", "arguments": '{"spec": "x"}', "tool_call_id": "call_1"}
    answer = {
        "messages": [
            {"message_type": "reasoning_message", "reasoning": "I think."},
            {"message_type": "approval_request_message", "tool_call": call, "tool_calls": [call]},
        ],
        "stop_reason": {"stop_reason": "requires_approval"},
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "cached_input_tokens": 40},
    }
    given = {"type": "approval", "approvals": [{"tool_return": "Wrote add.py.", "tool_call_id": "call_1"}]}
    done = {
        "messages": [{"message_type": "assistant_message", "content": [{"type": "text", "text": "Done."}]}]
    }
    tools = [{"name": "run_claude_coder", "description": "long"}]
    lines = shown(
        exchange({"client_tools": tools, "messages": [{"role": "user", "content": "Go."}]}, answer, LETTA),
        exchange({"client_tools": tools, "messages": [given]}, done, LETTA),
    )
    assert lines[1:6] == [
        ("sent", "client_tools: run_claude_coder", ""),
        ("sent", "user", "Go."),
        ("got", "orchestrator (thinking)", "I think."),
        ("got", "calls run_claude_coder", '{"spec": "x"}'),
        ("note", "stop: requires_approval, 60 tokens in, 10 out, cache 0 written 40 read", ""),
    ]
    assert ("sent", "tool returns", "Wrote add.py.") in lines
    assert ("got", "orchestrator", "Done.") in lines


def test_claudes_tool_calls_and_thinking():
    """Blocks of other kinds are shown, too."""
    answer = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "run", "input": {"a": 1}},
        {"type": "tool_result", "content": [{"type": "text", "text": "ok"}]},
        {"type": "other"},
    ]
    assert [line for line in shown(exchange({}, {"content": answer})) if line[0] == "got"] == [
        ("got", "Claude (thinking)", "Hm."),
        ("got", "Claude calls run", '{"a": 1}'),
        ("got", "tool returns", "ok"),
        ("got", "Claude", '{"type": "other"}'),
    ]


def test_bodies_of_other_kinds():
    """Text as text, bytes by their number, an unknown object cut short."""
    assert ("got", "answer", "data: {}\n\n") in shown(exchange(b"", b"data: {}\n\n"))
    assert ("got", "answer", "3 bytes that are no text") in shown(exchange(b"", b"\xff\xfe\x00"))
    ((_, _, text),) = [line for line in shown(exchange({}, {"a": "x" * 9_000})) if line[0] == "got"]
    assert text.endswith("characters more)")
    assert len(text) < 400


def test_a_very_long_text_is_cut():
    """A gigantic answer does not fill the terminal."""
    lines = shown(asked("x", "y" * 1_000_000))
    assert max(len(text) for _, _, text in lines) < 21_000


ODD = [
    None,
    True,
    5,
    1.5,
    "x",
    [],
    {},
    [[]],
    [None],
    [5],
    ["x"],
    {"a": None},
    [{"type": "text"}],
    {"type": "text"},
]


@pytest.mark.parametrize("key", ["messages", "content", "usage", "stop_reason", "tools", "system"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_any_type_anywhere_is_shown_somehow(key, value):
    """A cassette is what anybody wrote: a value of an unexpected type is no error."""
    shown(exchange({key: value}, {key: value}), exchange({key: [value]}, {key: [value]}))


@pytest.mark.parametrize(
    "key", ["role", "content", "message_type", "tool_call", "tool_calls", "approvals", "type"]
)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_any_type_in_a_message_is_shown_somehow(key, value):
    """Also inside of messages and blocks."""
    message = {"role": "user", "content": [{"type": "text", "text": 5}], "message_type": "assistant_message"}
    body = {"messages": [{**message, key: value}], "content": [{key: value}]}
    shown(exchange(body, body))


def test_usage_of_both_services():
    """Cached tokens are counted once, whichever way a service counts them."""
    assert usage(TALK[0]) == Usage(20, 0, 7, 30)
    assert usage(exchange({}, {"usage": {"prompt_tokens": 100, "cached_input_tokens": 40}})) == Usage(
        60, 0, 40, 0
    )
    assert usage(exchange({}, {"usage": {"input_tokens": "many", "output_tokens": True}})) == Usage()
    assert usage(exchange({}, b"text")) == Usage()
    assert total(TALK) == Usage(40, 0, 14, 60)


def test_what_the_claude_cli_told():
    """Its words, its calls with their texts, whether they failed, and its tokens."""
    told = {
        "messages": [
            {"kind": "said", "text": "I write it."},
            {
                "kind": "called",
                "id": "t",
                "tool": "Write",
                "input": {"file_path": "a.py", "content": "X = 1\n"},
            },
            {"kind": "returned", "id": "t", "is_error": True},
        ],
        "result": {"usage": {"input_tokens": 5, "output_tokens": 6}},
    }
    each = Exchange("POST", "http://claude-code/ask", {}, b"{}", 200, {}, json.dumps(told).encode())
    parts = [(part.head, part.text) for part in conversation(Cassette("a/b/1", "t", "p", {}, (each,)))]
    assert ("Claude Code", "I write it.") in parts
    assert ("Claude Code calls Write", "file_path: a.py\ncontent: X = 1\n") in parts
    assert ("its tool fails", "") in parts
    assert usage(each) == Usage(input=5, output=6)


def test_tools_that_an_agent_gets_by_name():
    """Server tools are named in its creation."""
    each = Exchange("POST", "http://letta/v1/agents/", {}, b'{"tools": ["one", "two"]}', 200, {}, b"")
    heads = [part.head for part in conversation(Cassette("a/b/1", "t", "p", {}, (each,)))]
    assert "tools: one, two" in heads
