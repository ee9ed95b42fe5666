"""The allow-list of a repository: what looks like a secret and was found to be none, each with the reason.

    [[allow]]
    sha256 = "5f0c..."                   # of the text that was found, as `harness cassettes refused` tells it
    reason = "the example key of the provider's documentation"

    [[allow]]
    pattern = "sk-test-[0-9a-f]{32}"     # a regular expression for the whole of it
    reason = "keys that our fake server makes up"

It stands beside the cassettes, as ``cassettes/allowed-secrets.toml``, where a reviewer sees what is added.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

NAME = "allowed-secrets.toml"
FIELDS = ("sha256", "pattern", "reason")
MAX_BYTES = 1_000_000
# No pattern may cover these: it would cover everything.
UNLIKE = ("q7", "Zk4-vQ_9xT2pL8sWmE3rY6uN1cB5", "://app:h8Gd!k2@db", "a" * 64)
HEADER = """\
# What looks like a secret in the cassettes here and is none. Each entry is reviewed like code: a pattern or a
# hash, and the reason. `harness cassettes accept NAME --reason TEXT` adds to it.
"""


@dataclass(frozen=True)
class Allowed:
    """Texts that are no secrets: by their hash, or by patterns that match the whole of them."""

    hashes: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()

    def __contains__(self, secret: str) -> bool:
        """Tell whether a text that was found is allowed."""
        return (bool(self.hashes) and digest(secret) in self.hashes) or any(
            pattern.fullmatch(secret) for pattern in self.patterns
        )


NOTHING = Allowed()


def digest(secret: str) -> str:
    """Hash a text that was found."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def load(folder: Path) -> Allowed:
    """Read the allow-list of a cassettes folder; without one, nothing is allowed.

    Raises:
        UsageError: It cannot be read, or an entry is wrong.
    """
    import tomllib

    path = folder / NAME
    try:
        with path.open("rb") as file:
            data = tomllib.loads(file.read(MAX_BYTES).decode())
    except FileNotFoundError:
        return NOTHING
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read: {str(error)[:200]}", remedy="correct it") from None
    entries = data.get("allow", [])
    if set(data) - {"allow"} or not isinstance(entries, list):
        raise UsageError(f"{path}: expected [[allow]] entries and nothing else", remedy="correct it")
    checked = [_checked(entry, f"{path}: entry {number}") for number, entry in enumerate(entries, start=1)]
    return Allowed(
        frozenset(each for each in checked if isinstance(each, str)),
        tuple(each for each in checked if isinstance(each, re.Pattern)),
    )


def _checked(entry: object, place: str) -> str | re.Pattern[str]:
    """Return the hash or the pattern of an entry; raise UsageError if it is wrong."""
    wrong = ""
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        wrong = "expected texts under sha256 or pattern, and reason"
    elif unknown := sorted(set(entry) - set(FIELDS)):
        wrong = f"unknown field {unknown[0][:40]!r}; known are {', '.join(FIELDS)}"
    elif not entry.get("reason", "").strip():
        wrong = "reason: expected why it is no secret"
    elif ("sha256" in entry) == ("pattern" in entry):
        wrong = "expected either sha256 or pattern"
    elif "sha256" in entry:
        if re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
            return str(entry["sha256"])
        wrong = "sha256: expected 64 hexadecimal digits"
    else:
        try:
            pattern = re.compile(entry["pattern"])
        except re.error as error:
            wrong = f"pattern: no regular expression: {error}"
        else:
            if not any(pattern.fullmatch(each) for each in UNLIKE):
                return pattern
            wrong = "pattern: it would allow any secret; name more of the text"
    raise UsageError(f"{place}: {wrong}", remedy="correct it")


def entries(secrets: dict[str, str], reason: str) -> str:
    """Return the text of entries to add: hash of a secret -> what was found there."""
    reason = json.dumps(reason, ensure_ascii=False)
    return "".join(
        f'\n[[allow]]  # {found}\nsha256 = "{hashed}"\nreason = {reason}\n'
        for hashed, found in sorted(secrets.items(), key=lambda each: each[1])
    )
