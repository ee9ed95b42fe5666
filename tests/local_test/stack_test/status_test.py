"""The stack as it is now, and how it is displayed."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from harness.local.stack import state
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity
from harness.local.stack.state import LETTA, POSTGRES, StartedServer
from harness.local.stack.status import ComponentState, StackState, status


def test_nothing_runs_in_an_empty_home(home: Home) -> None:
    """Status of a fresh home shows three stopped components and exports nothing."""
    assert [line.split()[-1] for line in status().lines()] == ["stopped"] * 3


def test_a_component_that_hangs_is_shown_as_not_answering(home: Home, sleeper: Identity) -> None:
    """A living process whose port is silent is no running component."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    state.save(home.state_file, {LETTA: StartedServer(sleeper.pid, sleeper.created, port)})
    letta = status().components[-1]
    assert (letta.pid, letta.healthy) == (sleeper.pid, False)
    assert not status().running


def test_what_to_do_is_shown_once_all_runs() -> None:
    """A state tells how to use the stack only when every component answers."""
    component = ComponentState(POSTGRES, 7, healthy=True, address="socket /x", log=Path("/log"), version="18")
    stack = StackState((component,), "http://127.0.0.1:8283", "http://127.0.0.1:8284")
    assert "pairs with `backend: local` use it: pytest benchmarks --record=once" in stack.lines()
    stopped = replace(stack, components=(replace(component, pid=None, healthy=False),))
    assert stopped.lines() == ["postgres      stopped"]


def test_a_component_that_does_not_answer_is_not_running() -> None:
    """A living process that does not answer is shown as such."""
    component = ComponentState(LETTA, 7, healthy=False, address="port 1", log=Path("/log"), version="1")
    assert "not answering" in component.line()
    assert not StackState((component,), "", "").running
