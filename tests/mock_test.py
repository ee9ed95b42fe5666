"""harness/mock.py: stand-ins for Claude whose answers stand in the task file."""

import pytest

from harness import endpoints
from harness.cassette.file import load
from harness.errors import SpecError
from harness.fences import extract_code
from harness.mock import TRIVIAL, Mock
from harness.run import cassette_path, run_trial
from harness.trial import Bug, Pair

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
    answer = Mock(task).ask(role, model, "", "", 16)
    assert extract_code(answer.text, "add.py").strip() == wanted(task).strip()
    assert (answer.usage.input, answer.usage.output, answer.cut_off) == (0, 0, False)


def test_a_bug_that_the_task_does_not_have_is_the_pairs_mistake(task, pair, recording, trial):
    """Neither a model nor a service is to blame: the trial says which bugs there are."""
    with pytest.raises(SpecError, match="no such bug for the coder 'bug:three'; it has 'one', 'two'"):
        Mock(task).ask("coder", "bug:three", "", "", 16)
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
    tape = load(recording.root / cassette_path(mock), "it")
    assert {each.url.split("/")[2] for each in tape.exchanges} == {"letta"}


def test_a_mock_needs_no_key_of_claudes(pair):
    """Its Letta is the one of the environment."""
    where = endpoints.live(mocked(pair, coder="oracle"), {"LETTA_BASE_URL": "http://localhost:1"})
    assert where.letta_url == "http://localhost:1"
    assert where.claude_url.endswith(".invalid")


@pytest.mark.parametrize(
    "models", [{"coder": "gpt"}, {"coder": "oracle", "tester": "bug"}, {"coder": "bug:"}]
)
def test_other_models_are_no_mocks(models, pair):
    """A pair that names a real model beside ``backend: mock`` is refused when it is read."""
    with pytest.raises(ValueError, match="with backend mock, got"):
        mocked(pair, **models)


def test_the_default_tester_of_a_mock_is_the_oracle(pair):
    """A bug has no tests of its own."""
    assert mocked(pair, coder="bug").tester == "oracle"
