"""Starting servers, and deciding which running one can be reused."""

from __future__ import annotations

import pytest

from harness.errors import StackError
from harness.local.stack import (
    app_server_install,
    letta_install,
    letta_server,
    model_server,
    postgres,
    stack,
    state,
)
from harness.local.stack.components import StackOptions, Starter, is_reusable
from harness.local.stack.external_postgres import parse
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity
from harness.local.stack.state import LETTA, MODEL_SERVER, POSTGRES, StartedServer
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


APP = StackOptions(letta="app-server", providers=(("ollama", "http://127.0.0.1:11434/v1"),))


def test_the_two_lettas_are_not_taken_for_each_other(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is an App Server with other providers: each is another stack."""
    monkeypatch.setattr(letta_server, "answers", lambda port: True)
    state.save(
        home.state_file, {LETTA: StartedServer(sleeper.pid, sleeper.created, *APP.settings(LETTA, home))}
    )
    assert is_reusable(home, LETTA, APP)
    assert not is_reusable(home, LETTA, StackOptions())
    assert not is_reusable(home, LETTA, StackOptions(letta="app-server"))


def test_the_app_server_has_no_database(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status shows two components, and the release; PostgreSQL is none of them."""
    monkeypatch.setattr(letta_server, "answers", lambda port: True)
    state.save(
        home.state_file, {LETTA: StartedServer(sleeper.pid, sleeper.created, *APP.settings(LETTA, home))}
    )
    now = status()
    assert [each.name for each in now.components] == [MODEL_SERVER, LETTA]
    assert app_server_install.RELEASE in now.components[1].line()
    assert now.letta == "app-server"


def test_up_with_the_app_server_starts_three_things_and_stops_postgres(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installation, the model server, the translator; an embedded PostgreSQL is needed no more."""
    done: list[str] = []
    install = app_server_install.locate(home)
    monkeypatch.setattr(app_server_install, "ensure", lambda home, report: done.append("install") or install)
    monkeypatch.setattr(postgres, "halt", lambda home: not done.append(POSTGRES))
    monkeypatch.setattr(Starter, "_ensure_model_server", lambda self: done.append(MODEL_SERVER))
    monkeypatch.setattr(Starter, "_start_app_server", lambda self, found: done.append(LETTA))
    Starter(home, APP, lambda line: None).start_all()
    assert done == ["install", POSTGRES, MODEL_SERVER, LETTA]


def test_a_reset_of_the_app_server_deletes_its_agents_and_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of V1 stays, and so do the installations."""
    monkeypatch.setattr(StackOptions, "require_free_port", lambda self, name: None)
    for folder in (home.app_server_home, home.pgdata, app_server_install.locate(home).folder):
        (folder / "x").mkdir(parents=True)
    reported: list[str] = []
    stack.erase_data(home, APP, reported.append)
    assert reported == [f"the agents in {home.app_server_home} are deleted"]
    there = {home.pgdata, app_server_install.locate(home).folder}
    assert set(home.root.iterdir()) == there


def test_a_program_that_ends_is_an_error_of_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The translator ends with its App Server's last words, and `up` shows them."""
    folder = app_server_install.locate(home).folder / "bin"
    folder.mkdir(parents=True)
    (folder / "letta").write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    (folder / "letta").chmod(0o755)
    starter = Starter(home, APP, lambda line: None)
    with pytest.raises(StackError, match="letta ended while starting") as caught:
        starter._start_app_server(app_server_install.locate(home))
    assert "no such option" in caught.value.message
    starter.undo()
    assert state.load(home.state_file) == {}


def test_without_a_model_letta_and_its_database_are_the_whole_stack(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched; no model server is started, and one of before is no part of it."""
    asked: list[int | None] = []
    monkeypatch.setattr(letta_server, "answers", lambda port: True)
    monkeypatch.setattr(letta_install, "ensure", lambda home, report: letta_install.locate(home))
    monkeypatch.setattr(letta_server, "needs_migration", lambda home, database: False)
    monkeypatch.setattr(letta_server, "start", lambda *args: asked.append(args[-1]) or sleeper)
    monkeypatch.setattr(StackOptions, "require_free_port", lambda self, name: None)
    entry = StartedServer(1, 0.0, "8284", serves="scripted")
    state.save(home.state_file, {MODEL_SERVER: entry})
    options = StackOptions(has_models=False, postgres=parse("postgresql://u:p@db.example:5432/letta"))
    assert options.wanted(home) == ()
    Starter(home, options, lambda line: None).start_all()
    assert asked == [None]
    assert list(state.load(home.state_file)) == [LETTA]
    now = status()
    assert [each.name for each in now.components] == [POSTGRES, LETTA]
    assert now.lines()[-1].endswith("export LETTA_BASE_URL=http://127.0.0.1:8283")
    assert is_reusable(home, LETTA, options)
    assert not is_reusable(home, LETTA, external())
