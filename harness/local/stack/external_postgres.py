"""A PostgreSQL of the user's in place of the embedded one: it is used, and never started, stopped or emptied.

Its address may hold a password: that goes to Letta and to psql through their environment, and nowhere else.

Not covered: parameters after a `?`, such as `sslmode`: Letta's two drivers do not agree on them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from harness.errors import StackError, UsageError
from harness.local.stack.postgres import Database

EXPECTED = "postgresql://user:password@host:5432/database"
PORT = 5432
_ANY = "EXISTS (SELECT FROM {table} WHERE {what})"
_EXTENSION = _ANY.format(table="pg_extension", what="extname = 'vector'")
_AVAILABLE = _ANY.format(table="pg_available_extensions", what="name = 'vector'")
_PUBLIC = "schemaname = 'public'"
_OF_LETTA = _ANY.format(table="pg_tables", what=f"{_PUBLIC} AND tablename IN ('alembic_version', 'agents')")
_OF_OTHERS = _ANY.format(table="pg_tables", what=_PUBLIC)


def parse(url: str) -> Database:
    """Parse an address, without connecting. A UsageError never repeats it: it may hold a password."""
    url = url.strip()
    malformed = UsageError("--postgres: this is no address of a database", remedy=f"write it as {EXPECTED}")
    try:
        parts = urlsplit(url)
        host, port, user, name = parts.hostname, parts.port or PORT, parts.username, parts.path[1:]
    except ValueError:
        raise malformed from None
    if parts.scheme not in ("postgresql", "postgres") or not (host and user and name):
        raise malformed
    if "/" in name or parts.query or parts.fragment or any(map(str.isspace, url)):
        raise malformed
    uri, name = url.replace("postgres://", "postgresql://", 1), unquote(name)
    return Database(
        server_uri=uri,
        migration_uri=uri,
        connection=("-w", "-h", host, "-p", str(port), "-U", unquote(user), "-d", name),
        place=f"{host}:{port}/{name}",
        password=unquote(parts.password or ""),
    )


def require_usable(database: Database) -> None:
    """Check that Letta can work in it: it answers, is empty or Letta's, and has the vector extension.

    Raise StackError with the remedy if it cannot. Nothing was changed then.
    """
    if not database.is_true(_OF_LETTA) and database.is_true(_OF_OTHERS):
        remedy = "make an empty database for Letta: CREATE DATABASE letta"
        raise StackError(f"the database {database.place} holds tables that are not Letta's", remedy=remedy)
    if database.is_true(_EXTENSION):
        return
    if not database.is_true(_AVAILABLE):
        remedy = "install pgvector there (Debian: postgresql-<version>-pgvector)"
        raise StackError(f"the PostgreSQL of {database.place} has no extension `vector`", remedy=remedy)
    try:
        database.sql("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS vector")
    except StackError as error:
        text = f"the extension `vector` cannot be made in {database.place}: {error.message}"
        raise StackError(text, remedy="let its owner do it: CREATE EXTENSION vector") from None
