"""Recordings that were paid for and could not be saved: kept in the user's cache folder for a review.

    <home>/unsaved/<hash of the cassette's path>.json    one a trial, mode 0600, in a folder of mode 0700

The home is the user's cache folder, or what HARNESS_HOME names. A recording that holds a secret is kept as it
is: that is why it may never stand in the repository, whatever the home is.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter

from harness.errors import UsageError
from harness.files import write_whole
from harness.store import home_folder

MAX_BYTES = 100_000_000  # the text of a cassette (16 million), escaped
Reason = Literal["secret", "replay"]


@dataclass(frozen=True)
class Unsaved:
    """A recording that waits.

    Attributes:
        target: The absolute path of the cassette that it was to be.
        why: ``secret`` if a review lets it be saved, ``replay`` if it does not replay.
        at: When it was recorded, in ISO 8601.
        found: What was found in it, one line for each, without secrets.
        text: What was to be written.
        hashes: SHA-256 of each text in it that looks like a secret.
        path: The file that it waits in; empty until it is kept.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    target: str
    why: Reason
    at: str
    found: tuple[str, ...]
    text: str
    hashes: tuple[str, ...] = ()
    path: str = ""


def folder() -> Path:
    """Return the folder of unsaved recordings, which need not exist; see ``home_folder`` for errors."""
    return home_folder() / "unsaved"


def keep(  # noqa: PLR0913  (the fields of ``Unsaved``)
    target: Path, text: str, why: Reason, at: str, found: Sequence[str], *, hashes: Sequence[str] = ()
) -> Path | None:
    """Keep a recording, in place of an earlier one of its trial; return its file, None if it cannot be kept.

    The folder must not lie in the repository that the cassette belongs to.
    """
    try:
        target, home = Path(os.path.abspath(target)), folder()
    except UsageError:
        return None
    repository = next((each for each in target.parents if (each / ".git").exists()), target.parent)
    if home.is_relative_to(repository.resolve()):
        return None
    path = home / f"{hashlib.sha256(os.fsencode(target)).hexdigest()[:16]}.json"
    recording = Unsaved(str(target), why, at, tuple(found), text, tuple(hashes))
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.chmod(0o700)
        write_whole(path, json.dumps(asdict(recording)), mode=0o600)
    except OSError:
        return None
    return path


def waiting() -> Iterator[Unsaved]:
    """Yield the recordings that wait, by the path of their cassettes; a damaged file is none."""
    found = []
    for path in folder().glob("*.json"):
        with suppress(OSError, ValueError, RecursionError):
            found.append(_read(path))
    yield from sorted(found, key=lambda each: each.target)


def discard(recording: Unsaved) -> None:
    """Remove a recording that was saved, or that nobody wants."""
    Path(recording.path).unlink(missing_ok=True)


def _read(path: Path) -> Unsaved:
    """Read a file of the folder; raise OSError or ValueError if it is none of ours."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise ValueError(f"{path}: no recording")
    fields = json.loads(path.read_bytes())
    if not isinstance(fields, dict) or not isinstance(text := fields.get("text"), str):
        raise ValueError(f"{path}: no recording")  # noqa: TRY004  (it is what a file holds, not a type)
    # Pydantic reads no halves of surrogate pairs, which a cassette may have.
    known = TypeAdapter(Unsaved).validate_json(json.dumps(fields | {"text": ""}))
    return replace(known, text=text, path=str(path))
