"""The state file: the server processes that were started, with their settings.

PostgreSQL is not in it: `postgres.find` finds a running one by its data folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from harness.files import write_whole
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity, is_alive
from harness.tasks.pair import LettaServer

POSTGRES = "postgres"
MODEL_SERVER = "model server"
LETTA = "letta"
# In the order in which they are started; stopped in reverse.
COMPONENTS = (POSTGRES, MODEL_SERVER, LETTA)
Settings: TypeAlias = "tuple[str, int, str, str, LettaServer, tuple[str, ...]]"


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class StartedServer:
    """One started process; its address is a port. Letta's may have a model server and a database.

    Attributes:
        model_port: Of its model server; 0 where it has none.
        database: The place of an external one; empty for the embedded one.
        serves: The models, and the program that serves them if it is the user's.
        letta: Which Letta it is; "v1" for other servers, too.
        providers: Of the App Server, each ``NAME=URL``.
    """

    pid: int
    created: float
    address: str
    model_port: int = 0
    database: str = ""
    serves: str = ""
    letta: LettaServer = "v1"
    providers: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """The process, for asking whether it is alive and for stopping it."""
        return Identity(self.pid, self.created)

    @property
    def settings(self) -> Settings:
        """All that decides whether a running server can be reused."""
        return self.address, self.model_port, self.database, self.serves, self.letta, self.providers


_SERVERS = TypeAdapter(dict[str, StartedServer])


def load(path: Path) -> dict[str, StartedServer]:
    """Return the started servers by name; none from a file that is missing or cannot be read."""
    try:
        return _SERVERS.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}


def save(path: Path, servers: Mapping[str, StartedServer]) -> None:
    """Write the started servers, whole or not at all."""
    write_whole(path, json.dumps({name: asdict(server) for name, server in servers.items()}, indent=2) + "\n")


def living(home: Home, name: str) -> StartedServer | None:
    """Return a started server if its process still runs, else None."""
    server = load(home.state_file).get(name)
    return server if server is not None and is_alive(server.identity) else None
