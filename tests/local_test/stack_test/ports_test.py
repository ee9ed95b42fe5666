"""Free and taken ports, with real sockets."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator

import httpx
import httpx2
import pytest

pytest.importorskip("psutil", reason="the live stack needs the extra `live`")

from harness.errors import StackError
from harness.local.stack.ports import HOST, free_port, get_json, require_free, spare_proxy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens on a port of its own."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server


def test_a_taken_port_is_named_with_its_owner(listener: socket.socket) -> None:
    """The error names the port and the process, and the remedy names the option."""
    port = listener.getsockname()[1]
    with pytest.raises(StackError) as caught:
        require_free(port, option="--letta-port")
    assert f"port {port}" in caught.value.message
    assert f"process {os.getpid()}" in caught.value.message
    assert "--letta-port" in caught.value.remedy


def test_a_port_is_free_once_its_listener_has_gone(listener: socket.socket) -> None:
    """A closed port is no obstacle."""
    port = listener.getsockname()[1]
    listener.close()
    require_free(port, option="--letta-port")


def test_nobody_there_gives_no_document(listener: socket.socket) -> None:
    """A server that does not listen is None, not an exception."""
    port = listener.getsockname()[1]
    listener.close()
    assert get_json(port, "/health") is None


def test_a_server_of_another_kind_gives_no_document(listener: socket.socket) -> None:
    """Whatever listens on the port, also a server that does not speak HTTP, is None and not an exception."""

    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

    server = threading.Thread(target=greet)
    server.start()
    assert get_json(listener.getsockname()[1], "/health") is None
    server.join()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"http_proxy": "http://p"}, {"no_proxy": "localhost,127.0.0.1,::1"}),
        (
            {"HTTPS_PROXY": "http://p", "NO_PROXY": "intra, localhost"},
            dict.fromkeys(("NO_PROXY", "no_proxy"), "intra,localhost,127.0.0.1,::1"),
        ),
        ({"all_proxy": "http://p", "no_proxy": "*"}, {}),
        ({"no_proxy": "intra", "HOME": "/"}, {}),
        ({"http_proxy": ""}, {}),
    ],
)
def test_no_proxy_is_asked_for_this_machine(before: dict[str, str], after: dict[str, str]) -> None:
    """Where one is named; what the user spares stays, and an environment without a proxy stays as it is."""
    environment = dict(before)
    spare_proxy(environment)
    assert environment == before | after


def test_the_clients_libraries_reach_this_machine_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letta's httpx, Claude's httpx2 and the urllib of the checks read the same variables."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    spare_proxy(os.environ)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://{HOST}:{server.server_port}/v1/models"
        try:
            assert httpx.get(url).json() == httpx2.get(url).json() == []
            with urllib.request.urlopen(url) as answer:
                assert json.load(answer) == []
        finally:
            server.shutdown()
