"""The meaning of each failing answer of Claude's API, and its remedy, in one table.

A trial's error line, `harness doctor` and the checks before a recording all read it. The texts are those of
the API; a status alone does not tell an empty account (400) from a bad request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.backends.retries import SPEND_CAP

CLI_TOKEN_PREFIX = "sk-ant-oat"  # noqa: S105  (how one begins; no secret)


@dataclass(frozen=True)
class Diagnosis:
    """The meaning of a fault. ``passing``: it may be gone in a minute, so it is no reason not to begin."""

    meaning: str
    remedy: str
    passing: bool = False


CLI_TOKEN = Diagnosis(
    "this is a login of the Claude CLI, and the API does not take it",
    "set ANTHROPIC_API_KEY to an API key of the console (sk-ant-api...); the CLI's own login works only "
    "with `backend: claude-code`",
)
EXPIRED = Diagnosis("the token has expired", "set ANTHROPIC_API_KEY to a valid API key, or make a new token")
BAD_TOKEN = Diagnosis(
    "the key is not one that the API knows: perhaps it was cut off when it was copied",
    "copy ANTHROPIC_API_KEY again, whole and without blanks or line breaks",
)
NO_CREDIT = Diagnosis("the account is empty", "add credit to the account of this key")
BILLING = Diagnosis(
    "the account has a billing problem", "mend billing or add credit to the account of this key"
)
SPEND_LIMIT = Diagnosis(
    "the account's own spending limit is reached",
    "raise the limit in the console, or wait until the month is over; waiting less does not help",
)
BAD_KEY = Diagnosis("the key is not valid", "set ANTHROPIC_API_KEY to a valid API key")
FORBIDDEN = Diagnosis(
    "the key may not do this",
    "set ANTHROPIC_API_KEY to a valid API key of a workspace that may use this model",
)
NO_MODEL = Diagnosis(
    "there is no such model, or no longer",
    "correct the model's name in the pair (`harness models` lists them)",
)
RATE_LIMITED = Diagnosis("too many requests for this account", "wait, or use fewer workers", passing=True)
OVERLOADED = Diagnosis("the service is overloaded", "wait, or use fewer workers", passing=True)
FAILING = Diagnosis("the service failed", "wait and try again", passing=True)
UNREACHABLE = Diagnosis(
    "nothing answers there",
    "check ANTHROPIC_BASE_URL and the network; the embedded endpoint starts with `harness up`",
)
REFUSED = Diagnosis("the request was refused", "check ANTHROPIC_BASE_URL and the model's name in the pair")
BY_TEXT = (
    (r"only authorized for use with claude code", CLI_TOKEN),
    (r"oauth authentication is (currently )?not supported", CLI_TOKEN),
    (r"oauth token has expired", EXPIRED),
    (r"invalid bearer token", BAD_TOKEN),
    (r"credit balance", NO_CREDIT),
    (SPEND_CAP, SPEND_LIMIT),
)
BY_STATUS = {401: BAD_KEY, 402: BILLING, 403: FORBIDDEN, 404: NO_MODEL, 429: RATE_LIMITED, 529: OVERLOADED}


def diagnose(status: int | None, text: str, *, key: str = "") -> Diagnosis:
    """Look up the meaning of a fault, from the HTTP status (None if no answer came), text and key sent."""
    if status is None:
        return UNREACHABLE
    if status in (400, 401, 403) and key.strip().startswith(CLI_TOKEN_PREFIX):
        return CLI_TOKEN
    for pattern, meaning in BY_TEXT:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    return BY_STATUS.get(status) or (FAILING if status >= 500 else REFUSED)
