"""Delete the agents that killed processes have left in Letta, by the ids in their notes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.backends import endpoints
from harness.backends.letta.cleanup import made_between
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.errors import HarnessError
from harness.files import write_whole
from harness.redact import unlogged
from harness.results import recovery, run_state
from harness.results.journal import CONNECTING, LIVE, Note
from harness.tasks.pair import Pair

TIMEOUT_S = 10.0
LONGEST_MAKING_S = 30.0
WAIT_S = 3.0
CLOCKS = timedelta(seconds=5)  # may differ by so much between this machine and Letta's


def delete_agents(reports: Path, pair: Pair, own: Path) -> int:
    """Delete the agents of runs that were killed, and of processes of the run ``own`` that are gone.

    What cannot be deleted now is tried again by the next run; agents of another server stay.

    Args:
        reports: The folder of all runs.
        pair: Says, with the environment, where Letta is.
        own: The folder of a run, none of whose processes records any more.

    Returns:
        How many were deleted.
    """
    deleted = 0
    for folder in sorted({path.parent for path in reports.glob(f"*/{LIVE}")}):
        if folder.is_symlink() or (folder != own and run_state.is_alive(folder)):
            continue
        for path, note in recovery.notes(folder):
            with unlogged(), suppress(HarnessError, OSError):
                url, key = endpoints.letta_of(pair, os.environ)
                server = Server(url, key, Transport(attempts=1), timeout_s=TIMEOUT_S)
                for agent in (*note.agents, *unknown(server, path, note)):
                    server.remove("agent", agent)
                    deleted += 1
                if note.payload is None:
                    path.unlink()
                else:  # who goes on with that run needs it
                    write_whole(path, note.model_copy(update={"agents": []}).model_dump_json())
    return deleted


def unknown(server: Server, path: Path, note: Note) -> list[str]:
    """Return the agents of a process that was killed while one was being made for it."""
    if note.stage != CONNECTING or note.payload is not None:
        return []
    time.sleep(
        min(WAIT_S, max(0.0, path.stat().st_mtime + WAIT_S - time.time()))
    )  # it may be about to be made
    began, ended = (
        datetime.fromtimestamp(at, UTC) for at in (note.began, path.stat().st_mtime + LONGEST_MAKING_S)
    )
    return made_between(server, note.trial, began - CLOCKS, ended + CLOCKS)
