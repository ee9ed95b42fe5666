"""Keep secrets out of files and messages: an allow-list for headers, a deny-list for JSON keys, a last scan.

The scan (``find.py``) is one for all: what refuses a cassette also cleans transcripts, reports and messages.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from harness.redact.allowed import NOTHING, Allowed
from harness.redact.find import Finding, find
from harness.redact.variables import TELLING_NAME, environment_secrets, known
from harness.text import well_formed

__all__ = ["TELLING_NAME", "Allowed", "Finding", "environment_secrets"]

REQUEST_HEADERS = frozenset({"anthropic-version", "anthropic-beta"})
RESPONSE_HEADERS = frozenset({"content-type"})
SECRET = "<secret>"  # noqa: S105  (what stands in place of one)
VALUE = "the value of"
USUAL_KEY = 100  # characters
TIMES = 3  # what stood on both sides of a secret may be one, too
SECRET_MAPS = frozenset({"secrets", "tool_exec_environment_variables", "env", "environment_variables"})
SECRET_KEY = re.compile(
    r"(?i)^(.*_)?(api_?key|token|secret|password|passwd|passphrase|(private|secret|access)_key|authorization|"
    r"cookie|value_enc|api_key_enc|access_key_enc)$"
)
WORD_OF_KEY = re.compile(r"(?<=[a-z\d])(?=[A-Z])|-")  # `accessToken`, `access-token`


def headers(given: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, str]:
    """Return only the allowed headers, with lower-case names."""
    kept = {}
    for name, value in given.items():
        if name.lower() in allowed:
            first = value[0] if isinstance(value, list | tuple) else value
            kept[name.lower()] = first.decode() if isinstance(first, bytes) else str(first)
    return kept


def body(value: Any, *, inside: bool = False) -> Any:
    """Return a JSON value with what stands under secret keys replaced.

    Letta echoes ``secrets`` as ``[{key, value, value_enc}]``, the last in plain text unless the server
    has an encryption key; so the same rule serves requests and responses.
    """
    if isinstance(value, list):
        return [body(item, inside=inside) for item in value]
    if not isinstance(value, dict):
        return _hidden(value) if inside else value
    is_entry = inside and "key" in value and "value" in value
    clean = {}
    for key, item in value.items():
        if says_secret(key) or (is_entry and key == "value"):
            clean[key] = _hidden(item)
        else:
            clean[key] = item if is_entry else body(item, inside=inside or key in SECRET_MAPS)
    return clean


def says_secret(key: str) -> bool:
    """Return True for a key under which a secret is to be expected."""
    return _says_secret(key[-USUAL_KEY:])


@lru_cache(maxsize=4_096)  # there are few keys, each in every message
def _says_secret(key: str) -> bool:
    return SECRET_KEY.match(WORD_OF_KEY.sub("_", key)) is not None


def _hidden(value: Any) -> Any:
    """Replace every text in a value; an absent secret still looks absent."""
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    return SECRET if isinstance(value, str) and value else value


def findings(value: Any, environment: Mapping[str, str]) -> Iterator[tuple[str, str, Finding]]:
    """Yield every secret in a JSON value: JSON path, the text that it stands in, what was found."""
    secrets = known(environment)
    found = {text: there for text in _texts(value, set()) if (there := find(text, secrets))}
    if found:
        for path, text in strings(value):
            for each in found.get(text, ()):
                yield path, text, each


def leaks(value: Any, environment: Mapping[str, str], allowed: Allowed = NOTHING) -> Iterator[str]:
    """Yield where a JSON value still holds what looks like a secret: path and kind, never the secret.

    What is allowed is none. One variable and each kind is named once for a place.
    """
    seen: dict[str, set[str]] = {}
    for path, _, each in findings(value, environment):
        kinds = seen.setdefault(path, set())
        is_value = each.kind.startswith(VALUE)
        if each.kind in kinds or (is_value and VALUE in kinds) or each.secret in allowed:
            continue
        kinds |= {each.kind, VALUE} if is_value else {each.kind}
        yield f"{redact(path, environment)}: {each.kind}"


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Return a text for people, without anything that ``leaks`` would name."""
    return _redactor(environment)(text)


def redact_json(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a JSON value for people, redacted, and with no half of a surrogate pair in it."""
    redacted = _redactor(environment)
    done: dict[str, str] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            if item not in done:
                done[item] = well_formed(redacted(item))
            return done[item]
        if isinstance(item, list | tuple):
            return [walk(each) for each in item]
        return {walk(key): walk(each) for key, each in item.items()} if isinstance(item, dict) else item

    return walk(value)


def _redactor(environment: Mapping[str, str]) -> Callable[[str], str]:
    secrets = known(environment)

    def redacted(text: str) -> str:
        for _ in range(TIMES):
            places = sorted((each.start, each.end) for each in find(text, secrets))
            if not places:
                break
            text = _without(text, places)
        return text

    return redacted


def _without(text: str, places: list[tuple[int, int]]) -> str:
    """Return a text with one mark in place of what overlaps."""
    parts, done = [], 0
    for start, end in places:
        if start >= done:
            parts += [text[done:start], SECRET]
        done = max(done, end)
    return "".join([*parts, text[done:]])


@contextmanager
def unlogged() -> Iterator[None]:
    """Log nothing below a warning meanwhile: HTTP libraries log whole headers and bodies there."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)


def without_password(url: str) -> str:
    """Return a URL as messages name it: without user and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def _texts(value: Any, found: set[str]) -> set[str]:
    """Add every string in a JSON value to a set: a conversation repeats itself with every request."""
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, dict):
        found.update(value)
        for item in value.values():
            _texts(item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _texts(item, found)
    return found


def strings(value: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield every string in a JSON value, keys included, with its JSON path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.<key>", key
            yield from strings(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from strings(item, f"{path}[{index}]")
