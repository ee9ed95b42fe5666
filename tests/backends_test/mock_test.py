"""harness/backends/mock.py: stand-ins for Claude whose answers stand in the task file."""

from dataclasses import replace

import pytest
from fakes import CODER_THEN_TESTER, FakeLetta

from harness.agents.code_blocks import extract_code
from harness.agents.messages import Refused
from harness.backends import endpoints
from harness.backends.mock import SLOW_S, TRIVIAL, Mock
from harness.cassette.file import load
from harness.errors import ApiError, SpecError
from harness.runner import run_trial
from harness.tasks.pair import Pair
from harness.tasks.task import Bug, Script, Step, Task

ONE = Bug(name="one", code="def add(a, b):\n    return a - b\n")
TWO = Bug(name="two", code="def add(a, b):\n    return a * b  # ```\n")


@pytest.fixture
def task(task):
    """The task ``add`` with two known bugs."""
    return task.model_copy(update={"bugs": (ONE, TWO)})


def mocked(pair, **models):
    return Pair(name="m", orchestrator=pair.orchestrator, backend="mock", **models)


@pytest.mark.parametrize(
    ("role", "model", "wanted"),
    [
        ("coder", "oracle", lambda task: task.reference),
        ("coder", "bug", lambda task: task.bugs[0].code),
        ("coder", "bug:two", lambda task: task.bugs[1].code),
        ("tester", "oracle", lambda task: task.acceptance),
        ("tester", "trivial", lambda task: TRIVIAL),
    ],
)
def test_each_stand_in_writes_what_it_is_named_for(role, model, wanted, task):
    """The file comes out of the answer as it went in, whatever fences it holds, and costs no tokens."""
    answer = Mock(task).ask(role, model, "", "", {})
    assert extract_code(answer.text, "add.py").strip() == wanted(task).strip()
    assert (answer.usage.input, answer.usage.output, answer.cut_off) == (0, 0, False)


def test_a_bug_that_the_task_does_not_have_is_the_pairs_mistake(task, pair, recording, trial):
    """Neither a model nor a service is to blame: the trial says which bugs there are."""
    said = "the pair's coder is 'bug:three': the task add has no such bug; it has 'one', 'two'"
    with pytest.raises(SpecError, match=said):
        Mock(task).ask("coder", "bug:three", "", "", {})
    result = run_trial(trial.model_copy(update={"pair": mocked(pair, coder="bug:three")}), recording)
    assert result.record.outcome == "spec_error"


@pytest.mark.parametrize(
    ("models", "graded"),
    [
        (("oracle", "oracle"), ("solved", True, 2)),
        (("oracle", "trivial"), ("solved", True, 0)),
        (("bug", "oracle"), ("wrong", False, 2)),
        (("bug", "trivial"), ("wrong", True, 0)),
    ],
)
def test_with_stand_ins_a_trial_measures_everything_else(models, graded, trial, recording, replaying):
    """Recorded and replayed through Letta alone: oracles are solved and catch bugs, bugs are not solved."""
    mock = trial.model_copy(update={"pair": mocked(trial.pair, coder=models[0], tester=models[1])})
    live, replay = run_trial(mock, recording).record, run_trial(mock, replaying).record
    assert live.row() | {"mode": ""} == replay.row() | {"mode": ""}
    assert (replay.outcome, replay.generated_passed, replay.bugs_caught) == graded
    tape = load(recording.root / mock.cassette_path, "it")
    assert {each.url.split("/")[2] for each in tape.exchanges} == {"letta"}


def test_a_mock_needs_no_key_of_claudes(pair):
    """Its Letta is the one of the environment."""
    where = endpoints.live(mocked(pair, coder="oracle"), {"LETTA_BASE_URL": "http://localhost:1"})
    assert where.letta_url == "http://localhost:1"
    assert where.claude_url.endswith(".invalid")


@pytest.mark.parametrize(
    "models",
    [
        {"coder": "gpt"},
        {"coder": "oracle", "tester": "bug"},
        {"coder": "bug:"},
        {"coder": "script:"},
        {"coder": "fault:error"},
        {"coder": "fault:error@0"},
        {"coder": "fault:error@1,"},
        {"coder": "fault:late@1"},
        {"coder": "oracle", "tester": "fault:slow@x"},
    ],
)
def test_other_models_are_no_mocks(models, pair):
    """A pair that names a real model beside ``backend: mock`` is refused when it is read."""
    with pytest.raises(ValueError, match="with backend mock, got"):
        mocked(pair, **models)


def test_the_default_tester_of_a_mock_is_the_oracle(pair):
    """A bug has no tests of its own."""
    assert mocked(pair, coder="bug").tester == "oracle"


# --- scripts and faults ---------------------------------------------------------------------------------

STEPS = (
    Step(bug="two"),
    Step(answer="No."),
    Step(fault="refused"),
    Step(fault="truncated"),
    Step(fault="error"),
)


@pytest.fixture
def scripted(task):
    """The task with a script of each kind of step for the coder."""
    return task.model_copy(update={"scripts": {"all": Script(coder=STEPS)}})


def test_a_script_is_followed_call_for_call(scripted):
    """A bug, an answer of its own, a refusal, half an answer, a failing service; then the reference."""
    mock = Mock(scripted)

    def ask():
        return mock.ask("coder", "script:all", "", "", {})

    assert extract_code(ask().text, "add.py").strip() == TWO.code.strip()
    assert ask().text == "No."
    with pytest.raises(Refused, match="call 3 of the coder"):
        ask()
    half = ask()
    assert half.cut_off
    assert extract_code(half.text, "add.py", cut_off=True) is None
    with pytest.raises(ApiError, match="call 5"):
        ask()
    assert extract_code(ask().text, "add.py").strip() == scripted.reference.strip()


def test_each_role_counts_its_own_calls(scripted):
    """The tester of a script without steps for it is an oracle."""
    mock = Mock(scripted)
    assert extract_code(mock.ask("tester", "script:all", "", "", {}).text, "t.py") == scripted.acceptance
    assert (
        extract_code(mock.ask("coder", "script:all", "", "", {}).text, "add.py").strip() == TWO.code.strip()
    )


def test_faults_come_on_their_calls_for_any_task(task):
    """Between them an oracle writes; a slow answer waits, live."""
    waited = []
    mock = Mock(task, waited.append)
    for number in range(1, 5):
        try:
            answer = mock.ask("coder", "fault:refused@2,slow@3", "", "", {})
        except Refused:
            assert number == 2
        else:
            assert extract_code(answer.text, "add.py").strip() == task.reference.strip()
    assert waited == [SLOW_S]


def test_a_script_that_the_task_does_not_have(scripted):
    """Is the pair's mistake; the message says which there are."""
    with pytest.raises(
        SpecError, match="the pair's coder is 'script:none': the task add has no such script; it has 'all'"
    ):
        Mock(scripted).ask("coder", "script:none", "", "", {})


def test_a_script_names_bugs_of_its_task(task):
    """A step with an unknown bug is refused when the file is read."""
    with pytest.raises(ValueError, match="expected a known bug of the task in script 's', got 'three'"):
        Task(**{**dict(task), "scripts": {"s": Script(coder=(Step(bug="three"),))}})


@pytest.mark.parametrize(
    "steps", [{"coder": (Step(bug="one", answer="No."),)}, {"tester": (Step(bug="one"),)}]
)
def test_a_step_writes_one_thing(steps):
    """What would be ignored is refused."""
    with pytest.raises(ValueError, match="expected (answer or|no) bug"):
        Script(**steps)


def test_a_script_is_nothing_that_a_model_sees(task, scripted):
    """So it makes no recording of real models stale."""
    assert scripted.digest == task.digest


@pytest.mark.parametrize(
    "expected",
    [
        ("fault:refused@1", "solved", 1),
        ("fault:truncated@1,truncated@2", "solved", 2),
        ("fault:error@1", "api_error", None),
    ],
)
def test_a_failing_mock_in_a_trial(expected, trial, recording, replaying):
    """The model's doing is measured and replays; a failing service is no measurement and leaves nothing."""
    coder, outcome, errors = expected
    steps = (CODER_THEN_TESTER[0], CODER_THEN_TESTER[0], *CODER_THEN_TESTER)
    failing = trial.model_copy(update={"pair": mocked(trial.pair, coder=coder)})
    with FakeLetta(steps).running() as letta:
        setup = replace(recording, environment={**recording.environment, "LETTA_BASE_URL": letta.url})
        live = run_trial(failing, setup)
    assert (live.record.outcome, live.record.tool_errors) == (outcome, errors)
    if errors is not None:
        assert run_trial(failing, replaying).transcript == live.transcript


def test_a_slow_mock_does_not_slow_a_replay(trial, recording, replaying, monkeypatch):
    """It waits where it is recorded, and only there."""
    waited = []
    monkeypatch.setattr("harness.backends.connect.time.sleep", waited.append)
    slow = trial.model_copy(update={"pair": mocked(trial.pair, coder="fault:slow@1")})
    run_trial(slow, recording)
    assert SLOW_S in waited
    waited.clear()
    assert run_trial(slow, replaying).record.outcome == "solved"
    assert waited == []
