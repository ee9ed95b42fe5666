"""tools: server, recorded on a Letta that runs the registered tools in bare child processes, and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import CODE, CODER_THEN_TESTER, FakeLetta, FakeLettaThatRunsTools, call, claude_error, say

from harness.agents.tool_call import ToolResult, execute
from harness.backends.claude.messages_api import MessagesApi
from harness.backends.letta import server_tools
from harness.errors import ApiError, SpecError, StaleCassette
from harness.runner import Setup, run_trial
from harness.tasks.task import Bug, Limits
from harness.tasks.trial import Trial

CODER = call("run_claude_coder", spec="add two numbers", file_name="add.py")


@pytest.fixture
def letta() -> Iterator[FakeLettaThatRunsTools]:
    """A Letta that calls the coder, then the tester, and carries the calls out."""
    with FakeLettaThatRunsTools().running() as fake:
        yield fake


@pytest.fixture
def served(trial: Trial) -> Trial:
    """The trial, with tools that Letta runs."""
    pair = trial.pair.model_copy(update={"tools": "server", "name": "gpt+haiku-in-letta"})
    return trial.model_copy(update={"pair": pair})


def on(letta: FakeLettaThatRunsTools, recording: Setup) -> Setup:
    return replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})


def kept(setup: Setup, trial: Trial) -> str:
    return (setup.root / trial.cassette_path).read_text(encoding="utf-8")


def test_a_replay_reproduces_what_letta_s_sandbox_did(served, recording, replaying, letta, claude) -> None:
    """The replay carries the calls out again: same record, transcript and files, and no server is asked."""
    live = run_trial(served, recording)
    asked = len(letta.requests) + len(claude.requests)
    replay = run_trial(served, replaying)
    assert (live.error, replay.error) == (None, None)
    assert len(letta.children) == 2
    assert live.record.outcome == "solved"
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    assert replay.transcript == live.transcript
    assert replay.files == live.files == {"add.py": CODE, "test_add.py": claude.tests}
    assert len(letta.requests) + len(claude.requests) == asked


def test_both_modes_give_the_same(trial, served, recording, claude, tmp_path) -> None:
    """Client and server tools ask Claude the same, and leave the same files, verdicts and tokens."""
    in_letta = run_trial(served, recording)
    asked = [body for _, _, body in claude.requests]
    claude.requests.clear()
    with FakeLetta().running() as plain:
        here = run_trial(trial, on(plain, recording))
    assert [body for _, _, body in claude.requests] == asked
    assert here.files == in_letta.files
    mine, theirs = here.record.row(), in_letta.record.row()
    assert {name for name in mine if mine[name] != theirs[name]} <= {
        "trial",
        "pair",
        "tools",
        "conversation",
        "requests",  # the orchestrator's come as one answer for each turn, or for each call
        "recorded_wall_s",
    }


def test_the_child_holds_only_a_key_for_the_gateway(served, recording, letta, claude) -> None:
    """Claude gets the real key; Letta and its child hold another, worth nothing elsewhere."""
    run_trial(served, recording)
    told = json.dumps([letta.requests, letta.children])
    assert "a-key-for-tests" not in told
    assert {child["ANTHROPIC_API_KEY"] for child in letta.children} == {
        letta.children[0]["ANTHROPIC_API_KEY"]
    }
    assert "a-key-for-tests" in str(claude.headers[0])
    text = kept(recording, served)
    for secret in ("a-key-for-tests", *letta.children[0].values()):
        assert secret not in text


def test_the_tools_are_registered_once(served, recording, letta) -> None:
    """Each trial brings them up to date under the same ids; the agent gets them by name."""
    run_trial(served, recording)
    first = {name: tool["id"] for name, tool in letta.tools.items()}
    run_trial(served, recording)
    assert {name: tool["id"] for name, tool in letta.tools.items()} == first
    assert sorted(first) == ["run_claude_coder", "run_claude_tester"]
    made = [body for method, path, body in letta.requests if (method, path) == ("POST", "/v1/agents/")]
    assert made[0]["tools"] == ["run_claude_coder", "run_claude_tester"]
    assert letta.agents == {}


def test_given_files_lie_in_the_folder(served, recording, replaying) -> None:
    """What the task gives is there for Letta's tools, in folders too, and in the prompts."""
    files = {"data/notes.txt": "mind the sign\n", "helper.py": "ZERO = 0\n"}
    trial = served.model_copy(update={"task": served.task.model_copy(update={"files": files})})
    live = run_trial(trial, recording)
    assert live.error is None
    assert live.files == {**files, "add.py": CODE, "test_add.py": live.files["test_add.py"]}
    assert run_trial(trial, replaying).files == live.files


@pytest.mark.parametrize(
    "step",
    [
        call("run_claude_coder", spec="add", file_name="../../add.py"),
        call("run_claude_coder", file_name="add.py"),
        call("run_claude_coder", spec=["not", "a", "text"], file_name="add.py"),
        call("run_claude_tester", spec="add", code_file="other.py", file_name="test_add.py"),
        call("run_claude_coder", spec="add", file_name="add.py", mood="good"),
        call("rm_rf", spec="add"),
    ],
    ids=["outside", "no spec", "no text", "no code", "unknown argument", "unknown tool"],
)
def test_a_bad_call_is_the_model_s_doing(step, served, recording, replaying) -> None:
    """The orchestrator hears of it and may go on; the trial is measured, and replays."""
    with FakeLettaThatRunsTools((step, *CODER_THEN_TESTER)).running() as letta:
        live = run_trial(served, on(letta, recording))
    replay = run_trial(served, replaying)
    assert (live.error, live.record.outcome, live.record.tool_errors) == (None, "solved", 1)
    assert replay.transcript == live.transcript


def test_a_refused_prompt_and_an_answer_without_code(served, recording, replaying, claude) -> None:
    """What Claude refuses, or answers without a file, fails in Letta as it does again in the harness."""
    claude.faults = [("/messages", claude_error(400, "invalid_request_error", "prompt is too long\nby far"))]
    steps = (CODER, *CODER_THEN_TESTER)
    with FakeLettaThatRunsTools(steps).running() as letta:
        live = run_trial(served, on(letta, recording))
    assert (live.error, live.record.tool_errors) == (None, 1)
    assert run_trial(served, replaying).transcript == live.transcript


def test_text_that_reads_as_json_arrives_as_it_is(served, recording, claude) -> None:
    """A specification such as ``[1, 2]`` is passed on unread."""
    steps = (call("run_claude_coder", spec='["a", 1]', file_name="add.py"), *CODER_THEN_TESTER[1:])
    with FakeLettaThatRunsTools(steps).running() as letta:
        assert run_trial(served, on(letta, recording)).error is None
    assert claude.requests[0][2]["messages"][0]["content"].startswith('["a", 1]\n')


def test_a_claude_that_stays_down_is_an_error(served, recording, claude, letta) -> None:
    """No measurement, no cassette, no agent left, and the cause is named."""
    claude.faults = [("/messages", claude_error(401, "authentication_error", "invalid x-api-key"))] * 20
    result = run_trial(served, recording)
    assert (result.record.kind, result.record.outcome) == ("infra", "api_error")
    assert "invalid x-api-key" in str(result.error)
    assert letta.agents == {}
    assert not (recording.root / served.cassette_path).exists()


def test_passing_faults_are_repeated_at_the_gateway(served, recording, claude) -> None:
    """The child never hears of them; they are counted for the role."""
    claude.faults = [
        ("/messages", (*claude_error(529, "overloaded_error", "Overloaded"), {"retry-after": "0"}))
    ]
    result = run_trial(served, recording)
    assert (result.record.outcome, result.record.transport_retries) == ("solved", 1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_tool_calls_are_limited(steps, served, recording, replaying) -> None:
    """Letta is given as many steps as there are tool calls left, over all attempts."""
    task = served.task.model_copy(update={"limits": Limits(max_tool_calls=steps)})
    trial = served.model_copy(update={"task": task})
    with FakeLettaThatRunsTools((CODER,) * 9).running() as letta:
        live = run_trial(trial, on(letta, recording))
    assert len(letta.children) == live.record.tool_calls == steps
    assert live.transcript.stop == "tool_call_limit"
    assert run_trial(trial, replaying).transcript == live.transcript


def test_no_attempt_without_tool_calls_left(served, recording, claude) -> None:
    """A repair that could call nothing is not begun in Letta."""
    claude.tests = "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 4\n"
    task = served.task.model_copy(update={"limits": Limits(max_tool_calls=2, max_repairs=3)})
    with FakeLettaThatRunsTools((*CODER_THEN_TESTER, say("done"))).running() as letta:
        run_trial(served.model_copy(update={"task": task}), on(letta, recording))
    assert len([path for _, path, _ in letta.requests if path.endswith("/messages")]) == 1


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ((True, "Wrote something else."), "when it was carried out again"),
        (
            (False, "Error executing function run_claude_coder: ToolError: no"),
            "when it was carried out again",
        ),
        ((False, "Error executing function run_claude_coder: TimeoutError: 180 s"), "Letta could not run"),
    ],
)
def test_a_letta_that_tells_otherwise_is_an_error(told, what, served, recording, letta) -> None:
    """Letta's words have to be the call's; a tool that Letta cannot run is no model's fault."""
    letta.returned = lambda name, was: told if name == "run_claude_coder" else was
    result = run_trial(served, recording)
    assert result.record.outcome == "api_error"
    assert what in str(result.error)


def test_files_that_no_call_accounts_for_are_an_error(served, recording, letta) -> None:
    """A folder that holds something else than the calls wrote is no measurement."""

    def meddle(_, was):
        if len(letta.children) == 2:  # behind the back of the last call
            Path(letta.children[0]["HARNESS_WORKSPACE"], "add.py").write_text("def add(a, b): return 3\n")
        return was

    letta.returned = meddle
    result = run_trial(served, recording)
    assert isinstance(result.error, ApiError)
    assert "left another 'add.py'" in str(result.error)


def test_a_link_in_the_folder_is_refused(served, recording, letta) -> None:
    """Nobody is led out of the folder."""

    def meddle(_, was):
        link = Path(letta.children[0]["HARNESS_WORKSPACE"], "notes.txt")
        if not link.is_symlink():
            link.symlink_to("/etc/hostname")
        return was

    letta.returned = meddle
    result = run_trial(served, recording)
    assert result.record.outcome == "api_error"
    assert "link" in str(result.error)


def test_the_folder_and_the_gateway_are_gone_afterwards(served, recording, letta) -> None:
    """Nothing stays on disk, and nobody listens any more."""
    run_trial(served, recording)
    assert not Path(letta.children[0]["HARNESS_WORKSPACE"]).exists()
    with pytest.raises(ApiError, match="Connection"):
        MessagesApi(letta.children[0]["ANTHROPIC_BASE_URL"], "x", recording.transport()).ask(
            "coder", "m", "", "", {"max_tokens": 9}
        )


def test_a_changed_tool_is_stale_where_it_does_otherwise(served, recording, replaying, monkeypatch) -> None:
    """A replay runs the tools as they are now: other words of theirs do not pass."""
    run_trial(served, recording)

    def other(*arguments):
        result = execute(*arguments)
        return ToolResult(result.path, result.code, "Written.")

    monkeypatch.setattr("harness.agents.tools.execute", other)
    result = run_trial(served, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "'Written.'" in str(result.error)


def test_a_mock_behind_the_gateway(served, recording, replaying) -> None:
    """With backend mock the gateway answers from the task file: nothing of Claude is recorded or asked."""
    pair = served.pair.model_copy(update={"backend": "mock", "coder": "oracle", "tester": "oracle"})
    trial = served.model_copy(update={"pair": pair})
    live = run_trial(trial, recording)
    assert (live.error, live.record.outcome) == (None, "solved")
    assert live.files["add.py"] == trial.task.reference
    assert run_trial(trial, replaying).transcript == live.transcript


def test_a_mock_that_the_task_does_not_have(served, recording) -> None:
    """A wrong task or pair is told as that, not as a failing gateway."""
    task = served.task.model_copy(update={"bugs": (Bug(name="subtracts", code="x = 1\n"),)})
    pair = served.pair.model_copy(update={"backend": "mock", "coder": "bug:adds", "tester": "oracle"})
    result = run_trial(served.model_copy(update={"pair": pair, "task": task}), recording)
    assert isinstance(result.error, SpecError)


@pytest.mark.parametrize(
    "url", ["https://api.letta.com", "http://letta.example:8283", "http://10.0.0.7:8283"]
)
def test_letta_has_to_be_on_this_machine(url) -> None:
    """Neither Letta's cloud nor another machine could reach folder and gateway."""
    with pytest.raises(ApiError, match="tools: server"):
        server_tools.require_here(url)


@pytest.mark.parametrize("url", ["http://localhost:8283", "http://127.0.0.1:1", "http://[::1]:8283"])
def test_letta_on_this_machine(url) -> None:
    """Loopback is this machine."""
    server_tools.require_here(url)
