"""Server tools: Letta executes a call in its own sandbox, and the harness executes it again.

Letta reports the calls and returns of a turn when the turn has ended. Executing each call again, on Claude's
answers of then, shows its files, tokens and texts, and that Letta's sandbox did what the harness would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Protocol

from harness.agents import prompts
from harness.agents.messages import ExecutedCall, Refused
from harness.agents.tool_call import ToolError
from harness.agents.tools import Tools, parse_call
from harness.agents.transcript import Called, Returned
from harness.agents.workspace import WorkspaceError
from harness.errors import ApiError
from harness.text import shorten

SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HARNESS_BRIEF", "HARNESS_WORKSPACE")
MAX_ERROR_CHARS = 1000  # Letta cuts off an error there
NOT_RUN = "see the Letta server's log; it has to run on this machine and as this user, or use tools: client"


class ServerSide(Protocol):
    """The side of a trial's tools that lies in Letta's sandbox."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """Environment variables of the child process in which Letta runs the tools."""

    def playback(self) -> AbstractContextManager[None]:
        """Let Claude answer, inside, as it answered Letta's tools since the last time.

        Raises:
            ApiError: Claude could not be used, or was asked something else.
        """

    def check(self, files: Mapping[str, str]) -> None:
        """Compare these files with those that Letta's tools wrote.

        Raises:
            ApiError: They differ, or Claude was asked more than the calls account for.
        """


class Replayed:
    """The server side of a replay, in which the trial's player answers and nothing is left to compare."""

    secrets: Mapping[str, str] = MappingProxyType(dict.fromkeys(SECRETS, "replayed"))

    def playback(self) -> AbstractContextManager[None]:
        """Do nothing; see ``ServerSide.playback``."""
        return nullcontext()

    def check(self, files: Mapping[str, str]) -> None:
        """Do nothing: the files were compared before the recording was kept."""


def replay(tools: Tools, server_side: ServerSide, ran: Sequence[ExecutedCall], attempt: int) -> None:
    """Execute again, with the trial's tools, what Letta executed, and note it.

    What Letta itself refuses (another tool, an argument that the tool has not) is the model's doing and is
    only noted.

    Raises:
        ApiError: Letta could not run a tool, or it did something else there.
    """
    with server_side.playback():
        for each in ran:
            call = each.call
            tools.note(Called(attempt, call.call_id, call.name, call.arguments))
            if each.ok or each.text.startswith(letta_error(call.name, "")):
                _compare(tools, each, attempt)
            elif not _refused_by_letta(each):
                raise ApiError(f"Letta could not run {call.name}: {each.text}", remedy=NOT_RUN)
            tools.note(Returned(attempt, call.call_id, each.ok, each.text))


def _compare(tools: Tools, ran: ExecutedCall, attempt: int) -> None:
    name = ran.call.name
    try:
        ok, text = True, tools.execute(ran.call, attempt)
    except (ToolError, WorkspaceError, Refused) as error:
        ok, text = False, letta_error(name, str(error))
    if (ok, text) != (ran.ok, ran.text):
        raise ApiError(
            f"{name} said {shorten(ran.text, 200)!r} in Letta's sandbox, "
            f"and {shorten(text, 200)!r} when it was carried out again"
        )


def letta_error(tool: str, message: str) -> str:
    """Return the text that Letta makes of a ``ToolError`` which a server tool raised."""
    return f"Error executing function {tool}: ToolError: {' '.join(message.split())}"[:MAX_ERROR_CHARS]


def _refused_by_letta(ran: ExecutedCall) -> bool:
    """Return True if Letta refused a call for what the model made of it."""
    if not ran.text.startswith("Error executing function"):
        return True
    try:
        _, arguments = parse_call(ran.call)
    except ToolError:
        return True
    known = prompts.definitions(guided=False)[ran.call.name]["parameters"]["properties"]
    return not set(arguments) <= set(known)
