"""The harness's own Letta client, through the translator, on an App Server that speaks its frames."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.agents.messages import Turn
from harness.agents.transcript import Returned, Usage
from harness.backends.letta import cleanup
from harness.errors import ApiError
from harness.local.app_server import connection, conversation, gateway, translator
from harness.tasks.pair import Orchestrator

from .conftest import CODER, TESTER, Stage, calls, wait_for

SPEC = '{"spec": "add"}'
DONE = {"content": "Both are written."}


def agent(stage: Stage, **settings: Any) -> Any:
    """An agent of the harness, for a with statement."""
    orchestrator = Orchestrator(model="local/m", server="app-server", **settings)
    return stage.letta.agent("p/add/1", orchestrator, "You orchestrate.", {"role": "r"})


def give(letta: Any, turn: Turn, *tools: Any, ok: bool = True, text: str = "Wrote add.py") -> Turn:
    """Answer the one call of a turn."""
    (call,) = turn.calls
    return letta.answer([Returned(1, call.call_id, ok, text)], tools)


def test_a_conversation_with_client_tools(stage: Stage) -> None:
    """Calls pause the turn and their returns continue it; texts, usage and steps are V1's; the agent goes."""
    stage.plays(calls(("run_claude_coder", SPEC)), calls(("run_claude_tester", SPEC)), DONE)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER, TESTER])
        assert [(call.call_id, call.name, call.arguments) for call in turn.calls] == [
            ("call_1", "run_claude_coder", SPEC)
        ]
        assert (turn.stop, turn.steps) == ("requires_approval", 1)
        # 100 of which 40 came from a cache: V1 counts these as prompt tokens, the App Server does not.
        assert turn.usage == Usage(input=60, cache_read=40, output=5)
        turn = give(letta, turn, CODER, TESTER)
        turn = give(letta, turn, CODER, TESTER, ok=False, text="Error: no")
        assert (turn.texts, turn.stop, turn.calls) == (((False, "Both are written."),), "end_turn", ())
        assert len(stage.app.agents) == 1
    assert stage.app.agents == {}
    assert stage.translator._slots.qsize() == translator.MAX_AGENTS
    returned = [each["content"] for each in stage.model.asked[-1]["messages"] if each["role"] == "tool"]
    assert returned == ["Wrote add.py", "Error: no"]


def test_an_id_that_a_model_uses_twice_is_told_apart(stage: Stage) -> None:
    """The model calls every tool with the id `same`; the App Server would loop for ever on that."""
    stage.plays(calls(("run_claude_coder", SPEC)), calls(("run_claude_coder", SPEC)), DONE)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER])
        turn = give(letta, turn, CODER)
        assert turn.calls[0].call_id == "call_2"
        give(letta, turn, CODER)


def test_the_calls_of_one_answer_come_one_after_another(stage: Stage) -> None:
    """Parallel calls are switched off, and where a model makes them all the same, none is lost."""
    stage.plays(calls(("run_claude_coder", SPEC), ("run_claude_tester", SPEC)), DONE)
    with agent(stage) as letta:
        first = letta.say("Task", [CODER, TESTER])
        second = give(letta, first, CODER, TESTER)
        last = give(letta, second, CODER, TESTER)
    assert [turn.calls[0].name for turn in (first, second)] == ["run_claude_coder", "run_claude_tester"]
    assert [turn.steps for turn in (first, second, last)] == [1, 0, 1]
    assert stage.model.asked[0]["parallel_tool_calls"] is False


def test_the_temperature_of_a_pair_reaches_the_model(stage: Stage) -> None:
    """The App Server drops it; a pair without one leaves it to the provider."""
    for temperature, sent in ((0.3, {"temperature": 0.3}), (None, {})):
        stage.plays(DONE)
        with agent(stage, temperature=temperature) as letta:
            letta.say("Task", [])
        body = stage.model.asked[-1]
        assert {key: body[key] for key in ("temperature",) if key in body} == sent
        assert (body["model"], "tools" in body, "stream" in body) == ("m", False, False)


def test_a_tool_that_is_offered_in_mid_turn(stage: Stage) -> None:
    """Guided flow: the model sees only that one, can call it, and never reads the name of the carrier."""
    stage.plays(calls(("run_claude_coder", SPEC)), calls(("run_claude_tester", SPEC)), DONE)
    with agent(stage) as letta:
        turn = give(letta, letta.say("Task", [CODER]), TESTER)
        assert (turn.calls[0].name, turn.calls[0].arguments) == ("run_claude_tester", SPEC)
        assert give(letta, turn).stop == "end_turn"
    offered = [[tool["function"]["name"] for tool in body.get("tools", ())] for body in stage.model.asked]
    assert offered == [["run_claude_coder"], ["run_claude_tester"], []]
    assert gateway.CARRIER not in str(stage.model.asked)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("run_claude_coder", "{}", "missing required parameter: spec"),
        ("run_claude_coder", "{not json", "invalid JSON"),
        ("no_such_tool", "{}", "Error: Tool no_such_tool not found"),
    ],
)
def test_calls_that_the_server_refuses_are_reported(
    stage: Stage, name: str, arguments: str, told: str
) -> None:
    """They never reach the harness as calls: they come as what was called, and the error that it got."""
    stage.plays(calls((name, arguments)), DONE)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER])
    (refused,) = turn.ran
    assert (refused.call.name, refused.call.arguments) == (name, arguments)
    assert (refused.ok, refused.text, turn.steps, turn.stop) == (False, told, 2, "end_turn")


def test_a_turn_without_an_end_is_bounded(stage: Stage) -> None:
    """A model that only makes calls which the server refuses is stopped after so many model calls."""
    stage.plays(*[calls(("no_such_tool", "{}"))] * 60)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER])
    assert (turn.stop, turn.steps, len(stage.model.asked)) == ("max_steps", 50, 50)


def test_a_model_that_fails_loses_the_trial_at_once(stage: Stage) -> None:
    """One line with the provider's own words; the turn is not sent again, as it cannot be taken back."""
    stage.model.faults = [("/chat/completions", (429, {"error": {"message": "no credit left"}}))]
    with agent(stage) as letta, pytest.raises(ApiError, match="429 no credit left") as caught:
        letta.say("Task", [CODER])
    assert "the model behind Letta failed" in caught.value.remedy
    assert (stage.transport.retries["orchestrator"], len(stage.model.asked)) == (0, 1)


def test_an_answer_that_is_none_is_the_models_failure(stage: Stage) -> None:
    """A provider that answers with nonsense is named."""
    stage.model.faults = [("/chat/completions", (200, {"choices": []}))]
    with agent(stage) as letta, pytest.raises(ApiError, match="no chat completion"):
        letta.say("Task", [CODER])


def test_an_unknown_model(stage: Stage) -> None:
    """It is refused before an agent is made; the App Server would do so in the first turn only."""
    with pytest.raises(ApiError, match="there is no model 'local/nosuch'") as caught:
        with stage.letta.agent("x", Orchestrator(model="local/nosuch"), "s", {}):
            pass
    assert "correct the orchestrator's model" in caught.value.remedy
    assert stage.letta.models() == ["local/deep/m", "local/m"]


def test_a_provider_that_cannot_be_reached(stage: Stage) -> None:
    """It is named, with its address, in one line."""
    stage.model.faults = [("/models", (0, None))]
    with pytest.raises(ApiError, match="the provider local at http://127.0.0.1:[0-9]+ cannot be reached"):
        stage.letta.models()


@pytest.mark.parametrize("at", ["runtime_start", "input", "external_tool_call_response"])
def test_the_server_is_gone(stage: Stage, at: str) -> None:
    """Before, at the beginning of or in the middle of a turn: one line, and no request is repeated."""
    stage.plays(calls(("run_claude_coder", SPEC)), DONE)
    stage.app.dies_at = at
    with pytest.raises(ApiError, match="the App Server is gone"):
        with agent(stage) as letta:
            give(letta, letta.say("Task", [CODER]), CODER)
    assert stage.transport.retries["orchestrator"] == 0


def test_a_dead_server_is_not_healthy(stage: Stage) -> None:
    """`harness status` and the check before a run see it."""
    assert stage.letta.version().startswith("App Server 0.34.12 through")
    stage.alive = False
    with pytest.raises(ApiError, match="503 the App Server is gone"):
        stage.letta.version()


@pytest.mark.parametrize("deaf", ["runtime_start", "input", "agent_delete"])
def test_a_frame_that_never_gets_an_answer(stage: Stage, deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait has a limit; the message names the command."""
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    stage.plays(DONE)
    stage.app.deaf = {deaf}
    with pytest.raises(ApiError, match=f"did not answer {deaf} within the time allowed"):
        with agent(stage) as letta:
            letta.say("Task", [])


def test_a_turn_that_does_not_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """So has the wait for the end of a turn."""
    monkeypatch.setattr(conversation, "TURN_S", 0.2)
    stage.plays(calls(("run_claude_coder", SPEC)), DONE)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER])
        stage.app.dies_at = ""
        stage.app.deaf = {"external_tool_call_response"}
        with pytest.raises(ApiError, match="did not end its turn within the time allowed"):
            give(letta, turn, CODER)


def test_a_tool_that_takes_longer_than_the_server_waits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The App Server gets a placeholder in time; the model gets the true return, then and ever after."""
    monkeypatch.setattr(conversation, "TOOL_S", 0.05)
    stage.plays(calls(("run_claude_coder", SPEC)), calls(("run_claude_tester", SPEC)), DONE)
    with agent(stage) as letta:
        turn = letta.say("Task", [CODER, TESTER])
        wait_for(lambda: bool(stage.app.frames[-1]["type"] == "external_tool_call_response"))
        turn = give(letta, turn, CODER, TESTER, text="Wrote it, late")
        assert (turn.calls[0].name, turn.steps, turn.usage.output) == ("run_claude_tester", 1, 5)
        wait_for(lambda: len(stage.translator._calls["agent-1"].late) == 2)
        give(letta, turn, CODER, TESTER, text="So is this")
    returned = [each["content"] for each in stage.model.asked[-1]["messages"] if each["role"] == "tool"]
    assert returned == ["Wrote it, late", "So is this"]


def test_an_agent_is_deleted_in_the_middle_of_a_turn(stage: Stage) -> None:
    """As after Ctrl-C: whoever waits for its turn gets an error, and its slot is free again."""
    stage.plays(calls(("run_claude_coder", SPEC)), DONE)
    with agent(stage) as letta:
        letta.say("Task", [CODER])
    assert stage.app.agents == {}
    with pytest.raises(ApiError, match="there is no agent"):
        letta.say("Task", [CODER])


def test_two_agents_do_not_meet(stage: Stage) -> None:
    """Each has its own tools, temperature and count, also at the same time."""
    stage.model.script = iter([DONE] * 2)
    with agent(stage, temperature=0.1) as one, agent(stage, temperature=0.9) as other:
        done: list[Turn] = []
        threads = [
            threading.Thread(target=lambda a=a, tools=tools: done.append(a.say("Task", tools)))
            for a, tools in ((one, [CODER]), (other, [TESTER]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [turn.steps for turn in done] == [1, 1]
    seen = {body["temperature"]: body["tools"][0]["function"]["name"] for body in stage.model.asked}
    assert seen == {0.1: "run_claude_coder", 0.9: "run_claude_tester"}


def test_what_was_left_behind_is_found_and_removed(stage: Stage, tmp_path: Any) -> None:
    """Agents of a trial that was killed, also before this translator was started; nobody else's."""
    stage.app.agents = {
        f"agent-local-00000000-0000-4000-8000-00000000000{n}": {
            "id": f"agent-local-00000000-0000-4000-8000-00000000000{n}",
            "name": f"p/add/{n}",
            "tags": tags,
        }
        for n, tags in ((1, ["pair-harness"]), (2, ["somebody's"]))
    }
    memory = tmp_path / ".letta/lc-local-backend/memfs/agent-local-00000000-0000-4000-8000-000000000001"
    memory.mkdir(parents=True)
    found = cleanup.find(stage.letta, datetime.now(UTC), timedelta(minutes=60))
    assert [each.in_use for each in found] == [True]  # made a moment ago, by whomever
    os.utime(memory, (0, 0))
    found = cleanup.find(stage.letta, datetime.now(UTC), timedelta(minutes=60))
    assert [(each.kind, each.name, each.in_use) for each in found] == [("agent", "p/add/1", False)]
    cleanup.remove(stage.letta, found, lambda each: None)
    assert [each["name"] for each in stage.app.agents.values()] == ["p/add/2"]
    assert not memory.exists()


def test_an_agent_in_use_is_left_alone(stage: Stage) -> None:
    """The App Server tells no times; those of the translator keep `letta clean` from a trial that runs."""
    stage.plays(DONE)
    with agent(stage) as letta:
        letta.say("Task", [])
        (found,) = cleanup.find(stage.letta, datetime.now(UTC), timedelta(minutes=60))
        assert found.in_use
        (idle,) = cleanup.find(stage.letta, datetime.now(UTC) + timedelta(hours=2), timedelta(minutes=60))
        assert not idle.in_use


def test_files_that_come_back_are_removed_with_the_next_agent(stage: Stage, tmp_path: Any) -> None:
    """A git process of the App Server may still write when its agent is deleted."""
    with agent(stage):
        pass
    (deleted,) = stage.translator._deleted
    late = tmp_path / ".letta/lc-local-backend/memfs" / deleted / "memory"
    late.mkdir(parents=True)
    with agent(stage):
        pass
    assert not late.exists()


def test_requests_that_the_translator_does_not_know(stage: Stage) -> None:
    """Server tools are refused with what to do; an unknown route says that it is one."""
    with pytest.raises(ApiError, match="use tools: client"):
        with stage.letta.agent("x", Orchestrator(model="local/m"), "s", {}, {"KEY": "v"}):
            pass
    with pytest.raises(ApiError, match="no route GET /v1/agents/nosuch"):
        stage.letta.ask(lambda client: client.agents.retrieve("nosuch"))
