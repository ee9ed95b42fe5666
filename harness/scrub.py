"""What may never reach a file: an allow-list for headers, a deny-list for JSON keys, and a last scan.

Scrubbing removes what is known to be secret; the scan afterwards refuses to write what still looks
like one. Not covered: a secret that neither stands in the environment under a telling name nor has a
known shape.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from harness.trial import well_formed

REQUEST_HEADERS = frozenset({"anthropic-version", "anthropic-beta"})
RESPONSE_HEADERS = frozenset({"content-type"})
SECRET = "<secret>"  # noqa: S105  (what stands in place of one)
SECRET_MAPS = frozenset({"secrets", "tool_exec_environment_variables", "env", "environment_variables"})
SECRET_KEY = re.compile(
    r"(?i)^(x-)?(.*_)?(api_?key|api-key|access_token|auth_token|refresh_token|token|secret|password|"
    r"authorization|cookie|set-cookie|value_enc|api_key_enc|access_key_enc)$"
)
TELLING_NAME = re.compile(r"(?i)key|token|secret|passw|credential")
SHAPES = {
    "an API key": re.compile(r"\bsk-(?:ant|proj|let|svcacct|or)-[\w-]{8,}|\bsk-[A-Za-z0-9]{32,}"),
    "a bearer token": re.compile(r"\b[Bb]earer\s+[\w.~+/-]{16,}"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}"),
    "an AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}"),
    "a Google key": re.compile(r"\bAIza[\w-]{35}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
PASSWORD_IN_URL = re.compile(r"^\w+://[^/@:]*:([^/@]+)@")
MIN_SECRET = 8


def headers(given: Mapping[str, Any], allowed: frozenset[str]) -> dict[str, str]:
    """Only the allowed headers, with lower-case names."""
    kept = {}
    for name, value in given.items():
        if name.lower() in allowed:
            first = value[0] if isinstance(value, list | tuple) else value
            kept[name.lower()] = first.decode() if isinstance(first, bytes) else str(first)
    return kept


def body(value: Any, *, inside: bool = False) -> Any:
    """A JSON value with what stands under secret keys replaced.

    Letta echoes ``secrets`` as ``[{key, value}]``, so the same rule serves requests and responses.
    """
    if isinstance(value, list):
        return [body(item, inside=inside) for item in value]
    if not isinstance(value, dict):
        return SECRET if inside and isinstance(value, str) and value else value
    if inside and "key" in value and "value" in value:
        return {**value, "value": SECRET}
    return {
        key: _hidden(item) if SECRET_KEY.match(key) else body(item, inside=inside or key in SECRET_MAPS)
        for key, item in value.items()
    }


def _hidden(value: Any) -> Any:
    """The value with every text in it replaced; an absent secret still looks absent."""
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    return SECRET if isinstance(value, str) and value else value


def environment_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Every form in which a secret of the environment could appear -> the variable's name."""
    forms: dict[str, str] = {}
    for name, given in environment.items():
        value = given.strip()
        if not TELLING_NAME.search(name):
            password = PASSWORD_IN_URL.search(value)
            value = password[1] if password else ""
        if len(value) < MIN_SECRET:
            continue
        once = json.dumps(value)[1:-1]
        plain = [value, once, json.dumps(once)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
        raw = value.encode("utf-8", "surrogatepass")
        forms.update(dict.fromkeys([*plain, quote(raw, safe=""), quote_plus(raw), *_base64_forms(raw)], name))
    return forms


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of a secret's base64 does not depend on what stands before and after it, at each alignment."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        first = (8 * before + 5) // 6
        last = 8 * (before + len(raw)) // 6
        core = coded[first:last]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def leaks(value: Any, environment: Mapping[str, str], path: str = "$") -> Iterator[str]:
    """Where a JSON value still holds what looks like a secret: path and kind, never the secret."""
    forms = environment_secrets(environment)
    for where, text in strings(value, path):
        name = next((name for form, name in forms.items() if form in text), None)
        if name is not None:
            yield f"{redact(where, environment)}: the value of {name}"
        for kind, shape in SHAPES.items():
            if shape.search(text):
                yield f"{redact(where, environment)}: what looks like {kind}"


def redact(text: str, environment: Mapping[str, str]) -> str:
    """A text for people, without anything that ``leaks`` would name."""
    return _redacted(text, sorted(environment_secrets(environment), key=len, reverse=True))


def _redacted(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, SECRET)
    for shape in SHAPES.values():
        text = shape.sub(SECRET, text)
    return text


def redact_json(value: Any, environment: Mapping[str, str]) -> Any:
    """A JSON value for people, redacted, and with no half of a surrogate pair in it."""
    forms = sorted(environment_secrets(environment), key=len, reverse=True)

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return well_formed(_redacted(item, forms))
        if isinstance(item, list | tuple):
            return [walk(each) for each in item]
        return {walk(key): walk(each) for key, each in item.items()} if isinstance(item, dict) else item

    return walk(value)


def without_password(url: str) -> str:
    """A URL as messages name it: without user and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def strings(value: Any, path: str = "$") -> Iterator[tuple[str, str]]:
    """Every string in a JSON value, keys included, with its JSON path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.<key>", key
            yield from strings(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from strings(item, f"{path}[{index}]")
