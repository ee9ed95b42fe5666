"""The trial's loop, with an agent that plays a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.agents.loop import Check, Loop
from harness.agents.messages import ExecutedCall, ToolCall, Turn
from harness.agents.transcript import Fault, Returned, Said, Spent, Transcript, Usage
from harness.errors import ApiError
from harness.tasks.task import Limits
from harness.tasks.trial import Trial

PASS = Check(True, "", "")
FAIL = Check(False, "the tests fail.", "assert 1 == 2")


def turn(*calls: str, stop: str = "") -> Turn:
    asked = tuple(ToolCall(f"call_{n}", name, "{}") for n, name in enumerate(calls))
    return Turn((), asked, stop or ("requires_approval" if asked else "end_turn"), Usage(1), 1)


class ScriptedAgent:
    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.heard: list[Any] = []
        self.offered: list[list[str]] = []

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        return self._next(text, tools)

    def work(self, text: str, max_steps: int) -> Turn:
        raise AssertionError(f"no server tools here: {text} {max_steps}")

    def answer(self, returns: Sequence[Returned], tools: Sequence[dict[str, Any]]) -> Turn:
        return self._next(list(returns), tools)

    def _next(self, heard: Any, tools: Sequence[dict[str, Any]]) -> Turn:
        self.heard.append(heard)
        self.offered.append([tool["name"] for tool in tools])
        return self.turns.pop(0)


class ToolsThat:
    """Tools that succeed, but for calls in ``failing`` (counted from 0)."""

    definitions = {name: {"name": name} for name in ("run_claude_coder", "run_claude_tester")}  # noqa: RUF012

    def __init__(self, failing: tuple[int, ...] = ()) -> None:
        self.failing = failing
        self.calls: list[str] = []

    def call(self, call: ToolCall, attempt: int) -> Returned:
        self.calls.append(call.name)
        return Returned(attempt, call.call_id, len(self.calls) - 1 not in self.failing, "said")


def run(trial: Trial, agent: ScriptedAgent, checks: list[Check], tools: ToolsThat | None = None) -> Any:
    events: list[Any] = []
    tools = tools or ToolsThat()
    stop = Loop(trial, agent, tools, lambda: checks.pop(0), events.append).run()
    return stop, events, tools


def with_limits(trial: Trial, **limits: Any) -> Trial:
    task = trial.task.model_copy(update={"limits": Limits(**limits)})
    return trial.model_copy(update={"task": task})


def test_ends_when_the_tests_pass(trial) -> None:
    """One attempt is enough when the check passes."""
    agent = ScriptedAgent(turn("run_claude_coder"), turn())
    stop, _, tools = run(trial, agent, [PASS])
    assert (stop, tools.calls, agent.turns) == ("done", ["run_claude_coder"], [])


def test_the_repair_message_carries_the_test_output(trial) -> None:
    """A failed check starts another attempt, told what failed and asked the same again."""
    agent = ScriptedAgent(turn(), turn())
    run(trial, agent, [FAIL, FAIL])
    assert "assert 1 == 2" in agent.heard[1]
    assert "the tests fail." in agent.heard[1]
    assert trial.task.spec in agent.heard[1]


@pytest.mark.parametrize(("repairs", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_repairs_are_bounded(repairs, attempts, trial) -> None:
    """After ``max_repairs`` repairs the trial ends, whatever the tests say."""
    agent = ScriptedAgent(*[turn()] * attempts)
    stop, _, _ = run(with_limits(trial, max_repairs=repairs), agent, [FAIL] * attempts)
    assert (stop, agent.turns) == ("done", [])


def test_tool_calls_are_bounded_over_all_attempts(trial) -> None:
    """The limit on tool calls counts the whole trial, and the call past it is not carried out."""
    coder = turn("run_claude_coder")
    agent = ScriptedAgent(coder, turn(), coder, coder, coder)
    stop, _, tools = run(with_limits(trial, max_tool_calls=2), agent, [FAIL, FAIL])
    assert (stop, len(tools.calls)) == ("tool_call_limit", 2)


def test_calls_that_the_server_refuses_are_tool_errors(trial) -> None:
    """They stand in the transcript, use up tool calls, and none of them is executed here."""
    refused = tuple(ExecutedCall(ToolCall(f"r{n}", "no_such_tool", "{}"), False, "no", 0) for n in range(2))
    agent = ScriptedAgent(replace(turn("run_claude_coder"), ran=refused), turn("run_claude_tester"))
    stop, events, tools = run(with_limits(trial, max_tool_calls=3), agent, [FAIL])
    assert (stop, tools.calls) == ("tool_call_limit", ["run_claude_coder"])
    transcript = Transcript(tuple(events))
    assert (transcript.tool_calls, transcript.tool_errors, transcript.wasted_calls) == (2, 2, 2)


def test_several_calls_in_one_turn_are_answered_together(trial) -> None:
    """Parallel tool calls all get their return in one answer."""
    agent = ScriptedAgent(turn("run_claude_coder", "run_claude_tester"), turn())
    run(trial, agent, [PASS])
    assert [each.call_id for each in agent.heard[1]] == ["call_0", "call_1"]


def test_free_flow_offers_both_tools(trial) -> None:
    """In the free flow both tools are always on offer."""
    agent = ScriptedAgent(turn("run_claude_coder"), turn())
    run(trial, agent, [PASS])
    assert agent.offered == [["run_claude_coder", "run_claude_tester"]] * 2


def test_guided_flow_offers_the_next_tool(trial) -> None:
    """Guided: the coder until it has written, then the tester, then nothing; anew in a repair."""
    guided = trial.model_copy(update={"pair": trial.pair.model_copy(update={"flow": "guided"})})
    coder, tester = turn("run_claude_coder"), turn("run_claude_tester")
    agent = ScriptedAgent(coder, coder, tester, turn(), turn())
    run(guided, agent, [FAIL, PASS], ToolsThat(failing=(0,)))
    assert agent.offered == [
        ["run_claude_coder"],
        ["run_claude_coder"],
        ["run_claude_tester"],
        [],
        ["run_claude_coder"],
    ]


@pytest.mark.parametrize(
    ("stop", "outcome"),
    [("max_steps", "step_limit"), ("max_tokens_exceeded", "token_limit"), ("no_tool_call", "done")],
)
def test_stop_reasons_of_the_model(stop, outcome, trial) -> None:
    """Letta's limits end the trial; a model that answered badly just ends its turn."""
    assert run(trial, ScriptedAgent(turn(stop=stop), turn()), [FAIL, PASS])[0] == outcome


@pytest.mark.parametrize("stop", ["error", "llm_api_error", "insufficient_credits", "cancelled", "brand_new"])
def test_stop_reasons_that_are_no_models_doing(stop, trial) -> None:
    """Any other stop reason is a fault: it must never pass for a model that failed."""
    events: list[Any] = []
    loop = Loop(trial, ScriptedAgent(turn(stop=stop)), ToolsThat(), lambda: FAIL, events.append)
    with pytest.raises(ApiError, match=stop):
        loop.run()
    assert any(isinstance(event, Fault) for event in events)


def test_every_turn_is_accounted_for(trial) -> None:
    """Usage of each turn and each text is noted, with the attempt it belongs to."""
    spoken = Turn(((True, "hm"), (False, "done")), (), "end_turn", Usage(5, 0, 2, 1), 2)
    _, events, _ = run(trial, ScriptedAgent(turn("run_claude_coder"), spoken), [PASS])
    assert [e.usage for e in events if isinstance(e, Spent)] == [Usage(1), Usage(5, 0, 2, 1)]
    assert [(e.text, e.thinking) for e in events if isinstance(e, Said)][1:] == [
        ("hm", True),
        ("done", False),
    ]
