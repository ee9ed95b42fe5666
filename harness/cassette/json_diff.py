"""Find where two JSON values first differ: one path, and a little text of both sides.

However long a conversation is, its difference fits on a few lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import Any

from harness.cassette.exchange import parse_body

AROUND = 60
LONGEST_PATH = 240
ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """The JSON path where two values first differ, and both there as short text; None if there is none."""

    path: str
    old: str | None
    new: str | None


def difference(recorded: bytes, now: bytes) -> str:
    """Describe the first difference of two bodies; empty if their values are the same."""
    found = first_difference(recorded, now)
    return f"{found.path}: recorded {found.old or 'nothing'}, now {found.new or 'nothing'}" if found else ""


def first_difference(recorded: bytes, now: bytes) -> Difference | None:
    """Find where two bodies first differ, as JSON values, or both as text if one is none."""
    (recorded_known, old), (now_known, new) = parse_body(recorded), parse_body(now)
    if recorded_known and now_known:
        return _first(old, new, "$")
    return _first(recorded.decode("utf-8", "replace"), now.decode("utf-8", "replace"), "$")


def _first(old: Any, new: Any, path: str) -> Difference | None:
    """Find where two JSON values first differ; None if they do not. The order of keys does not count."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        places = ((f"{path}.{_cut(key)}", old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys)
    elif isinstance(old, list) and isinstance(new, list):
        items = enumerate(zip_longest(old, new, fillvalue=ABSENT))
        places = ((f"{path}[{i}]", *both) for i, both in items)
    elif old == new and type(old) is type(new):
        return None
    elif isinstance(old, str) and isinstance(new, str):
        return Difference(_short(path), _around(old, new), _around(new, old))
    else:
        return Difference(_short(path), _display(old), _display(new))
    found = (_first(one, other, where) for where, one, other in places)
    return next((each for each in found if each is not None), None)


def _display(value: Any) -> str | None:
    return None if value is ABSENT else _cut(json.dumps(value))


def _around(text: str, other: str) -> str:
    """Cut out the text around the first character that differs, from a word's start."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    at = len(list(alike))
    start = max(text.rfind(" ", 0, max(0, at - AROUND // 3)) + 1, at - AROUND, 0)
    piece = text[start : at + AROUND]
    return repr(("…" if start else "") + piece + ("…" if at + AROUND < len(text) else ""))


def _cut(text: str) -> str:
    return text if len(text) <= 2 * AROUND else text[: 2 * AROUND] + "…"


def _short(path: str) -> str:
    """Keep beginning and end of a path."""
    return path if len(path) <= LONGEST_PATH else f"{path[:60]}…{path[60 - LONGEST_PATH :]}"
