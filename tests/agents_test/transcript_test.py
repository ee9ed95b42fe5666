"""The figures of a transcript, its JSON form, and the tokens that services report."""

import dataclasses
import json

import pytest
from anthropic.types import CacheCreation

from harness.agents.transcript import (
    EVENTS,
    Block,
    Called,
    Fault,
    Remembered,
    Returned,
    Said,
    Spent,
    Tested,
    Transcript,
    Usage,
    Wrote,
    from_json,
    to_json,
)

EVENTS_OF_A_TRIAL = (
    Said(1, "user", "Add.\nNow."),
    Spent(1, "orchestrator", "openai/x", Usage(10, 1, 2, 3), 2),
    Said(1, "orchestrator", "Hm \ud800 \x1b[31m", thinking=True),
    Called(1, "c1", "run_claude_coder", '{"spec": "é"}'),
    Spent(1, "coder", "claude-x", Usage(100, 0, 0, 50)),
    Wrote(1, "coder", "add.py", "x = 1\n"),
    Returned(1, "c1", True, "Wrote add.py"),
    Called(1, "c2", "run_claude_tester", "not json"),
    Returned(1, "c2", False, "Error: no"),
    Tested(1, False, "boom"),
    Said(2, "user", "again"),
    Spent(2, "orchestrator", "openai/x", Usage(20, 0, 0, 4), 1),
    Fault(2, "503"),
    Remembered(0, "c3", "memory_insert", "{}", True, "- é"),
    Block(0, "after", "notes", "- é"),
)


def test_the_figures_of_a_transcript_are_sums_over_its_events():
    """Counts and tokens are those that a hand count of the events gives."""
    transcript = Transcript(EVENTS_OF_A_TRIAL, "tool_call_limit")
    assert (transcript.attempts, transcript.tool_calls, transcript.tool_errors, transcript.steps) == (
        2,
        2,
        1,
        3,
    )
    assert transcript.usage("orchestrator") == Usage(30, 1, 2, 7)
    assert transcript.usage("coder") == Usage(100, 0, 0, 50)
    assert transcript.usage("tester") == Usage()
    assert transcript.coder_called
    assert transcript.faults == (Fault(2, "503"),)


def test_an_empty_transcript_has_no_figures():
    """Nothing happened: nothing is counted, and nothing raises."""
    transcript = Transcript(())
    assert (transcript.attempts, transcript.tool_calls, transcript.tool_errors, transcript.steps) == (
        0,
        0,
        0,
        0,
    )
    assert not transcript.coder_called
    assert transcript.usage("coder") == Usage()


def test_a_refused_call_of_the_coder_is_a_call():
    """An orchestrator that called the coder, with whatever result, did not give up."""
    assert Transcript((Called(1, "c", "run_claude_coder", "{}"), Returned(1, "c", False, "no"))).coder_called


def test_usage_adds_kind_by_kind():
    """Cached tokens are never mixed with the others."""
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)


def test_events_survive_json():
    """What was written to a file reads back as the same events, odd texts included."""
    rows = json.loads(json.dumps(to_json(EVENTS_OF_A_TRIAL)))
    assert from_json(rows) == EVENTS_OF_A_TRIAL
    assert {row["kind"] for row in rows} == set(EVENTS)


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "gone", "attempt": 1},
        {"attempt": 1},
        {"kind": "fault", "attempt": 1},
        {"kind": "fault", "attempt": 1, "text": "x", "more": 1},
        {"kind": "spent", "attempt": 1, "role": "coder", "model": "m", "usage": {"tokens": 1}},
    ],
)
def test_a_row_that_is_no_event_is_refused(row):
    """A damaged transcript is an error that its reader is told of."""
    with pytest.raises((KeyError, TypeError)):
        from_json([row])


@pytest.mark.parametrize("event", EVENTS_OF_A_TRIAL, ids=lambda event: type(event).__name__)
def test_events_are_frozen(event):
    """What happened cannot be changed afterwards."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.attempt = 9


def calls(*made):
    """A transcript of tool calls: attempt, tool, arguments, whether it succeeded."""
    events = []
    for number, (attempt, tool, arguments, ok) in enumerate(made):
        events += [Called(attempt, f"c{number}", tool, arguments), Returned(attempt, f"c{number}", ok, "")]
    return Transcript(tuple(events))


CODER, TESTER = "run_claude_coder", "run_claude_tester"


@pytest.mark.parametrize(
    ("made", "wasted"),
    [
        ((), 0),
        (((1, CODER, "{}", True), (1, TESTER, "{}", True)), 0),
        (((1, CODER, "{}", False), (1, CODER, "{}", True)), 1),
        (((1, CODER, "{}", False), (1, CODER, "{}", False)), 2),
        (((1, CODER, '{"a": 1, "b": 2}', True), (1, CODER, '{"b":2,"a":1}', True)), 1),
        (((1, CODER, "not json", True), (1, CODER, "not json", True)), 1),
        (((1, CODER, '{"a": 1}', True), (1, CODER, '{"a": 2}', True)), 0),
        (((1, CODER, "{}", True), (2, CODER, "{}", True)), 0),
        (((1, CODER, "{}", True), (1, TESTER, "{}", True), (1, TESTER, "{}", True)), 1),
        (
            (
                (1, CODER, "{}", True),
                (1, TESTER, "{}", True),
                (1, CODER, '{"a": 1}', True),
                (1, TESTER, "{}", True),
            ),
            0,
        ),
        (
            (
                (1, CODER, "{}", True),
                (1, TESTER, "{}", True),
                (1, CODER, "{}", True),
                (1, TESTER, "{}", True),
            ),
            2,
        ),
    ],
)
def test_wasted_calls(made, wasted):
    """Errors and repeats of what had succeeded.

    A retry after an error, a new attempt and a tester on changed code are none.
    """
    assert calls(*made).wasted_calls == wasted


def test_a_call_id_that_is_used_twice_is_two_calls():
    """Ids come from a model's server, and need not differ."""
    events = (
        Called(1, "c", CODER, '{"a": 1}'),
        Returned(1, "c", True, ""),
        Called(1, "c", CODER, '{"a": 2}'),
        Returned(1, "c", True, ""),
    )
    assert Transcript(events).wasted_calls == 0


def test_the_final_answer_is_the_orchestrators_last_word():
    """Spoken, not thought, and in the last attempt: what it said before a repair is no answer."""
    said = (
        Said(1, "orchestrator", "First."),
        Said(1, "coder", "Code."),
        Said(1, "orchestrator", "Gave up."),
        Said(1, "orchestrator", "Hm.", thinking=True),
    )
    assert Transcript(said).final_answer == "Gave up."
    assert Transcript((*said, Said(2, "user", "again"))).final_answer == ""
    assert Transcript(()).final_answer == ""


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 10, "cached_input_tokens": 40}, Usage(60, 0, 40, 10)),
        ({"prompt_tokens": 10, "cached_input_tokens": 40, "cache_write_tokens": None}, Usage(0, 0, 40, 0)),
        ({}, Usage()),
    ],
)
def test_tokens_as_letta_reports_them(reported, expected) -> None:
    """Letta's prompt tokens include the cached ones; a missing count is 0, and none is negative."""
    assert Usage.from_letta(reported) == expected


def test_tokens_as_the_messages_api_reports_them() -> None:
    """The four counts never overlap; those of the cache may be missing or null."""
    reported = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": None}
    assert Usage.from_messages(reported) == Usage(input=1, output=2)
    reported |= {"cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}
    assert Usage.from_messages(reported) == Usage(1, 4, 3, 2)
    reported |= {"cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3}}
    assert Usage.from_messages(reported) == Usage(1, 4, 3, 2, cache_write_1h=3)
    as_sdk = CacheCreation(ephemeral_5m_input_tokens=1, ephemeral_1h_input_tokens=3)
    assert Usage.from_messages({**reported, "cache_creation": as_sdk}).cache_write_1h == 3
    assert Usage.from_messages({**reported, "cache_creation": None}).cache_write_1h == 0


@pytest.mark.parametrize(
    ("parse", "reported"),
    [
        (Usage.from_letta, {"prompt_tokens": "12"}),
        (Usage.from_letta, {"completion_tokens": True}),
        (Usage.from_messages, {"input_tokens": 1}),
        (Usage.from_messages, {"input_tokens": None, "output_tokens": 1}),
        (Usage.from_messages, {"input_tokens": 1.0, "output_tokens": 2}),
    ],
)
def test_tokens_that_are_missing_or_no_whole_numbers_are_refused(parse, reported) -> None:
    """A price must not be made of what only looks like a count."""
    with pytest.raises((KeyError, TypeError)):
        parse(reported)
