"""Finish what processes of a run had begun when they were killed, from their notes (``journal.py``)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from harness.files import write_whole
from harness.results.journal import CONNECTING, LIVE, Note
from harness.results.run_folder import RunFolder


def notes(run: Path) -> Iterator[tuple[Path, Note]]:
    """Yield the notes of a run's processes, living or not; a damaged one is passed over."""
    for path in sorted(run.glob(f"{LIVE}/*.json")):
        with suppress(OSError, ValidationError):
            yield path, Note.model_validate_json(path.read_bytes())


def recover(folder: RunFolder, path: Path, note: Note, root: Path) -> None:
    """Finish what a killed process had begun: its trial has a record if its cassette was written.

    What was half written is removed.

    Raises:
        OSError: The record cannot be written.
    """
    cassette = root / "cassettes" / f"{note.trial}.json"
    kept = (folder.path / "transcripts" / f"{note.trial}.json", folder.path / LIVE / path.name)
    for each in (cassette, *kept):
        for half in each.parent.glob(f".{each.name}.*"):
            half.unlink(missing_ok=True)
    try:
        is_saved = bool(note.cassette) and hashlib.sha256(cassette.read_bytes()).hexdigest() == note.cassette
    except OSError:
        is_saved = False
    rows = (row for row in folder.rows() if row["trial"] == note.trial and row["kind"] == "model")
    if is_saved and note.payload is not None and not any(rows):
        folder.add(note.payload)
    if note.agents or (note.stage == CONNECTING and note.payload is None):  # to be deleted still
        write_whole(path, note.model_copy(update={"payload": None}).model_dump_json())
    else:
        path.unlink(missing_ok=True)
