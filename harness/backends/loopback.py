"""HTTP on loopback, with a key of its own, for programs that have to reach Claude through this process.

Not covered: streams (an answer is sent when it is whole) and other methods than POST.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

MAX_BYTES = 8_000_000
TIMEOUT_S = 60.0
JSON = "application/json"
Response: TypeAlias = tuple[int, str, bytes]  # status, content type, body
# Answers a request from its path, its headers (names in lower case) and its body; must not raise.
Respond: TypeAlias = Callable[[str, Mapping[str, str], bytes], Response]


@dataclass(frozen=True)
class Address:
    """A loopback address, and the key that its callers have to send. Both are good while it is served."""

    url: str
    key: str = field(repr=False)


@contextmanager
def serve(respond: Respond) -> Iterator[Address]:
    """Answer requests with ``respond``, in a thread, as long as the block runs."""
    with _Server(respond) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Address(f"http://127.0.0.1:{server.server_port}", server.key)
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self.key = f"only-for-this-trial-{secrets.token_urlsafe(24)}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S
    wbufsize = -1  # an answer leaves in one piece

    def log_message(self, *_: Any) -> None:
        """Log nothing: requests hold prompts."""

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdecimal() else -1
        if 0 <= size <= MAX_BYTES:
            self._send(*self._respond(self.rfile.read(size)))
        else:
            self.close_connection = True
            self._send(*error_response(413, "request_too_large", "the request has no length, or is too long"))

    def _respond(self, raw: bytes) -> Response:
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(key.encode(), self.server.key.encode()):
            return error_response(401, "authentication_error", "this address is for a running trial only")
        return self.server.respond(self.path, headers, raw)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(body)


def error_response(status: int, kind: str, message: str) -> Response:
    """Shape an error as the Messages API does."""
    return status, JSON, json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
