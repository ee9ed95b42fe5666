"""The real App Server, in homes of its own; skipped unless `harness up --letta app-server` was run."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import no_wait

from harness.agents.transcript import Returned, Usage
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.errors import StackError
from harness.local.stack import app_server, app_server_install, letta_server
from harness.local.stack.home import Home, find_home
from harness.local.stack.processes import Identity, identify, is_alive, stop, wait_until_ready
from harness.tasks.pair import Orchestrator

from .conftest import CODER, TESTER, FakeModel, calls, wait_for

try:
    INSTALL = app_server_install.locate(find_home("app-server"))
except StackError:
    pytest.skip("the App Server needs the extra `live` or `app-server`", allow_module_level=True)
if not INSTALL.complete:
    pytest.skip("no App Server: harness up --letta app-server", allow_module_level=True)

SPEC = '{"spec": "add"}'
DONE = {"content": "Both are written."}


@contextmanager
def running(folder: Path, model: FakeModel) -> Iterator[tuple[Server, Home, Identity]]:
    """A translator with an App Server in a fresh home."""
    home = Home(folder)
    home.root.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    identity = app_server.start(home, INSTALL, port, int(model.url.rpartition(":")[2]), ())
    try:
        log = home.log(app_server.LOG)
        wait_until_ready(
            identity, lambda: letta_server.answers(port), what="App Server", log=log, timeout_s=90
        )
        yield Server(f"http://127.0.0.1:{port}", "", Transport(no_wait())), home, identity
    finally:
        stop(identity)


def converse(letta: Server) -> None:
    """A guided trial with a temperature, in which the model also calls what there is not."""
    orchestrator = Orchestrator(model="local/m", temperature=0.3, server="app-server")
    with letta.agent("p/add/1", orchestrator, "You orchestrate.", {"role": "I delegate."}) as agent:
        turn = agent.say("Task", [CODER])
        assert [call.name for call in turn.calls] == ["run_claude_coder"]
        assert (turn.steps, turn.usage) == (1, Usage(input=60, cache_read=40, output=5))
        turn = agent.answer([Returned(1, turn.calls[0].call_id, False, "Error: no")], [TESTER])
        assert [(call.name, call.arguments) for call in turn.calls] == [("run_claude_tester", SPEC)]
        turn = agent.answer([Returned(1, turn.calls[0].call_id, True, "Wrote it")], [])
        refused = [(each.call.name, each.ok) for each in turn.ran]
        assert refused == [("no_such_tool", False), ("run_claude_coder", False)]
        assert (turn.stop, turn.steps, turn.texts) == ("end_turn", 3, ((False, "Both are written."),))


def script() -> Iterator[dict[str, Any]]:
    """What the model says in a trial."""
    yield calls(("run_claude_coder", SPEC))
    yield calls(("run_claude_tester", SPEC))
    yield calls(("no_such_tool", "{}"))
    yield calls(("run_claude_coder", "{}"))
    yield DONE


def test_two_recordings_ask_the_model_alike_and_leave_nothing(tmp_path: Path) -> None:
    """No time, path or id reaches the model, the temperature does; agents and their files are gone."""
    asked = []
    for name in ("one", "other"):
        model = FakeModel()
        with model.running(), running(tmp_path / name, model) as (letta, home, _):
            model.script = script()
            converse(letta)
            assert letta.ask(lambda client: list(client.agents.list())) == []
            files = [path.name for path in home.app_server_home.rglob("agent-local-*")]
            assert files == []
        asked.append(model.asked)
    assert asked[0] == asked[1]
    assert {body["temperature"] for body in asked[0]} == {0.3}
    text = json.dumps(asked[0])
    assert not re.search(r"20\d\d-\d\d-\d\d|[0-9a-f]{8}-[0-9a-f]{4}", text)
    assert str(tmp_path) not in text
    told = [each["content"] for each in asked[0][-1]["messages"] if each["role"] == "tool"]
    assert told[:2] == ["Error: no", "Wrote it"]


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """The App Server ends by itself when its translator is killed; and a dead App Server is noticed."""
    model = FakeModel()
    with model.running():
        with running(tmp_path / "killed", model) as (_, _, identity):
            (child,) = children(identity)
            os.kill(identity.pid, signal.SIGKILL)
            wait_for(lambda: not is_alive(child))
        with running(tmp_path / "alone", model) as (letta, _, identity):
            (child,) = children(identity)
            os.kill(child.pid, signal.SIGKILL)
            wait_for(lambda: not is_alive(child))
            with pytest.raises(Exception, match="503 the App Server is gone"):
                letta.version()


def children(identity: Identity) -> list[Identity]:
    """The App Server of a translator."""
    import psutil

    found = (identify(child.pid) for child in psutil.Process(identity.pid).children())
    return [each for each in found if each]
