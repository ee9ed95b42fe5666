"""A loopback gateway to Claude, for the tools that run in Letta's sandbox.

The child process holds a key that is good for this gateway and this trial only; the real one is put in here.
What passes is recorded like every request of this process, and repeated after passing faults like them. Start
it inside of the recording, and stop it first.

Only the four fields that the tools send pass, to ``/coder/v1/messages`` and ``/tester/v1/messages``.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from harness.claude import Refused
from harness.errors import ApiError, HarnessError
from harness.transcript import Role

ADDRESS = re.compile(r"/(coder|tester)/v1/messages")
FIELDS = {"max_tokens", "messages", "model", "system"}
MAX_BYTES = 8_000_000
PATIENCE_S = 60.0
JSON = "application/json"


class Upstream(Protocol):
    """What the gateway needs of a backend."""

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request of the Messages API on; gives the answer's body.

        Raises:
            Refused: The request itself was unacceptable, such as a prompt that is too long.
            ApiError: The service could not be used.
        """


class Door(Protocol):
    """What can stand behind a loopback address: ``Gateway`` here, ``Passage`` for the Claude CLI."""

    url: str

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request; never raises."""


class Gateway:
    """The way of Letta's tools to Claude.

    Attributes:
        key: What its callers have to show.
        url: Where it listens, once it is served.
        faults: Why it could not answer; each ends the trial.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.key = f"only-for-this-trial-{secrets.token_urlsafe(24)}"
        self.url = ""
        self.faults: list[HarnessError] = []
        self._upstream = upstream

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        """See ``Door.answer``."""
        return self._answer(path, shown_key(headers), raw)

    def _answer(self, path: str, shown: str, raw: bytes) -> tuple[int, str, bytes]:
        if not hmac.compare_digest(shown.encode(), self.key.encode()):
            return error_answer(
                401, "authentication_error", "this gateway is for the tools of a running trial"
            )
        match, body = ADDRESS.fullmatch(path), _parsed(raw)
        if match is None or body is None:
            return error_answer(
                404, "not_found_error", "this gateway passes on nothing else than the tools ask"
            )
        role: Role = "coder" if match[1] == "coder" else "tester"
        try:
            return 200, JSON, self._upstream.forward(role, body)
        except Refused as error:
            return error_answer(400, "invalid_request_error", str(error))
        except HarnessError as error:
            self.faults.append(error)
        except Exception as error:  # noqa: BLE001  (a bug must not look like a model's failure)
            self.faults.append(ApiError(f"the gateway failed: {type(error).__name__}: {error}"))
        return error_answer(503, "api_error", "Claude could not be reached")


@contextmanager
def serving(door: Door) -> Iterator[None]:
    """Let it listen on loopback as long as the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        door.url = f"http://127.0.0.1:{server.server_port}"
        server.door = door  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S
    wbufsize = -1  # an answer leaves in one piece

    def log_message(self, *_: Any) -> None:
        """Nothing: requests hold prompts."""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdecimal() else -1
        if not 0 <= size <= MAX_BYTES:
            self.close_connection = True
            self._send(*error_answer(413, "request_too_large", "the request has no length, or is too long"))
            return
        raw = self.rfile.read(size)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(*self.server.door.answer(self.path, headers, raw))  # type: ignore[attr-defined]

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(body)


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and set(body) == FIELDS else None


def shown_key(headers: Mapping[str, str]) -> str:
    """The key that a request shows, in either header."""
    return headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")


def error_answer(status: int, kind: str, message: str) -> tuple[int, str, bytes]:
    """An error as the Messages API shapes it."""
    return status, JSON, json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
