"""What an answer repeats: ``{"$same": k, "at": "response.memory.blocks"}`` stands in place of such a value.

Servers answer with what they were sent, and say the same in two places. ``k`` counts requests to the same
address back from the one that is answered, which is 0; ``at`` is the place there, by keys and numbers of
items. What stands under a key that says it is a secret is no such place, and stays where it is.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from pydantic import Field

from harness.cassette.exchange import compact, is_shallow, require_few_values
from harness.cassette.notation import Strict, escape, joined, split_lines, unescape
from harness.redact import SECRET_MAPS, says_secret

WORTH_A_PLACE = 100  # bytes
PLAIN = re.compile(r"[A-Za-z_][\w-]{0,60}", re.ASCII)


class Place(Strict):
    """Where in a conversation a value stands, too."""

    back: int = Field(alias="$same", ge=0)
    at: str


class Conversation:
    """The exchanges with one address so far, oldest first; the last is the one that is worked at.

    Attributes:
        requests: Their bodies, as far as they are JSON objects.

    Args:
        limit: Bytes that the references of one answer may stand for.
    """

    def __init__(self, limit: int) -> None:
        self.requests: list[dict[str, Any]] = []
        self._limit = limit
        self._said: list[dict[str, Any]] = []
        self._places: dict[bytes, tuple[int, str]] = {}

    def ask(self, request: dict[str, Any] | None) -> None:
        """Begin an exchange with a JSON object, or with another body."""
        self._said.append({"request": request})
        if request is not None:
            self.requests.append(request)

    def fold(self, answer: Any) -> Any:
        """Return a JSON value as it is stored, with references; ``unfold`` is the inverse."""
        self._fold(self._said[-1]["request"], "request")
        return self._fold(answer, "response")

    def _fold(self, value: Any, at: str) -> Any:
        if reference := self._reference(value, at):
            return reference
        if isinstance(value, list):
            return [self._fold(each, f"{at}.{number}") for number, each in enumerate(value)]
        if isinstance(value, dict):
            return {
                escape(key): self._fold(each, f"{at}.{key}") if _is_place(key) else split_lines(each)
                for key, each in value.items()
            }
        return split_lines(value)

    def _reference(self, value: Any, at: str) -> dict[str, Any] | None:
        """Return what may stand in place of a value; note its place if it has stood nowhere."""
        text = compact(value) if isinstance(value, str | list | dict) else b""
        if len(text) <= WORTH_A_PLACE:
            return None
        here = len(self._said), at
        known = self._places.setdefault(blake2b(text, digest_size=16).digest(), here)
        reference = {"$same": here[0] - known[0], "at": known[1]}
        return reference if known != here and len(text) > 2 * len(compact(reference)) else None

    def unfold(self, stored: Any) -> bytes:
        """Return the body of the answer that is stored.

        Raises:
            ValueError: A reference leads nowhere, into itself, or to too much.
            RecursionError: The answer is nested beyond what can be read.
        """
        left = self._limit

        def put(stored: Any, whole: Any, place: Any) -> None:
            """Restore a value into a list or object, so that what follows can refer to its parts."""
            nonlocal left
            if isinstance(stored, list):
                items: list[Any] = []
                whole[place] = items  # before it is whole: what follows may refer to what it has
                for number, each in enumerate(stored):
                    if isinstance(each, list | dict):
                        items.append(None)
                        put(each, items, number)
                    else:
                        items.append(each)
            elif not isinstance(stored, dict):
                whole[place] = stored
            elif "$lines" in stored:
                whole[place] = joined(stored)
            elif "$same" in stored:
                whole[place] = self._value(Place.model_validate(stored))
                left -= len(compact(whole[place]))
                if left < 0:
                    raise ValueError(f"its references unfold to over {self._limit} bytes")
            else:
                fields: dict[str, Any] = {}
                whole[place] = fields
                for key, each in stored.items():
                    if isinstance(each, list | dict):
                        put(each, fields, unescape(key))
                    else:
                        fields[unescape(key)] = each

        put(stored, self._said[-1], "response")
        answer = self._said[-1]["response"]
        raw = compact(answer)  # ValueError for one that holds itself
        require_few_values(raw)
        if not is_shallow(answer):
            raise RecursionError
        return raw

    def _value(self, place: Place) -> Any:
        value: Any = self._said[-1 - place.back] if place.back < len(self._said) else None
        for part in place.at.split("."):
            try:
                value = value[int(part) if isinstance(value, list) and part.isdecimal() else part]
            except (LookupError, TypeError, ValueError):
                value = None
        if value is None:
            raise ValueError(f"{place.at[:60]!r} is no place in what was said before")
        return value


def _is_place(key: str) -> bool:
    return bool(PLAIN.fullmatch(key)) and not says_secret(key) and key not in SECRET_MAPS
