"""What a process is recording, on the disk: for who looks on, and for who cleans up after it was killed.

    reports/<run>/live/<process>.json     one file for each process, while it records a trial
    reports/<run>/live/worker-N.json      one for each worker on another machine, as it told

Before a cassette is written, the trial's record stands here. So a kill between the two loses nothing that was
paid for; ``recovery.py`` finishes what was begun.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from harness.files import write_whole

LIVE = "live"
CONNECTING = "connecting"  # an agent may be made, and is not known yet
ENDED = "ended"


class Note(BaseModel):
    """What one process is at.

    Attributes:
        trial: Its slug.
        began, since: When the trial and its present stage began, in seconds since 1970.
        stage: In a few words.
        agents: The agents that it has in Letta.
        payload: What it leaves behind (``run_folder.report_payload``), once that is known.
        cassette: SHA-256 of its cassette's text; empty until then.
        worker: Where that is, if it is not a process of this machine.
    """

    model_config = ConfigDict(strict=True)
    trial: str
    began: float
    since: float
    stage: str = CONNECTING
    agents: list[str] = []
    payload: dict[str, Any] | None = None
    cassette: str = ""
    worker: str = ""


class File:
    """The file of one note; on a disk that takes nothing it does nothing."""

    def __init__(self, run: Path, process: str) -> None:
        self._path = run / LIVE / f"{process}.json"

    def __call__(self, text: str) -> None:
        """Write a note in place of the last one; an empty text takes it away."""
        with suppress(OSError):
            if text:
                write_whole(self._path, text)
            else:
                self._path.unlink(missing_ok=True)


class Journal:
    """Keeps the note of this process.

    Args:
        keep: Takes its text, each time it is another one, and an empty one when there is none any more.
        worker: See ``Note``.
    """

    def __init__(self, keep: Callable[[str], None] | None = None, worker: str = "") -> None:
        self._keep = keep
        self._worker = worker
        self._note: Note | None = None
        self._maybe_left: list[str] = []  # agents of earlier trials that may not have been deleted

    def begin(self, trial: str) -> None:
        """Note that a trial begins."""
        if self._note is not None:  # a bug ended the last trial: nobody has said what became of its agents
            self.end(in_error=True)
        if self._keep is not None:
            now, agents = time.time(), [*self._maybe_left]
            self._note = Note(trial=trial, began=now, since=now, agents=agents, worker=self._worker)
            self._write()

    def stage(self, stage: str) -> None:
        """Note what the trial is at."""
        if self._note is not None and stage != self._note.stage:
            self._note = self._note.model_copy(update={"stage": stage, "since": time.time()})
            self._write()

    def agent(self, agent_id: str) -> None:
        """Note an agent that exists from now on."""
        if self._note is not None:
            self._note = self._note.model_copy(update={"agents": [*self._note.agents, agent_id]})
            self._write()

    def saving(self, payload: dict[str, Any], cassette: str) -> None:
        """Note what the trial leaves behind, before its cassette is written."""
        if self._note is not None:
            digest = hashlib.sha256(cassette.encode("utf-8", "surrogatepass")).hexdigest()
            self._note = self._note.model_copy(update={"payload": payload, "cassette": digest})
            self._write()

    def end(self, *, in_error: bool) -> None:
        """Take the note away: the trial's record is on the disk, and its agents are gone.

        After an error they may be there still, as Letta may have been away: they are noted until the end.
        """
        if self._keep is None or self._note is None:
            return
        is_known = len(self._note.agents) > len(self._maybe_left)
        if in_error:
            self._maybe_left = self._note.agents
        if in_error and not is_known and self._note.stage == CONNECTING:
            self._write()  # an agent may have been made, and its id was lost
        elif self._maybe_left:
            update = {"agents": self._maybe_left, "stage": ENDED, "payload": None}
            self._note = self._note.model_copy(update=update)
            self._write()
        else:
            self._keep("")
        self._note = None

    def _write(self) -> None:
        if self._keep is not None and self._note is not None:
            self._keep(json.dumps(self._note.model_dump()))
