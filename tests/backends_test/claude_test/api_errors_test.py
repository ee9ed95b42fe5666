"""What a failing answer of Claude's API means."""

from __future__ import annotations

import pytest

from harness.backends.claude.api_errors import diagnose

OAT = "sk-ant-oat01-not-a-real-one"


@pytest.mark.parametrize(
    ("status", "text", "key", "cause"),
    [
        (401, "invalid x-api-key", "sk-ant-api03-x", "bad_key"),
        (401, "invalid x-api-key", OAT, "cli_token"),
        (400, "whatever", f" {OAT}\n", "cli_token"),
        (404, "not_found_error", OAT, "no_model"),
        (400, "messages: too few", "", "refused"),
        (500, "internal", "", "failing"),
        (503, "unavailable", "", "failing"),
        (None, "", "", "unreachable"),
    ],
)
def test_status_text_and_key_decide(status, text, key, cause) -> None:
    """The same status means another thing with a login of the CLI in place of a key."""
    assert diagnose(status, text, key=key).cause == cause


def test_only_what_passes_by_itself_is_passing() -> None:
    """Load and failures of the service pass; an empty account, a wrong key and a spending limit do not."""
    assert diagnose(429, "rate limit").passing
    assert diagnose(529, "Overloaded").passing
    assert not diagnose(429, "enforced_spend_limit_reached").passing
    assert not diagnose(400, "Your credit balance is too low to access the Anthropic API").passing
    assert not diagnose(401, "invalid x-api-key").passing
