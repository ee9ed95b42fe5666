"""Work that a fork does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from harness.results.aside import begun

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
def alone(monkeypatch):
    """No thread of xdist's counts: those of a worker only wait."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def children():
    """The processes that this one has."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_another_process_does_it_meanwhile(alone):
    """And its result is as large as it is."""
    with begun(lambda: (os.getpid(), "x" * 1_000_000)) as result:
        pid, text = result()
    assert pid != os.getpid()
    assert len(text) == 1_000_000


def test_what_is_wrong_is_raised_here(alone, capfd):
    """When the result is asked for; the fork says nothing of it."""
    with begun(lambda: 1 // 0) as result, pytest.raises(ZeroDivisionError):
        result()
    assert capfd.readouterr() == ("", "")


def test_what_a_fork_could_not_do_is_done_here(alone):
    """One that was killed, or whose result cannot be sent."""
    here = os.getpid()
    with begun(lambda: os.kill(os.getpid(), signal.SIGKILL) if os.getpid() != here else "here") as result:
        assert result() == "here"
    with begun(lambda: (os.getpid(), lambda: None)) as result:
        assert result()[0] == here


def test_beside_threads_nothing_is_forked():
    """A fork would be without them, and with the locks that they hold."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        with begun(os.getpid) as result:
            assert result() == os.getpid()
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("missing", ["fork", "pipe"])
def test_a_machine_at_its_limit_does_it_here(alone, monkeypatch, missing):
    """No process or file can be had: the report is made all the same."""

    def refuse():
        raise BlockingIOError

    monkeypatch.setattr(os, missing, refuse)
    with begun(os.getpid) as result:
        assert result() == os.getpid()


def test_a_result_that_nobody_wants_leaves_nothing(alone):
    """No process, no descriptor; also where it waits for somebody who reads."""
    before = children(), os.listdir("/proc/self/fd")
    with suppress(KeyError), begun(lambda: "x" * 1_000_000):
        raise KeyError
    assert (children(), os.listdir("/proc/self/fd")) == before


PROGRAM = """
import os, signal, sys, time
from harness.results.aside import begun
{before}
def work():
    time.sleep({seconds})
    return os.getpid()
with begun(work) as result:
    print(os.getpid(), flush=True)
    {then}
"""


def run(before="", seconds=0, then="pass"):
    """Run a program of its own; return it and the process number that it has said."""
    program = PROGRAM.format(before=before, seconds=seconds, then=then)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_a_parent_that_waits_for_no_child_gets_it_too():
    """SIGCHLD is ignored, as some that start programs leave it: there is nothing to wait for."""
    process, pid = run("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", then="print(result())")
    with process:  # the line may have been read with the first one: `communicate` would lose it
        told = process.stdout.read()
    assert process.returncode == 0
    assert told.strip() not in ("", pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_fork_ends_with_its_parent(number):
    """Who reads what the parent prints need not wait for it."""
    process, _ = run(seconds=60, then="result()")
    process.send_signal(number)
    assert process.communicate(timeout=10) == ("", None)
