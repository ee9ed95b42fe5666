"""harness/tasks/task.py: the values of task, pair and trial, and what a task's digest covers."""

import pytest
from pydantic import ValidationError

from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.task import Limits, Task, digest
from harness.tasks.trial import Trial


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
