"""Run pytest in processes of their own that have imported everything already.

The interpreter, pytest, the clients and pandas take four seconds of a core to import, most of what such a run
costs. Each process here is a fork of one that has imported them (`multiprocessing`'s fork server). It has its
own folder, environment, streams, signals and end; what the imports themselves do is tested elsewhere, cold.

pytester forgets modules that a test has imported. This one and those of the server are therefore imported at
once: a second server would import everything again.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import pytest

from harness.plugin import preload

_context = multiprocessing.get_context("forkserver")


class Pytest:
    """A run that goes on; the streams are file descriptors, and stay the caller's."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        *,
        session: bool = False,
    ) -> None:
        _begin()
        own = {"folder": folder, "environment": dict(environment), "streams": Streams(streams)}
        self._process = _context.Process(target=_become, args=(arguments, session), kwargs=own)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the code with which it has ended; less than zero for a signal."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return that code when it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["pytest"], timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal to it alone."""
        os.kill(self.pid, number)


def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Any:
    """Run pytest to its end; return a ``CompletedProcess`` with its output as text."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        streams = (nothing.fileno(), out.fileno(), err.fileno())
        code = Pytest(arguments, folder, environment or os.environ, streams).wait()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(["pytest", *arguments], code, *texts)


class Streams:
    """File descriptors that a new process gets as its first three."""

    def __init__(self, numbers: tuple[int, int, int]) -> None:
        self.numbers = numbers

    def __reduce__(self) -> Any:
        return _take, tuple(map(DupFd, self.numbers))


def _take(*streams: Any) -> None:
    for number, got in enumerate([stream.detach() for stream in streams]):
        assert got > 2, "the first three are always open here"
        os.dup2(got, number)
        os.close(got)


def _begin() -> None:
    """Start the server, which finds modules where this process does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        _context.set_forkserver_preload(["in_process", "warm"])
        multiprocessing.forkserver.ensure_running()


def _become(
    arguments: Sequence[str], session: bool, folder: Path, environment: dict[str, str], streams: None
) -> None:
    """Be the process of ``python -m pytest`` (in the fork); never returns."""
    assert streams is None, "they were taken when the arguments were read"
    gc.freeze()
    if session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _open_streams()
    sys.argv = ["pytest", *arguments]
    sys.path.insert(0, str(folder))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    preload.allow_imported()
    os.posix_spawn = _spawn
    code = 1
    try:
        code = int(pytest.console_main())
        threading._shutdown()
    finally:
        atexit._run_exitfuncs()
        for file in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                file.flush()
        os._exit(code)


def _open_streams() -> None:
    """Have Python's three streams be those of this process."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = open(number, "w" if number else "r", encoding=encoding, errors=errors or None, closefd=False)  # noqa: SIM115
        setattr(sys, name, file)
        setattr(sys, f"__{name}__", file)


_posix_spawn = os.posix_spawn


def _spawn(path: str, arguments: list[str], environment: Any, **options: Any) -> int:
    """Fork what would import again all that this process has."""
    if preload.BEGIN not in arguments:
        return _posix_spawn(path, arguments, environment, **options)
    for file in (sys.stdout, sys.stderr):
        file.flush()  # once, and not by the fork as well
    if pid := os.fork():
        return pid
    try:
        _open_streams()  # pytest has captured those that were
        number, _, controller, *modules = arguments[arguments.index(preload.BEGIN) + 1 :]
        preload.serve(int(number), int(controller), modules)
    finally:
        os._exit(1)
