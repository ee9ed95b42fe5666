"""`harness doctor` as a command."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from fakes import claude_error

from harness.cli import machine
from harness.cli.doctor import wrapped
from harness.cli.main import main

KEY = "sk-ant-api03-" + "Ab3_" * 22
OAT = "sk-ant-oat01-" + "Ab3_" * 22
NAMES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_MODEL",
    "LETTA_API_KEY",
    "LETTA_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ORCH_MODEL",
)
PAIRS = "pairs: {one: {orchestrator: {model: openai/gpt-5-mini}, coder: claude-haiku-5-5}}\n"


@pytest.fixture(autouse=True)
def plain(tmp_path, monkeypatch) -> None:
    """A folder with a pair, no variable set, and a machine that has nothing wrong."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "pairs.yaml").write_text(PAIRS)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "sandbox", lambda: machine.Finding("sandbox", "ok", "for tests"))
    monkeypatch.setattr(machine, "stack", lambda: iter(()))


def doctor(*args: str):
    return CliRunner().invoke(main, ["doctor", *args])


def test_static(letta, claude, monkeypatch) -> None:
    """Each line has a level, the last one counts them; nobody is asked; a missing key is no error."""
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    result = doctor()
    lines = result.output.splitlines()
    assert result.exit_code == 0, result.output
    assert {line.split()[0] for line in lines[:-1]} <= {"ok", "warning"}
    assert lines[-1].endswith("0 error; nobody was asked, --live asks")
    assert (letta.requests, claude.requests) == ([], [])


def test_a_wrong_key_is_an_error(monkeypatch) -> None:
    """The exit code says so, and the key is not shown."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", OAT)
    result = doctor()
    assert result.exit_code == 1
    assert (
        "error   ANTHROPIC_API_KEY: begins with sk-ant-oat: this is a login of the Claude CLI"
        in result.output
    )
    assert "Ab3_" not in result.output


def test_for_scripts(monkeypatch) -> None:
    """--json gives the same findings, as one array, without a key in it."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    rows = json.loads(doctor("--json").output)
    assert set(rows[0]) == {"check", "level", "seen", "remedy"}
    assert next(row for row in rows if row["check"] == "ANTHROPIC_API_KEY")["level"] == "ok"
    assert "Ab3_" not in json.dumps(rows)


def test_what_a_pair_needs() -> None:
    """--pair makes an error of what is missing for it; a wrong name is an error of usage."""
    assert "error   ANTHROPIC_API_KEY: not set" in doctor("--pair", "one").output
    result = doctor("--pair", "two")
    assert (result.exit_code, "no pair 'two'" in result.output) == (2, True)


def test_live_without_a_pair(letta, claude, monkeypatch) -> None:
    """Letta is asked what it offers, Claude for one token; no agent is made."""
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    result = doctor("--live")
    assert result.exit_code == 0, result.output
    assert "letta models: 3 offered" in result.output
    assert "claude: claude-haiku-5-5 at" in result.output
    assert [path for _, path, _ in letta.requests] == ["/v1/health/", "/v1/models/"]


def test_live_with_a_pair(letta, claude, monkeypatch) -> None:
    """The pair's own models are tried; an empty account is one line that says what to do."""
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    empty = claude_error(400, "invalid_request_error", "Your credit balance is too low to access the API.")
    claude.faults = [("/messages", empty)]
    result = doctor("--live", "--pair", "one")
    assert result.exit_code == 1
    assert "ok      orchestrator: openai/gpt-5-mini answers" in result.output
    (line,) = [line for line in result.output.splitlines() if "account is empty" in line]
    assert line.endswith("-> add credit to the account of this key")


def test_a_key_that_cannot_be_sent(monkeypatch) -> None:
    """An address that is none ends in a line, with the rest of the report."""
    monkeypatch.setenv("LETTA_BASE_URL", "localhost:8283")
    result = doctor("--live")
    assert result.exit_code == 1
    assert "error   letta: LETTA_BASE_URL is no address" in result.output


def test_one_service_that_fails_keeps_no_other_from_being_asked(letta, claude, monkeypatch) -> None:
    """A key that cannot be sent, or is missing, is an error beside the other service's answer."""
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    assert "letta: " in doctor("--live", "--pair", "one").output.partition("pair one: ")[2]
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("LETTA_API_KEY", "a key\nof two lines")
    said = doctor("--live").output
    assert "error   letta: " in said
    assert "ok      claude: " in said


def test_lines_fit_the_terminal_and_a_pipe_gets_one_for_each(monkeypatch) -> None:
    """Words are kept whole, and what follows stands under the first word."""
    text = "warning " + "word " * 30 + "https://" + "x" * 90
    assert wrapped(text) == [text]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    lines = wrapped(text)
    assert [len(line) <= 80 for line in lines] == [True, True, True, False]
    assert all(line.startswith(" " * 8) for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == text
