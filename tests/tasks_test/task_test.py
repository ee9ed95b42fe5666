"""harness/tasks/task.py, harness/tasks/trial.py: tasks, pairs and trials, their names and digests."""

import itertools

import pytest
from pydantic import ValidationError

from harness.tasks.task import Limits, Task, digest
from harness.tasks.trial import Orchestrator, Pair, Trial
from harness.text import is_safe_path, shorten


def a_task(**changes):
    fields = {
        "id": "add",
        "title": "Add",
        "spec": "Add two numbers.",
        "code_file": "add.py",
        "test_file": "test_add.py",
        "reference": "r",
        "acceptance": "a",
    }
    return Task(**{**fields, **changes})


def a_pair(**changes):
    return Pair(
        **{"name": "p", "orchestrator": Orchestrator(model="openai/x"), "coder": "claude-x", **changes}
    )


def test_a_slug_names_pair_task_and_epoch():
    """One text names the item, the cassette, the workspace and the record."""
    assert Trial(task=a_task(), pair=a_pair(), epoch=3).slug == "p/add/3"


@pytest.mark.parametrize(
    "value", [a_task(), a_pair(), Limits(), Trial(task=a_task(), pair=a_pair(), epoch=1)]
)
def test_values_are_frozen(value):
    """No field of a domain value can be set after it was made."""
    for field in type(value).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, field, getattr(value, field))


@pytest.mark.parametrize(
    "build",
    [
        lambda: a_task(surprise=1),
        lambda: a_task(tags=["a", 5]),
        lambda: a_pair(epochs="2"),
        lambda: a_pair(name="a/b"),
        lambda: a_pair(name="-a"),
        lambda: a_pair(name="a\n"),
        lambda: Trial(task=a_task(), pair=a_pair(), epoch=0),
        lambda: Limits(timeout_s=float("nan")),
        lambda: Limits(timeout_s=float("inf")),
        lambda: Orchestrator(model="x", temperature=float("nan")),
    ],
)
def test_values_are_checked_when_they_are_made(build):
    """Unknown keys, other types, unsafe names and figures out of range never make a value."""
    with pytest.raises(ValidationError):
        build()


# --- digests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"spec": "Add two numbers!"},
        {"code_file": "plus.py"},
        {"test_file": "test_plus.py"},
        {"files": {"data.txt": "1"}},
        {"limits": Limits(max_tokens=64)},
        {"limits": Limits(max_repairs=0)},
        {"limits": Limits(max_tool_calls=2)},
    ],
)
def test_a_digest_changes_with_what_reaches_a_model(change):
    """A recording of the task as it was is of another task."""
    assert a_task(**change).digest != a_task().digest


@pytest.mark.parametrize(
    "change",
    [
        {"acceptance": "other"},
        {"reference": "other"},
        {"title": "other"},
        {"id": "other"},
        {"tags": ("a",)},
        {"difficulty": "hard"},
        {"bugs": ({"name": "b", "code": "c"},)},
    ],
)
def test_a_digest_ignores_what_no_model_sees(change):
    """Mending a hidden test does not make a recording stale."""
    assert a_task(**change).digest == a_task().digest


def test_a_digest_depends_on_content_and_not_on_order():
    """Equal values have one digest, other values another; odd texts have one too."""
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    values = [{}, [], "", None, 0, False, 1, "1", [1], ["1"], {"1": 1}, "\ud800", "é", "e\u0301"]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1}) == "015abd7f5cc57a2d"


# --- pairs ------------------------------------------------------------------------------------------


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


# --- paths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["add.py", "src/add.py", "a/b/c/d/e/f/g/h.py", "a b.py", "A-1_.txt", "_x", "Makefile", "x" * 200, "a..b"],
)
def test_a_plain_relative_name_is_safe(name):
    """Ordinary names and folders are allowed."""
    assert is_safe_path(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a.py",
        "a/../b.py",
        "a/..",
        "a/./b.py",
        "a//b.py",
        "a/",
        "/a.py",
        "//a.py",
        "~/a.py",
        "~",
        "C:a.py",
        "C:/a.py",
        "C:\\a.py",
        "a\\b.py",
        "..\\a.py",
        "a\x00.py",
        "a\n.py",
        "a.py\n",
        "a\r.py",
        "a\t.py",
        " a.py",
        ".hidden",
        "a/.hidden",
        ".git/config",
        "-rf",
        "a/-rf",
        "x" * 201,
        "/".join("abcdefghi"),
        "a\u2215b.py",
        "a\uff0fb.py",
        "\uff0e\uff0e/a.py",
        "ａ.py",
        "a\u202e.py",
        "a\u200b.py",
        "a\ud800.py",
        "é.py",
        "a:stream.py",
        "a*.py",
        "$HOME/a.py",
        "a|b",
        "file:///etc/passwd",
    ],
    ids=ascii,
)
def test_a_name_that_could_lead_elsewhere_is_not_safe(name):
    """Whatever is no plain relative name of letters, digits and a few signs is refused."""
    assert not is_safe_path(name)


@pytest.mark.parametrize("length", [0, 1, 79, 80, 81, 5000])
def test_a_shortened_text_is_never_longer_than_asked(length):
    """A text that fits is unchanged; a longer one ends in an ellipsis."""
    text = "x" * length
    short = shorten(text)
    assert len(short) == min(length, 80)
    assert short == text if length <= 80 else short.endswith("…")


def test_server_tools_are_always_on_offer(pair):
    """A guided flow offers one tool at a time, which Letta does not do with its own."""
    with pytest.raises(ValueError, match="tools: client"):
        Pair(**{**dict(pair), "tools": "server", "flow": "guided"})
