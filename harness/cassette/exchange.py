"""One recorded HTTP exchange, its JSON bodies, and the rewriting that lets re-recordings diff cleanly."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

MAX_DEPTH = 100
NESTED = (dict, list)
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
    """Tell whether a body is a JSON object or list of reasonable depth, and return its value.

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
    """Parse JSON and refuse what Python's parser lets pass.

    Raises:
        ValueError: It is no JSON, or holds a key twice in one object, NaN or an infinite number.
        RecursionError: It is nested beyond what can be read.
    """
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return values


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text[:20])


def is_shallow(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Return True if a JSON value is nested less deeply than a limit, found out without recursion."""
    level = [value]
    for _ in range(depth):
        nested = (
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, NESTED)
        )
        level = list(chain.from_iterable(nested))
        if not level:
            return True
    return False


def compact(value: Any) -> bytes:
    """Serialise a JSON value as a request body, without blanks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def rewrite(exchange: Exchange, text: Callable[[str], str], field: Callable[[str, str], str]) -> Exchange:
    """Return an exchange with the texts of its URL and bodies replaced, in that order.

    Args:
        exchange: What to rewrite.
        text: Replaces the URL, and a body that is no JSON object or list.
        field: Replaces each text inside a JSON body, given the text and the key that it stands under.
    """
    return replace(
        exchange,
        url=text(exchange.url),
        request_body=_rewrite_body(exchange.request_body, text, field),
        response_body=_rewrite_body(exchange.response_body, text, field),
    )


def _rewrite_body(raw: bytes, text: Callable[[str], str], field: Callable[[str, str], str]) -> bytes:
    known, value = parse_body(raw)
    if known:
        return compact(_rewrite_json(value, field))
    try:
        return text(raw.decode()).encode()
    except UnicodeDecodeError:
        return raw


def _rewrite_json(value: Any, field: Callable[[str, str], str], key: str = "") -> Any:
    if isinstance(value, str):
        return field(value, key)
    if isinstance(value, list):
        return [_rewrite_json(item, field, key) for item in value]
    return {k: _rewrite_json(v, field, k) for k, v in value.items()} if isinstance(value, dict) else value


def normalise(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Replace random ids and timestamps so that re-recordings diff cleanly.

    An id has the same number in URLs, requests and answers, so that the trial replays just the same.
    """
    ids = _IdNumbers()
    return [rewrite(each, ids.number_in_text, ids.number_in_field) for each in exchanges]


class _IdNumbers:
    """Numbers Letta's random ids by first use in a trial."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def number(self, uuid: str) -> str:
        return self._numbers.setdefault(uuid, f"00000000-0000-4000-8000-{len(self._numbers):012d}")

    def number_in_text(self, text: str) -> str:
        return LETTA_ID.sub(lambda match: f"{match[1]}-{self.number(match[2])}", text)

    def number_in_field(self, text: str, key: str) -> str:
        if key in TIME_KEYS and TIME.fullmatch(text):
            return NO_TIME
        if key in BARE_ID_KEYS and BARE_ID.fullmatch(text):
            return self.number(text)
        return self.number_in_text(text)
