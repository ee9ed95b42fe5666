"""The cassette file: the recorded HTTP exchanges of one trial, as JSON that a person can review.

    {"format": 1, "trial": "pair/task/1", "task": digest, "prompts": digest,
     "recorded": {facts that replay cannot measure again},
     "exchanges": [{"request": {...}, "response": {...}}, ...]}

A request's JSON body is stored as a *delta*: a value that an earlier request to the same address
carried is ``{"$same": k}`` (k requests back), a list that continues an earlier one is
``{"$prefix": n, "back": k, "then": [...]}``. A text of several lines is ``{"$lines": [...]}``. So a
changed word is a changed line, and a conversation that is sent again and again is stored once. A
key that starts with ``$`` is stored with a second one.

How exchanges are matched and played is ``recorder.py``'s business.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness import scrub
from harness.errors import CassetteError, MissingCassette, StaleCassette

T = TypeVar("T")
FORMAT = 1
MAX_BYTES = 64_000_000
WORTH_SHARING = 60
LOOK_BACK = 8
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


@dataclass(frozen=True)
class Cassette:
    """What was recorded of one trial."""

    trial: str
    task: str
    prompts: str
    recorded: dict[str, Any] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()


def load(path: Path, shown: str, *, record_with: str) -> Cassette:
    """Read a cassette.

    Raises:
        MissingCassette: There is no such file.
        StaleCassette: It was written in another format.
        CassetteError: It is not a cassette, or damaged.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CassetteError(f"{shown}: larger than {MAX_BYTES} bytes", remedy=f"record it: {record_with}")
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or "exchanges" not in data:
            raise ValueError("expected an object with 'exchanges'")
        if data.get("format") != FORMAT:
            raise StaleCassette(
                f"{shown}: format {data.get('format')!r}; this harness reads format {FORMAT}",
                remedy=f"record it again: {record_with}",
            )
        return Cassette(
            trial=_is(data["trial"], str),
            task=_is(data["task"], str),
            prompts=_is(data["prompts"], str),
            recorded=_is(data["recorded"], dict),
            exchanges=tuple(_decoded(data["exchanges"])),
        )
    except FileNotFoundError:
        raise MissingCassette(f"nothing recorded at {shown}", remedy=f"record it: {record_with}") from None
    except OSError as error:
        raise CassetteError(f"{shown}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise CassetteError(
            f"{shown}: not a whole cassette ({what})", remedy=f"restore it, or record it again: {record_with}"
        ) from None


def save(cassette: Cassette, path: Path, shown: str) -> None:
    """Write a cassette whole or not at all.

    Raises:
        CassetteError: It holds what looks like a secret; names the place and the kind, not the value.
    """
    found = sorted(set(scrub.leaks(_readable(cassette), os.environ)))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise CassetteError(
            f"{shown}: not written, it would hold {'; '.join(found[:3])}{more}",
            remedy="keep secrets out of prompts and answers, or rename the variable if it is none",
        )
    write_whole(path, dumps(cassette))


def dumps(cassette: Cassette) -> str:
    """The text of the file. The same trial recorded twice gives the same ids and dates in it."""
    data = {
        "format": FORMAT,
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        "recorded": cassette.recorded,
        "exchanges": _encoded(_stable(cassette.exchanges)),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# --- bodies -------------------------------------------------------------------------------------


def _encoded(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    history: dict[str, list[dict[str, Any]]] = {}
    rows = []
    for each in exchanges:
        request: dict[str, Any] = {"method": each.method, "url": each.url}
        response: dict[str, Any] = {"status": each.status}
        if each.request_headers:
            request["headers"] = each.request_headers
        if each.response_headers:
            response["headers"] = each.response_headers
        known, sent = parse_body(each.request_body)
        if known and isinstance(sent, dict):
            earlier = history.setdefault(each.url, [])
            request["json"] = {_guard(key): _delta(key, value, earlier) for key, value in sent.items()}
            earlier.append(sent)
        else:
            request.update(_plain(each.request_body))
        response.update(_plain(each.response_body))
        rows.append({"request": request, "response": response})
    return rows


def _decoded(rows: Any) -> Iterator[Exchange]:
    history: dict[str, list[dict[str, Any]]] = {}
    for row in _is(rows, list):
        request, response = row["request"], row["response"]
        url = _is(request["url"], str)
        urlsplit(url)
        if isinstance(request.get("json"), dict):
            earlier = history.setdefault(url, [])
            sent = {_unguard(key): _undelta(_unguard(key), v, earlier) for key, v in request["json"].items()}
            earlier.append(sent)
            sent_body = _compact(sent)
        else:
            sent_body = _bytes(request)
        yield Exchange(
            method=_is(request["method"], str),
            url=url,
            request_headers=_texts(request.get("headers", {})),
            request_body=sent_body,
            status=_is(response["status"], int),
            response_headers=_texts(response.get("headers", {})),
            response_body=_bytes(response),
        )


def _delta(key: str, value: Any, earlier: list[dict[str, Any]]) -> Any:
    """The value, or how to make it from one of the last requests to the same address.

    Compared as JSON: to Python, 1, 1.0 and True are equal.
    """
    text = _compact(value)
    if len(text) <= WORTH_SHARING:
        return _lines(value)
    best, back_to_best = 0, 0
    for back, request in enumerate(reversed(earlier[-LOOK_BACK:]), start=1):
        if key not in request:
            continue
        old = request[key]
        if old == value and _compact(old) == text:
            return {"$same": back}
        if isinstance(value, list) and isinstance(old, list):
            shared = _shared(old, value)
            if shared > best:
                best, back_to_best = shared, back
    if best:
        return {"$prefix": best, "back": back_to_best, "then": _lines(value[best:])}
    return _lines(value)


def _shared(old: list[Any], new: list[Any]) -> int:
    """How many items two lists begin with alike."""
    for count, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other or _compact(one) != _compact(other):
            return count
    return min(len(old), len(new))


def _undelta(key: str, value: Any, earlier: list[dict[str, Any]]) -> Any:
    if isinstance(value, dict) and "$same" in value:
        return earlier[-_counted(value["$same"])][key]
    if isinstance(value, dict) and "$prefix" in value:
        old = _is(earlier[-_counted(value["back"])][key], list)
        if _counted(value["$prefix"]) > len(old):
            raise ValueError("a $prefix is longer than its list")
        return old[: value["$prefix"]] + _is(_unlines(value["then"]), list)
    return _unlines(value)


def _counted(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a count, got {value!r}")
    return value


def _is(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_is(name, str): _is(text, str) for name, text in _is(value, dict).items()}


def _plain(raw: bytes) -> dict[str, Any]:
    known, value = parse_body(raw)
    if known:
        return {"json": _lines(value)}
    if not raw:
        return {}
    try:
        return {"text": raw.decode("utf-8").split("\n")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _bytes(row: dict[str, Any]) -> bytes:
    if "json" in row:
        return _compact(_unlines(row["json"]))
    if "text" in row:
        return "\n".join(_is(row["text"], list)).encode()
    return base64.b64decode(row.get("base64", ""))


def parse_body(raw: bytes) -> tuple[bool, Any]:
    """Whether a body is a JSON object or list that can be walked, and its value."""
    if raw[:1] not in (b"{", b"["):
        return False, None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False, None
    return (True, value) if _is_shallow(value) else (False, None)


def _is_shallow(value: Any) -> bool:
    """Whether nothing in a JSON value lies deeper than what recursion can follow."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False


def _compact(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _lines(value: Any) -> Any:
    if isinstance(value, str):
        return {"$lines": value.split("\n")} if "\n" in value else value
    if isinstance(value, list):
        return [_lines(item) for item in value]
    return {_guard(k): _lines(v) for k, v in value.items()} if isinstance(value, dict) else value


def _unlines(value: Any) -> Any:
    if isinstance(value, list):
        return [_unlines(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$lines" in value:
        return "\n".join(_is(value["$lines"], list))
    return {_unguard(key): _unlines(item) for key, item in value.items()}


def _guard(key: str) -> str:
    return f"${key}" if key.startswith("$") else key


def _unguard(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


# --- ids and dates ------------------------------------------------------------------------------


def _stable(exchanges: tuple[Exchange, ...]) -> list[Exchange]:
    """The exchanges with Letta's random ids numbered by first use, and its dates levelled.

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
            return _compact(walk(value))
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


def _readable(cassette: Cassette) -> Any:
    """The cassette as one JSON value with whole bodies, for the scan."""

    def whole(raw: bytes) -> Any:
        known, value = parse_body(raw)
        return value if known else raw.decode("utf-8", "replace")

    return {
        "trial": cassette.trial,
        "recorded": cassette.recorded,
        "exchanges": [
            {
                "url": each.url,
                "request": whole(each.request_body),
                "request_headers": each.request_headers,
                "response": whole(each.response_body),
                "response_headers": each.response_headers,
            }
            for each in cassette.exchanges
        ],
    }
