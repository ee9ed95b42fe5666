"""benchmarks/: the shipped suite is what its README says."""

import json
from datetime import date
from pathlib import Path

import pytest

from harness.agents.transcript import Called
from harness.results.pricing import Prices
from harness.runner import Setup, run_trial
from harness.tasks.loader import load_pairs
from harness.tasks.suite import Selection, Suite

ROOT = Path(__file__).parent.parent
SUITE = Suite(ROOT / "benchmarks", ROOT, Selection(), {})
TASKS = [task for path in SUITE.files() for task in SUITE.tasks(path)]
PAIRS = load_pairs(ROOT / "benchmarks/pairs.yaml", "benchmarks/pairs.yaml")
LIVE = [pair for pair in PAIRS.values() if pair.backend == "anthropic"]


@pytest.mark.parametrize("pair", LIVE, ids=lambda pair: pair.name)
def test_pairs_of_real_models_cost_what_the_price_library_says(pair):
    """Each of their models has a price, and none of them runs unless it is named."""
    assert pair.on_request
    for model in (pair.orchestrator.model, pair.coder, pair.tester):
        assert Prices().of(model, date(2026, 11, 23)) is not None, model


def test_pairs_for_some_tasks_name_tasks_of_the_suite():
    """A pair that is run for some tasks only is run for something."""
    assert {task for pair in PAIRS.values() for task in pair.tasks} <= {task.id for task in TASKS}


@pytest.mark.parametrize("name", ["scripted+smollm2", "scripted+oracle"])
def test_server_tools_leave_what_client_tools_leave(name, sandbox):
    """The shipped recordings of both modes for one task: the same files, verdict and tokens."""
    setup = Setup(ROOT, sandbox)
    both = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(name, f"{name}-in-letta")), {})
    trials = {trial.slug: trial for trial in both.trials(ROOT / "benchmarks/functions/add.yaml")}
    here = run_trial(trials[f"{name}/add/1"], setup)
    in_letta = run_trial(trials[f"{name}-in-letta/add/1"], setup)
    assert (here.error, in_letta.error) == (None, None)
    assert in_letta.files == here.files
    assert in_letta.record.tokens == here.record.tokens
    assert (in_letta.record.outcome, in_letta.record.attempts) == (here.record.outcome, here.record.attempts)


TWINS = [("scripted+oracle", each) for each in ("add", "clamp", "stack", "parse_duration")]
TWINS.append(("scripted+script", "add"))


@pytest.mark.parametrize(("name", "task"), TWINS)
def test_the_app_server_leaves_what_v1_leaves(name, task, sandbox):
    """The shipped recordings with both servers: the same tool calls, files and verdict; other labels."""
    asked = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(name, f"{name}-on-app-server"), epochs=1), {})
    (path,) = (path for path in asked.files() if path.stem == task)
    v1, app = (run_trial(trial, Setup(ROOT, sandbox)) for trial in asked.trials(path))
    assert (v1.error, app.error) == (None, None)
    assert app.files == v1.files
    made = [
        [(e.tool, json.loads(e.arguments)) for e in result.transcript.events if isinstance(e, Called)]
        for result in (v1, app)
    ]
    assert made[0] == made[1]
    same = ("outcome", "attempts", "steps", "tool_calls", "tool_errors", "final_answer", "tokens")
    assert [getattr(app.record, field) for field in same] == [getattr(v1.record, field) for field in same]
    assert (v1.record.row()["letta_version"], v1.record.orchestrator) == ("0.16.8", "local/scripted")
    assert app.record.row()["letta_version"] == "App Server 0.34.12 through the harness's translator"
    assert app.record.orchestrator == "local/scripted (App Server)"


@pytest.mark.parametrize("task", ["add", "clamp", "stack", "parse_duration"])
@pytest.mark.slow
def test_a_model_in_the_app_server_leaves_what_it_leaves_in_v1(task, sandbox):
    """Guided by tools that change in mid-turn: the same files and verdict. What it says may differ."""
    name = "smollm2-guided+oracle"
    asked = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(name, f"{name}-on-app-server"), epochs=1), {})
    (path,) = (path for path in asked.files() if path.stem == task)
    v1, app = (run_trial(trial, Setup(ROOT, sandbox)) for trial in asked.trials(path))
    assert (v1.error, app.error) == (None, None)
    assert app.files == v1.files
    same = ("outcome", "attempts", "steps", "tool_calls", "tool_errors")
    assert [getattr(app.record, field) for field in same] == [getattr(v1.record, field) for field in same]
    assert app.record.tokens["orchestrator_cache_read"] > 0


OTHER_WAYS = {
    "scripted+smollm2-in-letta": "local",
    "scripted+oracle-in-letta": "mock",
    "scripted+smollm2-in-cli": "claude-code",
    "scripted+script": "mock",
    "scripted+faults": "mock",
}


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_each_way_into_the_system_replays(name, sandbox):
    """The same task was recorded in each mode, and replays without a server, a CLI or a model."""
    asked = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(name,)), {})
    (trial,) = asked.trials(ROOT / "benchmarks/functions/add.yaml")
    result = run_trial(trial, Setup(ROOT, sandbox))
    assert result.error is None
    assert (result.record.mode, result.record.outcome) == ("replay", "solved")
    assert result.record.row()["backend"] == OTHER_WAYS[name]


def test_ids_are_the_files_names_and_folders_the_kinds():
    """A task is found by its id; each stands in a folder of its kind."""
    assert [task.id for task in TASKS] == [path.stem for path in SUITE.files()]
    assert {path.parent.parent for path in SUITE.files()} == {ROOT / "benchmarks"}
    assert len(TASKS) >= 24


def test_every_task_is_worth_running():
    """Each has acceptance tests, tags, and at least three known bugs; all difficulties are there."""
    for task in TASKS:
        assert len(task.bugs) >= 3, task.id
        assert task.tags, task.id
    assert {task.difficulty for task in TASKS} == {"trivial", "easy", "medium", "hard"}


def test_the_readme_lists_every_task():
    """benchmarks/README.md names each task with its difficulty."""
    lines = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert {row[0].strip("`"): row[2] for row in rows} == {task.id: task.difficulty for task in TASKS}
