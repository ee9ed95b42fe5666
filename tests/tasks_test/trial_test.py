"""harness/tasks/trial.py: the names of pairs and trials, and which pairs cannot be."""

import itertools

import pytest

from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.trial import Trial


def test_a_slug_names_pair_task_and_epoch(task, pair):
    """One text names the item, the cassette, the workspace and the record."""
    trial = Trial(task=task, pair=pair, epoch=3)
    assert trial.slug == f"{pair.name}/{task.id}/3"
    assert trial.cassette_path == f"cassettes/{trial.slug}.json"


def test_models_of_a_pair_from_the_command_line():
    """A pair made of two handles holds them as they were given."""
    pair = Pair.of_models("openai/gpt-5-mini", "claude-haiku", epochs=4)
    assert (pair.orchestrator.model, pair.coder, pair.tester, pair.epochs) == (
        "openai/gpt-5-mini",
        "claude-haiku",
        "claude-haiku",
        4,
    )
    assert pair.name == "openai~gpt-5-mini+claude-haiku"


MODELS = [
    "a/b",
    "a-b",
    "a~b",
    "a+b",
    "a b",
    "a%2Fb",
    "a:b",
    "a.b",
    "a_b",
    "a",
    "b",
    "a+",
    "B/a",
    "aé/b",
    "a/b/c",
]


def test_no_two_pairs_of_models_share_a_name():
    """The name tells every two pairs apart, or one would overwrite the cassette of the other."""
    names = {}
    for one, other in itertools.product(MODELS, MODELS):
        names.setdefault(Pair.of_models(one, other).name, []).append((one, other))
    assert [same for same in names.values() if len(same) > 1] == []


@pytest.mark.parametrize(
    "model", ["/b", "~b", "-b", "_b", "lmstudio/" + "x" * 150, "ü" * 40, ".hidden/model"], ids=lambda m: m[:9]
)
def test_every_model_handle_makes_a_name(model):
    """A handle that starts oddly or is long still names a folder."""
    name = Pair.of_models(model, model).name
    assert 0 < len(name) <= 120
    assert "/" not in name


def test_server_tools_are_always_on_offer(pair):
    """A guided flow offers one tool at a time, which Letta does not do with its own."""
    with pytest.raises(ValueError, match="tools: client"):
        Pair(**{**dict(pair), "tools": "server", "flow": "guided"})


def test_the_app_server_runs_no_tools_of_ours(pair):
    """Server tools with it are refused where the file is read, in one line."""
    fields = pair.model_dump() | {"tools": "server", "orchestrator": {"model": "m", "server": "app-server"}}
    with pytest.raises(ValueError, match="expected tools: client with server: app-server"):
        Pair.model_validate(fields)


def test_the_fixed_policy_lives_in_no_server():
    """A server of `direct` would be a setting without effect."""
    with pytest.raises(ValueError, match="direct is no model, and takes no settings"):
        Orchestrator(model="direct", server="app-server")


def test_results_name_the_server_of_an_orchestrator():
    """Unless it is V1's, as it was before there was a choice."""
    assert Orchestrator(model="local/m").label == "local/m"
    assert Orchestrator(model="local/m", server="app-server").label == "local/m (App Server)"
