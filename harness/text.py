"""Names and texts as models and people write them.

What Letta's tool sandbox runs holds this module's text (``letta_source.py``): the standard library only.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def is_safe_path(name: str) -> bool:
    """Whether a file name stays inside a workspace on every platform."""
    path = PurePosixPath(name)
    return (
        0 < len(name) <= 200
        and not path.is_absolute()
        and len(path.parts) <= 8
        and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*", name) is not None
    )


def well_formed(text: str) -> str:
    """The text with halves of surrogate pairs, which JSON can carry and UTF-8 cannot, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shorten(text: str, limit: int = 80) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
