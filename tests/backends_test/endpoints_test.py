"""Which server a trial's requests go to, and with which key."""

from __future__ import annotations

import pytest

from harness.backends import endpoints
from harness.errors import ApiError
from harness.tasks.pair import Orchestrator, default_models


def test_defaults(pair) -> None:
    """With a key alone, Letta is on this machine and Claude at Anthropic."""
    where = endpoints.live(pair, {"ANTHROPIC_API_KEY": "k"})
    assert (where.letta_url, where.claude_url) == ("http://localhost:8283", "https://api.anthropic.com")
    assert where.services == {"http://localhost:8283": "letta", "https://api.anthropic.com": "anthropic"}


def test_letta_cloud(pair) -> None:
    """A Letta key alone means Letta's cloud; a base URL goes before it."""
    keys = {"ANTHROPIC_API_KEY": "k", "LETTA_API_KEY": "l"}
    assert endpoints.live(pair, keys).letta_url == "https://api.letta.com"
    own = {**keys, "LETTA_BASE_URL": "http://letta.example:1"}
    assert (endpoints.live(pair, own).letta_url, endpoints.live(pair, own).letta_key) == (
        "http://letta.example:1",
        "l",
    )


def test_another_claude_endpoint(pair) -> None:
    """ANTHROPIC_BASE_URL names any compatible endpoint."""
    where = endpoints.live(pair, {"ANTHROPIC_API_KEY": " k\n", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"})
    assert (where.claude_url, where.claude_key) == ("http://127.0.0.1:1", "k")


def test_the_fixed_policy_needs_no_letta(pair) -> None:
    """With orchestrator direct nothing that is set for Letta is looked at, nor the embedded stack's Letta."""
    direct = pair.model_copy(update={"orchestrator": Orchestrator(model="direct")})
    where = endpoints.live(direct, {"ANTHROPIC_API_KEY": "k", "LETTA_BASE_URL": "nonsense"})
    assert where.letta_url.endswith(".invalid")
    mock = direct.model_copy(update={"backend": "mock"})
    assert endpoints.live(mock, {}).letta_url.endswith(".invalid")


def test_no_key(pair) -> None:
    """A live pair without a key says which one is missing."""
    with pytest.raises(ApiError, match="ANTHROPIC_API_KEY is not set"):
        endpoints.live(pair, {"ANTHROPIC_API_KEY": "  "})


def test_a_local_server_needs_no_key(pair) -> None:
    """With an address of the user's a placeholder goes out, as such servers ask for none."""
    where = endpoints.live(pair, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:11434"})
    assert (where.claude_url, where.claude_key) == ("http://127.0.0.1:11434", endpoints.NO_KEY)


def test_replay_reaches_nobody(pair) -> None:
    """A replay's addresses cannot exist, whatever the environment says."""
    where = endpoints.replayed(pair)
    assert where.letta_url.endswith(".invalid")
    assert where.claude_url.endswith(".invalid")


@pytest.mark.parametrize(
    ("environment", "models"),
    [
        ({}, None),
        ({"ORCH_MODEL": "openai/o"}, ("openai/o", "claude-haiku-5-5")),
        ({"CLAUDE_MODEL": "claude-x"}, ("openai/gpt-5-mini", "claude-x")),
        ({"ORCH_MODEL": " a ", "CLAUDE_MODEL": "b"}, ("a", "b")),
    ],
)
def test_default_models(environment, models) -> None:
    """ORCH_MODEL and CLAUDE_MODEL name a pair; each has a default for the other."""
    assert default_models(environment) == models


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "sk 1", "ké", "a\x00b"])
def test_a_key_that_is_none(key, pair) -> None:
    """A key with a line break in it is refused before a request could fail with it in its message."""
    with pytest.raises(ApiError, match="ANTHROPIC_API_KEY holds") as caught:
        endpoints.live(pair, {"ANTHROPIC_API_KEY": key})
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8283", "letta.example", "ftp://x"])
def test_an_address_that_is_none(url, pair) -> None:
    """A base URL without its scheme is named as that."""
    with pytest.raises(ApiError, match="LETTA_BASE_URL is no address"):
        endpoints.live(pair, {"ANTHROPIC_API_KEY": "k", "LETTA_BASE_URL": url})


def test_keys_are_in_no_repr(pair) -> None:
    """A traceback that shows arguments shows no key."""
    where = endpoints.live(pair, {"ANTHROPIC_API_KEY": "s3cret-key", "LETTA_API_KEY": "other-s3cret"})
    assert "s3cret" not in repr(where)


def cli(pair):
    return pair.model_copy(update={"backend": "claude-code"})


def test_the_cli_uses_its_own_login(pair) -> None:
    """A billed key alone does not change that: no silent change between a key and a subscription."""
    for environment in ({}, {"ANTHROPIC_API_KEY": "k"}):
        where = endpoints.live(cli(pair), environment)
        assert (where.claude_url, where.claude_key) == ("", "no-key")
        assert where.services == {"http://localhost:8283": "letta"}


def test_the_cli_at_an_endpoint(pair) -> None:
    """With a base URL it goes there, with the key or without one; what it says there is not recorded."""
    environment = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "ANTHROPIC_API_KEY": "k"}
    where = endpoints.live(cli(pair), environment)
    assert (where.claude_url, where.claude_key) == ("http://127.0.0.1:1", "k")
    assert where.services["http://127.0.0.1:1"] == ""
    assert endpoints.live(cli(pair), {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}).claude_key == "no-key"
    with pytest.raises(ApiError, match="ANTHROPIC_BASE_URL is no address"):
        endpoints.live(cli(pair), {"ANTHROPIC_BASE_URL": "localhost"})


def test_an_error_names_the_server_of_the_stack_that_has_ended(pair, tmp_path, monkeypatch) -> None:
    """With the last lines of its log and how to go on; a pair that does not use the stack is left alone."""
    pytest.importorskip("psutil", reason="the live stack needs the extra `live`")
    from harness.local.stack import home
    from harness.local.stack.state import MODEL_SERVER, StartedServer, save
    from harness.local.stack.status import status

    monkeypatch.setattr(home, "require_live_extra", lambda *_, **__: None)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    save(tmp_path / "state.json", {MODEL_SERVER: StartedServer(2**22 + 1, 1.0, "8284")})
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "model-server.log").write_text("loading\nout of memory\n")
    error, other = ApiError("503 Connection error"), ApiError("x")
    endpoints.add_stack_fault(error, pair.model_copy(update={"backend": "local"}))
    endpoints.add_stack_fault(other, pair)
    assert "503 Connection error; the model server of the embedded stack has ended" in error.message
    assert error.message.endswith("out of memory")
    assert "--record=once" in error.remedy
    assert other.message == "x"
    assert any("model server  ended by itself" in line for line in status().lines())
