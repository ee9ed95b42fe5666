"""The fixed policy: coder, tester, repair on failing tests. No language model; the baseline of orchestrators.

``Direct`` plays it in this process, for pairs whose orchestrator is ``direct``; ``local/models`` offers it to
Letta, as ``local/scripted``. A tool that fails is called once more, then the policy gives up. It reads only
the conversation, so the same conversation always gets the same reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.agents.messages import ToolCall, Turn
from harness.agents.prompts import CODER_TOOL, TESTER_TOOL, one_file, several_files
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
        further: Files to be written before the code file.
    """

    code_file: str
    test_file: str
    spec: str
    test_output: str = ""
    further: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A tool to call, and its arguments."""

    tool: str
    arguments: Mapping[str, Any]

    def is_for(self, other: Step) -> bool:
        """Return True if a call writes the file of another one; without a name, the one that is due."""
        mine, others = self.arguments.get("file_name"), other.arguments["file_name"]
        return self.tool == other.tool and mine in (None, others)


def parse_assignment(text: str) -> Assignment | None:
    """Parse the lines that the harness writes into a task or repair message; None if one is missing."""
    head, *spec = re.split(HEADING.format("Specification"), text, maxsplit=1)
    head, *output = re.split(HEADING.format("Test output"), head, maxsplit=1)
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    named = fields.get(one_file.strip(": ")) or fields.get(several_files.strip(": "))
    if not spec or named is None:
        return None
    *further, code_file = (each.strip() for each in named.split(", "))
    test_file, test_output = fields.get("Test file", "").strip(), "".join(output).strip()
    return Assignment(code_file, test_file, spec[0].strip(), test_output, tuple(further))


def next_step(
    assignment: Assignment, results: Sequence[tuple[Step, bool]], offered: Sequence[str]
) -> Step | str:
    """Return the next tool call, or the text that ends the turn.

    ``results`` are the calls since the assignment, each with whether it succeeded.
    """
    for step in steps(assignment):
        tool = step.tool
        succeeded = [ok for done, ok in results if done.is_for(step)]
        if any(succeeded):
            continue
        if len(succeeded) >= (CALLS_PER_TOOL if assignment.test_file else 1):
            times = f"{len(succeeded)} time{'s' * (len(succeeded) > 1)}"
            return f"Gave up: {tool} failed {times}."
        if tool not in offered:
            return f"Stopped: {tool} is not on offer."
        return step
    tests = f" and {assignment.test_file} tests it" if assignment.test_file else ""
    return f"Done: {assignment.code_file} is written{tests}."


def steps(assignment: Assignment) -> list[Step]:
    """Return the calls for an assignment, in order; the coder is told how its last version failed."""
    spec, code_file = assignment.spec, assignment.code_file
    told = spec
    if assignment.test_output:
        told = f"{spec}\n\nThe last version failed its tests:\n{assignment.test_output}"
    calls = [Step(CODER_TOOL, {"spec": told, "file_name": name}) for name in (*assignment.further, code_file)]
    if assignment.test_file:
        given = {"spec": spec, "code_file": code_file, "file_name": assignment.test_file}
        calls.append(Step(TESTER_TOOL, given))
    return calls


@dataclass
class Direct:
    """An orchestrator that plays the policy; see ``loop.Agent``."""

    id: str = ""

    _assignment: Assignment | None = None
    _results: list[tuple[Step, bool]] = field(default_factory=list)
    _calls: dict[str, Step] = field(default_factory=dict)

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

    def blocks(self) -> dict[str, str]:
        """Return nothing: it has no memory."""
        return {}

    def _turn(self, tools: Sequence[dict[str, Any]]) -> Turn:
        if self._assignment is None:
            raise ApiError("the orchestrator direct cannot read its task: the harness's prompts have changed")
        step = next_step(self._assignment, self._results, [each["name"] for each in tools])
        if isinstance(step, str):
            return Turn(((False, step),), (), "end_turn", Usage(), 0)
        call_id = f"call_{len(self._calls) + 1}"
        self._calls[call_id] = step
        return Turn(
            (), (ToolCall(call_id, step.tool, json.dumps(dict(step.arguments))),), "tool_rule", Usage(), 0
        )
