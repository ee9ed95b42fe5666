"""Refuse the network to this process while a trial is replayed, whatever library asks for it.

vcrpy answers for HTTP libraries that it knows. An audit hook of the interpreter sees every connection,
datagram and name look-up of all others before it happens. Sockets of this machine (``AF_UNIX``) stay open.

Not covered: child processes (the sandbox isolates model-written code), connections made before, and C code
that calls the operating system itself.
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

TO_ADDRESSES = ("socket.connect", "socket.sendto", "socket.sendmsg")
TO_NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")


class WentOnline(BaseException):
    """A replay asked for the network: a fault of the harness, or of a plugin that runs beside it.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".
    """


@contextmanager
def offline() -> Iterator[None]:
    """Refuse the network to this process; may be nested. The call that asks for it raises WentOnline.

    Other threads get the ``OSError`` of a machine without network, which background work knows to handle.
    """
    guard = _guard()
    before, guard.thread = guard.thread, threading.get_ident()
    try:
        yield
    finally:
        guard.thread = before


class _Guard:
    """An audit hook. ``thread``: the one that replays, if one does."""

    def __init__(self) -> None:
        self.thread: int | None = None

    def refuse(self, event: str, args: tuple[Any, ...]) -> None:
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
    """Return the process's only guard: an audit hook cannot be removed."""
    guard = _Guard()
    sys.addaudithook(guard.refuse)
    return guard
