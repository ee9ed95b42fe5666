"""Where two JSON values first differ: one path, and a little text of both sides.

However long a conversation is, what is told of it fits on a few lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from harness.cassette.exchange import parse_body

AROUND = 60
LONGEST_PATH = 240


@dataclass(frozen=True)
class Difference:
    """The first place where two values differ.

    Attributes:
        path: Its JSON path.
        old: What stands there in the one, as short text; None where nothing does.
        new: What stands there in the other.
    """

    path: str
    old: str | None
    new: str | None

    def told(self, one: str, other: str) -> str:
        """The difference in words, with a name for each side: ``$.a: recorded 1, now 2``."""
        return f"{self.path}: {one} {self.old or 'nothing'}, {other} {self.new or 'nothing'}"


def difference(recorded: bytes, now: bytes) -> str:
    """The first difference of two bodies in words; empty if their values are the same."""
    found = first_difference(*comparable(recorded, now))
    return found.told("recorded", "now") if found else ""


def comparable(one: bytes, other: bytes) -> tuple[Any, Any]:
    """Two bodies as JSON values, or both as text if one is none."""
    (one_known, old), (other_known, new) = parse_body(one), parse_body(other)
    if one_known and other_known:
        return old, new
    return one.decode("utf-8", "replace"), other.decode("utf-8", "replace")


def first_difference(old: Any, new: Any, path: str = "$") -> Difference | None:
    """Where two JSON values first differ; None if they do not. The order of keys is nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        places = ((f"{path}.{_cut(key)}", *_both(old, new, key)) for key in keys)
    elif isinstance(old, list) and isinstance(new, list):
        count = range(max(len(old), len(new)))
        places = ((f"{path}[{i}]", old[i : i + 1], new[i : i + 1]) for i in count)
    else:
        return _of_leaves(old, new, path)
    for where, one, other in places:
        found = _of_items(one, other, where)
        if found is not None:
            return found
    return None


def _both(old: dict[str, Any], new: dict[str, Any], key: str) -> tuple[list[Any], list[Any]]:
    """What stands under a key in both, as lists of one or none."""
    return [old[key]] if key in old else [], [new[key]] if key in new else []


def _of_items(one: list[Any], other: list[Any], path: str) -> Difference | None:
    if one and other:
        return first_difference(one[0], other[0], path)
    return Difference(_short(path), *(_cut(json.dumps(each[0])) if each else None for each in (one, other)))


def _of_leaves(old: Any, new: Any, path: str) -> Difference | None:
    if old == new and type(old) is type(new):
        return None
    if isinstance(old, str) and isinstance(new, str):
        return Difference(_short(path), _around(old, new), _around(new, old))
    return Difference(_short(path), _cut(json.dumps(old)), _cut(json.dumps(new)))


def _around(text: str, other: str) -> str:
    """The text about the first character in which it differs from the other, from a word's start."""
    at = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), None)
    at = min(len(text), len(other)) if at is None else at
    start = max(text.rfind(" ", 0, max(0, at - AROUND // 3)) + 1, at - AROUND, 0)
    piece = text[start : at + AROUND]
    return repr(("…" if start else "") + piece + ("…" if at + AROUND < len(text) else ""))


def _cut(text: str) -> str:
    return text if len(text) <= 2 * AROUND else text[: 2 * AROUND] + "…"


def _short(path: str) -> str:
    """A path that fits: its beginning and its end."""
    return path if len(path) <= LONGEST_PATH else f"{path[:60]}…{path[60 - LONGEST_PATH :]}"
