"""harness/results/exchanges.py: a recorded conversation for a person."""

import json

from shelves import TALK, asked, exchange

from harness.cassette.exchange import Exchange
from harness.cassette.file import Cassette
from harness.results.exchanges import exchange_parts, facts

LETTA = "http://letta/v1/agents/agent-1/messages"


def displayed(*exchanges):
    """Title (with its note) and text of each part."""
    cassette = Cassette("p/t/1", "t", "p", {}, exchanges)
    return [
        (f"{part.title} ({part.note})" if part.note else part.title, part.text)
        for part in exchange_parts(cassette)
    ]


def test_the_facts_tell_what_was_recorded():
    """Trial, outcome, date, models and versions, or that they are unknown."""
    recorded = {"at": "2026-01-02", "outcome": "solved", "coder": "c", "versions": {"letta": "1"}}
    found = facts(Cassette("p/t/1", "t", "p", recorded))
    assert found == ("p/t/1: solved, recorded 2026-01-02", "coder c", "letta 1")
    assert facts(Cassette("p/t/1", "t", "p"))[0] == "p/t/1: outcome unknown, recorded ?"


def test_claudes_exchange():
    """The prompt, the answer, why it stopped and what it took."""
    lines = displayed(TALK[0])
    assert lines[0] == ("1. POST anthropic /v1/messages -> 200", "")
    assert ("> user", "Write add.py.") in lines
    assert ("< Claude", "def add(a, b): return a + b") in lines
    assert lines[-1] == ("  stop: end_turn, 20 tokens in, 30 out, cache 0 written 7 read", "")


def test_what_was_sent_before_is_not_repeated():
    """Of a conversation that is sent again and again, only the new messages are shown."""
    turns = [{"role": "user", "content": f"turn {n}"} for n in range(5)]
    system = "A long system prompt that is the same each time. " * 5
    lines = displayed(*[exchange({"system": system, "messages": turns[: n + 1]}, {}) for n in range(5)])
    assert [text for title, text in lines if title[0] == ">"] == [system, *(f"turn {n}" for n in range(5))]
    assert ("  as before: system, messages 1-4", "") in lines


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
    lines = displayed(
        exchange({"client_tools": tools, "messages": [{"role": "user", "content": "Go."}]}, answer, LETTA),
        exchange({"client_tools": tools, "messages": [given]}, done, LETTA),
    )
    assert lines[1:6] == [
        ("> client_tools: run_claude_coder", ""),
        ("> user", "Go."),
        ("< orchestrator (thinking)", "I think."),
        ("< orchestrator calls run_claude_coder", "spec: x"),
        ("  stop: requires_approval, 60 tokens in, 10 out, cache 0 written 40 read", ""),
    ]
    assert ("> tool returns", "Wrote add.py.") in lines
    assert ("< orchestrator", "Done.") in lines


def test_claudes_tool_calls_and_thinking():
    """Blocks of other kinds are shown, too."""
    answer = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "run", "input": {"a": 1}},
        {"type": "tool_result", "content": [{"type": "text", "text": "ok"}]},
        {"type": "other"},
    ]
    assert displayed(exchange({}, {"content": answer}))[1:] == [
        ("< Claude (thinking)", "Hm."),
        ("< Claude calls run", "a: 1"),
        ("< tool returns", "ok"),
        ("< Claude", '{"type": "other"}'),
    ]


def test_bodies_of_other_kinds():
    """Text as text, bytes by their number, an unknown object cut short."""
    assert ("< answer", "data: {}\n\n") in displayed(exchange(b"", b"data: {}\n\n"))
    assert ("< answer", "3 bytes that are no text") in displayed(exchange(b"", b"\xff\xfe\x00"))
    text = dict(displayed(exchange({}, {"a": "x" * 9_000})))["< answer"]
    assert text.endswith("characters more)")
    assert len(text) < 400


def test_a_very_long_text_is_cut():
    """A gigantic answer does not fill the terminal."""
    lines = displayed(asked("x", "y" * 1_000_000))
    assert max(len(text) for _, text in lines) < 21_000


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


def test_any_type_anywhere_is_displayed_somehow():
    """A cassette is what anybody wrote: a value of an unexpected type is no error, in bodies and messages."""
    for value in ODD:
        for key in ("messages", "content", "usage", "stop_reason", "tools", "system", "result"):
            assert displayed(exchange({key: value}, {key: value}), exchange({key: [value]}, {key: [value]}))
        for key in (
            "role",
            "content",
            "message_type",
            "tool_call",
            "tool_calls",
            "approvals",
            "type",
            "kind",
        ):
            message = {"role": "user", "content": [{"type": "text", "text": 5}], key: value}
            body = {"messages": [message], "content": [{key: value}]}
            assert displayed(exchange(body, body))


def test_what_the_claude_cli_told():
    """Its words, its calls with their texts, whether they failed, and its tokens."""
    reported = {
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
    each = Exchange("POST", "http://claude-code/ask", {}, b"{}", 200, {}, json.dumps(reported).encode())
    parts = displayed(each)
    assert ("< Claude Code", "I write it.") in parts
    assert ("< Claude Code calls Write", "file_path: a.py\ncontent: X = 1\n") in parts
    assert ("< tool returns an error", "") in parts
    assert parts[-1] == ("  5 tokens in, 6 out", "")


def test_tools_that_an_agent_gets_by_name():
    """Server tools are named in its creation."""
    each = Exchange("POST", "http://letta/v1/agents/", {}, b'{"tools": ["one", "two"]}', 200, {}, b"")
    assert ("> tools: one, two", "") in displayed(each)
