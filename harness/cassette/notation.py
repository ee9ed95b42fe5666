"""How JSON values stand in a file: a long text by its lines, a key that starts with ``$`` with two of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of the file: types are not converted, unknown keys are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def split_lines(value: Any) -> Any:
    """Return a value as it is stored; ``join_lines`` is the inverse."""
    if isinstance(value, str):
        return {"$lines": value.split("\n")} if "\n" in value else value
    if isinstance(value, list):
        return [split_lines(item) for item in value]
    return {escape(k): split_lines(v) for k, v in value.items()} if isinstance(value, dict) else value


def join_lines(value: Any, read_key: Callable[[str], str] | None = None) -> Any:
    """Return a value with its texts in one piece; ``read_key`` reads keys, by default refusing references."""
    if isinstance(value, list):
        return [join_lines(item, read_key) for item in value]
    if not isinstance(value, dict):
        return value
    if "$lines" in value:
        return joined(value)
    return {(read_key or unescape)(key): join_lines(item, read_key) for key, item in value.items()}


def joined(lines: dict[str, Any]) -> str:
    """Return the text of ``{"$lines": [...]}``."""
    texts = lines["$lines"]
    if len(lines) > 1 or not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise ValueError("expected a list of texts under $lines, and no key beside it")
    return "\n".join(texts)


def escape(key: str) -> str:
    """Return a key as it is stored."""
    return f"${key}" if key.startswith("$") else key


def unescape(key: str) -> str:
    """Return the key that is stored; raise ValueError for the sign of a reference."""
    if not key.startswith("$"):
        return key
    if not key.startswith("$$"):
        raise ValueError(f"{key[:60]!r} is no reference that this harness knows")
    return key[1:]
