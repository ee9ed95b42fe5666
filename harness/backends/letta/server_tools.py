"""What stands behind Letta's own tools in a trial: the folder they write to, and the gateway they ask.

    recording   Letta's child -> gateway -> Claude (recorded), files in the folder; once the turn has ended,
                each call is carried out again in this process, on the answers that passed the gateway: so its
                words, files and tokens become known, and are compared with Letta's words and the folder
    replaying   only the second half, on the recorded answers

So a recording that would not replay is not kept. Letta has to run on this machine, as a user who can read and
write the folder; what its child may do besides is Letta's affair: an orchestrator that makes up names of
arguments reaches the script by which Letta calls the tool.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.agents.messages import SECRETS, TOOLS, ServerTools
from harness.agents.tool_call import ToolContext
from harness.agents.workspace import files_in
from harness.backends.letta.gateway import Gateway, Upstream
from harness.backends.loopback import serving
from harness.cassette import recorder
from harness.cassette.exchange import Exchange
from harness.errors import ApiError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass
class Live:
    """While a trial is recorded. Made by ``live``.

    Attributes:
        passed: The exchanges with Claude so far.
    """

    tools: ServerTools
    gateway: Gateway
    folder: Path
    passed: Callable[[], tuple[Exchange, ...]]
    _taken: int = 0
    _left: tuple[Exchange, ...] = ()

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Play what passed the gateway and was not played yet.

        Raises:
            ApiError: Claude could not be used, or was asked something else.
        """
        if self.gateway.faults:
            raise self.gateway.faults[0]
        passed = self.passed()
        waiting = (*self._left, *passed[self._taken :])
        self._taken = len(passed)
        try:
            with recorder.replaying(waiting) as player:
                yield
        except recorder.ReplayMiss as miss:
            raise ApiError(f"Letta's tools asked Claude something else: {miss}") from None
        self._left = tuple(waiting[number] for number in player.unplayed_indexes)

    def check(self, files: Mapping[str, str]) -> None:
        """See ``ServerSide.check``."""
        try:
            there = files_in(self.folder)
        except RuntimeError as error:
            raise ApiError(str(error)) from None
        if self._left:
            raise ApiError("Letta's tools asked Claude more often than Letta tells of")
        if there != dict(files):
            other = sorted(path for path in {*there, *files} if there.get(path) != files.get(path))
            raise ApiError(f"Letta's tools left another {other[0]!r} than the calls carried out again")


@contextmanager
def live(
    upstream: Upstream,
    brief: ToolContext,
    files: Mapping[str, str],
    passed: Callable[[], tuple[Exchange, ...]],
) -> Iterator[Live]:
    """A folder with a trial's files and a gateway, as long as the block runs.

    Args:
        upstream: Where the gateway passes requests on to.
        brief: What the tools know of the trial.
        files: What is there before it.
        passed: Gives the exchanges with Claude so far.
    """
    gateway = Gateway(upstream)
    with tempfile.TemporaryDirectory(prefix="trial-") as name, serving(gateway):
        folder = Path(name).resolve()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text.encode("utf-8"))
        values = (gateway.key, gateway.url, json.dumps(asdict(brief)), str(folder))
        secrets = dict(zip(SECRETS, values, strict=True))
        yield Live(ServerTools(TOOLS, secrets), gateway, folder, passed)


def require_here(letta_url: str) -> None:
    """Refuse a Letta server that cannot reach this process.

    Raises:
        ApiError: It is on another machine.
    """
    host = urlsplit(letta_url).hostname or ""
    if host not in LOOPBACK:
        raise ApiError(
            f"with tools: server the Letta server has to run on this machine, not on {host}",
            remedy="use a pair with tools: client",
        )
