"""Find secrets in a text: what refuses a cassette is what cleans a message, by one search.

Not covered: a secret that neither stands in the environment under a telling name nor has a known shape; one
shorter than eight characters; one in a code of its own (reversed, encrypted, compressed).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.redact.shapes import packed, shapes
from harness.redact.variables import MIN_SECRET, Secrets
from harness.redact.views import View, views

# What providers leave of a key in their messages: sk-...abcd, ****abcd.
MASKED = tuple(
    (mask, re.compile(rf"{re.escape(mask)}([\w+/=-]{{4,40}}+)"))
    for mask in ("**", "...", "…", "••", "xxxx", "XXXX")
)
WORTH_REMEMBERING = 4_000  # characters


@dataclass(frozen=True)
class Finding:
    """A secret in a text.

    Attributes:
        start, end: Where it stands.
        kind: What it is, for people.
        secret: Itself, with all escapes undone.
    """

    start: int
    end: int
    kind: str
    secret: str


def find(text: str, secrets: Secrets) -> list[Finding]:
    """Return the secrets in a text: values of variables first, then what has a known shape."""
    if len(text) < MIN_SECRET:
        return []
    return _remembered(text, secrets) if len(text) <= WORTH_REMEMBERING else _find(text, secrets)


@lru_cache(maxsize=16_384)  # cassettes say the same prompts again
def _remembered(text: str, secrets: Secrets) -> list[Finding]:
    return _find(text, secrets)


def _find(text: str, secrets: Secrets) -> list[Finding]:
    values: dict[tuple[int, int], Finding] = {}
    shaped: dict[tuple[int, int], Finding] = {}
    for view in views(text):
        for start, end, secret in _values(view, secrets):
            values.setdefault(
                (start, end), Finding(start, end, f"the value of {secrets.names[secret]}", secret)
            )
        for start, end, text_within in packed(view.text):
            for _, _, secret in _values(View(text_within), secrets):
                place = view.span(start, end)
                values.setdefault(place, Finding(*place, f"the value of {secrets.names[secret]}", secret))
        for start, end, kind in shapes(view.text):
            place = view.span(start, end)
            found = Finding(*place, f"what looks like {kind}", view.text[start:end])
            shaped.setdefault(place, found)
    return [*sorted(values.values(), key=_place), *sorted(shaped.values(), key=_place)]


def _place(finding: Finding) -> tuple[int, int]:
    return finding.start, finding.end


def _values(view: View, secrets: Secrets) -> Iterator[tuple[int, int, str]]:
    """Yield where values of variables stand, by places in the original text."""
    if not secrets.names:
        return
    for form, secret in secrets.plain.items():
        for each in (view, view.joined) if "\n" in view.text else (view,):
            for start in _all(each.text.find, form):
                yield *each.span(start, start + len(form)), secret
    squeezed = view.squeezed
    for letters, secret in secrets.squeezed.items():
        for start in _all(squeezed.find, letters):
            whole = View(secret).squeezed
            yield *view.squeezed_span(*_widened(squeezed, start, letters, whole)), secret
    for mask, pattern in MASKED:
        for match in pattern.finditer(view.text) if mask in view.text else ():
            for secret in secrets.names:
                if len(secret) >= 2 * MIN_SECRET and secret.endswith(match[1]):
                    yield *view.span(*match.span(1)), secret


def _widened(text: bytes, start: int, part: bytes, whole: bytes) -> tuple[int, int]:
    """Return how far a part of a secret goes on as the secret does; another form of it stays as it is."""
    end, before = start + len(part), whole.find(part)
    after = before + len(part)
    while before > 0 and start > 0 and text[start - 1] == whole[before - 1]:
        start, before = start - 1, before - 1
    while before >= 0 and after < len(whole) and end < len(text) and text[end] == whole[after]:
        end, after = end + 1, after + 1
    return start, end


def _all(find: Callable[[Any, int], int], form: Any) -> Iterator[int]:
    start = find(form, 0)
    while start >= 0:
        yield start
        start = find(form, start + len(form))
