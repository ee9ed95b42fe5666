"""Free and taken ports, with real sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("psutil", reason="the live stack needs the extra `live`")

from harness.errors import StackError
from harness.local.stack.ports import HOST, get_json, require_free


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
