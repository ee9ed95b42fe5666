"""Serve one loopback application over HTTP in a thread, for callers in other processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

MAX_BYTES = 8_000_000


PATIENCE_S = 60.0


JSON = "application/json"


class LoopbackApp(Protocol):
    """What can stand behind a loopback address: ``Gateway`` here, ``CliProxy`` for the Claude CLI."""

    url: str

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request; never raises."""


@contextmanager
def serving(door: LoopbackApp) -> Iterator[None]:
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


def shown_key(headers: Mapping[str, str]) -> str:
    """The key that a request shows, in either header."""
    return headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")


def error_answer(status: int, kind: str, message: str) -> tuple[int, str, bytes]:
    """An error as the Messages API shapes it."""
    return status, JSON, json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
