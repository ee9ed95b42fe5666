"""A PostgreSQL of the user's in place of the embedded one: it is used, and never started, stopped or emptied.

Its address may hold a password: that goes to Letta and to psql through their environment, and nowhere else.

Not covered: parameters after a `?`, such as `sslmode`: Letta's two drivers do not agree on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from harness.errors import StackError, UsageError
from harness.local.stack.postgres import psql
from harness.local.stack.processes import query

EXPECTED = "postgresql://user:password@host:5432/database"
PORT = 5432
_ANY = "SELECT EXISTS (SELECT FROM {table} WHERE {what})"
_EXTENSION = _ANY.format(table="pg_extension", what="extname = 'vector'")
_AVAILABLE = _ANY.format(table="pg_available_extensions", what="name = 'vector'")
_OF_LETTA = _ANY.format(
    table="pg_tables", what="schemaname = 'public' AND tablename IN ('alembic_version', 'agents')"
)
_OF_OTHERS = _ANY.format(table="pg_tables", what="schemaname = 'public'")


@dataclass(frozen=True)
class ExternalDatabase:
    """The database of an address.

    Attributes:
        place: ``host:port/database``, for people and for telling one from another.
    """

    place: str
    _host: str = field(repr=False)
    _port: int = field(repr=False)
    _name: str = field(repr=False)
    _user: str = field(repr=False)
    _password: str = field(repr=False)
    _url: str = field(repr=False)

    @property
    def server_uri(self) -> str:
        """For Letta itself."""
        return self._url

    @property
    def migration_uri(self) -> str:
        """For Letta's migrations."""
        return self._url

    def sql(self, statements: str) -> list[str]:
        """Runs SQL and gives its output, one line per row.

        Raises:
            StackError: The database cannot be reached, or a statement failed.
        """
        env = {"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "10"}
        where = ["-w", "-h", self._host, "-p", str(self._port), "-U", self._user, "-d", self._name]
        what = f"a statement in the database {self.place}"
        try:
            return query([*psql(), *where], text=statements, what=what, env=env).splitlines()
        except StackError as error:
            said = error.message.replace(self._password, "<secret>") if self._password else error.message
            raise StackError(said, remedy="check the address, the password and that it runs") from None


def parse(url: str) -> ExternalDatabase:
    """The database that an address names; nobody is asked.

    Raises:
        UsageError: It is no such address. Never repeats it: it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or PORT
    except ValueError:
        raise _no_address() from None
    name = parts.path.removeprefix("/")
    known = parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.username and name
    if not known or "/" in name or parts.query or parts.fragment or any(map(str.isspace, url.strip())):
        raise _no_address()
    return ExternalDatabase(
        place=f"{parts.hostname}:{port}/{unquote(name)}",
        _host=parts.hostname or "",
        _port=port,
        _name=unquote(name),
        _user=unquote(parts.username or ""),
        _password=unquote(parts.password or ""),
        _url=url.strip().replace("postgres://", "postgresql://", 1),
    )


def require_usable(database: ExternalDatabase) -> None:
    """Sees that Letta can work in it: it answers, is empty or Letta's, and has the vector extension.

    Raises:
        StackError: It does not, with what to do. Nothing was changed then.
    """
    if not _says(database, _OF_LETTA) and _says(database, _OF_OTHERS):
        raise StackError(
            f"the database {database.place} holds tables that are not Letta's",
            remedy="make an empty database for Letta: CREATE DATABASE letta",
        )
    if _says(database, _EXTENSION):
        return
    if not _says(database, _AVAILABLE):
        raise StackError(
            f"the PostgreSQL of {database.place} has no extension `vector`",
            remedy="install pgvector there (Debian: postgresql-<version>-pgvector)",
        )
    try:
        database.sql("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS vector")
    except StackError as error:
        raise StackError(
            f"the extension `vector` cannot be made in {database.place}: {error.message}",
            remedy="let its owner do it: CREATE EXTENSION vector",
        ) from None


def _says(database: ExternalDatabase, question: str) -> bool:
    return database.sql(question) == ["t"]


def _no_address() -> UsageError:
    return UsageError("--postgres: this is no address of a database", remedy=f"write it as {EXPECTED}")
