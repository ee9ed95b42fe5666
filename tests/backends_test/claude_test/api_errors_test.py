"""What a failing answer of Claude's API means."""

from __future__ import annotations

import pytest

from harness.backends.claude import api_errors
from harness.backends.claude.api_errors import diagnose

OAT = "sk-ant-oat01-not-a-real-one"


@pytest.mark.parametrize(
    ("status", "text", "key", "meaning"),
    [
        (401, "invalid x-api-key", "sk-ant-api03-x", api_errors.BAD_KEY),
        (401, "invalid x-api-key", OAT, api_errors.CLI_TOKEN),
        (400, "whatever", f" {OAT}\n", api_errors.CLI_TOKEN),
        (404, "not_found_error", OAT, api_errors.NO_MODEL),
        (400, "messages: too few", "", api_errors.REFUSED),
        (500, "internal", "", api_errors.FAILING),
        (503, "unavailable", "", api_errors.FAILING),
        (None, "", "", api_errors.UNREACHABLE),
    ],
)
def test_status_text_and_key_decide(status, text, key, meaning) -> None:
    """The same status means another thing with a login of the CLI in place of a key."""
    assert diagnose(status, text, key=key) is meaning


def test_only_what_passes_by_itself_is_passing() -> None:
    """Load and failures of the service pass; an empty account, a wrong key and a spending limit do not."""
    assert diagnose(429, "rate limit").passing
    assert diagnose(529, "Overloaded").passing
    assert not diagnose(429, "enforced_spend_limit_reached").passing
    assert not diagnose(400, "Your credit balance is too low to access the Anthropic API").passing
    assert not diagnose(401, "invalid x-api-key").passing
