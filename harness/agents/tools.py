"""The two tools that the orchestrator calls, executed in this process: Claude as coder, Claude as tester.

A call that cannot be executed - a bad name, no code in the answer, a failing API - returns an error text to
the orchestrator. It never ends the trial. Not here: tools that Letta executes itself (``tool_replay.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.agents import prompts
from harness.agents.messages import Claude, Refused, ToolCall
from harness.agents.tool_call import Author, ToolContext, ToolError, execute
from harness.agents.transcript import Called, Event, Fault, Returned, Said, Spent, Wrote
from harness.agents.workspace import Workspace, WorkspaceError
from harness.errors import ApiError, UnusableAnswer
from harness.tasks.pair import AUTHORS, Pair
from harness.tasks.task import Task
from harness.text import shorten

ROLES: dict[str, Author] = {prompts.CODER_TOOL: "coder", prompts.TESTER_TOOL: "tester"}
WORDS = ("CODER_TOOL", "CODER_TASK", "TESTER_TASK", "CURRENT_FILE", "OTHER_FILE", "other_code")


def tool_context(task: Task, pair: Pair, epoch: int) -> ToolContext:
    """Collect what the tools need to know of a trial."""
    return ToolContext(
        code_file=task.code_file,
        test_file=task.test_file,
        given=sorted(task.files),
        written=task.written,
        models={"coder": pair.coder, "tester": pair.tester},
        systems=prompts.systems(pair.backend, (*task.packages, *task.paths)),
        options={role: pair.options(role, task.limits, epoch) for role in AUTHORS},
        words={name: getattr(prompts, name) for name in WORDS},
    )


@dataclass(frozen=True)
class Tools:
    """The coder and the tester of one trial. ``note`` is called with every event as it happens."""

    task: Task
    pair: Pair
    claude: Claude
    workspace: Workspace
    note: Callable[[Event], None]
    epoch: int = 1

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """The tools as Letta offers them to the model, by name."""
        several = bool(self.task.code_files)
        offered = prompts.definitions(guided=self.pair.flow == "guided", several=several)
        if not self.pair.has_tester:
            del offered[prompts.TESTER_TOOL]
        return offered

    @cached_property
    def context(self) -> ToolContext:
        """The trial as the tools see it."""
        return tool_context(self.task, self.pair, self.epoch)

    def call(self, call: ToolCall, attempt: int) -> Returned:
        """Execute a tool call, whatever the model put into it, and note it."""
        self.note(Called(attempt, call.call_id, call.name, call.arguments))
        try:
            ok, text = True, self.execute(call, attempt)
        except (ToolError, WorkspaceError, Refused) as error:
            ok, text = False, f"Error: {error}"
        except ApiError as error:
            # The orchestrator may go on, but the trial can no longer tell anything about the models.
            self.note(Fault(attempt, str(error)))
            if isinstance(error, UnusableAnswer):
                raise
            ok, text = False, "Error: Claude could not be reached."
        returned = Returned(attempt, call.call_id, ok, text)
        self.note(returned)
        return returned

    def execute(self, call: ToolCall, attempt: int) -> str:
        """Execute a tool call; return the text for the orchestrator.

        Raises:
            ToolError, WorkspaceError, Refused: It cannot be done, and the orchestrator is to know why.
            ApiError: Claude could not be used.
        """
        role, arguments = parse_call(call)
        if call.name not in self.definitions:
            raise ToolError(f"there is no tool {call.name!r}; use {' or '.join(self.definitions)}")
        context = self.context

        def ask(prompt: str) -> tuple[str, bool]:
            model, system = context.models[role], context.systems[role]
            answer = self.claude.ask(role, model, system, prompt, context.options[role])
            self.note(Spent(attempt, role, answer.model, answer.usage, answer.steps))
            self.note(Said(attempt, role, answer.text))
            return answer.text, answer.cut_off

        result = execute(role, arguments, context, self.workspace, ask)
        self.note(Wrote(attempt, role, result.path, result.code))
        return result.text


def parse_call(call: ToolCall) -> tuple[Author, dict[str, Any]]:
    """Return the role whose tool a call names, and the call's arguments.

    Raises:
        ToolError: There is no such tool, or the arguments are no JSON object.
    """
    if call.name not in ROLES:
        raise ToolError(f"there is no tool {shorten(call.name)!r}; use {' or '.join(ROLES)}")
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("the arguments are not valid JSON") from None
    if not isinstance(arguments, dict):
        raise ToolError("the arguments must be a JSON object")
    return ROLES[call.name], arguments
