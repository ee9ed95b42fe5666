"""The secrets of the environment: which variables hold some, and how they may be written.

A secret is the value of a variable with a telling name, the password of a URL and what ``password=`` or the
like names in any value. Flags, numbers, paths, names of classes and placeholders (``not-needed``) are none.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_plus, unquote

from harness.redact.placeholders import is_class_name, is_filled_in, is_placeholder
from harness.redact.views import View

MIN_SECRET = 8
TELLING_NAME = re.compile(
    r"(?i)key(?!board|map)|token|secret|passw|passphrase|credential|creds|cookie|bearer|webhook|jwt|oauth|_headers$"
    r"|connection_?string|conn_?str|(^|_)(pass|auth|pats?|dsn|cred|sas|hmac|salt|pin|otp|pw|sk|pem|private)(_|$)|_pwd(_|$)"
    r"|(^|_)(db|sql|mysql|pg|redis|ssh|smtp|imap|mail|ftp|ldap|vnc|root|admin|user|proxy)(pass|pwd|pw)(_|$)"
)
# Names that tell of a secret and hold none; a webhook's address is one.
INNOCENT_NAME = re.compile(
    r"(?i)_(file|path|dir|folder|backend|class|sock|provider|algorithm|type|name|user|username|host|port|url|"
    r"uri|endpoint|ttl|lifetime|timeout|length|size|bits|limit|region|version|parallelism|enabled|layout|scopes?)$"
)
# What a variable of a header's name holds if not the header: X-Api-Key.
HEADER_NAME = re.compile(r"(?i)(?:x-)?[a-z]{2,14}(?:-[a-z]{2,14}){0,3}")
FLAGS = frozenset({"true", "false", "yes", "no", "on", "off", "enabled", "disabled", "required", "optional"})
A_PATH = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w. /\\@+-]*\.[A-Za-z][\w]{1,9}|~/.*|\.{1,2}/.*")
PASSWORD_OF_URL = re.compile(r"://[^\s/:@]*:([^\s]+)@")
URL_WITHOUT_USER = re.compile(r"[A-Za-z][\w+.-]*://[^@?\s]*")
USER_OF_URL = re.compile(r"://([^\s/:@]{16,})@")
# In a connection string, a query or a header: what a name with ``=`` stands before.
NAMED_VALUE = re.compile(
    r"(?i)(password|pwd|passwd|secret|key|token|sig|signature|authorization)\s*=\s*"
    r"(?:bearer\s+|basic\s+)?([^\s;,&\"']{8,})"
)
PIECE = re.compile(r"[^\s,;|\"']{12,}")
PUBLIC_PREFIX = re.compile(r"(?:[A-Za-z]{2,10}[-_])(?:[A-Za-z0-9]{2,8}[-_]){0,2}")


@dataclass(frozen=True, eq=False)
class Secrets:
    """The secrets of an environment, in the forms in which they are looked for.

    Attributes:
        names: Secret -> the variable that it is of.
        plain: Form -> secret, to be found in a text.
        squeezed: Form -> secret, to be found among the letters and digits of a text.
    """

    names: Mapping[str, str]
    plain: Mapping[str, str]
    squeezed: Mapping[bytes, str]


def environment_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return every secret of an environment -> the variable's name."""
    found: dict[str, str] = {}
    for name, value in environment.items():
        for secret in _secrets_of(name, value.strip()):
            if len(secret) >= MIN_SECRET and not is_placeholder(secret):
                found.setdefault(secret, name)
    return found


def known(environment: Mapping[str, str]) -> Secrets:
    """Return the secrets of an environment, as they are looked for."""
    return _known(tuple(environment.items()))


@lru_cache(maxsize=4)  # for each printed line, the environment is the same
def _known(items: tuple[tuple[str, str], ...]) -> Secrets:
    return _looked_for(tuple(environment_secrets(dict(items)).items()))


@lru_cache(maxsize=4)  # of environments that differ elsewhere: pytest names each test in its own
def _looked_for(items: tuple[tuple[str, str], ...]) -> Secrets:
    names = dict(items)
    plain: dict[str, str] = {}
    squeezed: dict[bytes, str] = {}
    for secret in names:
        for form in (secret, quote_plus(secret.encode("utf-8", "surrogatepass"))):
            plain.setdefault(form, secret)
        end = secret[-MIN_SECRET:]
        if len(secret) >= 2 * MIN_SECRET and _is_mixed(end):
            plain.setdefault(end, secret)
        for found in _squeezed_forms(secret):
            squeezed.setdefault(found, secret)
    return Secrets(names, plain, squeezed)


@lru_cache(maxsize=1_024)  # pytest changes one variable for each test
def _secrets_of(name: str, value: str) -> tuple[str, ...]:
    return tuple(_find_secrets(name, value))


def _find_secrets(name: str, value: str) -> Iterator[str]:
    for password in PASSWORD_OF_URL.findall(value):
        yield from (password, unquote(password))
    for named, given in NAMED_VALUE.findall(value):
        if not is_filled_in(given) and (_is_mixed(given) or named.lower() not in ("key", "token", "sig")):
            yield given
    innocent = INNOCENT_NAME.search(name) and not re.search(r"(?i)webhook", name)
    if innocent or not TELLING_NAME.search(name) or _is_innocent(name, value):
        return
    yield value
    yield from USER_OF_URL.findall(value)
    for piece in PIECE.findall(value):  # several keys, or a user and a password
        for part in (piece, piece.partition(":")[2], piece.partition("=")[2]):
            if len(part) >= 12 and _is_strong(part) and "://" not in part:
                yield part


def _is_innocent(name: str, value: str) -> bool:
    of_words = is_class_name(value) and not re.search(r"(?i)pass|pwd|pw$", name)  # a passphrase may be, too
    if value.lower() in FLAGS or of_words or A_PATH.fullmatch(value):
        return True
    if name.lower().endswith(("_header", "_header_name")) and HEADER_NAME.fullmatch(value):
        return True
    return (value.replace(".", "", 1).isdigit() and len(value) <= 10) or (
        re.search(r"(?i)dsn|conn", name) is not None and URL_WITHOUT_USER.fullmatch(value) is not None
    )


def _is_strong(text: str) -> bool:
    """Return True if the letters and digits alone are a secret: long, or mixed."""
    letters = len(View(text).squeezed)
    return letters >= 12 or (letters >= MIN_SECRET and _is_mixed(text))


def _is_mixed(text: str) -> bool:
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _squeezed_forms(secret: str) -> Iterator[bytes]:
    """Yield what is left of a secret among letters and digits: plain, in base64, base32, hex, as numbers.

    Also its halves, its end and what it begins with, as a line that is cut or a mask would leave them.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    coded = [*_base64(raw), raw.hex(), "0x" + "0x".join(f"{code:02x}" for code in raw)]
    coded += (twice for once in _base64(raw) for twice in _base64(once.encode()))
    coded += _base64(secret.encode("utf-16-le", "surrogatepass")[:-1])
    coded.append("".join(map(str, raw)))
    forms = [View(text).squeezed for text in coded]
    forms.append(View(base64.b32encode(raw).decode()[: len(raw) * 8 // 5]).squeezed)
    if _is_strong(secret):
        forms.append(View(secret).squeezed)
        forms += _parts(secret)
    yield from (form for form in forms if len(form) >= MIN_SECRET)


def _parts(secret: str) -> Iterator[bytes]:
    """Yield halves and end of a secret that say enough of it by themselves."""
    prefix = PUBLIC_PREFIX.match(secret)
    rest = View(secret[prefix.end() if prefix else 0 :]).squeezed
    half = len(rest) // 2
    for part, least in ((rest[:half], 10), (rest[half:], 10), (rest[-MIN_SECRET:], MIN_SECRET)):
        if len(part) >= least and _is_mixed(part.decode("utf-8", "replace")):
            yield part


def _base64(raw: bytes) -> Iterator[str]:
    for before in range(3):  # at each alignment, the base64 that does not depend on what stands around it
        coded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        yield coded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
