"""Let another core do work meanwhile, where that is safe; its result is the same as without."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

T = TypeVar("T")
PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def begun(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Begin work in a fork of this process, which lives as long as the block; yield what gets the result.

    Where this is no Linux, or threads of Python run, which a fork would be without, the work is done when its
    result is asked for; so it is where the fork fails, and what is wrong is raised then.
    """
    found = None
    if sys.platform == "linux" and threading.active_count() == 1:
        with suppress(OSError):  # too many processes or files: this process can do it alone
            found = _fork(work)
    if found is None:
        yield work
        return
    child, reader = found
    with os.fdopen(reader, "rb") as pipe:

        def result() -> T:
            data = pipe.read()
            try:
                done: T = pickle.loads(data)  # noqa: S301  (our own)
            except Exception:  # noqa: BLE001  (it is cut off, or was never sent)
                done = work()
            return done

        try:
            yield result
        finally:
            with suppress(ChildProcessError, ProcessLookupError):  # where nobody has to wait for children
                if os.waitpid(child, os.WNOHANG)[0] == 0:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)


def _fork(work: Callable[[], object]) -> tuple[int, int]:
    """Work in a fork; return its process and what its result is read from."""
    reader, writer = os.pipe()
    parent = os.getpid()
    # A signal must not raise in the fork what only this process handles.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: numpy's hold nothing meanwhile
            child = os.fork()
        if child == 0:
            os.close(reader)
            _be_the_fork(work, writer, parent, before)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return child, reader


def _be_the_fork(
    work: Callable[[], object], writer: int, parent: int, mask: set[signal.Signals | int]
) -> NoReturn:
    """Send the result and end, without a word and without cleaning up what is not this process's."""
    try:
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            warnings.simplefilter("ignore")  # this process's own would be a second one
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
    finally:
        os._exit(0)
