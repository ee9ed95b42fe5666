"""Start, reuse and stop the single components: PostgreSQL, the model server, Letta (V1 or App Server).

All listen on 127.0.0.1 or a unix socket only. Each server is in the state file as soon as it is started, so
that even an `up` that was killed leaves nothing unknown behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.local.stack import (
    app_server,
    app_server_install,
    letta_install,
    letta_server,
    model_server,
    postgres,
    state,
    weights,
)
from harness.local.stack.catalogue import DEFAULT, Model
from harness.local.stack.home import Home
from harness.local.stack.ports import require_free
from harness.local.stack.postgres import Database
from harness.local.stack.processes import Identity, Report, is_alive, stop, timed, wait_until_ready
from harness.local.stack.state import LETTA, MODEL_SERVER, POSTGRES, Settings, StartedServer
from harness.tasks.pair import LettaServer

# How long a server may take until it answers.
READY_S = {MODEL_SERVER: 120.0, LETTA: 180.0}


@dataclass(frozen=True)
class StackOptions:
    """The options of `harness up`.

    Attributes:
        postgres: One of the user's in place of the embedded one.
        models: Of the catalogue, to be fetched unless they are there.
        own_models: The user's GGUF files by name, which `catalogue.problem_of_file` has passed.
        llama_server: A program of the user's in place of the package that holds llama.cpp's server.
        letta: Which Letta: the self-hosted V1 server, or the App Server.
        providers: The user's model servers, name and URL.
        has_models: False leaves the model server out: V1 offers the models of the user's keys alone.
    """

    letta_port: int = 8283
    model_port: int = 8284
    postgres: Database | None = None
    reset: bool = False
    models: tuple[Model, ...] = ()
    own_models: Mapping[str, Path] = field(default_factory=dict)
    llama_server: Path | None = None
    letta: LettaServer = "v1"
    providers: tuple[tuple[str, str], ...] = ()
    has_models: bool = True

    @property
    def servers(self) -> tuple[str, ...]:
        """Return the servers to run, in the order in which they are started."""
        return (MODEL_SERVER, LETTA) if self.has_models else (LETTA,)

    def files(self, home: Home) -> dict[str, Path]:
        """Return the models to serve: all of the catalogue that were ever fetched, and the user's own."""
        return {**weights.fetched(home), **self.own_models}

    def wanted(self, home: Home) -> tuple[Model, ...]:
        """Return the models to fetch: the named ones, or with V1 the default where there would be none."""
        needs_none = not self.has_models or self.letta == "app-server" or self.files(home)
        return self.models or (() if needs_none else (DEFAULT,))

    @property
    def passed_on(self) -> dict[str, str]:
        """Return the providers that the model server passes on: V1 demands more of them than they offer."""
        return dict(self.providers) if self.letta == "v1" else {}

    def serves(self, home: Home) -> str:
        """Return the models to serve in one line; where Letta is started anew it lists them anew."""
        own = {**self.own_models, **self.passed_on}
        names = [*weights.fetched(home), *(f"{name}={place}" for name, place in own.items())]
        return ", ".join(names) + (f" by {self.llama_server}" if self.llama_server else "")

    def settings(self, name: str, home: Home) -> Settings:
        """Return the `StartedServer.settings` of a server that was started with these options."""
        if name == MODEL_SERVER:
            return self.address(name), 0, "", self.serves(home), "v1", ()
        place = self.postgres.place if self.postgres else ""
        providers = tuple(f"{name}={url}" for name, url in self.providers if name not in self.passed_on)
        port, serves = (self.model_port, self.serves(home)) if self.has_models else (0, "")
        return self.address(name), port, place, serves, self.letta, providers

    def address(self, name: str) -> str:
        """Return the port of a server."""
        return str(self.model_port if name == MODEL_SERVER else self.letta_port)

    def require_free_port(self, name: str) -> None:
        """Raise StackError if another process listens on a server's port."""
        option = "--model-port" if name == MODEL_SERVER else "--letta-port"
        require_free(int(self.address(name)), option=option)


def is_reusable(home: Home, name: str, options: StackOptions) -> bool:
    """Return True if a server runs, answers, and does so with these options."""
    server = state.living(home, name)
    if server is None or server.settings != options.settings(name, home):
        return False
    answers = model_server.answers if name == MODEL_SERVER else letta_server.answers
    return answers(int(server.address))


def stop_component(home: Home, name: str) -> bool:
    """Stop one component and forget it. Return True if it ran."""
    if name == POSTGRES:
        return postgres.halt(home)
    servers = state.load(home.state_file)
    server = servers.pop(name, None)
    if server is None:
        return False
    ran = is_alive(server.identity)
    stop(server.identity)
    state.save(home.state_file, servers)
    return ran


@dataclass
class Starter:
    """One `harness up`: records what it has started, so that it can be undone."""

    home: Home
    options: StackOptions
    report: Report
    started: list[str] = field(default_factory=list)

    def start_all(self) -> None:
        """Start what is missing, in the order in which it is needed."""
        for model in self.options.wanted(self.home):
            weights.fetch(self.home, model, self.report)
        self._stop_unusable()
        if self.options.letta == "app-server":
            app = app_server_install.ensure(self.home, self.report)
            if stop_component(self.home, POSTGRES):
                self.report(f"{POSTGRES} stopped: the App Server needs none")
            self._ensure_model_server()
            if not is_reusable(self.home, LETTA, self.options):
                self._start_app_server(app)
            return
        install = letta_install.ensure(self.home, self.report)
        database = self._start_postgres()
        self._ensure_model_server()
        if not is_reusable(self.home, LETTA, self.options):
            self._start_letta(install, database)

    def undo(self) -> None:
        """Stop what this call has started, last first."""
        for name in reversed(self.started):
            stop_component(self.home, name)

    def _stop_unusable(self) -> None:
        """Check that the ports are free, then stop what runs with other options or no longer answers."""
        servers = (LETTA, MODEL_SERVER)
        ours = [server.address for name in servers if (server := state.living(self.home, name))]
        wanted = self.options.servers
        unusable = [n for n in servers if n not in wanted or not is_reusable(self.home, n, self.options)]
        for name in unusable:
            if name in wanted and self.options.address(name) not in ours:
                self.options.require_free_port(name)
        for name in unusable:
            if stop_component(self.home, name):
                why = (
                    "it ran with other options, or did not answer" if name in wanted else "no model is wanted"
                )
                self.report(f"{name} stopped: {why}")

    def _start_postgres(self) -> Database:
        if self.options.postgres is not None:
            if stop_component(self.home, POSTGRES):
                self.report(f"{POSTGRES} stopped: {self.options.postgres.place} is used in its place")
            return self.options.postgres
        running = postgres.find(self.home)
        if running is not None and postgres.answers(running):
            return running.database()
        self.started.append(POSTGRES)
        with timed("starting PostgreSQL", self.report):
            return postgres.start(self.home)

    def _ensure_model_server(self) -> None:
        if not self.options.has_models or is_reusable(self.home, MODEL_SERVER, self.options):
            return
        home, port = self.home, self.options.model_port
        with timed(f"starting the model server on port {port}", self.report):
            options = self.options
            models, providers = options.files(home), options.passed_on
            identity = model_server.start(home, port, models, providers, options.llama_server)
            self._await(MODEL_SERVER, identity, model_server.answers, model_server.LOG)

    def _start_letta(self, install: letta_install.LettaInstall, database: Database) -> None:
        home, port = self.home, self.options.letta_port
        model_port = self.options.model_port if self.options.has_models else None
        if letta_server.needs_migration(home, database):
            with timed("migrating Letta's database", self.report):
                letta_server.migrate(home, install, database)
        if model_port is not None:
            letta_server.point_at_model_server(database, model_port)
        with timed(f"starting Letta {letta_install.VERSION} on port {port}", self.report):
            identity = letta_server.start(home, install, database, port, model_port)
            self._await(LETTA, identity, letta_server.answers, letta_server.LOG)

    def _start_app_server(self, install: app_server_install.AppServerInstall) -> None:
        home, options = self.home, self.options
        with timed(f"starting Letta's App Server on port {options.letta_port}", self.report):
            identity = app_server.start(
                home, install, options.letta_port, options.model_port, options.providers
            )
            self._await(LETTA, identity, letta_server.answers, app_server.LOG)

    def _await(self, name: str, identity: Identity, answers: Callable[[int], bool], log: str) -> None:
        """Record a server that was just started, then wait until it answers."""
        self.started.append(name)
        server = StartedServer(identity.pid, identity.created, *self.options.settings(name, self.home))
        state.save(self.home.state_file, {**state.load(self.home.state_file), name: server})
        port, limit = int(server.address), READY_S[name]
        path = self.home.log(log)
        wait_until_ready(identity, lambda: answers(port), what=name, log=path, timeout_s=limit)
