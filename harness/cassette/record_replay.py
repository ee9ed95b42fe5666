"""Recording and strict replay of a trial's HTTP, on vcrpy, which is imported here only.

vcrpy patches httpx and httpx2. Three things are ours: a request is matched by a hash of its canonical form,
a miss is an exception that no SDK can swallow, and vcrpy itself loads and saves nothing (``file.py`` does).

Not covered: one trial at a time per process (xdist gives processes); streams are buffered whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from vcr.cassette import Cassette as VcrCassette
from vcr.record_mode import RecordMode
from vcr.request import Request

from harness import redact
from harness.cassette.content_encoding import Undecodable, as_utf8, decode
from harness.cassette.exchange import Exchange, compact, is_recordable, parse_body
from harness.cassette.json_diff import difference

# What speaks HTTP for no one here. The network is refused to it while a trial is replayed (``offline.py``).
NOT_OURS = ("httplib", "requests", "boto3", "urllib3", "httplib2", "tornado", "aiohttp")


class ReplayMiss(BaseException):
    """A request that the cassette does not hold, or (``again``) not once more.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


def last_asked(asked: Iterable[tuple[int, Request]], service: str) -> str:
    """Name the last question among these to Letta, or (``claude``) to who stands behind the tools."""
    posts = [
        f"{request.method} {request.uri} (exchange {number + 1})"
        for number, request in asked
        if request.method == "POST" and (urlsplit(request.uri).netloc == "letta") == (service == "letta")
    ]
    return posts[-1] if posts else ""


class Player(VcrCassette):  # type: ignore[misc]
    """A cassette in strict replay: each exchange answers once, and a miss explains itself.

    ``misses`` are the requests that were not found, also when somebody swallowed the exception.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.misses: list[ReplayMiss] = []
        self.played: list[int] = []

    def append(self, request: Request, response: dict[str, Any]) -> None:
        """Add an exchange; nothing copies it, as vcrpy does for those who change what they record."""
        request.uri = service_url(request.uri, {})
        self.data.append((request, response))

    def can_play_response_for(self, request: Request) -> bool:  # noqa: ARG002
        """Return True: what is not recorded is refused by ``play_response``, and never sent."""
        return True

    def play_response(self, request: Request) -> dict[str, Any]:
        """Return the first answer to such a request that was not played yet, or raise ReplayMiss."""
        request.uri, request.body = service_url(request.uri, {}), _raw(request.body)
        for i in self.unplayed_indexes:
            recorded, response = self.data[i]
            if _is_same(recorded, request):
                self.play_counts[i] += 1
                self.played.append(i)
                return response  # type: ignore[no-any-return]
        miss = self._explain(request)
        self.misses.append(miss)
        raise miss

    @property
    def unplayed_indexes(self) -> list[int]:
        """Which exchanges were not asked for, counted from 0."""
        return [i for i in range(len(self.data)) if not self.play_counts[i]]

    @property
    def unplayed(self) -> list[str]:
        """Recorded requests that were not asked for, each with its number."""
        requests = [(i, self.data[i][0]) for i in self.unplayed_indexes]
        return [f"{r.method} {r.uri} (exchange {i + 1} of {len(self.data)})" for i, r in requests]

    def last_asked(self, service: str) -> str:
        """Name the exchange that was played last; see ``last_asked``."""
        return last_asked([(i, self.data[i][0]) for i in self.played], service)

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:  # noqa: ARG002
        """Return the recorded answer to a question that is no HTTP, or raise ReplayMiss.

        See ``Recording.exchange``.
        """
        return json.loads(self.play_response(Request("POST", url, compact(asked), {}))["body"]["string"])

    def _explain(self, request: Request) -> ReplayMiss:
        asked, count = f"{request.method} {request.uri}", len(self.data)
        left = [self.data[i][0] for i in self.unplayed_indexes]
        due = count - len(left) + 1
        alike = [i for i, (r, _) in enumerate(self.data, start=1) if _is_same(r, request)]
        if alike:
            times = "once" if len(alike) == 1 else f"{len(alike)} times"
            message = f"{asked}: asked for again, but recorded only {times}: "
            message += f"exchange {alike[-1]} of {count} was played already"
            message += f"; exchange {due} was due: {_compare(request, left)}" if left else ""
            return ReplayMiss(message, again=True)
        if not left:
            return ReplayMiss(f"{asked}: asked for after all {count} recorded exchanges were played")
        return ReplayMiss(f"{asked} (exchange {due} of {count}): {_compare(request, left)}")


class Recording(VcrCassette):  # type: ignore[misc]
    """A cassette that is being recorded."""

    def append(self, request: Request, response: dict[str, Any]) -> None:
        """Keep an exchange, its answer decoded.

        Raises:
            Undecodable: The answer is not what it says it is; before the client that asked reads it.
        """
        request = self.filter_request(request)
        if request is None or not is_recordable(request.method, response["status"]["code"]):
            return
        encodings = ",".join(response["headers"].get("content-encoding", ()))
        try:
            body = as_utf8(decode(_raw(response["body"]["string"]), encodings))
        except Undecodable as error:
            where = f"{request.method} {request.uri} (exchange {len(self.data) + 1})"
            raise Undecodable(f"{where}: {error}") from None
        super().append(request, {**response, "body": {"string": body}})

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges so far, scrubbed, in the order in which they ended."""
        return tuple(
            Exchange(
                method=request.method,
                url=request.uri,
                request_headers=dict(request.headers),
                request_body=request.body,
                status=response["status"]["code"],
                response_headers=redact.headers(response["headers"], redact.RESPONSE_HEADERS),
                response_body=_scrub(_raw(response["body"]["string"]))[0],
            )
            for request, response in self.data
        )

    def last_asked(self, service: str) -> str:
        """Name the exchange that was recorded last; see ``last_asked``."""
        return last_asked(enumerate(request for request, _ in self.data), service)

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:
        """Ask what does not speak HTTP, and record question and answer (both JSON) as if it did.

        A replay has to ask the same at this URL; ``live`` gives the answer.
        """
        answer = redact.body(live())
        response = _vcr_response(200, {"content-type": "application/json"}, compact(answer))
        self.append(Request("POST", url, compact(asked), {}), response)
        return answer


@contextmanager
def replaying(exchanges: tuple[Exchange, ...]) -> Iterator[Player]:
    """Answer every request of this process from these exchanges, each once; none leaves it.

    A call that asks for what was not recorded raises ReplayMiss.
    """
    with Player.use(
        path="trial",
        persister=_Memory(exchanges),
        record_mode=RecordMode.NONE,
        skip_patchers=NOT_OURS,
    ) as player:
        yield player


@contextmanager
def recording(services: Mapping[str, str]) -> Iterator[Recording]:
    """Let requests out, and record what came back, except failures that are tried again.

    ``services``: origin and path prefix (``http://localhost:8283``) -> service name (``letta``). What goes to
    one without a name is not recorded.
    """
    with Recording.use(
        path="trial",
        persister=_Memory(()),
        record_mode=RecordMode.ALL,
        before_record_request=partial(_canonical, services=services),
        skip_patchers=NOT_OURS,
    ) as recorded:
        yield recorded


def service_url(url: str, services: Mapping[str, str]) -> str:
    """Return the address by which a URL is recorded: the service's name replaces host, port and prefix."""
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


class _Memory:
    """A vcrpy persister without a file: the trial decides whether its recording is saved."""

    def __init__(self, exchanges: tuple[Exchange, ...]) -> None:
        self._exchanges = exchanges

    def load_cassette(self, _path: str, **_: object) -> tuple[list[Request], list[dict[str, Any]]]:
        requests = [Request(e.method, e.url, e.request_body, e.request_headers) for e in self._exchanges]
        return requests, [
            _vcr_response(e.status, e.response_headers, e.response_body) for e in self._exchanges
        ]

    def save_cassette(self, *_: object, **__: object) -> None:
        """Save nothing."""


def _compare(request: Request, left: list[Request]) -> str:
    """Tell how a request differs from the one of its kind that was due."""
    due = next((r for r in left if (r.method, r.path) == (request.method, request.path)), None)
    if due is None:
        return f"next recorded is {left[0].method} {left[0].uri}"
    if due.uri != request.uri:
        return f"recorded was {due.uri}"
    return difference(due.body, request.body)


def _is_same(recorded: Request, asked: Request) -> bool:
    """Return True if a request is the recorded one: in its bytes, as nearly all are, or in canonical form.

    Where bytes differ both are scrubbed, so that a miss can show them.
    """
    if (recorded.method, recorded.uri) != (asked.method, asked.uri):
        return False
    if recorded.body == asked.body:
        return True
    one, other = _canonical(recorded, {}), _canonical(asked, {})
    return one is not None and other is not None and one.harness_key == other.harness_key


def _canonical(request: Request, services: Mapping[str, str]) -> Request | None:
    """Scrub a request and give it the key that it is matched by; None if it is not recorded."""
    if getattr(request, "harness_key", None) is None:
        request.uri = service_url(request.uri, services)
        if urlsplit(request.uri).netloc == "":
            return None
        request.headers = redact.headers(request.headers, redact.REQUEST_HEADERS)
        request.body, value = _scrub(_raw(request.body))
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        body = request.body if value is None else canonical
        request.harness_key = hashlib.sha256(f"{request.method} {request.uri}\n".encode() + body).digest()
    return request


def _scrub(raw: bytes) -> tuple[bytes, Any]:
    """Return a body without its secrets, and its value; None if it is no JSON object or list."""
    known, value = parse_body(raw)
    clean = redact.body(value) if known else None
    return (raw if clean == value else compact(clean)), clean


def _vcr_response(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    return {
        "status": {"code": status, "message": ""},
        "headers": {name: [value] for name, value in headers.items()},
        "body": {"string": body},
    }


def _raw(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else bytes(body)
