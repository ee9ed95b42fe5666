"""One agent over a course: recorded step by step, resumed, replayed alone; on a stand-in for Letta."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import FakeLettaWithMemory, call, remember, say

from harness.agents.transcript import Remembered, Said
from harness.runner import Setup, run_trial
from harness.tasks.course import CourseStep
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

STEP = (call("run_claude_coder", spec="add two numbers", file_name="add.py"), say("Written."))
REVIEW = (remember("- keep it short"), say("Noted."))
IDS = tuple(f"c.{number}.add" for number in (1, 2, 3))


@pytest.fixture
def letta():
    """Letta with memory, whose agents write the code, and then note the review."""
    with FakeLettaWithMemory((*STEP, *REVIEW)).running() as fake:
        yield fake


def steps(task, **changes) -> list[Trial]:
    pair = {"name": "p", "orchestrator": {"model": "openai/gpt-5"}, "coder": "claude-haiku-5-5"}
    pair |= {"tester": "none", "memory": "carried", "courses": ("c",)}
    return [
        Trial(
            task=task.model_copy(update={"id": IDS[number - 1]}),
            pair=Pair(**pair | changes),
            epoch=1,
            step=CourseStep(course="c", number=number, tasks=IDS, review=f"review {number}"),
        )
        for number in (1, 2, 3)
    ]


def once(setup: Setup) -> Setup:
    """The setup of another run: what the last one knew of its courses is gone."""
    return replace(setup, mode="once", course_runs={})


def outcomes(trials, setup) -> list[str]:
    return [run_trial(each, setup).record.outcome for each in trials]


def creations(letta) -> int:
    return sum(path == "/v1/agents/" and method == "POST" for method, path, _ in letta.requests)


def test_one_agent_lives_through_the_course_and_is_deleted(task, recording, letta) -> None:
    """Three steps, one agent, a memory that grows; at the end neither agent nor block is left."""
    results = [run_trial(each, recording) for each in steps(task)]
    assert [each.error for each in results] == [None, None, None]
    assert creations(letta) == 1
    before = [each.transcript.blocks("before")["notes"] for each in results]
    assert before == ["", "\n- keep it short", "\n- keep it short\n- keep it short"]
    assert letta.cut == [*letta.cut[:1]] * 2  # the history of each earlier step
    assert (letta.agents, letta.blocks) == ({}, {})


def test_a_step_replays_alone(task, recording, replaying) -> None:
    """Each step gives its record without the others, and without a server."""
    trials = steps(task)
    live = [run_trial(each, recording).record.row() | {"mode": ""} for each in trials]
    alone = [
        run_trial(each, replace(replaying, course_runs={})).record.row() | {"mode": ""} for each in trials
    ]
    assert alone == live
    assert [row["memory_calls"] for row in alone] == [1, 1, 1]


def test_the_review_is_told_and_memory_calls_are_no_tool_calls(task, recording) -> None:
    """The orchestrator hears the review after its task; what it notes is no tool call of the trial."""
    result = run_trial(steps(task)[0], recording)
    said = [event.text for event in result.transcript.events if isinstance(event, Said)]
    assert any("review 1" in text for text in said)
    assert result.record.tool_calls == 1
    assert [e.text for e in result.transcript.events if isinstance(e, Remembered)] == ["\n- keep it short"]


def test_a_recording_goes_on_where_it_stopped(task, recording, letta) -> None:
    """After an error in step 2, step 3 is not run; the next run begins at step 2, as step 1 left it."""
    trials = steps(task)
    assert outcomes(trials[:1], recording) == ["solved"]
    letta.faults = [("/messages", (500, {"error": {"type": "llm_error", "message": "no"}}))] * 9
    stopped = [run_trial(each, recording) for each in trials[1:]]
    assert [each.record.outcome for each in stopped] == ["api_error", "not_run"]
    assert "step 2 ended with api error" in str(stopped[1].error)
    letta.faults = []
    (agent,) = letta.agents
    letta.notes(agent)["value"] = "half a thought of the step that failed"
    resumed = [run_trial(each, run) for run in [once(recording)] for each in trials]
    assert [each.record.mode for each in resumed] == ["replay", "record", "record"]
    assert resumed[1].transcript.blocks("before")["notes"] == "\n- keep it short"
    assert creations(letta) == 1
    assert letta.agents == {}


def test_a_turn_that_is_given_up_ends_in_letta(task, recording, letta) -> None:
    """Letta would go on, and ask its model: after Ctrl-C, an error, and again before the step is repeated."""
    trials = steps(task)
    outcomes(trials[:1], recording)
    (agent,) = letta.agents
    assert letta.stopped == []

    def interrupt(event: object) -> None:
        raise KeyboardInterrupt

    letta.stopped.clear()
    with pytest.raises(KeyboardInterrupt):
        run_trial(trials[1], recording, interrupt)
    assert letta.stopped == [agent, agent]  # before the step, and after it
    letta.faults = [("/messages", (500, {"error": {"type": "llm_error", "message": "no"}}))] * 9
    assert outcomes(trials[1:2], once(recording)) == ["api_error"]
    assert letta.stopped == [agent] * 4


def test_no_step_begins_in_an_agent_that_may_be_at_work(task, recording, letta) -> None:
    """A server that cannot end a turn is asked once, and not worked with."""
    trials = steps(task)
    outcomes(trials[:1], recording)
    letta.faults = [("/messages/cancel", (503, {"detail": "busy"}))] * 9
    assert outcomes(trials[1:2], recording) == ["api_error"]
    assert len(letta.faults) == 8


def test_an_agent_of_a_recorded_step_is_not_given_up(task, recording, letta) -> None:
    """Ctrl-C right after the first step was written down: its agent waits for the second."""
    trials = steps(task)
    outcomes(trials[:1], recording)
    (agent,) = letta.agents
    recording.course_run(trials[0]).give_up(1, agent)
    assert list(letta.agents) == [agent]


def test_that_no_turn_is_under_way_is_no_fault(task, recording, letta) -> None:
    """Letta says so with 409, which is elsewhere a fault that passes: here it is asked once, and no more."""
    assert outcomes(steps(task), recording) == ["solved"] * 3
    (agent,) = set(letta.stopped)
    assert letta.stopped == [agent] * 2  # before the second step and the third


def test_a_course_begins_again_when_its_agent_is_gone(task, recording, letta) -> None:
    """Somebody has deleted the agent: all steps are recorded anew, and the first one says so."""
    trials = steps(task)
    outcomes(trials[:1], recording)
    letta.agents.clear()
    again = [run_trial(each, run) for run in [once(recording)] for each in trials]
    assert [each.record.mode for each in again] == ["record"] * 3
    assert "begins again at step 1" in again[0].said
    assert [each.said for each in again[1:]] == ["", ""]


def test_a_later_step_alone_is_not_recorded_without_its_agent(task, recording) -> None:
    """Nothing is made up: a step whose agent does not exist says what to do."""
    result = run_trial(steps(task)[1], recording)
    assert result.record.outcome == "not_run"
    assert "record the whole course" in str(result.error)


def test_a_kept_history_is_not_cut_and_a_failed_step_begins_again(task, recording, letta) -> None:
    """With ``history: keep`` nothing is reset; what a failed step said cannot be taken back."""
    trials = steps(task, history="keep")
    outcomes(trials[:1], recording)
    letta.faults = [("/messages", (500, {"error": {"type": "llm_error", "message": "no"}}))] * 9
    outcomes(trials[1:2], recording)
    letta.faults = []
    again = [run_trial(each, run) for run in [once(recording)] for each in trials]
    assert [each.record.mode for each in again] == ["record"] * 3
    assert letta.cut == []


def test_a_first_step_that_fails_leaves_no_agent(task, recording, letta) -> None:
    """Nothing can go on from there."""
    letta.faults = [("/messages", (500, {"error": {"type": "llm_error", "message": "no"}}))] * 9
    assert outcomes(steps(task)[:1], recording) == ["api_error"]
    assert (letta.agents, letta.blocks) == ({}, {})


def test_the_agent_file_is_kept_on_request(task, recording, tmp_path) -> None:
    """With ``--keep-agent`` the agent's file is there when the course has ended."""
    outcomes(steps(task), replace(recording, keep_agents=tmp_path / "agents"))
    assert "keep it short" in (tmp_path / "agents" / "p.c.1.af").read_text()


def test_a_fresh_agent_has_memory_tools_for_one_trial(task, recording, letta) -> None:
    """``fresh``: each step makes an agent, whose memory is empty, and deletes it with its blocks."""
    results = [run_trial(each, recording) for each in steps(task, memory="fresh")]
    assert creations(letta) == 3
    assert {each.transcript.blocks("before")["notes"] for each in results} == {""}
    assert (letta.agents, letta.blocks) == ({}, {})


@pytest.mark.parametrize("kind", ["fresh", "carried"])
def test_no_rules_of_letta_change_the_prompt_later(task, recording, letta, kind) -> None:
    """Letta writes them into the prompt only where it writes that anew: ``carried`` would read them alone."""
    run_trial(steps(task, memory=kind)[0], recording)
    (body,) = [body for method, path, body in letta.requests if (method, path) == ("POST", "/v1/agents/")]
    assert body["tools"] == ["memory_insert", "memory_replace"]
    assert body["include_base_tool_rules"] is False


def test_no_memory_hears_no_review(task, recording) -> None:
    """``none``: the agent body, the messages and the end are those of any other trial."""
    result = run_trial(steps(task, memory="none")[0], recording)
    assert not any("review" in e.text for e in result.transcript.events if isinstance(e, Said))
    assert result.record.row()["memory"] == "none"


def test_a_call_that_the_limit_stopped_is_answered_before_the_review(task, recording, letta) -> None:
    """Letta takes no message while a tool call waits."""
    limited = task.model_copy(update={"limits": task.limits.model_copy(update={"max_tool_calls": 1})})
    letta._script = lambda: iter([STEP[0], STEP[0], say("Stopped."), *REVIEW])
    result = run_trial(steps(limited)[0], recording)
    assert (result.error, result.transcript.stop) == (None, "tool_call_limit")
    assert result.transcript.blocks("after")["notes"] == "\n- keep it short"
