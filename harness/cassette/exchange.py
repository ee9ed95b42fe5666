"""One recorded HTTP exchange, and what is done to all of a trial before they are kept."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 100
LETTA_ID = re.compile(
    r"\b(agent|message|block|tool|step|run|job|user|org|provider|group|archive|identity|model|"
    r"conversation|internal_template|mcp_server|letta)-"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"
)
BARE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
BARE_ID_KEYS = frozenset({"otid"})
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
TIME_KEYS = frozenset({"date", "created_at", "updated_at", "last_run_completion", "last_synced"})
NO_TIME = "2000-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. Bodies are bytes as the SDKs sent and got them, scrubbed.

    Attributes:
        url: With the service's name for a host: ``http://letta/v1/agents/``.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: bytes
    status: int
    response_headers: dict[str, str]
    response_body: bytes


def parse_body(raw: bytes, *, strictly: bool = False) -> tuple[bool, Any]:
    """Whether a body is a JSON object or list that can be walked, and its value.

    Args:
        raw: The body.
        strictly: Refuse what Python reads and JSON does not know (see ``strict_json``).
    """
    if raw[:1] not in (b"{", b"["):
        return False, None
    try:
        value = strict_json(raw.decode("utf-8", "surrogatepass")) if strictly else json.loads(raw)
    except (ValueError, RecursionError):
        return False, None
    return (True, value) if is_shallow(value) else (False, None)


def strict_json(text: str) -> Any:
    """The value of a JSON text, without what Python's parser lets pass.

    Raises:
        ValueError: It is no JSON, or holds a key twice in one object, NaN or an infinite number.
        RecursionError: It is nested beyond what can be read.
    """
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=_finite)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return values


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text[:20])


def is_shallow(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether nothing in a JSON value lies deeper than what recursion can follow."""
    level = [value]
    for _ in range(depth):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False


def compact(value: Any) -> bytes:
    """A JSON value as a body."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def normalised(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """The exchanges with Letta's random ids numbered by first use, and its dates normalised.

    The mapping is the same in URLs, requests and answers, so that the trial replays just the same,
    and a new recording of an unchanged trial differs only where the models did.
    """
    numbers: dict[str, str] = {}

    def number(uuid: str) -> str:
        return numbers.setdefault(uuid, f"00000000-0000-4000-8000-{len(numbers):012d}")

    def text(value: str) -> str:
        return LETTA_ID.sub(lambda match: f"{match[1]}-{number(match[2])}", value)

    def walk(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            if key in TIME_KEYS and TIME.fullmatch(value):
                return NO_TIME
            if key in BARE_ID_KEYS and BARE_ID.fullmatch(value):
                return number(value)
            return text(value)
        if isinstance(value, list):
            return [walk(item, key) for item in value]
        return {k: walk(v, k) for k, v in value.items()} if isinstance(value, dict) else value

    def rewritten(raw: bytes) -> bytes:
        known, value = parse_body(raw)
        if known:
            return compact(walk(value))
        try:
            return text(raw.decode()).encode()
        except UnicodeDecodeError:
            return raw

    return [
        Exchange(
            each.method,
            text(each.url),
            each.request_headers,
            rewritten(each.request_body),
            each.status,
            each.response_headers,
            rewritten(each.response_body),
        )
        for each in exchanges
    ]
