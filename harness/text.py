"""Check and shorten names and texts of models and people.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library only.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def is_safe_path(name: str) -> bool:
    """Return True if a file name stays inside a workspace on every platform."""
    path = PurePosixPath(name)
    return (
        0 < len(name) <= 200
        and not path.is_absolute()
        and len(path.parts) <= 8
        and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*", name) is not None
    )


def well_formed(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shorten(text: str, limit: int = 80) -> str:
    """Return the text, or its beginning with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
