"""Let another core do work meanwhile, where that is safe; its result is the same as without."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin work in a fork of this process; return what waits for its result.

    Where this is no Linux, or threads of Python run, which a fork would be without, the work is done when its
    result is asked for; so it is where the fork fails, and what is wrong is raised then.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return work
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: numpy's hold nothing meanwhile
        try:
            child = os.fork()
        except OSError:  # no memory, or too many processes
            os.close(reader)
            os.close(writer)
            return work
    if child == 0:
        os.close(reader)
        _send(work, writer)
    os.close(writer)

    def result() -> T:
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(child, 0)
        found: T = work() if status else pickle.loads(data)  # noqa: S301  (our own)
        return found

    return result


def _send(work: Callable[[], object], writer: int) -> NoReturn:
    """Work, send the result, and end this process, which says nothing and cleans up nothing."""
    status = 1
    try:
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(work(), pipe)
        status = 0
    finally:
        os._exit(status)
