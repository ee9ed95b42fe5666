"""The scripted orchestrator: a deterministic policy without a language model, the no-LLM baseline.

For each task message: call the coder, then the tester, then end with a summary. A tool that fails is
called once more, then the policy gives up. It reads only the conversation, so the same conversation
always gets the same reply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.local.models.chat import Message, Tool, ToolCall, ToolChoice
from harness.local.models.letta_wrapping import tool_return, user_text

CODER = "run_claude_coder"
TESTER = "run_claude_tester"
CALLS_PER_TOOL = 2
HEADING = r"(?m)^[^\S\n]*{}:[^\S\n]*$"  # on a line of its own


@dataclass(frozen=True)
class Assignment:
    """The fields of a task or repair message. ``test_output`` is empty in a first attempt."""

    code_file: str
    test_file: str
    spec: str
    test_output: str = ""


def reply(messages: Sequence[Message], tools: Sequence[Tool], tool_choice: ToolChoice) -> ToolCall | str:
    """Return the policy's next step.

    With ``tool_choice`` "required" a text is not allowed, so a policy that has finished repeats its first
    tool on offer; when neither of its tools is on offer it answers with a text nevertheless.
    """
    users = [(at, user_text(message.text)) for at, message in enumerate(messages) if message.role == "user"]
    start, text = next((each for each in reversed(users) if each[1] is not None), (0, None))
    if text is None:
        return "There is no task in this conversation."
    assignment = parse_assignment(text)
    if assignment is None:
        return (
            "The last message holds no task: it lacks an implementation file, a test file or a specification."
        )
    names = {tool.name for tool in tools if tool_choice != "none"}
    offered = [name for name in (CODER, TESTER) if name in names]
    step = _next_step(assignment, messages[start + 1 :], offered)
    if isinstance(step, str) and tool_choice == "required" and offered:
        return _call(offered[0], assignment)
    return step


def _next_step(assignment: Assignment, since: Sequence[Message], offered: Sequence[str]) -> ToolCall | str:
    returns = {message.tool_call_id: message.text for message in since if message.role == "tool"}
    for name in (CODER, TESTER):
        calls = [call for message in since for call in message.tool_calls if call.name == name]
        succeeded = [tool_return(returns[call.id])[0] for call in calls if call.id in returns]
        if any(succeeded):
            continue
        if len(succeeded) >= CALLS_PER_TOOL:
            return f"Gave up: {name} failed {len(succeeded)} times."
        if name not in offered:
            return f"Stopped: {name} is not on offer."
        return _call(name, assignment)
    return f"Done: {assignment.code_file} is written and {assignment.test_file} tests it."


def _call(name: str, assignment: Assignment) -> ToolCall:
    spec, code_file = assignment.spec, assignment.code_file
    if name == TESTER:
        return ToolCall(TESTER, {"spec": spec, "code_file": code_file, "file_name": assignment.test_file})
    if assignment.test_output:
        spec = f"{spec}\n\nThe last version failed its tests:\n{assignment.test_output}"
    return ToolCall(CODER, {"spec": spec, "file_name": code_file})


def parse_assignment(text: str) -> Assignment | None:
    """Parse the lines that the harness writes into a task or repair message; None if one is missing."""
    head, *spec = re.split(HEADING.format("Specification"), text, maxsplit=1)
    head, *output = re.split(HEADING.format("Test output"), head, maxsplit=1)
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    code_file, test_file = fields.get("Implementation file"), fields.get("Test file")
    if not spec or code_file is None or test_file is None:
        return None
    return Assignment(code_file.strip(), test_file.strip(), spec[0].strip(), "".join(output).strip())
