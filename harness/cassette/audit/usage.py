"""Read from recorded answers how many tokens they used."""

from __future__ import annotations

from typing import Any

from harness.agents.transcript import Usage
from harness.cassette.exchange import Exchange, parse_body


def usage(exchange: Exchange) -> Usage:
    """Return the tokens that an answer of Letta or Claude reports; zeros where none can be read."""
    reported: dict[str, Any]
    match parse_body(exchange.response_body):
        case True, {"result": {"usage": dict(reported)}} | {"usage": dict(reported)}:
            is_claude = "input_tokens" in reported
        case _:
            return Usage()
    try:
        return Usage.from_messages(reported) if is_claude else Usage.from_letta(reported)
    except (KeyError, TypeError):
        return Usage()
