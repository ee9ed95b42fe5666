"""What may never reach a file: an allow-list for headers, a deny-list for JSON keys, and a last scan.

Scrubbing removes what is known to be secret; the scan afterwards refuses to write what still looks
like one. Not covered: a secret that neither stands in the environment under a telling name (or as the
password of a URL) nor has a known shape; one shorter than eight characters; one in a code of its own, such
as base64 of a key that only its shape would give away.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
URL_WITH_PASSWORD = re.compile(
    r"(?i)\b[a-z][a-z\d+.-]{1,20}://[^\s/:@\"'`<>{}$%]*:"
    rf"(?!(?:{'|'.join(map(re.escape, sorted(NO_PASSWORDS)))})@|%[s(]|x+@)"
    r"[^\s/\"'`<>{}$\\*]+@(?=[\w\[])"
)
PERCENT = re.compile("%[0-9A-F]{2}")
MIN_SECRET = 8


@dataclass(frozen=True)
class Shape:
    """How a kind of secret looks. ``hints``: one of them stands in every match, and is quick to look for."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]

    def is_in(self, text: str) -> bool:
        """Whether a text holds one."""
        return any(hint in text for hint in self.hints) and self.pattern.search(text) is not None

    def removed_from(self, text: str) -> str:
        """The text with a mark in place of each."""
        return self.pattern.sub(SECRET, text) if any(hint in text for hint in self.hints) else text


SHAPES = {
    "an API key": Shape(
        ("sk-",), re.compile(r"\bsk-(?:ant|proj|let|svcacct|or)-[\w-]{8,}|\bsk-[A-Za-z0-9]{32,}")
    ),
    "a bearer token": Shape(("earer",), re.compile(r"\b[Bb]earer\s+[\w.~+/-]{16,}")),
    "a basic authorization": Shape(
        ("asic", "ASIC"), re.compile(r"(?i)authorization\W{1,9}basic\s+[a-z\d+/_-]{8,}={0,2}")
    ),
    "a JSON web token": Shape(("eyJ",), re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}")),
    "an AWS key": Shape(("AKIA", "ASIA"), re.compile(r"\bA(?:KI|SI)A[0-9A-Z]{16}\b")),
    "a GitHub token": Shape(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}"),
    ),
    "a Google key": Shape(("AIza",), re.compile(r"\bAIza[\w-]{35}")),
    "a Hugging Face token": Shape(("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    "a Slack token": Shape(("xox",), re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    "a Stripe key": Shape(("k_live_",), re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}")),
    "a password in a URL": Shape(("://",), URL_WITH_PASSWORD),
    "a private key": Shape(
        ("PRIVATE KEY",),
        re.compile(  # with the lines that follow: to take out the first alone would leave the key
            r"-----BEGIN (?:[A-Z\d]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[\w+/=\s\\,.:()-]{0,9000}?-----END (?:[A-Z\d]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"|[\w+/=\s\\]{0,9000})"
        ),
    ),
}


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

    Letta echoes ``secrets`` as ``[{key, value, value_enc}]``, the last not encrypted unless the server was
    told how; so the same rule serves requests and responses.
    """
    if isinstance(value, list):
        return [body(item, inside=inside) for item in value]
    if not isinstance(value, dict):
        return SECRET if inside and isinstance(value, str) and value else value
    if inside and "key" in value and "value" in value:
        return {
            key: _hidden(item) if SECRET_KEY.match(key) or key == "value" else item
            for key, item in value.items()
        }
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
    """Every form in which a secret of the environment could appear -> the variable's name.

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
    """A secret as it may be written: plain, in the escapes of JSON, Python and URLs, in base64 and hex."""
    once = json.dumps(value)[1:-1]
    yield from (value, once, json.dumps(once)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (repr(value)[1:-1], value.replace("\\", "\\\\"))
    raw = value.encode("utf-8", "surrogatepass")
    quoted = quote(raw, safe="")
    yield from (quoted, PERCENT.sub(lambda code: code[0].lower(), quoted), quote(quoted), quote_plus(raw))
    yield from (raw.hex(), raw.hex().upper())
    yield from _base64_forms(raw)


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
    """Where a JSON value still holds what looks like a secret: path and kind, never the secret.

    An agent's conversation says the same again with every request: each text is looked at once.
    """
    forms = environment_secrets(environment)
    known: dict[str, list[str]] = {}
    for where, text in strings(value, path):
        if text not in known:
            known[text] = list(_kinds(text, forms))
        for kind in known[text]:
            yield f"{redact(where, environment)}: {kind}"


def _kinds(text: str, forms: Mapping[str, str]) -> Iterator[str]:
    name = next((name for form, name in forms.items() if form in text), None)
    if name is not None:
        yield f"the value of {name}"
    for kind, shape in SHAPES.items():
        if shape.is_in(text):
            yield f"what looks like {kind}"


def redact(text: str, environment: Mapping[str, str]) -> str:
    """A text for people, without anything that ``leaks`` would name."""
    return _redacted(text, sorted(environment_secrets(environment), key=len, reverse=True))


def _redacted(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, SECRET)
    for shape in SHAPES.values():
        text = shape.removed_from(text)
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


@contextmanager
def unlogged() -> Iterator[None]:
    """Nothing below a warning is logged meanwhile: there HTTP libraries tell headers and bodies whole."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)


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
