"""What the Letta server gets of the user's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.local.stack.home import Home
from harness.local.stack.letta_server import environment

REAL = "sk-ant-api03-x"


def env(user: dict[str, str]) -> dict[str, str]:
    """Letta's environment for a user's."""
    return environment(Home(Path("/home")), "postgresql://x", 8284, user)


def test_the_local_model_server_has_handles_of_its_own() -> None:
    """The local models are offered as ``local/...``, beside those of the user's own providers."""
    result = env({"OPENAI_API_KEY": " real ", "GEMINI_API_KEY": ""})
    assert (result["VLLM_API_BASE"], result["VLLM_HANDLE_BASE"]) == ("http://127.0.0.1:8284/v1", "local")
    assert result["OPENAI_API_KEY"] == "real"
    assert "GEMINI_API_KEY" not in result


def test_without_a_local_model_the_users_keys_are_all_there_is() -> None:
    """Letta is told of no server that does not run."""
    result = environment(Home(Path("/home")), "postgresql://x", None, {"OPENAI_API_KEY": "real"})
    assert [name for name in result if name.startswith("VLLM")] == []
    assert result["OPENAI_API_KEY"] == "real"


def test_other_variables_stay_out() -> None:
    """Letta gets no secret that it has no use for."""
    assert "x" not in env({"AWS_SECRET_ACCESS_KEY": "x", "GITHUB_TOKEN": "x"}).values()


def test_letta_has_a_home_of_its_own() -> None:
    """It does not write to the user's home, nor read a configuration from there."""
    result = env({"HOME": "/users/me", "LETTA_DIR": "/users/me/.letta"})
    assert (result["HOME"], result["LETTA_DIR"]) == ("/home/letta-home", "/home/letta-home/.letta")


def test_a_real_anthropic_key_is_passed_on() -> None:
    """With a real key Letta can offer Claude as an orchestrator."""
    assert env({"ANTHROPIC_API_KEY": REAL})["ANTHROPIC_API_KEY"] == REAL


@pytest.mark.parametrize(
    "user",
    [{"ANTHROPIC_API_KEY": "local"}, {"ANTHROPIC_API_KEY": REAL, "ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}],
)
def test_a_key_for_the_local_server_is_not(user: dict[str, str]) -> None:
    """A placeholder, or a key meant for another address, must not be sent to Anthropic."""
    assert "ANTHROPIC_API_KEY" not in env(user)
