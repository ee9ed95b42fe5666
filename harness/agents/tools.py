"""The two tools that the orchestrator calls: Claude as coder, Claude as tester.

A call that cannot be carried out - a bad name, no code in the answer, a failing API - comes back to
the orchestrator as an error text. It never ends the trial.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.agents import prompts
from harness.agents.messages import (
    Claude,
    ExecutedCall,
    Refused,
    Replayed,
    ServerSide,
    ToolCall,
    ToolReturn,
    as_letta_says,
)
from harness.agents.tool_call import Author, ToolContext, ToolError, execute
from harness.agents.transcript import Called, Event, Fault, Returned, Said, Spent, Wrote
from harness.agents.workspace import Workspace, WorkspaceError
from harness.errors import ApiError
from harness.tasks.task import Task
from harness.tasks.trial import Pair
from harness.text import shorten

ROLES: dict[str, Author] = {prompts.CODER_TOOL: "coder", prompts.TESTER_TOOL: "tester"}
NOT_RUN = "see the Letta server's log; it has to run on this machine and as this user, or use tools: client"
WORDS = ("CODER_TOOL", "CODER_TASK", "TESTER_TASK", "CURRENT_FILE", "OTHER_FILE")


def tool_context(task: Task, pair: Pair) -> ToolContext:
    """What the tools know of a trial."""
    return ToolContext(
        code_file=task.code_file,
        test_file=task.test_file,
        given=sorted(task.files),
        models={"coder": pair.coder, "tester": pair.tester},
        systems=prompts.claude_code
        if pair.backend == "claude-code"
        else {"coder": prompts.CODER, "tester": prompts.TESTER},
        max_tokens=min(task.limits.max_tokens, pair.max_tokens or task.limits.max_tokens),
        words={name: getattr(prompts, name) for name in WORDS},
    )


@dataclass(frozen=True)
class Tools:
    """The coder and the tester of one trial.

    Attributes:
        note: Told of every event as it happens.
        server_side: What stands behind the tools where Letta runs them.
    """

    task: Task
    pair: Pair
    claude: Claude
    workspace: Workspace
    note: Callable[[Event], None]
    server_side: ServerSide = field(default_factory=Replayed)

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """Tool name -> what Letta offers to the model."""
        return prompts.definitions(guided=self.pair.flow == "guided")

    @cached_property
    def brief(self) -> ToolContext:
        """What the tools know of the trial."""
        return tool_context(self.task, self.pair)

    def call(self, call: ToolCall, attempt: int) -> ToolReturn:
        """Carry out a tool call, whatever the model put into it."""
        self.note(Called(attempt, call.call_id, call.name, call.arguments))
        try:
            ok, text = True, self.execute(call, attempt)
        except (ToolError, WorkspaceError, Refused) as error:
            ok, text = False, f"Error: {error}"
        except ApiError as error:
            # The orchestrator may go on, but the trial can no longer tell anything about the models.
            self.note(Fault(attempt, str(error)))
            ok, text = False, "Error: Claude could not be reached."
        self.note(Returned(attempt, call.call_id, ok, text))
        return ToolReturn(call.call_id, ok, text)

    def again(self, ran: Sequence[ExecutedCall], attempt: int) -> None:
        """Carry out again what Letta's sandbox did, for its files, tokens and words.

        What Letta itself refuses (another tool, an argument that the tool has not) is the model's doing and
        is only told.

        Raises:
            ApiError: Letta could not run a tool, or it did something else there.
        """
        with self.server_side.answered():
            for each in ran:
                self._told(each, attempt)

    def _told(self, ran: ExecutedCall, attempt: int) -> None:
        call, told = ran.call, ran.returned
        self.note(Called(attempt, call.call_id, call.name, call.arguments))
        if told.ok or told.text.startswith(as_letta_says(call.name, "")):
            self._compare(call, told, attempt)
        elif not _model_s_doing(call, told):
            raise ApiError(f"Letta could not run {call.name}: {told.text}", remedy=NOT_RUN)
        self.note(Returned(attempt, call.call_id, told.ok, told.text))

    def _compare(self, call: ToolCall, told: ToolReturn, attempt: int) -> None:
        try:
            ok, text = True, self.execute(call, attempt)
        except (ToolError, WorkspaceError, Refused) as error:
            ok, text = False, as_letta_says(call.name, str(error))
        if (ok, text) != (told.ok, told.text):
            raise ApiError(
                f"{call.name} said {shorten(told.text, 200)!r} in Letta's sandbox, "
                f"and {shorten(text, 200)!r} when it was carried out again"
            )

    def execute(self, call: ToolCall, attempt: int) -> str:
        """Carry out a tool call; gives what the orchestrator is told.

        Raises:
            ToolError, WorkspaceError, Refused: It cannot be done, and the orchestrator is to know why.
            ApiError: Claude could not be used.
        """
        role, given = _understood(call)

        def ask(prompt: str) -> tuple[str, bool]:
            brief = self.brief
            answer = self.claude.ask(role, brief.models[role], brief.systems[role], prompt, brief.max_tokens)
            self.note(Spent(attempt, role, answer.model, answer.usage))
            self.note(Said(attempt, role, answer.text))
            return answer.text, answer.cut_off

        done = execute(role, given, self.brief, self.workspace, ask)
        self.note(Wrote(attempt, role, done.path, done.code))
        return done.text


def _understood(call: ToolCall) -> tuple[Author, dict[str, Any]]:
    """Whose tool a call names, and its arguments."""
    if call.name not in ROLES:
        raise ToolError(f"there is no tool {shorten(call.name)!r}; use {' or '.join(ROLES)}")
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("the arguments are not valid JSON") from None
    if not isinstance(given, dict):
        raise ToolError("the arguments must be a JSON object")
    return ROLES[call.name], given


def _model_s_doing(call: ToolCall, told: ToolReturn) -> bool:
    """Whether Letta refused a call for what the model made of it."""
    if call.name not in ROLES or not told.text.startswith("Error executing function"):
        return True
    try:
        _, given = _understood(call)
    except ToolError:
        return True
    known = prompts.definitions(guided=False)[call.name]["parameters"]["properties"]
    return not set(given) <= set(known)
