"""What of the orchestrator's memory reached the coder."""

from __future__ import annotations

import json

from harness.agents import prompts
from harness.agents.memory import recalled
from harness.agents.transcript import Block, Called, Transcript
from harness.results.conversation import parts

NOTES = "\n- Money is text, as in 5 ct.\n- ok\n"


def call(number: int, spec: object, tool: str = prompts.CODER_TOOL) -> Called:
    return Called(1, f"c{number}", tool, json.dumps({"spec": spec}))


def test_lines_of_the_memory_are_found_in_specifications() -> None:
    """A quoted line counts, without its bullet; short ones, other tools and broken arguments do not."""
    events = (
        Block(0, "before", "notes", NOTES),
        call(1, "Return the price. Money is text, as in 5 ct. Thanks."),
        call(2, "Return the price, ok."),
        call(3, "Money is text, as in 5 ct.", prompts.TESTER_TOOL),
        Called(1, "c4", prompts.CODER_TOOL, "no json"),
        Block(0, "after", "notes", "Money is text, as in 5 ct."),
    )
    assert recalled(Transcript(events)) == {"c1": ["Money is text, as in 5 ct."]}


def test_a_transcript_shows_the_memory_as_a_diff() -> None:
    """Before: the notes. After: only what has changed, line by line. In between: what a call quotes of it."""
    events = (
        Block(0, "before", "notes", "- old line of the notes"),
        Block(0, "before", "role", "I am."),
        call(1, "Do it: old line of the notes"),
        Block(0, "after", "notes", "- old line of the notes\n- new"),
        Block(0, "after", "role", "I am."),
    )
    shown = [(part.title, part.text) for part in parts(events) if part.style == "note"]
    assert shown == [
        ("memory before", "- old line of the notes"),
        ("of this specification, from memory", "old line of the notes"),
        ("memory after: notes, changed", "  - old line of the notes\n+ - new"),
    ]
