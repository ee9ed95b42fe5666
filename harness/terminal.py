"""Make untrusted text safe to print, and printing safe: a closed pipe or a full disk ends nothing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from harness.redact import redact

# Control characters, and those that turn the writing direction; not tab and line feed.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with control characters escaped."""
    return CONTROL.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return the text on one line, with control characters and line ends escaped."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text without the secrets of the environment, and with control characters escaped."""
    return visible(redact(text, environment))


def printable_line(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text as ``printable`` does, on one line."""
    return one_line(redact(text, environment))


class LastingStream:
    """A text stream that outlives its reader or its disk: what fails is told once, on standard error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text, escaping what the stream's encoding does not have."""
        if self._is_gone:
            return len(text)
        try:
            try:
                return self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        try:
            if not self._is_gone:
                self._stream.flush()
        except (OSError, ValueError) as error:
            self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        self._is_gone = True
        reason = getattr(error, "strerror", None) or error
        discard(self._stream)
        with suppress(OSError, ValueError):
            print(f"harness: no more is printed, the run goes on: {reason}", file=sys.stderr)  # noqa: T201


def discard(stream: TextIO) -> None:
    """Let all that is still written to a stream go nowhere, also what Python flushes at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
