"""Print conversations in a terminal: as they happen (``-s -v``), afterwards (``harness show``), as recorded.

All text in them is a model's and may try anything with a terminal: control characters are made visible, and
what looks like a secret is removed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO, cast

from harness.agents.transcript import Event, Transcript, Watch
from harness.redact import redact_json
from harness.results.conversation import Part, Style, parts
from harness.terminal import LastingStream, one_line, visible

if TYPE_CHECKING:
    from rich.console import Console

STYLES: dict[Style, str] = {
    "user": "bold cyan",
    "orchestrator": "bold magenta",
    "coder": "bold green",
    "tester": "bold yellow",
    "claude": "bold green",
    "tool": "bold blue",
    "passed": "bold green",
    "fault": "bold red",
    "tokens": "dim",
    "attempt": "dim",
    "exchange": "bold",
    "note": "dim",
}


def print_transcript(console: Console, transcript: Transcript) -> None:
    """Print a whole conversation, and why it ended if a limit ended it."""
    print_parts(console, parts(transcript.events))
    if transcript.stop != "done":
        console.print(f"stopped: {transcript.stop.replace('_', ' ')}", style="red")
    if transcript.wasted_calls:
        console.print(
            f"{transcript.wasted_calls} of {transcript.tool_calls} tool calls wasted: they failed, or said "
            "again what was done",
            style="yellow",
        )


def narrator(*, on_a_new_line: bool = False) -> Watch:
    """Return a function that prints each event to standard output as it happens, and never fails."""
    from rich.console import Console

    console = Console(file=cast("TextIO", LastingStream(sys.stdout)), highlight=False)
    if on_a_new_line:
        console.print()
    attempt = 1

    def narrate(event: Event) -> None:
        nonlocal attempt
        print_parts(console, parts([event], attempt))
        attempt = event.attempt

    return narrate


def print_parts(console: Console, displayed: Iterable[Part]) -> None:
    """Print parts of a conversation."""
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    for raw in displayed:
        part = Part(**redact_json(asdict(raw), os.environ))
        title, style = one_line(part.title), STYLES[part.style]
        if part.style == "attempt":
            console.rule(title, style=style)
            continue
        if part.style == "tokens":
            console.print(Text(f"    [{title}: {part.note}]", style=style))
            continue
        if part.style == "exchange":
            console.print()
        console.print(Text(f"{title} ({part.note})" if part.note else title, style=style))
        text = visible(part.text.rstrip())
        if part.is_code:
            code = Syntax(text, "python", background_color="default", word_wrap=True)
            console.print(Padding(code, (0, 0, 0, 4)))
        elif text:
            body = Text(text, style="dim" if part.note == "thinking" else "")
            console.print(Padding(body, (0, 0, 0, 4), expand=False))
