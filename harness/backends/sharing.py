"""Let processes call an object of this one: a run's limiter and budget, which its workers share.

The standard library's ``multiprocessing.connection``: callers prove that they know the key before anything is
read of them. Each caller has a thread here, so the object has to bear that; no call may take long. On other
machines the address is one that they reach; what passes (names of models, counts, waits) is not encrypted.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, NamedTuple

from harness.errors import HarnessError


class Address(NamedTuple):
    """Where an object is served, and the key of its callers, in hexadecimal."""

    host: str
    port: int
    key: str


class Served:
    """Objects that other processes may call, as long as this one lives, or until ``close``.

    Args:
        host: The address of this machine to listen at.
        objects: By name. All methods but private ones may be called.
    """

    def __init__(self, host: str = "127.0.0.1", **objects: Any) -> None:
        self._objects = objects
        key = secrets.token_hex(32)
        self._listener = Listener((host, 0), family="AF_INET", authkey=bytes.fromhex(key), backlog=128)
        port: int = self._listener.address[1]
        self.address = Address(host, port, key)
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more callers."""
        self._closed = True
        with suppress(OSError, EOFError, AuthenticationError):  # wake the thread that waits for one
            host, port, key = self.address
            Client((host, port), authkey=bytes.fromhex(key)).close()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            with suppress(OSError, EOFError, AuthenticationError):
                caller = self._listener.accept()
                if self._closed:
                    return
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: Connection) -> None:
        """Answer one caller until it goes away."""
        with suppress(OSError, EOFError), caller:
            while True:
                name, method, args, options = caller.recv()
                answer: tuple[bool, Any]
                try:
                    answer = True, getattr(self._objects[name], method)(*args, **options)
                except HarnessError as error:
                    answer = False, error
                caller.send(answer)


class Remote:
    """An object of another process. ``remote.method(...)`` calls it there, and raises what it raises.

    Raises:
        HarnessError: The call did; or the process that serves it is gone.
    """

    def __init__(self, address: Address, name: str) -> None:
        self._address = address
        self._name = name
        self._local = threading.local()  # a connection for each thread and process: answers must not mix

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *args, **options: self._call(method, args, options)

    def _call(self, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            if getattr(self._local, "process", None) != os.getpid():
                host, port, key = self._address
                self._local.connection = Client((host, port), authkey=bytes.fromhex(key))
                self._local.process = os.getpid()
            self._local.connection.send((self._name, method, args, options))
            ok, answer = self._local.connection.recv()
        except (OSError, EOFError, AuthenticationError) as error:
            self._local.process = None
            what = f"the process that controls this run is gone: {type(error).__name__}"
            raise HarnessError(what) from None
        except BaseException:  # interrupted, such as by a time limit: the next call must not get this answer
            self._local.process = None
            raise
        if not ok:
            raise answer
        return answer
