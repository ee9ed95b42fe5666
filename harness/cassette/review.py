"""Review recordings that were refused for what looks like a secret; save those that hold none.

What was refused waits in the user's cache folder (``unsaved.py``). To accept it is to say why it is none:
that goes to the repository's allow-list (``redact/allowed.py``), and the cassette is saved without another
run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from harness import redact
from harness.cassette import unsaved
from harness.cassette.audit.cassette_files import display_path
from harness.cassette.exchange import parse_body
from harness.cassette.file import Cassette, allow_folder, dumps, parse, save
from harness.cassette.unsaved import Unsaved
from harness.errors import CassetteError, UnsafeCassette, UsageError
from harness.files import write_whole
from harness.redact import allowed
from harness.terminal import one_line

AROUND = 40
MAX_TEXT = 2000  # characters on each side that are cleaned, before the nearest are shown
SHOWN = 4


@dataclass(frozen=True)
class Suspect:
    """A place that looks like a secret.

    Attributes:
        where: JSON path and kinds.
        context: What stands around it; of itself, only how it begins and how long it is.
        hashes: SHA-256 of each text that was found there.
    """

    where: str
    context: str
    hashes: frozenset[str]


def suspects(value: object, environment: Mapping[str, str], known: redact.Allowed) -> list[Suspect]:
    """List what looks like a secret in a JSON value and is not allowed, each text once."""
    found: dict[frozenset[str], Suspect] = {}
    rows = [row for row in redact.findings(value, environment) if row[2].secret not in known]
    for path, group in groupby(rows, key=lambda row: row[0]):
        for text, overlapping in _overlapping([(text, each) for _, text, each in group]):
            hashes = frozenset(allowed.digest(each.secret) for each in overlapping)
            kinds = ", ".join(dict.fromkeys(each.kind for each in overlapping))
            where = one_line(f"{redact.redact(path, environment)}: {kinds}")
            found.setdefault(hashes, Suspect(where, _context(text, overlapping, environment), hashes))
    return list(found.values())


def _overlapping(rows: list[tuple[str, redact.Finding]]) -> Iterator[tuple[str, list[redact.Finding]]]:
    """Group the findings of one text that overlap."""
    group: list[redact.Finding] = []
    for text, each in sorted(rows, key=lambda row: (row[1].start, row[1].end)):
        if group and each.start >= max(other.end for other in group):
            yield text, group
            group = []
        group.append(each)
    if group:
        yield rows[0][0], group


def _context(text: str, found: list[redact.Finding], environment: Mapping[str, str]) -> str:
    start, end = min(each.start for each in found), max(each.end for each in found)
    before = redact.redact(text[max(0, start - MAX_TEXT) : start], environment)[-AROUND:]
    after = redact.redact(text[end : end + MAX_TEXT], environment)[:AROUND]
    known = any(each.kind.startswith(redact.VALUE) for each in found)
    begins = "" if known or end - start < 4 * SHOWN else text[start : start + SHOWN]
    return one_line(f"{before}[{begins}…, {end - start} characters]{after}")


def refused(names: Iterable[str]) -> list[Unsaved]:
    """Return the recordings of this folder's repository that wait; ``names`` are parts of their paths.

    Raises:
        UsageError: There is none of a name.
    """
    waiting = [each for each in unsaved.waiting() if Path(each.target).is_relative_to(Path.cwd())]
    names = list(names)
    for name in names:
        if not any(name in display_path(Path(each.target)) for each in waiting):
            known = ", ".join(display_path(Path(each.target)) for each in waiting) or "none"
            raise UsageError(f"no recording {one_line(name)!r} waits", remedy=f"waiting: {known[:400]}")
    return [
        each
        for each in waiting
        if not names or any(name in display_path(Path(each.target)) for name in names)
    ]


def review(recording: Unsaved, environment: Mapping[str, str]) -> list[Suspect]:
    """List what looks like a secret in a recording that waits, and is not allowed.

    Raises:
        UsageError: It cannot be read, or was refused for what cannot be seen here.
    """
    value, known = content(_cassette(recording)), allowed.load(folder_of(recording))
    found = suspects(value, environment, allowed.NOTHING)
    if set(recording.hashes) - {hashed for each in found for hashed in each.hashes}:
        remedy = "set the variables that were set when it was recorded, or discard it"
        why = one_line("; ".join(recording.found))[:300]
        text = f"{display_path(Path(recording.target))}: refused for what is not known here: {why}"
        raise UsageError(text, remedy=remedy)
    return suspects(value, environment, known)


def accept(recording: Unsaved, reason: str, environment: Mapping[str, str]) -> int:
    """Add what was found in a recording to the allow-list, save it, and return how many entries were added.

    Raises:
        UsageError: It does not wait for a review; a newer recording stands there; the reason holds a secret.
        CassetteError: It still cannot be saved.
    """
    if next(redact.leaks(reason, environment), None):
        raise UsageError("--reason holds what looks like a secret", remedy="describe it in other words")
    target = Path(recording.target)
    display = display_path(target)
    if recording.why != "secret":
        raise UsageError(f"{display}: it would not replay, so it cannot be saved", remedy="record it again")
    if target.exists() and target.stat().st_mtime > Path(recording.path).stat().st_mtime:
        remedy = f"discard what waits: harness cassettes refused {display} --discard"
        raise UsageError(f"{display}: was recorded again since", remedy=remedy)
    found = {hashed: each.where for each in review(recording, environment) for hashed in each.hashes}
    listed = folder_of(recording) / allowed.NAME
    before = listed.read_text(encoding="utf-8") if listed.exists() else allowed.HEADER
    if found:
        write_whole(listed, before + allowed.entries(found, one_line(reason)))
    save(_cassette(recording), target, display)
    unsaved.discard(recording)
    return len(found)


def save_or_keep(cassette: Cassette, path: Path, display: str) -> None:
    """Write a cassette; keep one that is refused for a secret for a review.

    Raises:
        UnsafeCassette: It holds what looks like a secret; the remedy tells whether it was kept.
        CassetteError: It could not be read back.
    """
    try:
        save(cassette, path, display)
    except UnsafeCassette as error:
        found = suspects(content(cassette), os.environ, allowed.load(allow_folder(path)))
        kept = unsaved.keep(
            path,
            dumps(cassette),
            "secret",
            cassette.recorded.get("at", ""),
            [each.where for each in found],
            hashes=sorted({hashed for each in found for hashed in each.hashes}),
        )
        if not kept:
            raise
        slug = display.partition("/")[2].removesuffix(".json")
        remedy = (
            f"it waits outside of the repository: harness cassettes refused {slug}; if that is no secret: "
            f'harness cassettes accept {slug} --reason "..."; else keep secrets out of prompts and answers'
        )
        raise UnsafeCassette(error.message, remedy=remedy) from None


def content(cassette: Cassette) -> dict[str, Any]:
    """Return all that a cassette says as a JSON value, bodies unfolded."""

    def readable(raw: bytes) -> Any:
        known, value = parse_body(raw)
        return value if known else raw.decode("utf-8", "replace")

    exchanges = [
        {**vars(each), "request": readable(each.request_body), "response": readable(each.response_body)}
        for each in cassette.exchanges
    ]
    return {"trial": cassette.trial, "recorded": cassette.recorded, "exchanges": exchanges}


def folder_of(recording: Unsaved) -> Path:
    """Return the cassettes folder that a recording belongs to."""
    return allow_folder(Path(recording.target))


def _cassette(recording: Unsaved) -> Cassette:
    try:
        return parse(recording.text)
    except (ValueError, RecursionError, CassetteError):
        text = f"{display_path(Path(recording.target))}: the recording that waits is damaged"
        raise UsageError(text, remedy="discard it: harness cassettes refused --discard") from None
