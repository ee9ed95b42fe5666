"""The scripted orchestrator's policy, as a pure function of the conversation."""

from __future__ import annotations

import json

import pytest

from harness.agents.fixed_policy import Assignment, parse_assignment
from harness.agents.prompts import CODER_TOOL as CODER
from harness.agents.prompts import TESTER_TOOL as TESTER
from harness.local.models.chat import Message, Tool, ToolCall
from harness.local.models.scripted_orchestrator import reply

OFFERED = (Tool(CODER, "", {}), Tool(TESTER, "", {}))
TASK = (
    "Please build this.\nImplementation file: add.py\nTest file: test_add.py\n"
    "Specification:\nAdd.\n\nTest output: none"
)
REPAIR = (
    "Implementation file: add.py\nTest file: test_add.py\n"
    "Test output:\nE  assert 1 == 2\n1 failed\nSpecification:\nAdd."
)


def user(text: str = TASK) -> Message:
    return Message("user", text)


def turn(name: str, number: int, *, succeeded: bool = True) -> list[Message]:
    """A tool call and its return, wrapped as Letta wraps it."""
    wrapped = {"status": "OK" if succeeded else "Failed", "message": "wrote it", "time": "now"}
    call = ToolCall(name, {}, f"call_{number}")
    return [Message("assistant", "", (call,)), Message("tool", json.dumps(wrapped), (), call.id)]


def test_the_coder_comes_first() -> None:
    """A task makes it call the coder with the specification and the implementation file."""
    call = reply([user()], OFFERED, "auto")
    assert call == ToolCall(CODER, {"spec": "Add.\n\nTest output: none", "file_name": "add.py"})


def test_the_tester_follows_the_coder() -> None:
    """Once the coder succeeded the tester is called with both file names."""
    call = reply([user(), *turn(CODER, 1)], OFFERED, "auto")
    assert isinstance(call, ToolCall)
    assert call.name == TESTER
    assert (call.arguments["code_file"], call.arguments["file_name"]) == ("add.py", "test_add.py")


def test_it_ends_with_a_text_after_both() -> None:
    """After coder and tester succeeded it ends its turn and names both files."""
    end = reply([user(), *turn(CODER, 1), *turn(TESTER, 2)], OFFERED, "auto")
    assert isinstance(end, str)
    assert "add.py" in end
    assert "test_add.py" in end


@pytest.mark.parametrize(("name", "before"), [(CODER, []), (TESTER, turn(CODER, 1))])
def test_a_failed_tool_is_called_once_more(name: str, before: list[Message]) -> None:
    """After one failure the same tool is called again, after two it gives up."""
    once = [user(), *before, *turn(name, 2, succeeded=False)]
    again = reply(once, OFFERED, "auto")
    assert isinstance(again, ToolCall)
    assert again.name == name
    assert isinstance(reply([*once, *turn(name, 3, succeeded=False)], OFFERED, "auto"), str)


def test_a_repair_starts_over_and_shows_the_coder_the_test_output() -> None:
    """Only messages since the last user message count, and the coder gets the output of the failed tests."""
    call = reply([user(), *turn(CODER, 1), *turn(TESTER, 2), user(REPAIR)], OFFERED, "auto")
    assert isinstance(call, ToolCall)
    assert call.name == CODER
    assert call.arguments["spec"] == "Add.\n\nThe last version failed its tests:\nE  assert 1 == 2\n1 failed"


def test_the_tester_is_not_shown_the_test_output() -> None:
    """Tests are written from the specification alone, also in a repair."""
    call = reply([user(REPAIR), *turn(CODER, 1)], OFFERED, "auto")
    assert isinstance(call, ToolCall)
    assert call.arguments["spec"] == "Add."


def test_letta_s_own_user_messages_are_no_tasks() -> None:
    """An alert that Letta inserts as a user message does not start the policy over."""
    alert = user(json.dumps({"type": "system_alert", "message": "hidden messages", "time": "now"}))
    call = reply([user(), *turn(CODER, 1), alert], OFFERED, "auto")
    assert isinstance(call, ToolCall)
    assert call.name == TESTER


def test_a_wrapped_user_message_is_read() -> None:
    """A task that Letta wrapped as JSON is understood like a plain one."""
    wrapped = user(json.dumps({"type": "user_message", "message": TASK, "time": "now"}))
    assert reply([wrapped], OFFERED, "auto") == reply([user()], OFFERED, "auto")


def test_a_tool_that_is_not_on_offer_ends_the_turn() -> None:
    """It never calls a tool that was not offered, and says which one it missed."""
    end = reply([user(), *turn(CODER, 1)], OFFERED[:1], "auto")
    assert isinstance(end, str)
    assert TESTER in end


def test_none_forbids_calls() -> None:
    """With tool_choice "none" it answers with a text."""
    assert isinstance(reply([user()], OFFERED, "none"), str)


def test_required_forbids_texts() -> None:
    """With tool_choice "required" a finished policy still calls a tool on offer."""
    assert isinstance(reply([user(), *turn(CODER, 1)], OFFERED[:1], "required"), ToolCall)


@pytest.mark.parametrize("messages", [[], [user("Hello.")], [user("Specification:\nAdd.")]])
def test_a_conversation_without_a_task_gets_a_text(messages: list[Message]) -> None:
    """Where there is no task it says so instead of calling a tool."""
    assert isinstance(reply(messages, OFFERED, "auto"), str)


def test_the_specification_reaches_to_the_end() -> None:
    """What follows the specification's line belongs to it, also lines that look like markers."""
    spec = "first\nTest file: other.py\nSpecification:\nx"
    text = f"Implementation file: a.py\nTest file: t.py\nSpecification:\n{spec}"
    assert parse_assignment(text) == Assignment("a.py", "t.py", spec)


def test_test_output_may_look_like_a_field() -> None:
    """A line of the test output that looks like a file line does not replace the real one."""
    text = "Implementation file: a.py\nTest file: t.py\nTest output:\nTest file: evil.py\nSpecification:\nx"
    assert parse_assignment(text) == Assignment("a.py", "t.py", "x", "Test file: evil.py")
