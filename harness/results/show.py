"""A trial's conversation for people: as it happens (``-s -v``) and afterwards (``harness show``).

All text in it is a model's and may try anything with a terminal: control characters are made visible.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from harness.agents.transcript import (
    Called,
    Event,
    Fault,
    Returned,
    Said,
    Spent,
    Tested,
    Transcript,
    Watch,
    Wrote,
    from_json,
    to_json,
)
from harness.redact import redact_json
from harness.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

STYLES = {"user": "cyan", "orchestrator": "magenta", "coder": "green", "tester": "yellow"}


def show(console: Console, transcript: Transcript) -> None:
    """Print a whole conversation."""
    attempt = 0
    for event in transcript.events:
        if event.attempt != attempt:
            attempt = event.attempt
            console.rule(f"attempt {attempt}", style="dim")
        show_event(console, event)
    if transcript.stop != "done":
        console.print(f"stopped: {transcript.stop.replace('_', ' ')}", style="red")
    if transcript.wasted_calls:
        console.print(
            f"{transcript.wasted_calls} of {transcript.tool_calls} tool calls wasted: they failed, or said "
            "again what was done",
            style="yellow",
        )


def show_event(console: Console, event: Event) -> None:
    """Print one event."""
    for part in _parts(event):
        console.print(part)


def narrator() -> Watch:
    """Prints each event as it happens, without secrets, to standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    begun = 0

    def tell(event: Event) -> None:
        nonlocal begun
        if event.attempt > max(begun, 1):
            console.rule(f"attempt {event.attempt}", style="dim")
        begun = max(begun, event.attempt)
        show_event(console, *from_json(redact_json(to_json([event]), os.environ)))

    return tell


def _parts(event: Event) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    def head(text: str, style: str) -> Text:
        return Text(visible(text), style=f"bold {style}")

    def indented(text: str, style: str = "") -> RenderableType:
        return Padding(Text(visible(text.rstrip()), style=style), (0, 0, 0, 4))

    if isinstance(event, Said):
        thinking = " (thinking)" if event.thinking else ""
        style = STYLES[event.speaker]
        return [
            head(f"{event.speaker}{thinking}", style),
            indented(event.text, "dim" if event.thinking else ""),
        ]
    if isinstance(event, Called):
        return [head(f"orchestrator calls {event.tool}", "magenta"), indented(arguments(event.arguments))]
    if isinstance(event, Wrote):
        code = Syntax(visible(event.text.rstrip()), "python", background_color="default", word_wrap=True)
        return [head(f"{event.role} writes {event.path}", STYLES[event.role]), Padding(code, (0, 0, 0, 4))]
    if isinstance(event, Returned):
        return [
            head("tool returns" if event.ok else "tool returns an error", "blue" if event.ok else "red"),
            indented(event.text),
        ]
    if isinstance(event, Spent):
        used = event.usage
        cached = (
            f", cache {used.cache_write} written {used.cache_read} read"
            if used.cache_write or used.cache_read
            else ""
        )
        return [Text(f"    [{event.role}: {used.input} tokens in, {used.output} out{cached}]", style="dim")]
    if isinstance(event, Tested):
        result = [
            head(
                "generated tests pass" if event.passed else "generated tests do not pass",
                "green" if event.passed else "red",
            )
        ]
        return [*result, indented(event.text)] if event.text else list(result)
    assert isinstance(event, Fault)
    return [head("fault (not the models')", "red"), indented(event.text)]


def arguments(text: str) -> str:
    """Arguments line by line, or as the model wrote them if they are no JSON object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict):
        return text
    return "\n".join(
        f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()
    )
