"""What the environment's variables say by themselves."""

from __future__ import annotations

import socket

import pytest

from harness.backends.checks.environment import anthropic_key, variables
from harness.backends.checks.finding import Finding

KEY = "sk-ant-api03-" + "Ab3_" * 22
OAT = "sk-ant-oat01-" + "Ab3_" * 22


def found(**environment: str) -> dict[str, Finding]:
    return {each.check: each for each in variables(environment)}


@pytest.mark.parametrize(
    ("value", "level", "said"),
    [
        ("", "warning", "not set"),
        (" \n", "warning", "not set"),
        (KEY, "ok", "an API key"),
        (OAT, "error", "login of the Claude CLI"),
        (f"  {OAT}\n", "error", "login of the Claude CLI"),
        (f"{KEY}\n", "warning", "line break round it"),
        (f"{KEY[:40]}\n{KEY[40:]}", "error", "in its middle"),
        (f'"{KEY}"', "error", "quotation marks"),
        (f"{KEY}é", "error", "characters that no key has"),
        (f"{KEY}\x07", "error", "characters that no key has"),
        ("sk-ant-api03-short", "warning", "cut off"),
        ("sk-ant-admin01-" + "x" * 80, "error", "admin key"),
        ("sk-proj-" + "x" * 80, "warning", "does not begin with"),
    ],
)
def test_anthropic_api_key(value, level, said) -> None:
    """What a key is, and what is wrong with it, is told from its shape alone; it is never shown."""
    told = found(ANTHROPIC_API_KEY=value)["ANTHROPIC_API_KEY"]
    assert (told.level, said in told.seen) == (level, True), told
    assert level == "ok" or told.remedy
    assert "Ab3_" not in str(told)


def test_a_missing_key_is_an_error_where_it_is_needed() -> None:
    """A replay needs none; a live run of a pair that Claude bills does."""
    assert anthropic_key({}, needed=False).level == "warning"
    assert anthropic_key({}, needed=True).level == "error"


def test_another_endpoint_may_have_keys_of_another_shape() -> None:
    """With ANTHROPIC_BASE_URL set, the shape of the key says nothing; a login of the CLI is wrong even so."""
    elsewhere = {"ANTHROPIC_BASE_URL": "https://models.example"}
    assert found(ANTHROPIC_API_KEY="abc", **elsewhere)["ANTHROPIC_API_KEY"].level == "ok"
    assert found(ANTHROPIC_API_KEY=OAT, **elsewhere)["ANTHROPIC_API_KEY"].level == "error"


def test_anthropic_auth_token() -> None:
    """The harness does not use it; a login of the CLI in it is an error."""
    assert "ANTHROPIC_AUTH_TOKEN" not in found()
    assert found(ANTHROPIC_AUTH_TOKEN="abc")["ANTHROPIC_AUTH_TOKEN"].level == "warning"
    assert found(ANTHROPIC_AUTH_TOKEN=OAT)["ANTHROPIC_AUTH_TOKEN"].level == "error"


@pytest.mark.parametrize(
    ("value", "level"),
    [("", "ok"), (OAT, "ok"), (f"{OAT}\n", "warning"), (KEY, "error"), ("abc", "error"), ("a b", "error")],
)
def test_claude_code_oauth_token(value, level) -> None:
    """The CLI's token belongs there, and an API key does not."""
    told = found(CLAUDE_CODE_OAUTH_TOKEN=value)["CLAUDE_CODE_OAUTH_TOKEN"]
    assert (told.level, "Ab3_" in str(told)) == (level, False)


def test_a_billed_key_beside_a_subscription() -> None:
    """Which one pays must be plain."""
    both = found(CLAUDE_CODE_OAUTH_TOKEN=OAT, ANTHROPIC_API_KEY=KEY)
    assert both["CLAUDE_CODE_OAUTH_TOKEN"].level == "warning"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "LETTA_API_KEY"])
@pytest.mark.parametrize(
    ("value", "level"),
    [("", "ok"), ("sk-proj-abcdefgh", "ok"), ("abc\n", "warning"), ("a\nb", "error"), (KEY, "error")],
)
def test_other_keys(name, value, level) -> None:
    """Not set, set, badly set, and somebody else's key."""
    told = found(**{name: value})[name]
    assert (told.level, "abc" in str(told)) == (level, False)


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_BASE_URL", "LETTA_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"]
)
def test_a_leftover_address(name) -> None:
    """An address of this machine where nothing listens is an error; where something does, it is fine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        told = found(**{name: url})[name]
        assert (told.level, f"unset {name}" in told.remedy) == ("error", True)
        listener.listen()
        assert found(**{name: url})[name].level == "ok"


@pytest.mark.parametrize("url", ["api.anthropic.com", "http://", "http://[", "http://x:99999999", "ftp://x"])
def test_what_is_no_address(url) -> None:
    """One line for each, no traceback."""
    assert found(ANTHROPIC_BASE_URL=url)["ANTHROPIC_BASE_URL"].level == "error"


def test_keys_that_go_elsewhere() -> None:
    """Another host gets the key: that is told; a password in the address is not."""
    told = found(ANTHROPIC_BASE_URL="https://me:hunter2-hunter2@models.example/x")["ANTHROPIC_BASE_URL"]
    assert (told.level, "models.example/x" in told.seen, "hunter2" in str(told)) == ("warning", True, False)
    assert found(ANTHROPIC_BASE_URL="https://api.anthropic.com")["ANTHROPIC_BASE_URL"].level == "ok"


def test_headers_for_every_request() -> None:
    """The SDK takes them from the environment, which nobody remembers a year later."""
    told = found(ANTHROPIC_CUSTOM_HEADERS="X-Key: abcdefgh")["ANTHROPIC_CUSTOM_HEADERS"]
    assert (told.level, "abcdefgh" in str(told)) == ("warning", False)


def test_where_letta_will_be_looked_for() -> None:
    """Without an address: on this machine, or in the cloud where its key is set."""
    assert "localhost:8283" in found()["LETTA_BASE_URL"].seen
    assert "cloud" in found(LETTA_API_KEY="a-key-for-tests")["LETTA_BASE_URL"].seen
