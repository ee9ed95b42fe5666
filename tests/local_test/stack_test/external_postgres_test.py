"""A PostgreSQL of the user's: its address, what it must offer, and that its password goes nowhere."""

from __future__ import annotations

import pytest

from harness.errors import StackError, UsageError
from harness.local.stack import postgres
from harness.local.stack.external_postgres import parse, require_usable
from harness.local.stack.postgres import Database

URL = "postgresql://letta:hunter2%40@db.example:6432/letta"


def test_an_address() -> None:
    """Host, port and database are told; user and password are not, in no form."""
    database = parse(f" {URL}\n")
    assert database.place == "db.example:6432/letta"
    assert (database.server_uri, database.migration_uri) == (URL, URL)
    assert parse("postgres://u@h/d").place == "h:5432/d"
    assert parse("postgres://u@h/d").server_uri == "postgresql://u@h/d"
    assert "hunter2" not in f"{database!r} {database}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db.example:5432",
        "mysql://u:hunter2@h/d",
        "postgresql://h/d",
        "postgresql://u:hunter2@h",
        "postgresql://u:hunter2@/d",
        "postgresql://u:hunter2@h:99999/d",
        "postgresql://u:hunter2@[/d",
        "postgresql://u:hunter2@h/d/e",
        "postgresql://u:hunter2@h/d?sslmode=require",
        "postgresql://u:hunter2@h/d d",
    ],
)
def test_what_is_no_address(url) -> None:
    """One line that says how to write it, without repeating what may hold a password."""
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert "postgresql://user:password@host:5432/database" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def asked(monkeypatch) -> list[tuple[list[str], str, dict[str, str]]]:
    """What psql would have been started with."""
    calls: list[tuple[list[str], str, dict[str, str]]] = []

    def query(command, *, text, what, env):
        calls.append((list(command), text, env))
        return "t\n"

    monkeypatch.setattr(postgres, "psql", lambda: ("psql",))
    monkeypatch.setattr(postgres, "query", query)
    return calls


def test_the_password_is_no_argument(asked) -> None:
    """Arguments can be seen by every user of a machine; psql must not ask for it either."""
    assert parse(URL).sql("SELECT 1") == ["t"]
    ((command, _, env),) = asked
    assert env["PGPASSWORD"] == "hunter2@"
    assert "hunter2" not in " ".join(command)
    assert command == ["psql", "-w", "-h", "db.example", "-p", "6432", "-U", "letta", "-d", "letta"]


def test_what_psql_says_holds_no_password(monkeypatch) -> None:
    """A failure is told with the place and what to do."""

    def query(_command, *, text, what, env):
        raise StackError(f"{what} failed: bad {env['PGPASSWORD']} in {text}")

    monkeypatch.setattr(postgres, "psql", lambda: ("psql",))
    monkeypatch.setattr(postgres, "query", query)
    with pytest.raises(StackError) as caught:
        require_usable(parse(URL))
    assert "db.example:6432/letta failed: bad <secret> in" in caught.value.message
    assert caught.value.remedy


class Answers(Database):
    """Says yes to questions with these words."""

    def sql(self, statements: str) -> list[str]:
        said.append(statements)
        return ["t" if any(each in statements for each in yes) else "f"]


said: list[str] = []
yes: list[str] = []


def usable(*words: str) -> None:
    said.clear()
    yes[:] = words
    require_usable(Answers("postgresql://u:p@h:1/d", "", (), place="h:1/d", password="p"))


def test_what_letta_needs_of_it() -> None:
    """An empty database or Letta's own, with the extension or one that can be made."""
    usable("'agents'", "pg_tables", "pg_extension")
    assert not any("CREATE" in each for each in said)
    usable("pg_available_extensions")
    assert said[-1].endswith("CREATE EXTENSION IF NOT EXISTS vector")
    with pytest.raises(StackError, match="tables that are not Letta's") as caught:
        usable("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')", "pg_extension")
    assert "CREATE DATABASE" in caught.value.remedy
    with pytest.raises(StackError, match="no extension `vector`") as caught:
        usable()
    assert "pgvector" in caught.value.remedy
    assert not any("CREATE" in each for each in said)
