"""harness/cassette/audit/diff.py: how two recorded conversations differ."""

from dataclasses import replace

import pytest
from shelves import TALK, asked, exchange

from harness.cassette.audit.diff import compare, compare_facts
from harness.cassette.file import Cassette

ONE, TWO = TALK


def a_cassette(*exchanges, **changes):
    return Cassette(**{"trial": "p/t/1", "task": "t", "prompts": "p", "exchanges": exchanges, **changes})


def marks(one, other):
    return "".join(line.mark for line in compare(a_cassette(*one), a_cassette(*other)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((), (), ""),
        ((ONE, TWO), (ONE, TWO), "=="),
        ((ONE, TWO), (ONE,), "=-"),
        ((ONE,), (ONE, TWO), "=+"),
        ((), (ONE,), "+"),
        ((ONE, TWO, ONE), (ONE, asked("Test.", "x"), ONE), "=~="),
        ((ONE, TWO), (TWO,), "-="),
        ((TWO,), (ONE, TWO), "+="),
        ((ONE,), (TWO, TWO), "~+"),
    ],
)
def test_exchanges_are_aligned(one, other, expected):
    """An exchange more or less in the middle does not make all that follow differ."""
    assert marks(one, other) == expected


def test_a_changed_answer_names_the_first_place():
    """Path and both texts, with a little of what is around."""
    (line,) = compare(a_cassette(ONE), a_cassette(asked("Write add.py.", "def add(a, b): return b + a")))
    assert line.text == "  1   1 POST anthropic/v1/messages"
    assert line.details == (
        "answer $.content[0].text",
        "  A 'def add(a, b): return a + b'",
        "  B 'def add(a, b): return b + a'",
    )


def test_a_changed_request_and_status():
    """Each part that differs is told."""
    other = replace(ONE, url="http://anthropic/v2/messages", status=400, request_body=b'{"model": "n"}')
    (line,) = compare(a_cassette(ONE), a_cassette(other))
    assert line.details[:2] == (
        "address: POST anthropic/v1/messages | POST anthropic/v2/messages",
        "status: 200 | 400",
    )
    assert line.details[2].startswith("request $.")


def test_ids_that_a_service_makes_up_are_no_difference():
    """Ids of messages, calls, runs and agents differ in any two recordings of the same conversation."""

    def talk(call, message, number):
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        tool = {"tool_calls": [{"name": "x", "tool_call_id": call}], "otid": uuid, "run_id": f"run-{uuid}"}
        back = {"messages": [{"approvals": [{"tool_call_id": call}]}]}
        url = f"http://letta/v1/agents/agent-{uuid}/messages"
        return (exchange({}, {"id": message, "messages": [tool]}, url), exchange(back, {}, url))

    assert marks(talk("call_1a", "msg_1", 1), talk("call_2b", "msg_2", 2)) == "=="
    assert marks(talk("call_1a", "msg_1", 1), (asked("x", "y"), *talk("call_2b", "msg_2", 2))) == "+=="


def test_words_that_look_like_ids_are_a_difference():
    """Only what stands where ids stand is left out."""
    assert marks((asked("x", "call_me"),), (asked("x", "call_you"),)) == "~"


def test_the_agents_name_is_no_difference():
    """It is the trial's: two epochs of one trial are comparable."""
    one = a_cassette(exchange({"name": "p_t_1"}, {}))
    other = a_cassette(exchange({"name": "p_t_2"}, {}), trial="p/t/2")
    assert [line.mark for line in compare(one, other)] == ["="]


def test_the_head_tells_facts_that_differ():
    """Outcome, versions, number of exchanges and tokens; what is equal is not mentioned."""
    one = a_cassette(
        ONE, recorded={"at": "x", "outcome": "solved", "versions": {"letta": "1", "python": "3"}}
    )
    other = a_cassette(
        ONE, TWO, recorded={"at": "x", "outcome": "wrong", "versions": {"letta": "2", "python": "3"}}
    )
    assert [line.text for line in compare_facts(one, other)] == [
        "outcome: solved | wrong",
        "version of letta: 1 | 2",
        "exchanges: 1 | 2",
        "tokens: 20 in, 30 out, cache 0 written 7 read | 40 in, 60 out, cache 0 written 14 read",
    ]
    assert list(compare_facts(one, one)) == []


def test_very_long_conversations_are_compared_by_position():
    """Thousands of exchanges take no quadratic time."""
    many = (exchange({"a": 1}, {"b": 1}),) * 3_000
    assert marks(many, many) == "=" * 3_000
