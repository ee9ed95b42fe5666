"""One recorded HTTP exchange, its JSON bodies, and the rewriting that lets re-recordings diff cleanly."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

MAX_DEPTH = 100
MAX_VALUES = 1_000_000  # commas, braces and brackets of a text: a small value takes much memory
NESTED = (dict, list)
LETTA_ID = re.compile(
    r"\b(agent|message|block|tool|step|run|job|user|org|provider|group|archive|identity|model|"
    r"conversation|internal_template|mcp_server|letta)-"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b"
)
BARE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
FIRST_AGENT = "agent-00000000-0000-4000-8000-000000000000"  # an agent that is named before any other thing
BARE_ID_KEYS = frozenset({"otid"})
ID_KEYS = ("id", "ids")
LETTA = "letta"  # the service's name in URLs
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
TIME_KEYS = frozenset({"date", "created_at", "updated_at", "last_run_completion", "last_synced"})
NO_TIME = "2000-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. Bodies are bytes as the SDKs sent and got them, scrubbed.

    The host in ``url`` is the service's name: ``http://letta/v1/agents/``.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: bytes
    status: int
    response_headers: dict[str, str]
    response_body: bytes


def is_recordable(method: str, status: int) -> bool:
    """Return False for failures that are tried again, or end the trial as an ``api_error``.

    What is deleted a second time, as the first answer was lost, is found gone.
    """
    return 200 <= status < 400 or status in (400, 413, 422) or (method, status) == ("DELETE", 404)


def parse_body(raw: bytes, *, strictly: bool = False) -> tuple[bool, Any]:
    """Tell whether a body is a JSON object or list of reasonable depth, and return its value.

    ``strictly``: refuse what Python reads and JSON does not know (see ``strict_json``).
    """
    if raw[:1] not in (b"{", b"["):
        return False, None
    try:
        value = strict_json(raw.decode("utf-8", "surrogatepass")) if strictly else json.loads(raw)
    except (ValueError, RecursionError):
        return False, None
    return (True, value) if is_shallow(value) else (False, None)


def strict_json(text: str) -> Any:
    """Parse JSON; raise ValueError also for a key twice in one object, NaN and infinite numbers.

    Raise RecursionError if it is nested beyond what can be read.
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


def require_few_values(raw: bytes) -> None:
    """Raise ValueError for a JSON text of more values than are read: a small one takes much memory."""
    if sum(map(raw.count, (b",", b"{", b"["))) > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES} values")


def compact(value: Any) -> bytes:
    """Serialise a JSON value as a request body, without blanks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def rewrite(exchange: Exchange, text: Callable[[str], str], field: Callable[[str, str], str]) -> Exchange:
    """Return an exchange with the texts of its URL and bodies replaced, in that order.

    ``text`` replaces the URL, and a body that is no JSON object or list; ``field`` each text inside a JSON
    body, given the text and the key that it stands under.
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
        return compact(rewrite_texts(value, field))
    try:
        return text(raw.decode()).encode()
    except UnicodeDecodeError:
        return raw


def rewrite_texts(value: Any, field: Callable[[str, str], str], key: str = "") -> Any:
    """Return a JSON value with each text replaced, given the text and the key that it stands under."""
    if isinstance(value, str):
        return field(value, key)
    if isinstance(value, list):
        return [rewrite_texts(item, field, key) for item in value]
    return {k: rewrite_texts(v, field, k) for k, v in value.items()} if isinstance(value, dict) else value


def without_ids(text: str) -> bytes:
    """Return a text with one id in place of all that ``normalise`` replaces."""
    return BARE_ID.sub("0", text).encode("utf-8", "surrogatepass")


def _given(exchange: Exchange) -> Iterator[str]:
    """Yield the UUIDs of the ids in a URL of Letta, and of those that its answer gives in a field for ids."""
    found = [match[2] for match in LETTA_ID.finditer(exchange.url)]

    def field(value: str, key: str) -> str:
        of_letta = key.endswith(ID_KEYS) and LETTA_ID.fullmatch(value)
        if of_letta or (key in BARE_ID_KEYS and BARE_ID.fullmatch(value)):
            found.append(value[-36:])
        return value

    known, value = parse_body(exchange.response_body)
    if known:
        rewrite_texts(value, field)
    yield from found


def normalise(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Replace random ids and timestamps so that re-recordings diff cleanly.

    Ids are numbered by first use, alike in URLs, requests and answers: the trial replays just the same. What
    looks like one, and is none that Letta gave to anything, is part of somebody's text and stays.
    """
    exchanges = list(exchanges)
    given = {uuid for each in exchanges if urlsplit(each.url).netloc == LETTA for uuid in _given(each)}
    numbers: dict[str, str] = {}

    def number(uuid: str) -> str:
        if uuid not in given:
            return uuid
        return numbers.setdefault(uuid, f"00000000-0000-4000-8000-{len(numbers):012d}")

    def text(text: str) -> str:
        return LETTA_ID.sub(lambda match: f"{match[1]}-{number(match[2])}", text)

    def field(value: str, key: str) -> str:
        if key in TIME_KEYS and TIME.fullmatch(value):
            return NO_TIME
        return number(value) if key in BARE_ID_KEYS and BARE_ID.fullmatch(value) else text(value)

    return [rewrite(each, text, field) for each in exchanges]
