"""A trial of an orchestrator with memory: the conversation, then a review of it, which it may remember.

    blocks before -> attempts as in ``loop.py`` -> review -> blocks after

Memory tools run in Letta, beside the tools of the harness, and their calls are no tool calls of the trial.
What happens outside of the attempts stands in the transcript as attempt 0.
"""

from __future__ import annotations

import json
from typing import Literal

from harness.agents import prompts
from harness.agents.loop import Loop
from harness.agents.transcript import Block, Called, Said, Stop, Transcript

OUTSIDE = 0
NOTES = "notes"  # the block that the orchestrator may write
SHORTEST = 12  # characters of a line that is taken for a quotation


def run(loop: Loop, review: str) -> Stop:
    """Run a trial; ``review`` is empty where nobody reviews it.

    Raises:
        ApiError: Letta, or the model behind it, failed.
    """
    note_blocks(loop, "before")
    stop = loop.run()
    if review:
        message = prompts.memory["review"].format(review=review)
        loop.end_turn(OUTSIDE)
        loop.note(Said(OUTSIDE, "user", message))
        loop.listen(OUTSIDE, loop.agent.say(message, []))
        loop.end_turn(OUTSIDE)
    note_blocks(loop, "after")
    return stop


def note_blocks(loop: Loop, moment: Literal["before", "after"]) -> None:
    """Note the orchestrator's memory as it is."""
    for label, text in loop.agent.blocks().items():
        loop.note(Block(OUTSIDE, moment, label, text))


def recalled(transcript: Transcript) -> dict[str, list[str]]:
    """Return which lines of the memory before the trial its coder calls quote: call id -> lines.

    A line counts if it stands there as it was noted, its bullet apart; what was put in other words does not.
    """
    notes = transcript.blocks("before").get(NOTES, "")
    calls = [each for each in transcript.events if isinstance(each, Called)]
    return {call.call_id: lines for call in calls if (lines := quoted(notes, call))}


def quoted(notes: str, call: Called) -> list[str]:
    """Return the lines of the memory that a coder call quotes in its specification."""
    if call.tool != prompts.CODER_TOOL:
        return []
    try:
        spec = str(json.loads(call.arguments)["spec"])
    except (ValueError, TypeError, KeyError, RecursionError):  # whatever the model wrote
        return []
    lines = (line.strip(" -*\t") for line in notes.splitlines())
    return [line for line in lines if len(line) >= SHORTEST and line in spec]
