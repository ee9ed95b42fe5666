"""Make untrusted text safe to print: no secrets, nothing that a terminal acts on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.redact import redact

# Control characters, and those that turn the writing direction; not tab and line feed.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with control characters escaped."""
    return CONTROL.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return the text on one line, with control characters and line ends escaped."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str, environment: Mapping[str, str]) -> str:
    """Return the text without the secrets of the environment, and with control characters escaped."""
    return visible(redact(text, environment))


def printable_line(text: str, environment: Mapping[str, str]) -> str:
    """Return the text as ``printable`` does, on one line."""
    return one_line(redact(text, environment))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
