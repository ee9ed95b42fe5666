"""What is remembered about running components, and what is shown of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.files import write_whole
from harness.local.stack.processes import Identity

POSTGRES = "postgres"
MODEL_SERVER = "model server"
LETTA = "letta"
# In the order in which they are started; stopped in reverse.
COMPONENTS = (POSTGRES, MODEL_SERVER, LETTA)


@dataclass(frozen=True)
class Remembered:
    """One started process.

    Attributes:
        address: The port, or for PostgreSQL the folder of the socket.
        model_port: For Letta, the model server that it was started against; else 0.
        database: For Letta, the place of an external database; empty for the embedded one.
    """

    pid: int
    created: float
    address: str
    model_port: int = 0
    database: str = ""

    @property
    def identity(self) -> Identity:
        """Which process this is."""
        return Identity(self.pid, self.created)


def load(path: Path) -> dict[str, Remembered]:
    """Reads the remembered processes. A file that cannot be read remembers nothing."""
    try:
        raw = json.loads(path.read_text())
        return {name: Remembered(**raw[name]) for name in COMPONENTS if name in raw}
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def save(path: Path, remembered: Mapping[str, Remembered]) -> None:
    """Writes the remembered processes, whole or not at all."""
    write_whole(path, json.dumps({name: asdict(remembered[name]) for name in remembered}, indent=2) + "\n")


@dataclass(frozen=True)
class ComponentState:
    """One component as it is now. ``pid`` is None and ``address`` empty where it does not run.

    ``external``: somebody else's, which Letta uses; it is healthy as long as Letta answers.
    """

    name: str
    pid: int | None
    healthy: bool
    address: str
    log: Path
    version: str
    external: bool = False

    def line(self) -> str:
        """One line for display."""
        if self.external:
            return f"{self.name:<13} external  {self.address}"
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

    @property
    def running(self) -> bool:
        """Whether all components run and answer."""
        return all(component.healthy for component in self.components)

    def lines(self) -> list[str]:
        """Lines for display: each component, then how to use the stack once all run."""
        lines = [component.line() for component in self.components]
        if self.running:
            lines.append("pairs with `backend: local` use it: pytest benchmarks --record=once")
        return lines
