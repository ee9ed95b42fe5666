"""The fixed policy in this process: the same conversations as through Letta, without Letta."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import claude_error

from harness.agents.fixed_policy import parse_assignment
from harness.agents.prompts import coder_only
from harness.agents.transcript import Called, Returned, Said, Tested, Transcript, Wrote
from harness.cassette.file import load, save
from harness.cassette.staleness import pair_digest
from harness.errors import StaleCassette
from harness.runner import Setup, run_trial
from harness.tasks.pair import Pair
from harness.tasks.suite import Selection, Suite
from harness.tasks.trial import Trial

ROOT = Path(__file__).parents[2]
WITH_REPAIRS = ["scripted+smollm2/add", "scripted+smollm2/parse_flag", "scripted+smollm2/merge_settings"]
MOCKS = ["scripted+script/add", "scripted+faults/add", "scripted+oracle/factorial"]


def direct(pair: Pair, **changes: Any) -> Pair:
    """The same pair with the policy in this process."""
    return Pair.model_validate({**pair.model_dump(), "orchestrator": {"model": "direct"}, **changes})


@pytest.fixture
def alone(trial: Trial) -> Trial:
    """The trial of a pair without an orchestrator model."""
    return trial.model_copy(update={"pair": direct(trial.pair)})


def calls(transcript: Transcript) -> list[Any]:
    """Tool calls, what coder and tester wrote and returned, and test results, in order."""
    kept = []
    for event in transcript.events:
        if isinstance(event, Called):
            kept.append((event.attempt, event.tool, json.loads(event.arguments)))
        elif isinstance(event, Returned):
            kept.append((event.attempt, event.ok, event.text))
        elif isinstance(event, Wrote | Tested) or (
            isinstance(event, Said) and event.speaker != "orchestrator"
        ):
            kept.append(event)
    return kept


@pytest.mark.parametrize("name", [*WITH_REPAIRS, *MOCKS])
def test_the_conversation_is_that_of_the_same_policy_through_letta(name, sandbox, tmp_path) -> None:
    """On the recorded answers of coder and tester, direct makes the calls that local/scripted made."""
    wanted, task = name.split("/")
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(wanted,)), {})
    trial = next(each for path in suite.files() for each in suite.trials(path) if each.task.id == task)
    scripted = run_trial(trial, Setup(ROOT, sandbox, environment={}))
    assert scripted.error is None

    recorded = load(ROOT / trial.cassette_path, "")
    own = trial.model_copy(update={"pair": direct(trial.pair)})
    without_letta = tuple(each for each in recorded.exchanges if not each.url.startswith("http://letta/"))
    facts = {**recorded.recorded, "pair": pair_digest(own.pair)}
    save(replace(recorded, recorded=facts, exchanges=without_letta), tmp_path / own.cassette_path, "")
    alone = run_trial(own, Setup(tmp_path, sandbox, environment={}))

    assert alone.error is None
    assert calls(alone.transcript) == calls(scripted.transcript)
    assert alone.transcript.final_answer == scripted.transcript.final_answer
    assert (alone.record.outcome, alone.files) == (scripted.record.outcome, scripted.files)


def test_the_recordings_of_the_comparison_hold_repairs_and_failed_calls() -> None:
    """Else the comparison above would show the first two calls only."""
    exchanges = {name: len(load(ROOT / f"cassettes/{name}/1.json", "").exchanges) for name in WITH_REPAIRS}
    assert max(exchanges.values()) > 8, exchanges


def test_no_letta_is_needed(alone, recording, claude, letta) -> None:
    """Recorded with an endpoint for Claude alone, replayed without one; the orchestrator costs nothing."""
    live = run_trial(alone, recording)
    assert live.error is None
    asked = len(claude.requests)
    replay = run_trial(alone, replace(recording, mode="none", environment={}))
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    assert (replay.record.outcome, replay.record.steps, replay.record.tool_calls) == ("solved", 0, 2)
    assert replay.record.row()["letta_version"] is None
    assert (asked, len(claude.requests), letta.requests) == (2, 2, [])
    saved = json.loads((recording.root / alone.cassette_path).read_text())
    assert "letta" not in saved["recorded"]["versions"]


def test_without_a_tester_the_first_code_counts(alone, recording, claude) -> None:
    """tester: none: one request, no test run, no repair, whatever the code is worth."""
    claude.code = "def add(a, b):\n    return a - b\n"
    trial = alone.model_copy(update={"pair": direct(alone.pair, tester="none")})
    result = run_trial(trial, recording)
    assert (result.record.outcome, result.record.attempts) == ("wrong", 1)
    assert (result.record.tool_calls, result.record.tests_valid, result.record.tester) == (1, None, "none")
    assert len(claude.requests) == 1
    assert not [event for event in result.transcript.events if isinstance(event, Tested)]


def test_without_a_tester_the_coder_is_asked_once(alone, recording, claude) -> None:
    """An answer without code is not asked for again: pass@1 counts one sample."""
    claude.faults = [("/v1/messages", claude_error(400, "invalid_request_error", "prompt is too long"))]
    trial = alone.model_copy(update={"pair": direct(alone.pair, tester="none")})
    result = run_trial(trial, recording)
    assert (result.record.outcome, len(claude.requests)) == ("no_code", 1)


def test_a_letta_orchestrator_without_a_tester_is_offered_the_coder_alone(trial, recording, letta) -> None:
    """Its prompt and its tools name no tester, and a call of one is an error for it."""
    pair = Pair.model_validate({**trial.pair.model_dump(), "tester": "none"})
    result = run_trial(trial.model_copy(update={"pair": pair}), recording)
    sent = json.dumps([body for _, path, body in letta.requests if path.startswith("/v1/agents/")])
    assert coder_only["system"].splitlines()[0] in sent
    offered = [body["client_tools"] for _, path, body in letta.requests if path.endswith("/messages")]
    assert [[each["name"] for each in tools] for tools in offered] == [["run_claude_coder"]] * 3
    refused = [event.text for event in result.transcript.events if isinstance(event, Returned)][1]
    assert refused == "Error: there is no tool 'run_claude_tester'; use run_claude_coder"
    assert result.record.outcome == "solved"


def test_a_recording_without_requests_is_stale_when_its_task_changes(task, sandbox, tmp_path) -> None:
    """A mock and the policy exchange nothing; the digest tells that it was another task."""
    pair = Pair.model_validate(
        {"name": "demo", "orchestrator": {"model": "direct"}, "coder": "oracle", "backend": "mock"}
    )
    recording = Setup(tmp_path, sandbox, "all", environment={})
    trial = Trial(task=task, pair=pair, epoch=1)
    assert run_trial(trial, recording).record.outcome == "solved"
    assert run_trial(trial, replace(recording, mode="none")).record.outcome == "solved"
    changed = trial.model_copy(update={"task": task.model_copy(update={"spec": "Implement it."})})
    error = run_trial(changed, replace(recording, mode="none")).error
    assert isinstance(error, StaleCassette)
    text = str(error)
    assert "the task changed since: what models see of it, or its limits): no service was asked in it" in text
    assert "-> restore " in text


def test_an_assignment_without_a_test_file_is_the_coder_s_alone() -> None:
    """The template for coder-only trials is understood."""
    text = coder_only["task"].format(code_file="a.py", test_file="t.py", spec="Add.")
    assignment = parse_assignment(text)
    assert assignment is not None
    assert (assignment.code_file, assignment.test_file, assignment.spec) == ("a.py", "", "Add.")
