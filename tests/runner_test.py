"""One trial from end to end, recorded on loopback stand-ins and replayed."""

from __future__ import annotations

import errno
import gzip
import json
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from fakes import (
    CODE,
    CODER_THEN_TESTER,
    Fake,
    FakeClaude,
    FakeLetta,
    Never,
    acted,
    call,
    claude_error,
    half_a_body,
    reset,
    say,
)

from harness import runner
from harness.agents import prompts
from harness.agents.messages import Answer
from harness.agents.transcript import Said, Tested, Usage
from harness.agents.wall_limit import WallLimit
from harness.backends.claude.messages_api import MessagesApi
from harness.backends.retries import Transport
from harness.cassette import record_replay, staleness
from harness.cassette.file import load, save
from harness.errors import (
    ApiError,
    EditedCassette,
    MissingCassette,
    SpecError,
    StaleCassette,
    UnplayableRecording,
)
from harness.runner import Setup, run_trial
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

PAIR = {"name": "gpt+haiku", "orchestrator": {"model": "openai/gpt-5-mini"}, "coder": "claude-haiku-5-5"}
OVERLOADED = claude_error(529, "overloaded_error", "Overloaded")


def cassette_of(setup: Setup, trial: Trial) -> Path:
    return setup.root / trial.cassette_path


def test_a_replay_reproduces_the_recorded_trial(trial, recording, replaying, letta, claude) -> None:
    """A replay gives the record, transcript and files of the live trial, and asks no server."""
    live = run_trial(trial, recording)
    asked = len(letta.requests) + len(claude.requests)
    replay = run_trial(trial, replaying)
    assert live.error is None
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    assert [(live.record.mode, live.record.outcome), (replay.record.mode, replay.record.outcome)] == [
        ("record", "solved"),
        ("replay", "solved"),
    ]
    assert replay.files == live.files == {"add.py": CODE, "test_add.py": claude.tests}
    assert len(letta.requests) + len(claude.requests) == asked
    assert replay.transcript == live.transcript


def test_the_agent_is_deleted(trial, recording, letta) -> None:
    """No agent is left in Letta after a trial."""
    run_trial(trial, recording)
    assert letta.agents == {}


def test_the_agent_is_deleted_after_a_fault(trial, recording, letta, claude) -> None:
    """Nor is one left when Letta fails in the middle, and nothing is saved."""
    letta.faults = [("/messages", (500, {"detail": "boom"}))] * 9
    result = run_trial(trial, recording)
    assert isinstance(result.error, ApiError)
    assert letta.agents == {}
    assert not cassette_of(recording, trial).exists()


def test_the_agent_is_deleted_after_an_interrupt(trial, recording, letta) -> None:
    """Ctrl-C goes through, and the agent is deleted all the same."""

    def interrupt(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(trial, recording, interrupt)
    assert letta.agents == {}
    assert not list(recording.root.rglob("*.json*"))


def test_tokens_are_counted_by_role(trial, recording) -> None:
    """Usage is summed per role; cached input is not counted twice."""
    transcript = run_trial(trial, recording).transcript
    assert transcript.usage("orchestrator") == Usage(input=180, cache_read=120, output=30)
    assert transcript.usage("coder") == Usage(input=20, cache_write=5, cache_read=7, output=30)
    assert transcript.usage("tester") == transcript.usage("coder")


def test_a_missing_cassette_names_the_command(trial, replaying) -> None:
    """Without a cassette the trial says how to record it, and counts as infra."""
    result = run_trial(trial, replaying)
    assert isinstance(result.error, MissingCassette)
    assert result.record.outcome == "missing_cassette"
    assert result.record.kind == "infra"
    assert "pytest 'benchmarks/add.yaml::gpt+haiku[1]' --record=once" in str(result.error)


def test_the_command_of_a_crossed_pair(trial, replaying) -> None:
    """A pair made by --orchestrator and --coder is recorded by those options."""
    pair = trial.pair.of_models("openai/gpt-5-mini", "claude-haiku-5-5")
    result = run_trial(trial.model_copy(update={"pair": pair}), replaying)
    assert "--orchestrator openai/gpt-5-mini --coder claude-haiku-5-5" in str(result.error)


def test_once_records_only_what_is_missing(trial, recording, letta) -> None:
    """``once`` records the first time and replays the second."""
    once = replace(recording, mode="once")
    first = run_trial(trial, once)
    asked = len(letta.requests)
    second = run_trial(trial, once)
    assert [first.record.mode, second.record.mode] == ["record", "replay"]
    assert len(letta.requests) == asked


@pytest.mark.parametrize("path", ["/v1/health/", "agents/"])
def test_a_passing_fault_at_either_end_of_a_trial(trial, recording, replaying, letta, path) -> None:
    """A trial that was paid is not lost as its version was asked for, or its agent deleted, in vain once."""
    if path == "agents/":
        made = letta._create
        letta._create = lambda body: expecting_deletion(letta, made(body))
    else:
        letta.faults = [(path, reset)]
    recorded = run_trial(trial, recording).record
    assert (recorded.outcome, recorded.transport_retries) == ("solved", 1)
    assert letta.agents == {}
    assert run_trial(trial, replaying).record.outcome == "solved"


def expecting_deletion(letta, agent):
    """Lose the answer to the next request for the agent itself, which is its deletion."""
    letta.faults = [(agent["id"], acted("DELETE", letta))]
    return agent


def test_a_changed_prompt_is_stale(trial, recording, replaying, monkeypatch) -> None:
    """One changed word of a prompt makes the replay stale; the error names path and both words."""
    run_trial(trial, recording)
    monkeypatch.setattr(prompts, "CODER", prompts.CODER.replace("complete", "entire"))
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    said = str(result.error)
    assert "prompts changed" in said
    assert "$.system" in said
    assert "complete" in said
    assert "entire" in said
    assert "--record=all" in said


def test_a_changed_spec_is_stale(trial, recording, replaying) -> None:
    """A task whose spec changed is told apart from a changed prompt."""
    run_trial(trial, recording)
    task = trial.task.model_copy(update={"spec": "Implement add(a, b) well."})
    result = run_trial(trial.model_copy(update={"task": task}), replaying)
    assert isinstance(result.error, StaleCassette)
    assert "the task changed" in str(result.error)
    assert "prompts changed" not in str(result.error)


def test_a_changed_model_is_stale(trial, recording, replaying) -> None:
    """A recording of another coder model is never taken for this one."""
    run_trial(trial, recording)
    pair = trial.pair.model_copy(update={"coder": "claude-opus-5-5"})
    result = run_trial(trial.model_copy(update={"pair": pair}), replaying)
    assert isinstance(result.error, StaleCassette)
    assert "the pair changed" in str(result.error)
    assert "claude-opus-5-5" in str(result.error)


def recorded_otherwise(setup: Setup, trial: Trial, change) -> None:
    """As if the trial had been recorded with other exchanges."""
    path = cassette_of(setup, trial)
    tape = load(path, "it")
    save(replace(tape, exchanges=tuple(change(list(tape.exchanges)))), path, "it")


def test_unplayed_exchanges_are_stale(trial, recording, replaying) -> None:
    """A replay that asks for less than was recorded is stale, in words and with a remedy of its own."""
    run_trial(trial, recording)
    recorded_otherwise(recording, trial, lambda all_: [*all_[:-1], all_[2], all_[-1]])
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "1 recorded not asked for: POST http://anthropic/v1/messages (exchange 7 of 8)" in str(
        result.error
    )
    assert "ask for less" in result.error.remedy


def test_an_exchange_that_is_asked_for_twice_is_stale(trial, recording, replaying) -> None:
    """A request that equals one that was played is told from one that was never recorded."""
    with FakeLetta((CODER_THEN_TESTER[0], CODER_THEN_TESTER[0], say("done"))).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        run_trial(trial, setup)
    coded = [2, 4]
    recorded_otherwise(recording, trial, lambda all_: [e for i, e in enumerate(all_) if i != coded[1]])
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "asked for again" in str(result.error)
    assert "asks the same twice" in result.error.remedy


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"messages":[],"content":[],"stop_reason":null}',
        b'{"messages":[],"content":[],"usage":{"completion_tokens":"many","output_tokens":"many"}}',
        b'{"messages":[],"content":[],"usage":{"step_count":"many","input_tokens":1,"output_tokens":1.5}}',
    ],
)
def test_an_answer_that_cannot_be_used_is_stale(number, answer, trial, recording, replaying) -> None:
    """A recorded answer that is none of the service's is told as that, without a traceback."""
    run_trial(trial, recording)

    def spoiled(exchanges):
        return [replace(e, response_body=answer) if i == number else e for i, e in enumerate(exchanges)]

    recorded_otherwise(recording, trial, spoiled)
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "(exchange " in str(result.error)
    assert "reached" not in str(result.error)
    assert result.error.remedy.startswith(("restore the file", "undo what"))


def test_an_edited_answer_is_noticed(trial, recording, replaying) -> None:
    """A cassette whose recorded answer somebody changed is refused before it is played."""
    run_trial(trial, recording)
    path = cassette_of(recording, trial)
    path.write_text(path.read_text().replace("return a + b", "return b + a"))
    result = run_trial(trial, replaying)
    assert isinstance(result.error, EditedCassette)
    assert result.record.outcome == "stale_cassette"
    assert result.transcript.events == ()


@pytest.mark.parametrize("then", [None, ValueError("stumbled"), ApiError("no answer")], ids=repr)
def test_code_that_swallows_a_miss_cannot_hide_it(then, trial, recording, replaying, monkeypatch) -> None:
    """Whoever catches everything, and goes on or fails with something else: the miss is what is reported."""
    run_trial(trial, recording)
    monkeypatch.setattr(prompts, "CODER", prompts.CODER.replace("complete", "entire"))
    ask = MessagesApi.ask

    def swallowing(*args, **options):
        try:
            return ask(*args, **options)
        except BaseException:  # noqa: BLE001
            if then is not None:
                raise then from None
            return Answer(f"```python\n{CODE}```", "a-model", Usage(), cut_off=False)

    monkeypatch.setattr(MessagesApi, "ask", swallowing)
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert "$.system" in str(result.error)


def test_a_miss_costs_no_retry_and_no_wait(trial, recording, replaying, monkeypatch) -> None:
    """A stale replay asks once and sleeps never."""
    run_trial(trial, recording)
    monkeypatch.setattr(prompts, "CODER", "other words")
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    used = []

    def transport() -> Transport:
        used.append(Transport())
        return used[-1]

    monkeypatch.setattr("harness.runner.Transport", transport)
    result = run_trial(trial, replaying)
    assert isinstance(result.error, StaleCassette)
    assert [sum(each.retries.values()) for each in used] == [0]


def test_a_stale_replay_keeps_the_conversation_so_far(trial, recording, replaying, monkeypatch) -> None:
    """What was replayed before the miss can still be read."""
    run_trial(trial, recording)
    monkeypatch.setattr(prompts, "TESTER", "other words")
    result = run_trial(trial, replaying)
    assert any(isinstance(event, Said) and event.speaker == "coder" for event in result.transcript.events)


def test_grading_changes_do_not_make_it_stale(trial, recording, replaying) -> None:
    """New acceptance tests regrade old recordings."""
    run_trial(trial, recording)
    acceptance = "from add import add\n\n\ndef test_it():\n    assert add(2, 3) == 6\n"
    update = {"acceptance": acceptance, "reference": "def add(a, b):\n    return a * b\n"}
    task = trial.task.model_copy(update=update)
    result = run_trial(trial.model_copy(update={"task": task}), replaying)
    assert result.error is None
    assert result.record.outcome == "wrong"
    assert result.record.solved_at is None


def test_failing_tests_lead_to_a_repair(trial, recording, replaying, claude) -> None:
    """Failing generated tests are reported to the orchestrator, once, in words that replay the same."""
    claude.code = CODE.replace("a + b", "a - b")
    live = run_trial(trial, recording)
    replay = run_trial(trial, replaying)
    assert (live.record.outcome, live.record.attempts, live.record.repairs) == ("wrong", 2, 1)
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    told = [e.text for e in live.transcript.events if isinstance(e, Said) and e.speaker == "user"]
    assert "assert -1 == 3" in told[1]
    assert "test_sum" not in "".join(told), "the hidden acceptance tests never reach a model"
    assert str(recording.root) not in "".join(told)


def test_no_repair_after_passing_tests(trial, recording) -> None:
    """Passing generated tests end the trial after one attempt."""
    result = run_trial(trial, recording)
    tested = [event for event in result.transcript.events if isinstance(event, Tested)]
    assert [(event.attempt, event.passed) for event in tested] == [(1, True)]


def test_transport_retries_are_counted_and_not_replayed(trial, recording, replaying, claude) -> None:
    """Passing faults are repeated and counted; the replay shows the recorded count and sends no failure."""
    claude.faults = [("/messages", (*OVERLOADED, {"retry-after": "0"})), ("/messages", (0, None))]
    live = run_trial(trial, recording)
    replay = run_trial(trial, replaying)
    assert live.record.transport_retries == replay.record.transport_retries == 2
    assert live.record.outcome == replay.record.outcome == "solved"
    assert "Overloaded" not in cassette_of(recording, trial).read_text()


def test_an_api_that_stays_down_is_an_error(trial, recording, claude) -> None:
    """A refused key is an infra outcome with a remedy; the orchestrator got an error text."""
    bad = claude_error(401, "authentication_error", "invalid x-api-key")
    claude.faults = [("/messages", bad)] * 20
    result = run_trial(trial, recording)
    assert result.record.outcome == "api_error"
    assert "invalid x-api-key" in str(result.error)
    assert "ANTHROPIC_API_KEY" in str(result.error)
    assert result.transcript.tool_errors > 0
    assert not cassette_of(recording, trial).exists()


def test_a_refused_request_is_the_models_doing(trial, recording, replaying, claude) -> None:
    """A prompt that Claude refuses is a tool error, recorded and replayed."""
    claude.faults = [("/messages", claude_error(400, "invalid_request_error", "prompt is too long"))]
    live = run_trial(trial, recording)
    replay = run_trial(trial, replaying)
    assert live.record.kind == replay.record.kind == "model"
    assert live.record.tool_errors == replay.record.tool_errors == 2


@pytest.mark.parametrize(
    "said",
    [
        "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
        "max_tokens: 64000 > 8192, which is the maximum allowed for this model",
        "This credential is only authorized for use with Claude Code.",
    ],
)
def test_other_refusals_are_not_the_models_doing(said, trial, recording, claude) -> None:
    """A 400 that no model caused is infra, and nothing is recorded."""
    claude.faults = [("/messages", claude_error(400, "invalid_request_error", said))]
    result = run_trial(trial, recording)
    assert result.record.outcome == "api_error"
    assert said in str(result.error)
    assert not cassette_of(recording, trial).exists()


@pytest.mark.parametrize("answer", [{"content": []}, "<html>a page</html>", [], {"type": "message"}])
def test_an_endpoint_that_is_no_messages_api(answer, trial, recording, claude) -> None:
    """An answer of another kind is named as that, without a traceback."""
    claude.faults = [("/messages", (200, answer))] * 9
    result = run_trial(trial, recording)
    assert result.record.outcome == "api_error"
    assert "no Messages API" in str(result.error)


def test_an_endpoint_that_is_no_letta_server(trial, recording, letta) -> None:
    """LETTA_BASE_URL at something else is named as that."""
    letta.faults = [("/v1/health/", (200, "<html>a page</html>"))]
    assert "no Letta server" in str(run_trial(trial, recording).error)


def test_half_a_surrogate_pair_from_generated_code(trial, recording, replaying, claude) -> None:
    """What code raises may hold what UTF-8 cannot: the trial goes on, and replays."""
    claude.code = "def add(a, b):\n    raise ValueError('\\ud800')\n"
    assert run_trial(trial, recording).record.outcome == "wrong"
    assert run_trial(trial, replaying).record.outcome == "wrong"


@pytest.mark.parametrize("way", ["pytest.skip('x')", "pytest.xfail('x')", "raise unittest.SkipTest('x')"])
def test_code_cannot_skip_the_acceptance_tests(way, trial, recording, claude) -> None:
    """Code that skips a hidden test, or has it expected to fail, has not solved the task."""
    claude.code = (
        f"import pytest, unittest\ndef add(a, b):\n    if a == 2:\n        {way}\n    return a + b\n"
    )
    acceptance = f"{trial.task.acceptance}\n\ndef test_other():\n    assert add(1, 2) == 3\n"
    task = trial.task.model_copy(update={"acceptance": acceptance})
    result = run_trial(trial.model_copy(update={"task": task}), recording)
    assert (result.record.outcome, result.record.solved_at) == ("wrong", None)
    assert result.record.detail


def test_no_credit_is_not_the_models_doing(trial, recording, claude) -> None:
    """An empty account answers 400, and is infra all the same."""
    said = "Your credit balance is too low to access the Anthropic API."
    claude.faults = [("/messages", claude_error(400, "invalid_request_error", said))]
    assert run_trial(trial, recording).record.outcome == "api_error"


def test_an_error_says_how_often_a_request_was_repeated(trial, recording, claude) -> None:
    """A service that fails for good was asked several times, and no line of a library said so."""
    claude.faults = [("/messages", claude_error(529, "overloaded_error", "Overloaded"))] * 5
    result = run_trial(trial, recording)
    assert "529 Overloaded" in str(result.error)
    assert "(transport retries: 4)" in result.record.detail


def test_unreachable_letta(trial, recording) -> None:
    """No Letta server is one line with what to do."""
    setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": "http://127.0.0.1:9"})
    result = run_trial(trial, setup)
    assert isinstance(result.error, ApiError)
    assert "http://127.0.0.1:9 cannot be reached" in str(result.error)
    assert "harness up" in str(result.error)


def test_a_task_whose_reference_fails_costs_nothing(trial, recording, letta, claude) -> None:
    """Nobody is asked for what could not be graded; nothing is recorded."""
    task = trial.task.model_copy(update={"reference": "def add(a, b):\n    return 0\n"})
    result = run_trial(trial.model_copy(update={"task": task}), recording)
    assert isinstance(result.error, SpecError)
    assert str(result.error).startswith("add: the reference does not pass acceptance; run `harness validate`")
    assert result.record.outcome == "spec_error"
    assert letta.requests == claude.requests == []
    assert not cassette_of(recording, trial).exists()


def test_no_key(trial, recording) -> None:
    """Recording Claude without a key says so before anything is asked."""
    setup = replace(recording, environment={"LETTA_BASE_URL": recording.environment["LETTA_BASE_URL"]})
    result = run_trial(trial, setup)
    assert isinstance(result.error, ApiError)
    assert "ANTHROPIC_API_KEY is not set" in str(result.error)


def test_a_key_in_an_answer_is_never_written(trial, recording, claude, monkeypatch) -> None:
    """An answer that holds a key of the environment is not saved, and the old cassette stays."""
    run_trial(trial, recording)
    before = cassette_of(recording, trial).read_bytes()
    monkeypatch.setitem(os.environ, "MY_API_KEY", "abcdefgh12345678")
    claude.code = f"{CODE}KEY = 'abcdefgh12345678'\n"
    result = run_trial(trial, recording)
    assert result.record.outcome == "unsafe_cassette"
    assert "MY_API_KEY" in str(result.error)
    assert "abcdefgh12345678" not in str(result.error)
    assert cassette_of(recording, trial).read_bytes() == before


def test_the_key_is_not_in_the_cassette(trial, recording) -> None:
    """The key that was sent stands nowhere in the cassette."""
    run_trial(trial, recording)
    assert "a-key-for-tests" not in cassette_of(recording, trial).read_text()


def test_two_recordings_are_the_same(trial, recording) -> None:
    """Random ids, dates and times do not reach the file: only what models said can differ."""
    texts = []
    for _ in range(2):
        run_trial(trial, recording)
        data = json.loads(cassette_of(recording, trial).read_text())
        data["recorded"].pop("wall_s")
        data.pop("digest")
        for exchange in data["exchanges"]:
            exchange["response"]["json"].pop("id", None)
        texts.append(json.dumps(data))
    assert _without_calls(texts[0]) == _without_calls(texts[1])


def _without_calls(text: str) -> str:
    import re

    return re.sub(r"call_[0-9a-f]{8}", "call_n", text)


@pytest.mark.parametrize("name", ["../../x.py", "/etc/x.py", "a/../../x.py", "~/x.py"])
def test_a_name_outside_the_workspace(name, trial, recording) -> None:
    """A model that names a file outside gets an error text, and nothing is written anywhere."""
    with FakeLetta((call("run_claude_coder", spec="x", file_name=name), say("done"))).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        result = run_trial(trial, setup)
    assert result.record.outcome == "no_code"
    assert result.record.tool_errors == 2
    assert result.files == {}


def test_tools_that_only_fail(trial, recording, replaying) -> None:
    """The orchestrator's own answer and the calls that it wasted are in the record, live and replayed."""
    bad = call("run_claude_coder", spec="x", file_name="../x.py")
    with FakeLetta((bad, bad, say("I could not\nwrite it."))).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        live = run_trial(trial, setup).record
    assert (live.outcome, live.wasted_calls, live.final_answer) == ("no_code", 4, "I could not write it.")
    again = run_trial(trial, replaying).record
    assert (again.wasted_calls, again.final_answer) == (live.wasted_calls, live.final_answer)


def test_an_orchestrator_that_only_talks(trial, recording) -> None:
    """An orchestrator that never calls the coder gave up."""
    with FakeLetta((say("I would rather not."),)).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        assert run_trial(trial, setup).record.outcome == "gave_up"


def test_the_tool_call_limit(trial, recording, replaying) -> None:
    """An orchestrator that calls for ever reaches the limit; what it wrote is still graded."""
    with FakeLetta((call("run_claude_coder", spec="x", file_name="other.py"),)).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        live = run_trial(trial, setup)
    assert (live.record.outcome, live.record.tool_calls) == ("limit", trial.task.limits.max_tool_calls)
    assert run_trial(trial, replaying).record.outcome == "limit"


def test_solved_within_the_limit_is_solved(trial, recording) -> None:
    """A solution counts even if the orchestrator went on until the limit."""
    with FakeLetta((call("run_claude_coder", spec="x", file_name="add.py"),)).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        assert run_trial(trial, setup).record.outcome == "solved"


def test_a_watcher_sees_every_event(trial, recording) -> None:
    """Whoever watches is told of each event, in order, as it happens."""
    seen = []
    result = run_trial(trial, recording, seen.append)
    assert tuple(seen) == result.transcript.events


# --- other endpoints ------------------------------------------------------------------------------------


class Behind(FakeClaude):
    """An endpoint that speaks the Messages API below a path, as gateways of companies and clouds do."""

    def answer(self, method: str, path: str, body: Any) -> Any:
        assert path.startswith("/team/claude/"), path
        return super().answer(method, path.removeprefix("/team/claude"), body)


@pytest.mark.parametrize("ending", ["", "/"])
def test_any_endpoint_that_speaks_the_messages_api(ending, trial, recording, replaying) -> None:
    """Its address, port and path are in no recording, so one made there replays anywhere."""
    with Behind().running() as claude:
        url = f"{claude.url}/team/claude{ending}"
        setup = replace(recording, environment={**recording.environment, "ANTHROPIC_BASE_URL": url})
        live = run_trial(trial, setup)
        assert live.record.outcome == "solved"
        assert claude.url not in cassette_of(recording, trial).read_text()
    tape = load(cassette_of(recording, trial), "it")
    assert "http://anthropic/v1/messages" in {each.url for each in tape.exchanges}
    assert run_trial(trial, replaying).transcript == live.transcript


def test_a_secured_letta_gets_its_key(trial, recording, letta, claude) -> None:
    """LETTA_API_KEY goes to Letta, on every request, and to nobody else; nor is it kept."""
    key = "a-key-of-letta-s-cloud"
    environment = {**recording.environment, "LETTA_API_KEY": key}
    assert run_trial(trial, replace(recording, environment=environment)).record.outcome == "solved"
    assert all(key in json.dumps(headers) for headers in letta.headers)
    assert key not in json.dumps(claude.headers)
    assert "a-key-for-tests" not in json.dumps(letta.headers)
    assert key not in cassette_of(recording, trial).read_text()


def test_settings_are_part_of_requests_record_and_digest(trial, recording, replaying, claude) -> None:
    """One model at two efforts is two conversations: the other one's recording does not fit."""
    high, low = (
        trial.model_copy(update={"pair": Pair.model_validate({**PAIR, "coder_settings": {"effort": effort}})})
        for effort in ("high", "low")
    )
    result = run_trial(high, recording)
    row = result.record.row()
    assert (row["outcome"], row["coder_settings"], row["tester_settings"]) == (
        "solved",
        "effort=high",
        "effort=high",
    )
    bodies = [body for _, path, body in claude.requests if path == "/v1/messages"]
    assert [body["output_config"] for body in bodies] == [{"effort": "high"}] * 2
    assert run_trial(high, replaying).error is None
    error = str(run_trial(low, replaying).error)
    assert "the pair changed since: its settings" in error
    assert "$.output_config.effort" in error


# --- answers as endpoints really send them ----------------------------------------------------------


ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.fixture(params=["letta", "anthropic"])
def service(request, letta, claude) -> tuple[str, Fake]:
    """One of the services, as a cassette names it, and its stand-in."""
    return request.param, {"letta": letta, "anthropic": claude}[request.param]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_compressed_answer_is_recorded_as_text_and_replayed(
    name, service, trial, recording, replaying
) -> None:
    """Each encoding, of each service; also in chunks."""
    _, fake = service
    fake.encode, fake.label, fake.chunked = ENCODERS[name], {"content-encoding": name}, name == "gzip"
    live = run_trial(trial, recording)
    assert (live.error, live.record.outcome) == (None, "solved")
    assert '"base64"' not in cassette_of(recording, trial).read_text()
    replay = run_trial(trial, replaying)
    assert replay.error is None
    assert replay.transcript == live.transcript


def test_a_key_in_a_compressed_answer_is_never_written(trial, recording, claude, monkeypatch) -> None:
    """The scan looks at what the client reads."""
    monkeypatch.setenv("SOME_API_KEY", "hunter2-hunter2-hunter2")
    claude.code = CODE + "# hunter2-hunter2-hunter2\n"
    claude.encode, claude.label = gzip.compress, {"content-encoding": "gzip"}
    assert run_trial(trial, recording).record.outcome == "unsafe_cassette"


MISLABELLED = {
    "plain as gzip": (bytes, "gzip", "its content-encoding is gzip, and its body is not"),
    "deflate as gzip": (zlib.compress, "gzip", "its content-encoding is gzip, and its body is not"),
    "gzip as nothing": (gzip.compress, "identity", "it is labelled as JSON, and is none: "),
    "unknown": (bytes, "compress", "its content-encoding is 'compress', which nobody asked for"),
    "half": (lambda data: gzip.compress(data)[:-12], "gzip", "its gzip body ends early"),
}


@pytest.mark.parametrize("kind", MISLABELLED)
def test_an_answer_that_nobody_can_decode_is_named_as_that(kind, service, trial, recording) -> None:
    """With its exchange and the reason, at once: no retry, which would cost as much, and no "not reached"."""
    encode, label, said = MISLABELLED[kind]
    name, fake = service

    def send(handler: Any) -> None:
        fake.encode, fake.label = encode, {"content-encoding": label}
        handler._send(200, {"id": "x"})

    fake.faults = [("/messages", send)]
    result = run_trial(trial, recording)
    assert result.record.outcome == "api_error"
    assert said in str(result.error)
    assert "(exchange " in str(result.error)
    assert f"http://{name}/v1/" in str(result.error)
    assert "reached" not in str(result.error)
    assert sum(path.endswith("/messages") for _, path, _ in fake.requests) == 1
    assert not cassette_of(recording, trial).exists()


def test_a_compressed_answer_that_is_cut_off_is_asked_for_again(trial, recording, replaying, claude) -> None:
    """Fewer bytes than promised are a lost connection, as without compression."""
    claude.faults = [("/messages", half_a_body)]
    claude.encode, claude.label = gzip.compress, {"content-encoding": "gzip"}
    assert run_trial(trial, recording).record.transport_retries == 1
    assert run_trial(trial, replaying).error is None


# --- a recording that would not replay --------------------------------------------------------------


@pytest.fixture
def cache(tmp_path_factory, monkeypatch) -> Path:
    """The user's cache folder."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HARNESS_HOME", str(home))
    return home


def test_a_recording_that_would_not_replay_is_not_called_recorded(
    trial, recording, cache, monkeypatch
) -> None:
    """What differs is the error; what was paid for waits in the user's cache folder, for its owner alone."""
    numbers = iter(range(100))
    ask = MessagesApi.ask

    def numbered(self, role, model, system, *rest):
        return ask(self, role, model, f"{system} {next(numbers)}", *rest)

    monkeypatch.setattr(MessagesApi, "ask", numbered)
    result = run_trial(trial, recording)
    assert isinstance(result.error, UnplayableRecording)
    assert (result.record.kind, result.record.outcome) == ("infra", "unplayable_recording")
    assert "not written, it would not replay: POST http://anthropic/v1/messages" in str(result.error)
    assert "$.system: recorded" in str(result.error)
    assert not cassette_of(recording, trial).exists()
    (kept,) = (cache / "unsaved").iterdir()
    assert str(kept) in str(result.error)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert '"exchanges"' in json.loads(kept.read_text())["text"]


def test_a_recording_that_replays_to_something_else_is_no_recording(
    trial, recording, cache, monkeypatch
) -> None:
    """An answer that is not kept as it came: the place where the conversation differs is the error."""
    scrub = record_replay._scrub

    def losing(raw: bytes) -> Any:
        return scrub(raw.replace(b"Both files are written.", b"Both files are lost."))

    monkeypatch.setattr(record_replay, "_scrub", losing)
    said = str(run_trial(trial, recording).error)
    assert "a replay differs at $.events[" in said
    assert "lost" in said


def test_the_rehearsal_runs_no_test_and_asks_nobody(trial, recording, letta, claude, monkeypatch) -> None:
    """A recorded trial costs what it cost before."""
    runs = []
    run = type(recording.sandbox).run

    def counted(self, files, *rest, **options):
        runs.append(files)
        return run(self, files, *rest, **options)

    monkeypatch.setattr(type(recording.sandbox), "run", counted)
    run_trial(trial, recording)
    with_rehearsal = len(runs), len(letta.requests), len(claude.requests)
    monkeypatch.setattr(runner, "rehearse", lambda *_: None)
    runs.clear()
    letta.requests.clear()
    claude.requests.clear()
    run_trial(trial, replace(recording, graders={}))
    assert with_rehearsal == (len(runs), len(letta.requests), len(claude.requests))


# --- what is refused on writing, or by `harness cassettes check`, is refused on reading -------------


@pytest.mark.parametrize("what", ["trial", "task", "prompts", "pair"])
def test_a_cassette_of_something_else_is_refused_though_it_plays(what, trial, recording, replaying) -> None:
    """In the words of ``harness cassettes check``."""
    run_trial(trial, recording)
    path = cassette_of(recording, trial)
    kept = load(path, "it")
    changed = {"recorded": {**kept.recorded, "pair": "another"}} if what == "pair" else {what: "p/t/9"}
    save(replace(kept, **changed), path, "it")
    error = run_trial(trial, replaying).error
    assert isinstance(error, StaleCassette)
    (change,) = staleness.changes(load(path, "it"), trial)
    assert error.message == f"{trial.cassette_path}: {change.text}"


def test_a_key_in_a_cassette_is_refused(trial, recording, replaying, claude, monkeypatch) -> None:
    """A key that came in by another way than a recording."""
    claude.code = CODE + "# hunter2-hunter2-hunter2\n"
    run_trial(trial, recording)
    monkeypatch.setenv("SOME_API_KEY", "hunter2-hunter2-hunter2")
    result = run_trial(trial, replaying)
    assert result.record.outcome == "unsafe_cassette"
    said = "it holds $.exchanges[2].response.content[0].text: the value of SOME_API_KEY"
    assert said in str(result.error)


@pytest.mark.parametrize("part", ["1.json", "add", "gpt+haiku"])
def test_a_link_is_no_cassette(part, trial, recording, replaying, letta) -> None:
    """Neither read nor written through, wherever it stands below the folder of cassettes."""
    run_trial(trial, recording)
    path = cassette_of(recording, trial)
    place = next(each for each in (path, *path.parents) if each.name == part)
    place.rename(recording.root / "elsewhere")
    place.symlink_to(recording.root / "elsewhere")
    asked = len(letta.requests)
    for setup in (replaying, recording):
        error = run_trial(trial, setup).error
        assert "a link; cassettes are files of their own" in str(error)
    assert len(letta.requests) == asked


def test_no_model_is_asked_where_no_recording_can_be_written(
    trial, recording, claude, letta, monkeypatch
) -> None:
    """A folder of somebody else's, a disk that is read-only."""
    closed = recording.root / "cassettes"
    closed.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("os.access", lambda path, _: path != closed)
    result = run_trial(trial, recording)
    assert result.record.outcome == "disk_error"
    assert f"{closed}: not writable" in str(result.error)
    assert not claude.requests + letta.requests


def test_no_model_is_asked_where_a_folder_is_in_the_place_of_the_recording(
    trial, recording, claude, letta
) -> None:
    """It would be noticed only when all was paid for."""
    cassette_of(recording, trial).mkdir(parents=True)
    result = run_trial(trial, recording)
    assert result.record.outcome == "disk_error"
    assert "1.json: a folder is in the place of the recording: no model was asked" in str(result.error)
    assert not claude.requests + letta.requests


def test_no_model_is_asked_where_a_recording_finds_no_room(
    trial, recording, claude, letta, monkeypatch
) -> None:
    """What cannot be kept is not paid for."""
    monkeypatch.setattr("harness.runner.LEAST_FREE", 1 << 62)
    result = run_trial(trial, recording)
    assert result.record.outcome == "disk_error"
    assert "no model was asked -> free some space" in str(result.error)
    assert claude.requests == letta.requests == []


def test_a_disk_that_does_not_take_a_recording_is_one_line(trial, recording, monkeypatch) -> None:
    """The trial is no measurement, and no bug of the harness."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("harness.runner.save_or_keep", full)
    result = run_trial(trial, recording)
    assert result.record.outcome == "disk_error"
    assert str(result.error) == "cassettes/gpt+haiku/add/1.json: not written: No space left on device"


def test_a_conversation_that_hangs_is_cut_off(trial, recording, letta) -> None:
    """The trial ends with its own outcome, and its agent is deleted."""
    never = Never()
    letta.faults = [("/messages", never)]
    try:
        result = run_trial(trial, replace(recording, wall_limit=WallLimit(turn_s=1.0)))
    finally:
        never.over.set()
    assert result.record.outcome == "wall_limit"
    assert "nothing has happened for 1 s (--max-turn-time)" in result.record.detail
    assert letta.agents == {}
