"""The scripted orchestrator: a deterministic policy without a language model, the no-LLM baseline.

For each task message: call the coder, then the tester, then end with a summary. A tool that fails is
called once more, then the policy gives up. It reads only the conversation, so the same conversation
always gets the same reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.local.models.chat import Message, Text, Tool, ToolCall, ToolChoice
from harness.local.models.letta_wrapping import tool_return, user_text

CODER = "run_claude_coder"
TESTER = "run_claude_tester"
CALLS_PER_TOOL = 2


@dataclass(frozen=True)
class Assignment:
    """What a task or repair message asks for. ``test_output`` is empty in a first attempt."""

    code_file: str
    test_file: str
    spec: str
    test_output: str = ""


def reply(messages: Sequence[Message], tools: Sequence[Tool], tool_choice: ToolChoice) -> ToolCall | Text:
    """Gives the policy's next move.

    With ``tool_choice`` "required" a text is not allowed, so a policy that has finished repeats its first
    tool on offer; when neither of its tools is on offer it answers with a text nevertheless.
    """
    start = _last_user_index(messages)
    if start is None:
        return Text("There is no task in this conversation.")
    assignment = parse_assignment(_user_text(messages[start]) or "")
    if assignment is None:
        return Text(
            "The last message holds no task: it lacks an implementation file, a test file or a specification."
        )
    offered = {tool.name for tool in tools} if tool_choice != "none" else set()
    move = _next_move(assignment, messages[start + 1 :], offered)
    if isinstance(move, Text) and tool_choice == "required":
        fallback = next((name for name in (CODER, TESTER) if name in offered), None)
        return _call(fallback, assignment) if fallback else move
    return move


def _next_move(assignment: Assignment, since: Sequence[Message], offered: set[str]) -> ToolCall | Text:
    for name in (CODER, TESTER):
        results = _results(since, name)
        if any(results):
            continue
        if len(results) >= CALLS_PER_TOOL:
            return Text(f"Gave up: {name} failed {len(results)} times.")
        if name not in offered:
            return Text(f"Stopped: {name} is not on offer.")
        return _call(name, assignment)
    return Text(f"Done: {assignment.code_file} is written and {assignment.test_file} tests it.")


def _call(name: str, assignment: Assignment) -> ToolCall:
    if name == CODER:
        spec = assignment.spec
        if assignment.test_output:
            spec = f"{spec}\n\nThe last version failed its tests:\n{assignment.test_output}"
        return ToolCall(CODER, {"spec": spec, "file_name": assignment.code_file})
    return ToolCall(
        TESTER,
        {"spec": assignment.spec, "code_file": assignment.code_file, "file_name": assignment.test_file},
    )


def _results(since: Sequence[Message], name: str) -> list[bool]:
    """Whether each answered call of a tool succeeded, in order."""
    returns = {message.tool_call_id: message.text for message in since if message.role == "tool"}
    calls = [call for message in since for call in message.tool_calls if call.name == name]
    return [tool_return(returns[call.id])[0] for call in calls if call.id in returns]


def parse_assignment(text: str) -> Assignment | None:
    """Reads the lines that the harness writes into a task or repair message; None if they are not there."""
    head, found, spec = _split_at_line(text, "Specification:")
    if not found:
        return None
    head, _, output = _split_at_line(head, "Test output:")
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    code_file, test_file = fields.get("Implementation file"), fields.get("Test file")
    if code_file is None or test_file is None:
        return None
    return Assignment(code_file.strip(), test_file.strip(), spec.strip(), output.strip())


def _split_at_line(text: str, marker: str) -> tuple[str, bool, str]:
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.strip() == marker), None)
    if at is None:
        return text, False, ""
    return "\n".join(lines[:at]), True, "\n".join(lines[at + 1 :])


def _last_user_index(messages: Sequence[Message]) -> int | None:
    indices = (i for i in range(len(messages) - 1, -1, -1) if _user_text(messages[i]) is not None)
    return next(indices, None)


def _user_text(message: Message) -> str | None:
    return user_text(message.text) if message.role == "user" else None
