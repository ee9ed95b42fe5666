"""Prepare one trial for the page. Pygments, imported here only, colours Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.agents.transcript import Event, Said, Wrote
from harness.results.conversation import Part, parts
from harness.terminal import visible


def parts_for_page(events: tuple[Event, ...]) -> Iterator[Part]:
    """Yield the parts of a conversation, with code that an answer holds only where it became a file."""
    return parts(map(_without_its_code, events, (*events[1:], None)))


def _without_its_code(event: Event, following: Event | None) -> Event:
    if isinstance(event, Said) and isinstance(following, Wrote) and (code := following.text.strip()):
        return replace(event, text=event.text.replace(code, "(the file below)"))
    return event


def unseen_files(files: Mapping[str, str], events: tuple[Event, ...]) -> list[tuple[str, str]]:
    """Return the names and texts of files that the conversation does not show as they were at the end."""
    written = {event.path: event.text for event in events if isinstance(event, Wrote)}
    return [(name, text) for name, text in sorted(files.items()) if written.get(name) != text]


def python(code: str) -> str:
    """Return Python code as escaped markup, with a class for each kind of token."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(visible(code), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's row with its grades in words."""

    def share(part: str, whole: str) -> str | None:
        return f"{row[part]} of {row[whole]}" if row[whole] else None

    words = {True: "yes", False: "no", None: None}
    return {
        **row,
        "acceptance": share("acceptance_passed", "acceptance_tests"),
        "generated": words[row["generated_passed"]] if row["generated_tests"] else "none were run",
        "valid": words[row["tests_valid"]],
        "bugs": share("bugs_caught", "bugs_total"),
    }
