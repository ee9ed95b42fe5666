"""Starting servers, and deciding which running one can be reused."""

from __future__ import annotations

import pytest

from harness.local.stack import letta_server, model_server, state
from harness.local.stack.components import StackOptions, Starter, is_reusable
from harness.local.stack.external_postgres import parse
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity
from harness.local.stack.state import LETTA, MODEL_SERVER, StartedServer
from harness.local.stack.status import status


def external(host: str = "db.example") -> StackOptions:
    """Options with a database of the user's that nobody asks."""
    return StackOptions(postgres=parse(f"postgresql://u:hunter2@{host}:5432/letta"))


def test_letta_with_an_external_database(home: Home, sleeper: Identity) -> None:
    """The state file holds the place and no password; status shows it as somebody else's."""
    starter = Starter(home, external(), lambda line: None)
    starter._await(LETTA, sleeper, lambda port: True, letta_server.LOG)
    expected = StartedServer(sleeper.pid, sleeper.created, "8283", 8284, "db.example:5432/letta")
    assert state.load(home.state_file) == {LETTA: expected}
    assert "hunter2" not in home.state_file.read_text()
    assert status().components[0].line() == "postgres      external  db.example:5432/letta"
    assert starter._start_postgres().server_uri.startswith("postgresql://u:")


def test_another_database_is_another_letta(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Letta that runs with another database is not taken for the wanted one."""
    monkeypatch.setattr(letta_server, "answers", lambda port: True)
    entry = StartedServer(sleeper.pid, sleeper.created, "8283", 8284, "db.example:5432/letta")
    state.save(home.state_file, {LETTA: entry})
    assert is_reusable(home, LETTA, external())
    assert not is_reusable(home, LETTA, external("other"))
    assert not is_reusable(home, LETTA, StackOptions())


def test_another_model_is_another_model_server(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched since, a file of the user's or another program are served after a new start only."""
    monkeypatch.setattr(model_server, "answers", lambda port: True)
    options = StackOptions()
    assert [model.name for model in options.wanted(home)] == ["smollm2-135m-instruct"]
    home.model("qwen2.5-coder-0.5b").parent.mkdir()
    home.model("qwen2.5-coder-0.5b").touch()
    assert options.wanted(home) == ()
    entry = StartedServer(sleeper.pid, sleeper.created, "8284", serves="qwen2.5-coder-0.5b")
    state.save(home.state_file, {MODEL_SERVER: entry})
    assert is_reusable(home, MODEL_SERVER, options)
    assert not is_reusable(home, MODEL_SERVER, StackOptions(own_models={"mine": home.root / "m.gguf"}))
    assert not is_reusable(home, MODEL_SERVER, StackOptions(llama_server=home.root / "llama-server"))
    home.model("smollm2-135m-instruct").touch()
    assert not is_reusable(home, MODEL_SERVER, options)
