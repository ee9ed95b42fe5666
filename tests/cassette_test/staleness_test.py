"""harness/cassette/staleness.py: why a cassette no longer fits, in words and with remedies of their own."""

from dataclasses import replace

import pytest
from shelves import tape

from harness.cassette.staleness import WAYS, changes, command, pair_digest, stale
from harness.tasks.pair import Pair


def test_nothing_changed(trial):
    """A cassette of this trial, task, prompts and pair."""
    assert changes(tape(trial), trial) == []


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("trial", {"trial": "a/b/1"}),
        ("task", {"task": "x"}),
        ("prompts", {"prompts": "x"}),
        ("pair", {"recorded": {"pair": "x"}}),
    ],
)
def test_each_change_has_its_own_words(what, change, trial):
    """What changed, and what to do about just that."""
    (found,) = changes(replace(tape(trial), **change), trial)
    assert found.what == what
    assert what in found.text
    assert "--record=all" in found.remedy


def test_what_does_not_change_a_trial_makes_nothing_stale(trial):
    """How often, when and for which tasks a pair is run is no part of what was recorded."""
    pair = trial.pair.model_copy(update={"epochs": 9, "on_request": True, "tasks": ("add",)})
    assert pair_digest(pair) == pair_digest(trial.pair)
    assert pair_digest(trial.pair.model_copy(update={"tools": "server"})) != pair_digest(trial.pair)


def test_another_server_is_another_pair(trial):
    """And it is what is named as changed; recordings made before there was a choice are V1's."""
    orchestrator = trial.pair.orchestrator
    moved = trial.pair.model_copy(
        update={"orchestrator": orchestrator.model_copy(update={"server": "app-server"})}
    )
    (found,) = changes(tape(trial), trial.model_copy(update={"pair": moved}))
    assert f"orchestrator was {orchestrator.model!r}, is '{orchestrator.model} (App Server)'" in found.text


def test_the_changed_model_is_named(trial):
    """Which role, and both models."""
    pair = trial.pair.model_copy(update={"tester": "other"})
    (found,) = changes(tape(trial), trial.model_copy(update={"pair": pair}))
    assert found.text == "the pair changed since: tester was 'claude-haiku-5-5', is 'other'"


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_fail_has_its_own_remedy(way, trial):
    """Where nothing is known to have changed, the remedy is that of the failure."""
    error = stale(way, tape(trial), trial, "c.json", "WHAT")
    assert error.message == "c.json: WHAT"
    assert error.remedy == f"{WAYS[way]}: pytest 'benchmarks/add.yaml::gpt+haiku[1]' --record=all"
    assert len(set(WAYS.values())) == len(WAYS)


def test_a_known_change_comes_first(trial):
    """What changed says more than how the replay failed."""
    error = stale("unmatched", replace(tape(trial), task="x"), trial, "c.json", "WHAT")
    assert error.message.startswith("c.json (the task changed since")
    assert error.message.endswith("WHAT")
    assert error.remedy.startswith("restore benchmarks/add.yaml, or record it again: pytest ")


def test_the_command_can_be_pasted_into_a_shell(trial):
    """Names that a shell would act on are quoted."""
    pair = Pair.of_models("a b; rm x", "c'd")
    odd = trial.model_copy(update={"pair": pair, "source": "my benchmarks/it's.yaml", "epoch": 3})
    import shlex

    assert shlex.split(command(odd, "all")) == [
        "pytest",
        f"my benchmarks/it's.yaml::{pair.name}[3]",
        "--record=all",
        "--orchestrator",
        "a b; rm x",
        "--coder",
        "c'd",
        "--epochs",
        "3",
    ]
