"""A Letta agent through the client, against a loopback server that answers as 0.16.8 does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import FakeLetta, Never, call, no_wait, say

from harness.agents.transcript import Returned, Usage
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.errors import ApiError
from harness.tasks.pair import Orchestrator

MODEL = Orchestrator(model="openai/gpt-5-mini")
TOOL = {"name": "run_claude_coder", "description": "d", "parameters": {"type": "object", "properties": {}}}


def server(letta: FakeLetta) -> Server:
    return Server(letta.url, "no-key", Transport(no_wait()))


def bodies(letta: FakeLetta, ending: str) -> list[Any]:
    return [body for method, path, body in letta.requests if method == "POST" and path.endswith(ending)]


def test_version(letta) -> None:
    """The server's version is read from its health check."""
    assert server(letta).version() == "0.16.8"


def test_a_server_that_takes_a_request_and_is_silent_is_not_called_unreachable(letta) -> None:
    """It is there: a model behind it is slow, or stands still."""
    never = Never()
    letta.faults = [("/health/", never)]
    silent = Server(letta.url, "no-key", Transport(no_wait(), attempts=1), timeout_s=0.3)
    try:
        with pytest.raises(ApiError, match="took a request and did not answer -> see the server's log"):
            silent.version()
    finally:
        never.over.set()


def test_the_agent_that_is_made(letta) -> None:
    """The agent has the model, our own system prompt and two memory blocks, a safe name and our label."""
    with server(letta).agent("gpt+haiku/add/1", MODEL, "Orchestrate.", {"role": "r", "workspace": "w"}):
        pass
    body = bodies(letta, "/agents/")[0]
    assert body["name"] == "gpt_haiku_add_1"
    assert (body["model"], body["system"], body["agent_type"]) == (
        MODEL.model,
        "Orchestrate.",
        "letta_v1_agent",
    )
    assert body["memory_blocks"] == [{"label": "role", "value": "r"}, {"label": "workspace", "value": "w"}]
    assert (body["include_base_tools"], body["tags"]) == (False, ["pair-harness"])


def test_settings_are_sent_only_if_given(letta) -> None:
    """Temperature and context window reach Letta in its own words."""
    tuned = Orchestrator(model="openai-proxy/x", temperature=0.0, context_window=8192)
    with server(letta).agent("a", tuned, "s", {}):
        pass
    body = bodies(letta, "/agents/")[0]
    assert body["model_settings"] == {"provider_type": "openai", "temperature": 0.0}
    assert body["context_window_limit"] == 8192


def test_a_conversation_with_client_tools(letta) -> None:
    """A tool call pauses the turn; its return, sent with the tools again, goes on."""
    with server(letta).agent("a", MODEL, "s", {}) as agent:
        first = agent.say("Build it.", [TOOL])
        second = agent.answer([Returned(1, first.calls[0].call_id, False, "Error: no")], [TOOL])
    assert (first.stop, first.calls[0].name) == ("requires_approval", "run_claude_coder")
    assert json.loads(first.calls[0].arguments)["file_name"] == "add.py"
    assert first.usage == Usage(input=60, cache_read=40, output=10)
    assert second.calls[0].name == "run_claude_tester"
    sent = bodies(letta, "/messages")[1]
    assert [tool["name"] for tool in sent["client_tools"]] == ["run_claude_coder"]
    assert sent["messages"][0]["approvals"] == [
        {
            "type": "tool",
            "tool_call_id": first.calls[0].call_id,
            "tool_return": "Error: no",
            "status": "error",
        }
    ]


def test_the_end_of_a_turn() -> None:
    """A spoken turn has a text and no calls."""
    with FakeLetta((say("All done."),)).running() as letta:
        with server(letta).agent("a", MODEL, "s", {}) as agent:
            turn = agent.say("Build it.", [])
    assert (turn.texts, turn.calls, turn.stop) == (((False, "All done."),), (), "end_turn")


def test_parallel_calls_all_arrive() -> None:
    """Several calls in one approval request are all given on."""

    class Parallel(FakeLetta):
        def _step(self, agent: str) -> Any:
            answer = super()._step(agent)
            message = answer["messages"][0]
            message["tool_calls"] = [message["tool_call"], {**message["tool_call"], "tool_call_id": "call_b"}]
            return answer

    with Parallel((call("run_claude_coder", spec="x"),)).running() as letta:
        with server(letta).agent("a", MODEL, "s", {}) as agent:
            assert [c.call_id for c in agent.say("Go.", [TOOL]).calls][1] == "call_b"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_deleted_whatever_happens(error, letta) -> None:
    """The agent goes when the block ends, however it ends; the error that ended it comes through."""
    with pytest.raises(error):
        with server(letta).agent("a", MODEL, "s", {}):
            assert len(letta.agents) == 1
            raise error
    assert letta.agents == {}


def test_the_first_error_is_the_one_reported(letta) -> None:
    """A deletion that fails as well does not hide why the trial failed."""
    letta.faults = [(".", (500, {"detail": "gone"}))]
    with pytest.raises(RuntimeError, match="first"):
        with server(letta).agent("a", MODEL, "s", {}):
            letta.faults = [("", (500, {"detail": "gone"}))] * 9
            raise RuntimeError("first")


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, {"detail": "Unauthorized"}, "LETTA_API_KEY"),
        (404, {"detail": "Handle openai/gpt-5-mini not found"}, "model"),
        (500, {"error": {"type": "llm_error", "message": "m", "detail": "upstream"}}, "model behind Letta"),
        (401, {"error": {"type": "llm_authentication", "message": "no"}}, "model behind Letta"),
        (422, {"detail": [{"msg": "bad"}]}, "log"),
    ],
)
def test_faults_carry_a_remedy(status, body, remedy, letta) -> None:
    """What Letta said is passed on with what to do."""
    letta.faults = [("/agents/", (status, body))] * 9
    with pytest.raises(ApiError) as caught:
        with server(letta).agent("a", MODEL, "s", {}):
            pass
    assert str(status) in str(caught.value)
    assert remedy in caught.value.remedy


def test_messages_are_not_sent_twice(letta) -> None:
    """A message whose answer was lost may have been heard: it is not repeated."""
    with pytest.raises(ApiError):
        with server(letta).agent("a", MODEL, "s", {}) as agent:
            letta.faults = [("/messages", (0, None))]
            agent.say("Build it.", [])
    assert len(bodies(letta, "/messages")) == 1


@pytest.mark.parametrize("label", ["text/plain", "Application/JSON", "application/json ; charset=utf-8", ""])
def test_json_under_another_label_is_read(label, letta) -> None:
    """Proxies write labels anew."""
    letta.label = {"content-type": label}
    with server(letta).agent("a", MODEL, "s", {}) as agent:
        assert agent.say("Build it.", [TOOL]).calls
    assert letta.agents == {}


@pytest.mark.parametrize("answer", [None, [None], 5, "<html>", {"items": 5}, {"items": {"a": 1}}])
@pytest.mark.parametrize("ask", ["models", "has_agent", "blocks", "create", "say"])
def test_an_odd_answer_is_named_as_that(ask, answer, letta) -> None:
    """Whatever it is, and whatever was asked: no traceback."""
    asked = server(letta)
    agent = asked.existing_agent("agent-1", 3)
    letta.faults = [("", (200, answer))] * 9
    questions = {
        "models": asked.models,
        "has_agent": lambda: asked.has_agent("agent-1"),
        "blocks": agent.blocks,
        "create": lambda: asked.create_agent("a", MODEL),
        "say": lambda: agent.say("Build it.", []),
    }
    if ask == "has_agent" and isinstance(answer, dict):
        assert questions[ask]() is False  # an object without an id is no agent
        return
    with pytest.raises(ApiError, match="no Letta server"):
        questions[ask]()


def test_a_list_without_end_is_read_to_a_bound(letta) -> None:
    """A server that ignores where a page begins says the same one again and again."""
    page = [{"id": f"block-{n}", "label": f"b{n}", "value": "v"} for n in range(50)]
    letta.faults = [("", (200, page))] * 40
    assert len(server(letta).existing_agent("agent-1", 3).blocks()) == 50
    assert len(letta.requests) <= 21
