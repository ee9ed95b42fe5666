"""A trial's events and files as pieces of a page. Pygments, imported here only, colours Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from harness.agents.transcript import Called, Event, Fault, Returned, Said, Spent, Tested, Wrote
from harness.results.show import arguments
from harness.terminal import visible


@dataclass(frozen=True)
class Piece:
    """One entry of a conversation. ``html`` is safe markup, the rest plain text.

    Attributes:
        who: Names its colour.
    """

    who: str
    title: str
    text: str = ""
    note: str = ""
    html: str = ""


def pieces(events: tuple[Event, ...]) -> list[Piece]:
    """The events in order. Code that an answer holds is shown once, as the file that it became."""
    found: list[Piece] = []
    attempt = 0
    for event, after in pairwise((*events, None)):
        assert event is not None
        if event.attempt != attempt:
            attempt = event.attempt
            found.append(Piece("", f"attempt {attempt}"))
        found.append(_piece(_without_its_code(event, after)))
    return found


def _without_its_code(event: Event, after: Event | None) -> Event:
    if isinstance(event, Said) and isinstance(after, Wrote) and after.text.strip():
        return replace(event, text=event.text.replace(after.text.strip(), "(the file below)"))
    return event


def _piece(event: Event) -> Piece:
    if isinstance(event, Said):
        return Piece(event.speaker, event.speaker, visible(event.text), "thinking" if event.thinking else "")
    if isinstance(event, Called):
        title = f"orchestrator calls {visible(event.tool)}"
        return Piece("orchestrator", title, visible(arguments(event.arguments)))
    if isinstance(event, Wrote):
        return Piece(event.role, f"{event.role} writes {visible(event.path)}", html=python(event.text))
    if isinstance(event, Returned):
        title = "tool returns" if event.ok else "tool returns an error"
        return Piece("tool" if event.ok else "fault", title, visible(event.text))
    if isinstance(event, Spent):
        used = event.usage
        parts = [f"{used.input:,} tokens in", f"{used.output:,} out"]
        parts += [f"{used.cache_read:,} read from the cache"] if used.cache_read else []
        parts += [f"{used.cache_write:,} written to it"] if used.cache_write else []
        return Piece("tool", f"{event.role} ({visible(event.model)})", note=", ".join(parts))
    if isinstance(event, Tested):
        title = "generated tests pass" if event.passed else "generated tests do not pass"
        return Piece("tool" if event.passed else "fault", title, visible(event.text))
    assert isinstance(event, Fault)
    return Piece("fault", "fault (not the models')", visible(event.text))


def files(left: Mapping[str, str], events: tuple[Event, ...]) -> list[tuple[str, str]]:
    """The files at the end whose text the conversation does not show: name and safe markup, in order."""
    written = {event.path: event.text for event in events if isinstance(event, Wrote)}
    return [(visible(name), python(left[name])) for name in sorted(left) if written.get(name) != left[name]]


def python(code: str) -> str:
    """Python code as safe markup, with a class for each kind of token."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(visible(code), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record's row with its grades in words."""

    def share(part: str, whole: str) -> str | None:
        return f"{row[part]} of {row[whole]}" if row[whole] else None

    words = {True: "yes", False: "no", None: None}
    return {
        **row,
        "detail": visible(row["detail"]),
        "acceptance": share("acceptance_passed", "acceptance_tests"),
        "generated": words[row["generated_passed"]] if row["generated_tests"] else "none were run",
        "valid": words[row["tests_valid"]],
        "bugs": share("bugs_caught", "bugs_total"),
    }
