"""Check the environment variables without asking anybody: keys by their shape, addresses by who listens.

A key's value is never repeated: only its beginning, where that is the same for all keys of its kind.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from urllib.parse import urlsplit

from harness.backends.checks.finding import Finding
from harness.backends.claude.api_errors import CLI_TOKEN, CLI_TOKEN_PREFIX
from harness.redact import without_password
from harness.tasks.pair import Pair

API_PREFIX = "sk-ant-api"
ADMIN_PREFIX = "sk-ant-admin"
QUOTES = "'\""
UNSET = "unset it, if it is a leftover"
OTHER_KEYS = {
    "OPENAI_API_KEY": "no openai/... orchestrator unless the Letta server has a key",
    "LETTA_API_KEY": "right for a server of your own without a password",
}
FOREIGN_ELSEWHERE = {"sk-ant-": ("a key of Anthropic", "set the key that belongs there")}
CONNECT_S = 1.0
LOOPBACK = ("localhost", "::1")
ADDRESSES = {
    "ANTHROPIC_BASE_URL": "coder, tester and your Anthropic key go there",
    "LETTA_BASE_URL": "agents are made there",
    "OPENAI_BASE_URL": "a Letta server that starts with it sends its OpenAI key there",
    "OPENAI_API_BASE": "an old name: neither the harness nor Letta 0.16.8 needs it",
}


def billed(pairs: Iterable[Pair]) -> bool:
    """Return True if one of these pairs needs ANTHROPIC_API_KEY to run live."""
    return any(pair.backend == "anthropic" for pair in pairs)


def variables(environment: Mapping[str, str], pairs: Iterable[Pair] = ()) -> Iterator[Finding]:
    """Check all keys and addresses, for these pairs if they are to run."""
    yield anthropic_key(environment, needed=billed(pairs))
    yield from _auth_token(environment)
    yield _cli_token(environment)
    for name, without in OTHER_KEYS.items():
        if environment.get(name, "").strip():
            yield _fault(environment, name, FOREIGN_ELSEWHERE) or Finding(name, "ok", "set")
        else:
            yield Finding(name, "ok", f"not set: {without}")
    yield from addresses(environment)
    if environment.get(name := "ANTHROPIC_CUSTOM_HEADERS"):
        yield Finding(name, "warning", "set: the SDK sends these headers with every request to Claude", UNSET)


def anthropic_key(environment: Mapping[str, str], *, needed: bool) -> Finding:
    """Check that ANTHROPIC_API_KEY can be a key of the API."""
    name = "ANTHROPIC_API_KEY"
    warning, ok = partial(Finding, name, "warning"), partial(Finding, name, "ok")
    key = environment.get(name, "").strip()
    elsewhere = environment.get("ANTHROPIC_BASE_URL", "").strip()
    if not key and elsewhere:
        return ok("not set; a local server, as at ANTHROPIC_BASE_URL, asks for none")
    if not key:
        remedy = (
            "set it to an API key (sk-ant-api...) to record with `backend: anthropic`; a replay needs none"
        )
        return Finding(name, "error" if needed else "warning", "not set", remedy)
    foreign = {
        CLI_TOKEN_PREFIX: (CLI_TOKEN.meaning, CLI_TOKEN.remedy),
        ADMIN_PREFIX: ("an admin key, which runs no model", "set an API key"),
    }
    if fault := _fault(environment, name, foreign):
        return fault
    if elsewhere:
        return ok("set, for the endpoint of ANTHROPIC_BASE_URL")
    if not key.startswith(API_PREFIX):
        return warning(f"set, but does not begin with {API_PREFIX} as keys of the API do", "check it")
    if len(key) < 60:
        return warning(f"set, but {len(key)} characters are few for a key: perhaps cut off", "check it")
    return ok(f"set, an API key by its beginning ({API_PREFIX}...)")


def _auth_token(environment: Mapping[str, str]) -> Iterator[Finding]:
    name = "ANTHROPIC_AUTH_TOKEN"
    token = environment.get(name, "").strip()
    if token.startswith(CLI_TOKEN_PREFIX):
        seen = f"begins with {CLI_TOKEN_PREFIX}: {CLI_TOKEN.meaning}"
        yield Finding(name, "error", seen, f"unset it; {CLI_TOKEN.remedy}")
    elif token:
        yield Finding(name, "warning", "set, and not used: the harness sends ANTHROPIC_API_KEY", UNSET)


def _cli_token(environment: Mapping[str, str]) -> Finding:
    name = "CLAUDE_CODE_OAUTH_TOKEN"
    finding = partial(Finding, name)
    token = environment.get(name, "").strip()
    if not token:
        return finding("ok", "not set; only `backend: claude-code` uses it, or the CLI's own login")
    if not token.strip(QUOTES).startswith(CLI_TOKEN_PREFIX):
        kind = "an API key" if token.startswith((API_PREFIX, ADMIN_PREFIX)) else "no token of the CLI"
        remedy = "set it to what `claude setup-token` prints; an API key belongs into ANTHROPIC_API_KEY"
        return finding("error", f"by its beginning {kind}", remedy)
    if fault := _fault(environment, name, {}):
        return fault
    if environment.get("ANTHROPIC_API_KEY", "").strip():
        seen = "set beside ANTHROPIC_API_KEY, which wins where the CLI is run by hand"
        return finding("warning", seen, "keep the one that you mean to pay with")
    return finding("ok", f"set, a token of the Claude CLI by its beginning ({CLI_TOKEN_PREFIX}...)")


def addresses(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the addresses that are set; on this machine, that something listens there."""
    for name, effect in ADDRESSES.items():
        finding = partial(Finding, name)
        given = environment.get(name, "").strip()
        if not given:
            if name == "LETTA_BASE_URL":
                cloud = environment.get("LETTA_API_KEY", "").strip()
                where = "Letta's cloud, because of LETTA_API_KEY" if cloud else "http://localhost:8283"
                yield finding("ok", f"not set: {where}, or the embedded stack; --live asks it")
            continue
        url = without_password(given)
        host, port = _place(given)
        if not host or not given.startswith(("http://", "https://")):
            yield finding("error", f"{url} is no address", "correct it: http://... or https://...")
        elif host in LOOPBACK or host.startswith("127."):
            if _listens(host, port):
                yield finding("ok", f"{url}, where something listens; {effect}")
            else:
                remedy = f"start what should listen there, or: unset {name}"
                yield finding("error", f"{url}, where nothing listens: a leftover? {effect}", remedy)
        elif name == "ANTHROPIC_BASE_URL" and (host, given.split(":")[0]) != ("api.anthropic.com", "https"):
            yield finding("warning", f"{url}: {effect}", f"if that is not meant: unset {name}")
        else:
            yield finding("ok", f"{url}: {effect}")


def _fault(
    environment: Mapping[str, str], name: str, foreign: Mapping[str, tuple[str, str]]
) -> Finding | None:
    """Return what is wrong with a key that is set; ``foreign``: another's beginning -> meaning, remedy."""
    given = environment[name]
    key = given.strip()
    for prefix, (meaning, remedy) in foreign.items():
        if key.strip(QUOTES).startswith(prefix):
            return Finding(name, "error", f"begins with {prefix}: {meaning}", remedy)
    if key[0] in QUOTES or key[-1] in QUOTES:
        fault = "with quotation marks as part of it"
    elif any(letter.isspace() for letter in key):
        fault = "with a blank or a line break in its middle"
    elif not (key.isascii() and key.isprintable()):
        fault = "with characters that no key has"
    elif given != key:
        seen = "set, with a blank or a line break round it; the harness takes it off, other programs do not"
        return Finding(name, "warning", seen, "set it again without")
    else:
        return None
    return Finding(name, "error", f"set, but {fault}", "set it again, whole and plain")


def _place(url: str) -> tuple[str, int]:
    """Return host and port of a URL; an empty host if it is no URL."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), CONNECT_S):
            return True
    except OSError:
        return False
