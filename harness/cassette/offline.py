"""No network for this process while a trial is replayed, whatever library asks for it.

vcrpy answers for HTTP libraries that it knows. Below all of them lies the interpreter, which tells an audit
hook of every connection, datagram and look-up of a name before it happens: here that is refused. Sockets of
this machine (``AF_UNIX``) stay open.

Not covered: child processes (model-written code is the sandbox's matter), connections that stood before, and
C code that asks the operating system by itself.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TO_ADDRESSES = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
TO_NAMES = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)


class WentOnline(BaseException):
    """A replay asked for the network: a fault of the harness, or of a plugin that runs beside it.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".
    """


@contextmanager
def offline() -> Iterator[None]:
    """Refuse the network to this process; may be nested.

    Raises:
        WentOnline: Out of the call that asked. In another thread it is the ``OSError`` of a machine without
            network: who works there in the background knows what to do with that.
    """
    guard = _guard()
    before, guard.thread = guard.thread, threading.get_ident()
    try:
        yield
    finally:
        guard.thread = before


class _Guard:
    """Listens to the interpreter. ``thread``: whose replay is running, if one is."""

    def __init__(self) -> None:
        self.thread: int | None = None

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.thread is None or not (event in TO_NAMES or event in TO_ADDRESSES):
            return
        if event in TO_ADDRESSES and getattr(args[0], "family", None) == socket.AF_UNIX:
            return
        if threading.get_ident() != self.thread:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        where = args[0] if event in TO_NAMES else args[1]
        raise WentOnline(f"a replay asked for the network: {event} {where!r:.200}")


@functools.cache
def _guard() -> _Guard:
    """One for the process, from the first replay on: an audit hook cannot be taken back."""
    guard = _Guard()
    sys.addaudithook(guard.hear)
    return guard
