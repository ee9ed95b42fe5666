"""An answer of Letta as a turn: what is read of it, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.agents.messages import ExecutedCall, ToolCall
from harness.backends.letta.turns import turn_of

CALL = {"tool_call_id": "c1", "name": "memory_insert", "arguments": "{}"}
ANSWER: dict[str, Any] = {
    "messages": [
        {"message_type": "reasoning_message", "reasoning": "hm"},
        {"message_type": "tool_call_message", "tool_call": CALL, "tool_calls": [CALL]},
        {
            "message_type": "tool_return_message",
            "tool_returns": [{"tool_call_id": "c1", "status": "success", "tool_return": [{"text": "ok"}]}],
        },
        {
            "message_type": "assistant_message",
            "content": [{"type": "text", "text": "done"}, {"type": "image"}],
        },
        {"message_type": "somebody_elses_message", "content": {"of": "any form"}},
    ],
    "stop_reason": {"stop_reason": "end_turn"},
    "usage": {"step_count": 2, "prompt_tokens": 7, "completion_tokens": None},
}


def test_an_answer_is_a_turn() -> None:
    """Thoughts, words, and the calls that Letta executed; messages of other kinds are passed over."""
    turn = turn_of(ANSWER)
    assert turn.texts == ((True, "hm"), (False, "done"))
    assert turn.ran == (ExecutedCall(ToolCall("c1", "memory_insert", "{}"), ok=True, text="ok", before=1),)
    assert (turn.stop, turn.steps, turn.usage.input, turn.usage.output) == ("end_turn", 2, 7, 0)


def test_older_messages_have_one_call_and_one_return() -> None:
    """In the singular, beside the message's own fields."""
    old = copy.deepcopy(ANSWER)
    del old["messages"][1]["tool_calls"]
    old["messages"][2] = {"message_type": "tool_return_message", **ANSWER["messages"][2]["tool_returns"][0]}
    assert turn_of(old) == turn_of(ANSWER)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((), "<html>", "it is not labelled as JSON"),
        ((), None, r"\$: Input should be a valid dictionary"),
        ((), [ANSWER], r"\$: Input should be a valid dictionary"),
        (("messages",), None, r"\$.messages: Input should be a valid list"),
        (("messages", 0), "text", r"\$.messages\[0\]: Input should be a valid dictionary"),
        (("messages", 0, "message_type"), 5, "valid string"),
        (("messages", 0, "message_type"), [], "valid string"),
        (("messages", 0, "reasoning"), {"a": 1}, r"\$.reasoning: "),
        (("messages", 1, "tool_calls"), "text", "valid list"),
        (("messages", 1, "tool_calls"), ["a"], r"\$\[0\]: "),
        (("messages", 1, "tool_calls", 0, "name"), 5, r"\$\[0\].name: "),
        (("messages", 1, "tool_calls", 0), {}, r"\$\[0\].tool_call_id: Field required"),
        (("messages", 2, "tool_returns", 0, "tool_call_id"), 1, r"\$\[0\].tool_call_id: "),
        (("messages", 2, "tool_returns", 0, "status"), None, r"\$\[0\].status: "),
        (("messages", 2, "tool_returns", 0, "tool_return"), {}, r"\$\[0\].tool_return"),
        (("messages", 3, "content"), {"a": 1}, r"\$.content"),
        (("messages", 3, "content"), ["a"], r"\$.content"),
        (("stop_reason",), None, r"\$.stop_reason: "),
        (("stop_reason", "stop_reason"), None, r"\$.stop_reason.stop_reason: "),
        (("usage",), "text", r"\$.usage: "),
        (("usage", "step_count"), "2", "expected a whole number"),
        (("usage", "prompt_tokens"), -1, "expected a whole number"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_place(place, value, said) -> None:
    """Never a turn without what stood there: a call that Letta executed would be lost in silence."""
    answer = whole = {"whole": copy.deepcopy(ANSWER)}
    *path, last = ("whole", *place)
    for part in path:
        answer = answer[part]
    answer[last] = value
    with pytest.raises(TypeError, match=said):
        turn_of(whole["whole"])
