"""The option ``--provider NAME=URL`` of `harness up`: OpenAI-compatible servers of the user's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import UsageError
from harness.redact import without_password

LOCAL = "local"  # the embedded model server
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def parse(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Parse the values of ``--provider``, each ``NAME=URL``.

    Raises:
        UsageError: One is malformed, or a name stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, url = text.partition("=")
        if not NAME.fullmatch(name) or not url.startswith(("http://", "https://")) or " " in url:
            raise UsageError(
                f"--provider {without_password(text)}: expected NAME=URL",
                remedy="write it as ollama=http://127.0.0.1:11434/v1",
            )
        if name in found or name == LOCAL:
            taken = "is the embedded model server" if name == LOCAL else "stands twice"
            raise UsageError(f"--provider {name}: this name {taken}", remedy="choose another name")
        found[name] = url
    return tuple(sorted(found.items()))


def key_variable(name: str) -> str:
    """Return the environment variable that holds the key of a provider."""
    return f"{name.upper().replace('-', '_')}_API_KEY"
