"""Checks that both HTTP dialects share when they parse a request body."""

from __future__ import annotations

from typing import Any


class BadBody(Exception):
    """The request body breaks the dialect; the text names the field."""


def want(condition: object, problem: str) -> None:
    """Raises `BadBody` unless the condition holds."""
    if not condition:
        raise BadBody(problem)


def number(value: Any, where: str, *, low: float | None = None) -> float:
    """Gives a number that is not below ``low``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (low is not None and value < low):
        raise BadBody(f"{where}: a number{'' if low is None else f' of at least {low:g}'} is required")
    return value


def text_of(content: Any, where: str = "content") -> str:
    """Gives the text of a string, or of a list of text blocks joined by blank lines."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadBody(f"{where}: a string or a list of text blocks is required")
    return "\n\n".join(_block_text(block, f"{where}.{i}") for i, block in enumerate(content))


def text_or_none(content: Any, where: str) -> str | None:
    """Like `text_of`, for a field that may be null."""
    return None if content is None else text_of(content, where)


def _block_text(block: Any, where: str) -> str:
    if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
        return str(block["text"])
    raise BadBody(f"{where}: only blocks of type text are supported by this local server")
