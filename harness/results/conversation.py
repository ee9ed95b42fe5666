"""Convert what happened in a trial to the parts that are displayed of it.

The terminal (``show.py``) and the page (``page/``) render the same parts. A part's texts are as models wrote
them: making them safe is the renderer's business.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from harness.agents.memory import NOTES, quoted
from harness.agents.transcript import (
    Block,
    Called,
    Event,
    Fault,
    Remembered,
    Returned,
    Said,
    Spent,
    Tested,
    Usage,
    Wrote,
)

Speaker = Literal["user", "orchestrator", "coder", "tester", "claude"]
Style = Literal[Speaker, "tool", "passed", "fault", "tokens", "attempt", "exchange", "note"]


@dataclass(frozen=True)
class Part:
    """One entry of a displayed conversation.

    Attributes:
        style: Who speaks or what it is, which decides its colour.
        title: A short heading.
        text: What was said, written or returned; may be empty.
        note: A remark beside the title, such as "thinking".
        is_code: Tells that the text is Python.
    """

    style: Style
    title: str
    text: str = ""
    note: str = ""
    is_code: bool = False


def parts(events: Iterable[Event], attempt: int = 0) -> Iterator[Part]:
    """Yield a part for each event, and one where each attempt after the given one begins.

    Of memory, what it held before, what of that a specification quotes, and at the end how it has changed.
    What is said word for word again and again stands there once: small models go round in circles.
    """
    yield from folded(_parts(events, attempt))


def folded(shown: Iterable[Part]) -> Iterator[Part]:
    """Yield parts, of those that are the same and follow each other one, with their number."""
    for part, same in groupby(shown):
        times = sum(1 for _ in same)
        note = f"{part.note}, {times} times in a row" if part.note else f"{times} times in a row"
        yield part if times == 1 else replace(part, note=note)


def _parts(events: Iterable[Event], attempt: int) -> Iterator[Part]:
    before: dict[str, str] = {}
    for event in events:
        if event.attempt != attempt:
            attempt = event.attempt
            yield Part("attempt", attempt_title(attempt, is_first=False))
        yield from event_parts(event, before)


def attempt_title(number: int, *, is_first: bool) -> str:
    """Return the heading of an attempt, or of what happened before the first or after the last."""
    return f"attempt {number}" if number else f"{'before' if is_first else 'after'} the attempts"


def event_parts(event: Event, before: dict[str, str]) -> Iterator[Part]:
    """Yield the parts of an event; ``before`` gathers the memory that the trial began with, by label."""
    if isinstance(event, Block):
        yield from _block(event, before)
        return
    yield part_of(event)
    if isinstance(event, Called) and (lines := quoted(before.get(NOTES, ""), event)):
        yield Part("note", "of this specification, from memory", "\n".join(lines))


def _block(block: Block, before: dict[str, str]) -> Iterator[Part]:
    """Yield what is displayed of a memory block; ``before`` as in ``event_parts``."""
    if block.moment == "before":
        before[block.label] = block.text
        if block.label == NOTES:  # the others are the harness's own
            yield Part("note", "memory before", block.text.strip() or "(empty)")
    elif block.text != before.get(block.label):
        old, new = before.get(block.label, "").splitlines(), block.text.splitlines()
        changes = [line for line in difflib.ndiff(old, new) if not line.startswith("?")]
        yield Part("note", f"memory after: {block.label}, changed", "\n".join(changes))


def part_of(event: Event) -> Part:
    """Return what is displayed of an event."""
    match event:
        case Said():
            return Part(event.speaker, event.speaker, event.text, "thinking" if event.thinking else "")
        case Called():
            return called("orchestrator", event.tool, event.arguments)
        case Wrote():
            return Part(event.role, f"{event.role} writes {event.path}", event.text, is_code=True)
        case Returned():
            return returned(event.text, ok=event.ok)
        case Spent():
            return Part("tokens", f"{event.role} ({event.model})", note=tokens(event.usage))
        case Tested():
            style: Style = "passed" if event.passed else "fault"
            return Part(style, f"generated tests {'' if event.passed else 'do not '}pass", event.text)
        case Fault():
            return Part("fault", "fault (not the models')", event.text)
        case Remembered():
            part = called("orchestrator", event.tool, event.arguments)
            answer = "" if event.ok else f"\n-> error: {event.text}"
            return replace(part, text=part.text + answer, note="memory, in Letta")
        case Block():
            return Part("note", f"memory {event.moment}: {event.label}", event.text)


def style_of(speaker: str) -> Style:
    """Return the style of who speaks."""
    match speaker:
        case "user" | "orchestrator":
            return speaker
        case "Claude" | "Claude Code" | "assistant":
            return "claude"
        case _:
            return "tool"


def called(speaker: str, tool: str, arguments: Any) -> Part:
    """Return the part of a tool call, with a line for each argument.

    Arguments are a JSON value or its text; what is no JSON object is displayed as the model wrote it.
    """
    values = arguments
    if isinstance(arguments, str):
        try:
            values = json.loads(arguments)
        except (ValueError, RecursionError):
            values = None
    if isinstance(values, dict):
        text = "\n".join(f"{key}: {_plain(value)}" for key, value in values.items())
    else:
        text = _plain(arguments)
    return Part(style_of(speaker), f"{speaker} calls {tool}", text)


def returned(text: str, *, ok: bool = True) -> Part:
    """Return the part of what a tool returned."""
    return Part("tool", "tool returns", text) if ok else Part("fault", "tool returns an error", text)


def tokens(usage: Usage) -> str:
    """Return numbers of tokens in words; those of the cache only where it was used."""
    text = f"{usage.input:,} tokens in, {usage.output:,} out"
    if usage.cache_write or usage.cache_read:
        text += f", cache {usage.cache_write:,} written {usage.cache_read:,} read"
    return text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
