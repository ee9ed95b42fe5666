"""Server tools in a trial: the folder that Letta's sandbox writes to, and its way to Claude.

    recording   Letta's child -> gateway -> Claude (recorded), files in the folder; once the turn has ended,
                each call is executed again in this process, on the answers that passed the gateway, and
                compared with Letta's return and the folder (``agents/tool_replay.py``)
    replaying   only the second half, on the recorded answers

So a recording that would not replay is not kept. Letta has to run on this machine, as a user who can read and
write the folder; what else its child may do is Letta's affair: an orchestrator that makes up names of
arguments reaches the script by which Letta calls the tool.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness.agents.messages import Claude
from harness.agents.tool_call import ToolContext
from harness.agents.tool_replay import SECRETS
from harness.backends.letta.gateway import Gateway
from harness.backends.loopback import serve
from harness.backends.written_files import require_files, write_files
from harness.cassette import record_replay
from harness.cassette.exchange import Exchange
from harness.errors import ApiError
from harness.local.stack.ports import LOOPBACK


@dataclass
class Live:
    """The server side of a trial that is recorded, made by ``live``; see ``tool_replay.ServerSide``."""

    secrets: Mapping[str, str] = field(repr=False)
    gateway: Gateway
    folder: Path
    exchanges: Callable[[], tuple[Exchange, ...]]
    _taken: int = 0
    _left: tuple[Exchange, ...] = ()

    @contextmanager
    def playback(self) -> Iterator[None]:
        """Play the exchanges with Claude that were not played yet; see ``ServerSide.playback``."""
        if self.gateway.faults:
            raise self.gateway.faults[0]
        exchanges = self.exchanges()
        waiting = (*self._left, *exchanges[self._taken :])
        self._taken = len(exchanges)
        try:
            with record_replay.replaying(waiting) as player:
                yield
        except record_replay.ReplayMiss as miss:
            raise ApiError(f"Letta's tools asked Claude something else: {miss}") from None
        self._left = tuple(waiting[number] for number in player.unplayed_indexes)

    def check(self, files: Mapping[str, str]) -> None:
        """Compare these files with those in the folder; see ``ServerSide.check``."""
        if self._left:
            raise ApiError("Letta's tools asked Claude more often than Letta reports")
        require_files(self.folder, files, writer="Letta's tools", reported="the calls carried out again")


@contextmanager
def live(
    claude: Claude,
    context: ToolContext,
    files: Mapping[str, str],
    exchanges: Callable[[], tuple[Exchange, ...]],
) -> Iterator[Live]:
    """Keep a folder with a trial's files and a gateway to ``claude``, as long as the block runs.

    ``exchanges`` returns the exchanges with Claude so far.
    """
    gateway = Gateway(claude)
    with tempfile.TemporaryDirectory(prefix="trial-") as name, serve(gateway.respond) as address:
        folder = Path(name).resolve()
        write_files(folder, files)
        values = (address.key, address.url, json.dumps(asdict(context)), str(folder))
        yield Live(dict(zip(SECRETS, values, strict=True)), gateway, folder, exchanges)


def require_here(letta_url: str) -> None:
    """Raise ApiError if the Letta server is on another machine and so cannot reach this process."""
    host = urlsplit(letta_url).hostname or ""
    if host not in LOOPBACK:
        raise ApiError(
            f"with tools: server the Letta server has to run on this machine, not on {host}",
            remedy="use a pair with tools: client",
        )
