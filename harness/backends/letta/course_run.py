"""The agent that lives through a course while its steps are recorded, one trial after the other.

Which agent that is, and how far it has come, is written down in the user's cache folder: no course, pair,
epoch, checkout or user ever gets another's agent, and nothing of it is part of a recording. A run that was
interrupted goes on with the first step that has no cassette, from the memory that the step before left.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.backends.letta import memory
from harness.backends.letta.client import Server
from harness.errors import ApiError, HarnessError, NotRun
from harness.files import write_whole
from harness.redact import redact
from harness.store import Store, default_folder
from harness.tasks.pair import Pair


@dataclass(frozen=True)
class Progress:
    """How far an agent has come in a course.

    Attributes:
        agent_id: The agent; empty if there is none.
        steps: So many steps are recorded and behind it.
        begun: The last step that it has begun.
        notes: What it had noted after the last recorded step.
    """

    agent_id: str = ""
    steps: int = 0
    begun: int = 0
    notes: str = ""


@dataclass
class CourseRun:
    """The steps of one pair, course and epoch that this process runs.

    Attributes:
        root: The checkout.
        pair: With ``memory: carried``.
        name: ``pair/course/epoch``.
        of: The number of its steps.
        mode: As of the run.
        has_cassette: Tells it of a step, by its number.
        server: Connects to Letta; called only where a step is recorded.
        export_to: A folder for the agent's file at the end of the course.
        said: What people should know of it; may be empty.
        failed: Why no further step can be run; may be empty.
    """

    root: Path
    pair: Pair
    name: str
    of: int
    mode: Literal["none", "once", "all"]
    has_cassette: Callable[[int], bool]
    server: Callable[[], Server]
    export_to: Path | None = None
    said: str = ""
    failed: str = ""
    _first: int = 0  # step to record; 0: not decided

    def records(self, number: int) -> bool:
        """Return True if a step is to be recorded, False if it is replayed.

        Raises:
            NotRun: A step before it failed, or there is no agent that has the steps before it behind it.
            ApiError: Letta cannot be asked for that agent.
        """
        if self.failed:
            raise NotRun(f"not run: {self.failed}", remedy="mend that step first; then the same command")
        if self.mode == "none":
            return False
        if not self._first:
            self._first = self._first_to_record(number)
        return number >= self._first

    def _first_to_record(self, number: int) -> int:
        steps = range(1, self.of + 1)
        wanted = next((n for n in steps if not self.has_cassette(n)), self.of + 1)
        if self.mode == "all":
            wanted = number
        elif wanted > self.of or wanted > number > 1:
            return wanted
        if wanted == 1 or self._find(wanted) is not None:
            return wanted
        if number == 1:
            self.said = f"{self.name}: its agent is gone: the course begins again at step 1, not at {wanted}"
            return 1
        raise NotRun(
            f"not run: no agent has steps 1 to {wanted - 1} of {self.name} behind it",
            remedy="record the whole course, all its steps in one process (-n 0, or xdist's own --dist load)",
        )

    def say(self) -> str:
        """Return what people should know, once."""
        said, self.said = self.said, ""
        return said

    def agent_for(self, number: int) -> str:
        """Return the agent for a step, as the step before left it; empty for the first, which makes one.

        Raises:
            NotRun: There is no such agent.
            ApiError: Letta failed.
        """
        if number == 1:
            self._discard()
            return ""
        progress = self._find(number)
        if progress is None:
            raise NotRun(f"not run: the agent of {self.name} is gone", remedy="record the whole course again")
        keeps_history = self.pair.history == "keep"
        memory.go_back(self.server(), progress.agent_id, progress.notes, cut=not keeps_history)
        self._write(Progress(progress.agent_id, progress.steps, number, progress.notes))
        return progress.agent_id

    def completed(self, number: int, agent_id: str, notes: str) -> None:
        """Write down that a step is recorded; after the last one the agent is deleted.

        Raises:
            ApiError: Letta failed.
        """
        self._write(Progress(agent_id, number, number, notes))
        if number == self.of:
            if self.export_to is not None:
                self._export(agent_id, self.export_to)
            self._discard()

    def fail(self, number: int, error: HarnessError, agent_id: str = "") -> None:
        """Run no further step. An agent that has no step behind it is deleted: nothing goes on from there."""
        self.failed = self.failed or f"step {number} ended with {error.outcome.replace('_', ' ')}"
        self.give_up(number, agent_id)

    def give_up(self, number: int, agent_id: str) -> None:
        """End what the agent is still at in a step that is given up; delete the agent in the first one."""
        if not agent_id or not self._first or number < self._first or self._read().steps >= number:
            return
        with suppress(ApiError, OSError):
            self.server().stop(agent_id)  # first: where the server hangs, this is short
            if number == 1:
                memory.delete(self.server(), agent_id)

    def _find(self, number: int) -> Progress | None:
        """Return the progress of an agent that can begin this step; None if there is none, or it is gone."""
        progress = self._read()
        polluted = self.pair.history == "keep" and progress.begun > progress.steps
        known = progress.agent_id and progress.steps == number - 1 and not polluted
        return progress if known and self.server().has_agent(progress.agent_id) else None

    def _discard(self) -> None:
        """Delete the agent of an earlier run, if there is one."""
        agent_id = self._read().agent_id
        if agent_id and self.server().has_agent(agent_id):
            memory.delete(self.server(), agent_id)
        self._write(Progress())

    def _export(self, agent_id: str, folder: Path) -> None:
        text = self.server().ask(lambda client: str(client.agents.export_file(agent_id)))
        write_whole(folder / f"{self.name.replace('/', '.')}.af", redact(text, os.environ))

    def _read(self) -> Progress:
        store = Store(default_folder("course-agents"))
        kept = store.read(self._key)
        store.close()
        return Progress(**json.loads(kept)) if kept else Progress()

    def _write(self, progress: Progress) -> None:
        store = Store(default_folder("course-agents"))
        store.write(self._key, json.dumps(asdict(progress)))
        store.close()

    @property
    def _key(self) -> str:
        parts = [str(self.root.resolve()), self.server().base_url, self.name]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
