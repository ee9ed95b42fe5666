"""Recording and strict replay of a trial's HTTP, on vcrpy, which is imported here only.

vcrpy supplies the patching of httpx and httpx2 and the order of play. Three things are ours: a
request is matched by a hash of its canonical form, a miss is an exception that no SDK can swallow,
and nothing is loaded or saved by vcrpy itself (``cassette.py`` does that).

Not covered: one trial at a time per process (xdist gives processes); streams are buffered whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from vcr.cassette import Cassette as VcrCassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from harness import redact
from harness.cassette.exchange import Exchange, compact, parse_body
from harness.cassette.json_diff import difference


class ReplayMiss(BaseException):
    """A request that the cassette does not hold, or not once more.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".

    Attributes:
        again: Whether it was recorded, and played as often as that already.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class Player:
    """What a replay has seen so far."""

    def __init__(self, cassette: _Strict) -> None:
        self._cassette = cassette

    @property
    def misses(self) -> list[ReplayMiss]:
        """What was asked for and not found, also when somebody swallowed the exception."""
        return self._cassette.misses

    @property
    def left(self) -> list[int]:
        """Which exchanges nobody asked for, counted from 0."""
        return [i for i in range(len(self._cassette.data)) if not self._cassette.play_counts[i]]

    @property
    def unplayed(self) -> list[str]:
        """Recorded requests that nobody asked for, each with its number."""
        data = self._cassette.data
        return [f"{data[i][0].method} {data[i][0].uri} (exchange {i + 1} of {len(data)})" for i in self.left]

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:  # noqa: ARG002
        """The recorded answer to a question that is no HTTP; see ``Recording.exchange``.

        Raises:
            ReplayMiss: It was not recorded.
        """
        request = Request("POST", url, compact(asked), {})
        if not self._cassette.can_play_response_for(request):
            self._cassette.find_requests_with_most_matches(request)
        return json.loads(self._cassette.play_response(request)["body"]["string"])


class Recording:
    """What a recording has caught so far. Services map an origin to the name it is recorded by."""

    def __init__(self, cassette: VcrCassette) -> None:
        self._cassette = cassette

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges, scrubbed, in the order in which they ended."""
        return tuple(_exchange(request, response) for request, response in self._cassette.data)

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:
        """Ask somebody who does not speak HTTP, and keep question and answer as if he did.

        Args:
            url: The address to record it by.
            asked: The question, a JSON value: what a replay has to ask alike.
            live: Gives the answer, a JSON object.
        """
        told = redact.body(live())
        response = {
            "status": {"code": 200, "message": ""},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": compact(told)},
        }
        self._cassette.append(Request("POST", url, compact(asked), {}), response)
        return told


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
def recording(services: Mapping[str, str]) -> Iterator[Recording]:
    """Let requests out, and keep what came back, except failures that are tried again.

    Args:
        services: Origin and path prefix (``http://localhost:8283``) -> service name (``letta``). What goes to
            one without a name is not recorded.
    """
    options = _options(services)
    with VcrCassette.use(
        persister=_Stored([]), record_mode=RecordMode.ALL, before_record_response=_unless_failed, **options
    ) as cassette:
        yield Recording(cassette)


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
        self.misses: list[ReplayMiss] = []

    def find_requests_with_most_matches(self, request: Request) -> None:
        """The hook that vcrpy calls on a miss, before it raises an error of its own."""
        miss = self._explained(self.filter_request(request))
        self.misses.append(miss)
        raise miss

    def _explained(self, request: Request) -> ReplayMiss:
        asked, count = f"{request.method} {request.uri}", len(self.data)
        left = [r for i, (r, _) in enumerate(self.data) if not self.play_counts[i]]
        alike = [i for i, (r, _) in enumerate(self.data, start=1) if r.harness_key == request.harness_key]
        if alike:
            times = "once" if len(alike) == 1 else f"{len(alike)} times"
            said = f"{asked}: asked for again, but recorded only {times}: "
            said += f"exchange {alike[-1]} of {count} was played already"
            due = f"; exchange {count - len(left) + 1} was due: {_unlike(request, left)}" if left else ""
            return ReplayMiss(said + due, again=True)
        if not left:
            return ReplayMiss(f"{asked}: asked for after all {count} recorded exchanges were played")
        return ReplayMiss(f"{asked} (exchange {count - len(left) + 1} of {count}): {_unlike(request, left)}")


def _unlike(request: Request, left: list[Request]) -> str:
    """How a request differs from the one of its kind that was due."""
    due = next((r for r in left if (r.method, r.path) == (request.method, request.path)), None)
    if due is None:
        return f"next recorded is {left[0].method} {left[0].uri}"
    if due.uri != request.uri:
        return f"recorded was {due.uri}"
    return difference(due.body, request.body)


def _options(services: Mapping[str, str]) -> dict[str, Any]:
    def canonical(request: Request) -> Request | None:
        if getattr(request, "harness_key", None) is None:
            request.uri = service_url(request.uri, services)
            if urlsplit(request.uri).netloc == "":
                return None
            request.headers = redact.headers(request.headers, redact.REQUEST_HEADERS)
            request.body, value = _scrubbed(_raw(request.body))
            request.harness_key = _key(request, value)
        return request

    return {"path": "trial", "match_on": (_same,), "before_record_request": canonical}


def _same(one: Any, other: Any) -> None:
    assert one.harness_key == other.harness_key  # the way in which vcrpy wants to be told


def _key(request: Any, value: Any) -> bytes:
    """Hash of method, address and body: of its value in a canonical form, or of its bytes."""
    head = f"{request.method} {request.uri}\n".encode()
    known = value is not None
    body = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() if known else request.body
    return hashlib.sha256(head + body).digest()


def _scrubbed(raw: bytes) -> tuple[bytes, Any]:
    """A body without its secrets, and its value; None if it is no JSON object or list."""
    known, value = parse_body(raw)
    clean = redact.body(value) if known else None
    return (raw if clean == value else compact(clean)), clean


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
        response_headers=redact.headers(response["headers"], redact.RESPONSE_HEADERS),
        response_body=_scrubbed(_raw(response["body"]["string"]))[0],
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
