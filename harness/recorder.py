"""Recording and strict replay of a trial's HTTP, on vcrpy, which is imported here only.

vcrpy supplies the patching of httpx and httpx2 and the order of play. Three things are ours: a
request is matched by a hash of its canonical form, a miss is an exception that no SDK can swallow,
and nothing is loaded or saved by vcrpy itself (``cassette.py`` does that).

Not covered: one trial at a time per process (xdist gives processes); streams are buffered whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from vcr.cassette import Cassette as VcrCassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from harness import scrub
from harness.exchange import Exchange, parse_body

AROUND = 60


class ReplayMiss(BaseException):
    """A request that the cassette does not hold.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".
    """


class Player:
    """What a replay has seen so far."""

    def __init__(self, cassette: _Strict) -> None:
        self._cassette = cassette

    @property
    def misses(self) -> list[str]:
        """What was asked for and not found, also when somebody swallowed the exception."""
        return self._cassette.misses

    @property
    def unplayed(self) -> list[str]:
        """Recorded requests that nobody asked for."""
        counts = self._cassette.play_counts
        return [f"{r.method} {r.uri}" for i, (r, _) in enumerate(self._cassette.data) if not counts[i]]


class Tape:
    """What a recording has caught so far. Services map an origin to the name it is recorded by."""

    def __init__(self, cassette: VcrCassette) -> None:
        self._cassette = cassette

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges, scrubbed, in the order in which they ended."""
        return tuple(_exchange(request, response) for request, response in self._cassette.data)


@contextmanager
def replaying(exchanges: tuple[Exchange, ...]) -> Iterator[Player]:
    """Answer every request of this process from these exchanges, each once; none leaves it.

    Raises:
        ReplayMiss: Out of the call that asked for something that was not recorded.
    """
    stored = _Stored([_vcr_pair(each) for each in exchanges])
    with _Strict.use(persister=stored, record_mode=RecordMode.NONE, **_options({})) as cassette:
        yield Player(cassette)


@contextmanager
def recording(services: Mapping[str, str]) -> Iterator[Tape]:
    """Let requests out, and keep what came back, except failures that are tried again.

    Args:
        services: Origin and path prefix (``http://localhost:8283``) -> service name (``letta``).
    """
    options = _options(services)
    with VcrCassette.use(
        persister=_Stored([]), record_mode=RecordMode.ALL, before_record_response=_unless_failed, **options
    ) as cassette:
        yield Tape(cassette)


def service_url(url: str, services: Mapping[str, str]) -> str:
    """The address by which a URL is recorded: the service's name in place of host, port and prefix."""
    parts = urlsplit(url)
    host, path = (parts.netloc.rpartition("@")[2]).removesuffix(".invalid"), parts.path
    for origin, name in sorted(services.items(), key=lambda service: len(service[0]), reverse=True):
        base = urlsplit(origin)
        prefix = base.path.rstrip("/")
        if _host(base) == _host(parts) and (path == prefix or path.startswith(f"{prefix}/") or not prefix):
            host, path = name, path[len(prefix) :]
            break
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return f"http://{host}{path}" + (f"?{query}" if query else "")


def _host(parts: SplitResult) -> tuple[str, str]:
    host = parts.netloc.rpartition("@")[2].lower()
    return parts.scheme, host.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ":"))


class _Stored:
    """A vcrpy persister that holds what is loaded and keeps nothing that is saved."""

    def __init__(self, pairs: list[tuple[Request, dict[str, Any]]]) -> None:
        self.pairs = pairs

    def load_cassette(self, _path: str, **_: object) -> tuple[list[Request], list[dict[str, Any]]]:
        return [request for request, _ in self.pairs], [response for _, response in self.pairs]

    def save_cassette(self, *_: object, **__: object) -> None:
        """Nothing: the trial decides whether its recording is kept."""


class _Strict(VcrCassette):  # type: ignore[misc]
    """A cassette whose misses explain themselves and cannot be swallowed unnoticed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.misses: list[str] = []

    def find_requests_with_most_matches(self, request: Request) -> None:
        """The hook that vcrpy calls on a miss, before it raises an error of its own."""
        self.misses.append(self._explain(self.filter_request(request)))
        raise ReplayMiss(self.misses[-1])

    def _explain(self, request: Request) -> str:
        left = [r for i, (r, _) in enumerate(self.data) if not self.play_counts[i]]
        asked = f"{request.method} {request.uri}"
        played = f"exchange {len(self.data) - len(left) + 1} of {len(self.data)}"
        if not left:
            return f"{asked}: asked for after all {len(self.data)} recorded exchanges were played"
        for recorded in left:
            if (recorded.method, recorded.path) == (request.method, request.path):
                if recorded.uri != request.uri:
                    return f"{asked} ({played}): recorded was {recorded.uri}"
                return f"{asked} ({played}): {difference(recorded.body, request.body)}"
        return f"{asked} ({played}): next recorded is {left[0].method} {left[0].uri}"


def _options(services: Mapping[str, str]) -> dict[str, Any]:
    def canonical(request: Request) -> Request:
        if getattr(request, "harness_key", None) is None:
            request.uri = service_url(request.uri, services)
            request.headers = scrub.headers(request.headers, scrub.REQUEST_HEADERS)
            request.body = _scrubbed(_raw(request.body))
            request.harness_key = _key(request)
        return request

    return {"path": "trial", "match_on": (_same,), "before_record_request": canonical}


def _same(one: Any, other: Any) -> None:
    assert one.harness_key == other.harness_key  # the way in which vcrpy wants to be told


def _key(request: Any) -> bytes:
    head = f"{request.method} {request.uri}\n".encode()
    return hashlib.sha256(head + _canonical(request.body)).digest()


def _canonical(raw: bytes) -> bytes:
    known, value = parse_body(raw)
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() if known else raw


def _scrubbed(raw: bytes) -> bytes:
    known, value = parse_body(raw)
    clean = scrub.body(value) if known else None
    if clean == value:
        return raw
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _unless_failed(response: dict[str, Any]) -> dict[str, Any] | None:
    """Failures that are tried again, or end the trial as an ``api_error``, are not part of a replay."""
    status = response["status"]["code"]
    kept = status < 400 or status in (400, 413, 422)
    return response if kept else None


def _exchange(request: Any, response: dict[str, Any]) -> Exchange:
    return Exchange(
        method=request.method,
        url=request.uri,
        request_headers=dict(request.headers),
        request_body=request.body,
        status=response["status"]["code"],
        response_headers=scrub.headers(response["headers"], scrub.RESPONSE_HEADERS),
        response_body=_scrubbed(_raw(response["body"]["string"])),
    )


def _vcr_pair(each: Exchange) -> tuple[Request, dict[str, Any]]:
    request = Request(each.method, each.url, each.request_body, each.request_headers)
    return request, {
        "status": {"code": each.status, "message": ""},
        "headers": {name: [value] for name, value in each.response_headers.items()},
        "body": {"string": each.response_body},
    }


def _raw(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else bytes(body)


def difference(recorded: bytes, now: bytes) -> str:
    """The first place where two bodies differ: its JSON path, with a little text of both."""
    (was_json, old), (is_json, new) = parse_body(recorded), parse_body(now)
    if not (was_json and is_json):
        old, new = recorded.decode("utf-8", "replace"), now.decode("utf-8", "replace")
    return _first_difference(old, new, "$") or "sent once more than it was recorded"


def _first_difference(old: Any, new: Any, path: str) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            where = f"{path}.{_cut(key)}"
            if key not in new:
                return f"{where} was recorded and is not sent now"
            if key not in old:
                return f"{where} is sent now and was not recorded"
            found = _first_difference(old[key], new[key], where)
            if found:
                return found
        return ""
    if isinstance(old, list) and isinstance(new, list):
        for index, (a, b) in enumerate(zip(old, new, strict=False)):
            found = _first_difference(a, b, f"{path}[{index}]")
            if found:
                return found
        return "" if len(old) == len(new) else f"{path}: {len(old)} items recorded, {len(new)} now"
    if old == new and type(old) is type(new):
        return ""
    if isinstance(old, str) and isinstance(new, str):
        return f"{path}: recorded {_around(old, new)}, now {_around(new, old)}"
    return f"{path}: recorded {_cut(json.dumps(old))}, now {_cut(json.dumps(new))}"


def _around(text: str, other: str) -> str:
    """The text about the first character in which it differs from the other, from a word's start."""
    at = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), None)
    at = min(len(text), len(other)) if at is None else at
    start = max(text.rfind(" ", 0, max(0, at - AROUND // 3)) + 1, at - AROUND, 0)
    piece = text[start : at + AROUND]
    return repr(("…" if start else "") + piece + ("…" if at + AROUND < len(text) else ""))


def _cut(text: str) -> str:
    return text if len(text) <= 2 * AROUND else text[: 2 * AROUND] + "…"
