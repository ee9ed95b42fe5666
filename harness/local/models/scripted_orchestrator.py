"""The scripted orchestrator: the fixed policy of ``agents/fixed_policy.py`` as a model that Letta can use."""

from __future__ import annotations

from collections.abc import Sequence

from harness.agents.fixed_policy import Step, next_step, parse_assignment, steps
from harness.agents.prompts import CODER_TOOL, TESTER_TOOL
from harness.local.models.chat import Message, Tool, ToolCall, ToolChoice
from harness.local.models.letta_wrapping import tool_return, user_text

TOOLS = (CODER_TOOL, TESTER_TOOL)


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
        return "The last message holds no task: it lacks an implementation file or a specification."
    names = {tool.name for tool in tools if tool_choice != "none"}
    offered = [name for name in TOOLS if name in names]
    step = next_step(assignment, _results(messages[start + 1 :]), offered)
    if isinstance(step, str) and tool_choice == "required" and offered:
        step = next(each for each in steps(assignment) if each.tool == offered[0])
    return ToolCall(step.tool, step.arguments) if isinstance(step, Step) else step


def _results(since: Sequence[Message]) -> list[tuple[Step, bool]]:
    """Return each call that has returned, and whether it succeeded."""
    returns = {message.tool_call_id: message.text for message in since if message.role == "tool"}
    calls = [each for message in since for each in message.tool_calls if each.id in returns]
    return [(Step(each.name, each.arguments), tool_return(returns[each.id])[0]) for each in calls]
