"""Work that a fork does."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from harness.aside import begun

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
def alone(monkeypatch):
    """No thread of xdist's counts: those of a worker only wait."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def test_another_process_does_it_meanwhile(alone):
    """And its result is as large as it is."""
    result = begun(lambda: (os.getpid(), "x" * 1_000_000))
    pid, text = result()
    assert pid != os.getpid()
    assert len(text) == 1_000_000


def test_what_is_wrong_is_raised_here(alone):
    """When the result is asked for; the fork says nothing of it."""
    result = begun(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        result()


def test_what_a_fork_could_not_do_is_done_here(alone):
    """One that was killed, or whose result cannot be sent."""
    here = os.getpid()
    result = begun(lambda: os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != here else "here")
    assert result() == "here"
    local = begun(lambda: (os.getpid(), lambda: None))
    assert local()[0] == here


def test_beside_threads_nothing_is_forked():
    """A fork would be without them, and with the locks that they hold."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        result = begun(os.getpid)
    finally:
        end.set()
        thread.join()
    assert result() == os.getpid()


def test_where_no_process_can_be_made_it_is_done_here(alone, monkeypatch):
    """A machine at its limit still gets its report."""

    def refuse():
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert begun(os.getpid)() == os.getpid()
