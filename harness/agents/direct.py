"""The fixed policy: coder, tester, repair on failing tests. No language model; the baseline of orchestrators.

``Direct`` plays it in this process, for pairs whose orchestrator is ``direct``; ``local/models`` offers it to
Letta, as ``local/scripted``. A tool that fails is called once more, then the policy gives up. It reads only
the conversation, so the same conversation always gets the same reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.agents.messages import ToolCall, Turn
from harness.agents.prompts import CODER_TOOL, TESTER_TOOL
from harness.agents.transcript import Returned, Usage
from harness.errors import ApiError

CALLS_PER_TOOL = 2
HEADING = r"(?m)^[^\S\n]*{}:[^\S\n]*$"  # on a line of its own


@dataclass(frozen=True)
class Assignment:
    """The fields of a task or repair message.

    Attributes:
        test_file: Empty where nobody is to write tests: the coder is asked once then, as for pass@1.
        test_output: Empty in a first attempt.
    """

    code_file: str
    test_file: str
    spec: str
    test_output: str = ""


@dataclass(frozen=True)
class Step:
    """A tool to call, and its arguments."""

    tool: str
    arguments: dict[str, str]


def parse_assignment(text: str) -> Assignment | None:
    """Parse the lines that the harness writes into a task or repair message; None if one is missing."""
    head, *spec = re.split(HEADING.format("Specification"), text, maxsplit=1)
    head, *output = re.split(HEADING.format("Test output"), head, maxsplit=1)
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    code_file, test_file = fields.get("Implementation file"), fields.get("Test file", "")
    if not spec or code_file is None:
        return None
    return Assignment(code_file.strip(), test_file.strip(), spec[0].strip(), "".join(output).strip())


def next_step(
    assignment: Assignment, results: Sequence[tuple[str, bool]], offered: Sequence[str]
) -> Step | str:
    """Return the next tool call, or the text that ends the turn.

    Args:
        assignment: What is to be done.
        results: Tool and success of each call since the assignment.
        offered: The tools on offer now.
    """
    tools = (CODER_TOOL, TESTER_TOOL) if assignment.test_file else (CODER_TOOL,)
    for tool in tools:
        succeeded = [ok for name, ok in results if name == tool]
        if any(succeeded):
            continue
        if len(succeeded) >= (CALLS_PER_TOOL if assignment.test_file else 1):
            times = f"{len(succeeded)} time{'s' * (len(succeeded) > 1)}"
            return f"Gave up: {tool} failed {times}."
        if tool not in offered:
            return f"Stopped: {tool} is not on offer."
        return call(tool, assignment)
    tests = f" and {assignment.test_file} tests it" if assignment.test_file else ""
    return f"Done: {assignment.code_file} is written{tests}."


def call(tool: str, assignment: Assignment) -> Step:
    """Return the call of a tool for an assignment; the coder is told how its last version failed."""
    spec, code_file = assignment.spec, assignment.code_file
    if tool == TESTER_TOOL:
        return Step(tool, {"spec": spec, "code_file": code_file, "file_name": assignment.test_file})
    if assignment.test_output:
        spec = f"{spec}\n\nThe last version failed its tests:\n{assignment.test_output}"
    return Step(tool, {"spec": spec, "file_name": code_file})


@dataclass
class Direct:
    """An orchestrator that plays the policy; see ``loop.Agent``."""

    _assignment: Assignment | None = None
    _results: list[tuple[str, bool]] = field(default_factory=list)
    _calls: dict[str, str] = field(default_factory=dict)

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        """Take on a task or a repair."""
        self._assignment, self._results = parse_assignment(text), []
        return self._turn(tools)

    def answer(self, returns: Sequence[Returned], tools: Sequence[dict[str, Any]]) -> Turn:
        """Take note of what the tools returned."""
        self._results += [(self._calls[each.call_id], each.ok) for each in returns]
        return self._turn(tools)

    def work(self, text: str, max_steps: int) -> Turn:  # noqa: ARG002
        """Refuse: nobody but Letta runs server tools. A pair with ``direct`` has client tools."""
        raise ApiError("the orchestrator direct has client tools only")

    def _turn(self, tools: Sequence[dict[str, Any]]) -> Turn:
        if self._assignment is None:
            raise ApiError("the orchestrator direct cannot read its task: the harness's prompts have changed")
        step = next_step(self._assignment, self._results, [each["name"] for each in tools])
        if isinstance(step, str):
            return Turn(((False, step),), (), "end_turn", Usage(), 0)
        call_id = f"call_{len(self._calls) + 1}"
        self._calls[call_id] = step.tool
        return Turn((), (ToolCall(call_id, step.tool, json.dumps(step.arguments)),), "tool_rule", Usage(), 0)
