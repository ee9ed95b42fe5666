"""Keep secrets out of files and messages: an allow-list for headers, a deny-list for JSON keys, a last scan.

Not covered: a secret that neither stands in the environment under a telling name (or as the password of a
URL) nor has a known shape; one shorter than eight characters; one in a code of its own, such as base64 of a
key that only its shape would give away.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from harness.text import well_formed

REQUEST_HEADERS = frozenset({"anthropic-version", "anthropic-beta"})
RESPONSE_HEADERS = frozenset({"content-type"})
SECRET = "<secret>"  # noqa: S105  (what stands in place of one)
SECRET_MAPS = frozenset({"secrets", "tool_exec_environment_variables", "env", "environment_variables"})
SECRET_KEY = re.compile(
    r"(?i)^(x-)?(.*_)?(api_?key|api-key|access_token|auth_token|refresh_token|token|secret|password|passwd|"
    r"passphrase|private_key|authorization|cookie|set-cookie|value_enc|api_key_enc|access_key_enc)$"
)
TELLING_NAME = re.compile(
    r"(?i)key|token|secret|passw|passphrase|credential|cookie|bearer|(^|_)(pass|auth)$|_pwd$"
)
# Passwords that everybody knows: a server's default (Letta's is its own name), words of documentation.
NO_PASSWORDS = frozenset(
    {"letta", "postgres", "guest", "password", "passwd", "pass", "secret", "changeme", "example", "..."}
)
PASSWORD_OF_URL = re.compile(r"://[^\s/:@]*:([^\s/]+)@")
# In a text, where a pattern (`{user}:{password}@`, `$USER:$PASSWORD@`, `user:%s@`) is no password.
URL_WITH_PASSWORD = (
    r"(?i)\b[a-z][a-z\d+.-]{1,20}://[^\s/:@\"'`<>{}$%]*:"
    rf"(?!(?:{'|'.join(map(re.escape, sorted(NO_PASSWORDS)))})@|%[s(]|x+@)"
    r"[^\s/\"'`<>{}$\\*]+@(?=[\w\[])"
)
PERCENT = re.compile("%[0-9A-F]{2}")
MIN_SECRET = 8


class Shape:
    """How a kind of secret looks. ``hints``: one of them stands in every match, and is quick to look for."""

    def __init__(self, pattern: str, *hints: str) -> None:
        self.pattern = re.compile(pattern)
        self.hints = hints

    def removed_from(self, text: str) -> str:
        """Return the text with a mark in place of each match."""
        return self.pattern.sub(SECRET, text) if any(hint in text for hint in self.hints) else text


SHAPES = {
    "an API key": Shape(r"\bsk-(?:ant|proj|let|svcacct|or)-[\w-]{8,}|\bsk-[A-Za-z0-9]{32,}", "sk-"),
    "a bearer token": Shape(r"\b[Bb]earer\s+[\w.~+/-]{16,}", "earer"),
    "a basic authorization": Shape(r"(?i)authorization\W{1,9}basic\s+[a-z\d+/_-]{8,}={0,2}", "asic", "ASIC"),
    "a JSON web token": Shape(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}", "eyJ"),
    "an AWS key": Shape(r"\bA(?:KI|SI)A[0-9A-Z]{16}\b", "AKIA", "ASIA"),
    "a GitHub token": Shape(
        r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"
    ),
    "a Google key": Shape(r"\bAIza[\w-]{35}", "AIza"),
    "a Hugging Face token": Shape(r"\bhf_[A-Za-z0-9]{30,}", "hf_"),
    "a Slack token": Shape(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "xox"),
    "a Stripe key": Shape(r"\b[rs]k_live_[A-Za-z0-9]{16,}", "k_live_"),
    "a password in a URL": Shape(URL_WITH_PASSWORD, "://"),
    "a private key": Shape(  # with the lines that follow: to take out the first alone would leave the key
        r"-----BEGIN (?:[A-Z\d]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\w+/=\s\\,.:()-]{0,9000}?-----END (?:[A-Z\d]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"|[\w+/=\s\\]{0,9000})",
        "PRIVATE KEY",
    ),
}


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
        if SECRET_KEY.match(key) or (is_entry and key == "value"):
            clean[key] = _hidden(item)
        else:
            clean[key] = item if is_entry else body(item, inside=inside or key in SECRET_MAPS)
    return clean


def _hidden(value: Any) -> Any:
    """Replace every text in a value; an absent secret still looks absent."""
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    return SECRET if isinstance(value, str) and value else value


def environment_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return every form in which a secret of the environment could appear -> the variable's name.

    A secret is the whole value of a variable with a telling name, and the password of any URL in a value.
    """
    forms: dict[str, str] = {}
    for name, given in environment.items():
        value = given.strip()
        passwords = [each for each in PASSWORD_OF_URL.findall(value) if each not in NO_PASSWORDS]
        secrets = [value] if TELLING_NAME.search(name) else []
        for secret in [*secrets, *passwords, *map(unquote, passwords)]:
            if len(secret) >= MIN_SECRET:
                forms.update(dict.fromkeys(_forms(secret), name))
    return forms


def _forms(value: str) -> Iterator[str]:
    """Yield a secret as it may be written: plain, escaped as in JSON, Python and URLs, in base64 and hex."""
    once = json.dumps(value)[1:-1]
    yield from (value, once, json.dumps(once)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (repr(value)[1:-1], value.replace("\\", "\\\\"))
    raw = value.encode("utf-8", "surrogatepass")
    quoted = quote(raw, safe="")
    yield from (quoted, PERCENT.sub(lambda code: code[0].lower(), quoted), quote(quoted), quote_plus(raw))
    yield from (raw.hex(), raw.hex().upper())
    for before in range(3):  # at each alignment, the base64 that does not depend on what stands around it
        coded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        core = coded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
        yield from (core, core.replace("+", "-").replace("/", "_"))


def leaks(value: Any, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield where a JSON value still holds what looks like a secret: path and kind, never the secret."""
    forms = environment_secrets(environment)

    @cache  # an agent's conversation repeats itself with every request
    def kinds(text: str) -> list[str]:
        names = (f"the value of {name}" for form, name in forms.items() if form in text)
        shapes = [kind for kind, shape in SHAPES.items() if shape.removed_from(text) != text]
        return [*islice(names, 1), *(f"what looks like {kind}" for kind in shapes)]

    for path, text in strings(value):
        for kind in kinds(text):
            yield f"{redact(path, environment)}: {kind}"


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Return a text for people, without anything that ``leaks`` would name."""
    return _redactor(environment)(text)


def redact_json(value: Any, environment: Mapping[str, str]) -> Any:
    """Return a JSON value for people, redacted, and with no half of a surrogate pair in it."""
    redacted = _redactor(environment)

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return well_formed(redacted(item))
        if isinstance(item, list | tuple):
            return [walk(each) for each in item]
        return {walk(key): walk(each) for key, each in item.items()} if isinstance(item, dict) else item

    return walk(value)


def _redactor(environment: Mapping[str, str]) -> Callable[[str], str]:
    forms = sorted(environment_secrets(environment), key=len, reverse=True)

    def redacted(text: str) -> str:
        for form in forms:
            text = text.replace(form, SECRET)
        for shape in SHAPES.values():
            text = shape.removed_from(text)
        return text

    return redacted


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
