"""Recognising and stopping processes, with real ones."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("psutil", reason="the live stack needs the extra `live`")

from harness.errors import StackError
from harness.local.stack.processes import Identity, identify, is_alive, run, spawn, stop, wait_until_ready

SLEEP = ["sleep", "60"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Identity:
    """A detached process that does nothing."""
    return spawn(SLEEP, log=tmp_path / "log", env=dict(os.environ), cwd=tmp_path)


def test_a_spawned_process_leads_its_own_session(sleeper: Identity) -> None:
    """It is detached, so that closing the terminal or Ctrl-C there does not reach it."""
    try:
        assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)
    finally:
        stop(sleeper)


def test_stop_ends_the_process(sleeper: Identity) -> None:
    """After stop it no longer runs, and stopping it again does nothing."""
    assert is_alive(sleeper)
    stop(sleeper)
    assert not is_alive(sleeper)
    stop(sleeper)


def test_a_recycled_id_is_not_killed(sleeper: Identity) -> None:
    """A process with the remembered id but another creation time is somebody else's."""
    try:
        stop(replace(sleeper, created=sleeper.created - 100))
        assert is_alive(sleeper)
    finally:
        stop(sleeper)


def test_stop_takes_the_children_along(tmp_path: Path) -> None:
    """Children that ignore the polite signal are killed with their parent, none is left."""
    script = (
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    parent = spawn([sys.executable, "-c", script], log=log, env=dict(os.environ), cwd=tmp_path)
    wait_until_ready(parent, lambda: log.read_text().endswith("\n"), what="it", log=log, timeout_s=20)
    child = identify(int(log.read_text()))
    assert child is not None
    stop(parent, grace_s=0.2)
    assert not is_alive(parent)
    assert not is_alive(child)


def test_an_orphan_of_the_group_is_stopped_too(tmp_path: Path) -> None:
    """A grandchild whose parent has gone is found by its group."""
    log = tmp_path / "log"
    script = "(sleep 60 & echo $!) ; exec sleep 60"
    leader = spawn(["sh", "-c", script], log=log, env=dict(os.environ), cwd=tmp_path)
    wait_until_ready(leader, lambda: log.read_text().endswith("\n"), what="it", log=log, timeout_s=20)
    orphan = identify(int(log.read_text()))
    assert orphan is not None
    stop(leader, grace_s=0.2)
    assert not is_alive(orphan)


def test_what_a_killed_process_left_is_stopped(tmp_path: Path) -> None:
    """A model server that was killed leaves its llama-server, with a model in memory."""
    log = tmp_path / "log"
    parent = spawn(["sh", "-c", "sleep 60 & echo $!; wait"], log=log, env=dict(os.environ), cwd=tmp_path)
    wait_until_ready(parent, lambda: log.read_text().endswith("\n"), what="it", log=log, timeout_s=20)
    child = identify(int(log.read_text()))
    assert child is not None
    os.kill(parent.pid, signal.SIGKILL)
    wait_until_ready(child, lambda: not is_alive(parent), what="it", log=log, timeout_s=20)
    stop(replace(parent, created=1.0))  # of before the machine started: its number says nothing
    assert is_alive(child)
    stop(parent)
    assert not is_alive(child)


def test_a_finished_child_counts_as_gone(sleeper: Identity) -> None:
    """A process that has ended but was not collected by its parent is not alive."""
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(sleeper)


def test_a_failed_step_shows_the_end_of_its_output(tmp_path: Path) -> None:
    """The error says what failed, its last words and where the rest is."""
    log = tmp_path / "step.log"
    with pytest.raises(StackError) as caught:
        run(["sh", "-c", "echo no space left; exit 3"], log=log, env={}, cwd=tmp_path, what="the step")
    assert "the step failed with exit code 3" in caught.value.message
    assert "no space left" in caught.value.message
    assert str(log) in caught.value.remedy


def test_a_missing_program_is_an_error_of_the_stack(tmp_path: Path) -> None:
    """A command that does not exist is told in one line, for steps and for servers."""
    with pytest.raises(StackError, match="no-such-program"):
        run(["no-such-program"], log=tmp_path / "a", env={}, cwd=tmp_path, what="it")
    with pytest.raises(StackError, match="no-such-program"):
        spawn(["no-such-program"], log=tmp_path / "b", env={}, cwd=tmp_path)


def test_a_server_that_ends_while_starting_is_noticed(tmp_path: Path) -> None:
    """Waiting stops as soon as the process is gone, long before the time is up."""
    log = tmp_path / "log"
    server = spawn(["sh", "-c", "echo bad port; sleep 0.05"], log=log, env=dict(os.environ), cwd=tmp_path)
    with pytest.raises(StackError, match=r"ended while starting\n    bad port"):
        wait_until_ready(server, lambda: False, what="it", log=log, timeout_s=60)


def test_a_server_that_never_answers_is_given_up(sleeper: Identity, tmp_path: Path) -> None:
    """Waiting ends with an error when the time is up."""
    try:
        with pytest.raises(StackError, match="did not answer within 0 s"):
            wait_until_ready(sleeper, lambda: False, what="it", log=tmp_path / "log", timeout_s=0.0)
    finally:
        stop(sleeper)


def test_a_new_start_keeps_the_last_log(tmp_path: Path) -> None:
    """The log of a start holds that start alone; the one before is kept beside it."""
    log = tmp_path / "server.log"
    log.write_text("old")
    stop(spawn(SLEEP, log=log, env=dict(os.environ), cwd=tmp_path))
    assert log.read_text() == ""
    assert log.with_suffix(".previous").read_text() == "old"
