"""Courses: parsed, their steps and values, and one line for each thing that is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.errors import SpecError
from harness.tasks.suite import Selection, Suite

ADD = {
    "title": "Add",
    "spec": "Implement add(a, b).",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "def add(a, b): return a + b",
    "acceptance": "def test(): pass",
}
PRICE = {
    **ADD,
    "id": "price",
    "spec": "Return the price.",
    "reference": "'<<unit>>'",
    "bugs": [{"name": "money", "code": "0"}],
}
QUOTED = {**PRICE, "acceptance": "UNIT = '<<unit>>'\ndef test(): pass"}
COURSE = {
    "title": "A course",
    "values": {"unit": ["ct", "hd"]},
    "conventions": [{"name": "money", "phrase": "5 <<unit>>", "text": "Money is text such as 5 <<unit>>."}],
    "steps": [
        {"task": "add", "review": "Money is text, as in 5 <<unit>>."},
        {"define": PRICE, "review": "Thanks.", "checks": ["money"]},
    ],
}
PAIR = {"orchestrator": {"model": "openai/o"}, "coder": "c"}
PAIRS = {"plain": PAIR, "carried": {**PAIR, "memory": "carried", "courses": ["shop"], "epochs": 3}}


class Plain(yaml.SafeDumper):
    """Write out what stands there twice: aliases are refused."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def suite(tmp_path: Path, course: object = COURSE, pairs: object = PAIRS, **more: object) -> Suite:
    folder = tmp_path / "benchmarks"
    folder.mkdir(exist_ok=True)
    files = {"add.yaml": ADD, "shop.yaml": course, "pairs.yaml": {"pairs": pairs}, **more}
    for name, data in files.items():
        (folder / name).write_text(yaml.dump(data, Dumper=Plain, sort_keys=False))
    return Suite(folder, tmp_path, Selection(), {})


def trials(suite: Suite, name: str = "shop.yaml"):
    return suite.trials(suite.folder / name)


def test_a_pair_takes_the_courses_that_it_names_and_no_task(tmp_path) -> None:
    """Each epoch is a course run of all steps, in order; a pair without courses has none of it."""
    made = suite(tmp_path)
    assert [trial.slug for trial in trials(made)][:3] == [
        "carried/shop.1.add/1",
        "carried/shop.2.price/1",
        "carried/shop.1.add/2",
    ]
    assert [trial.pair.name for trial in trials(made, "add.yaml")] == ["plain"]


def test_values_are_others_in_each_epoch(tmp_path) -> None:
    """``<<unit>>`` is the first text in epoch 1, the second in epoch 2, and the first again in epoch 3."""
    of_step_2 = [trial for trial in trials(suite(tmp_path)) if trial.place == 2]
    assert [trial.task.reference for trial in of_step_2] == ["'ct'", "'hd'", "'ct'"]
    assert [trial.task.conventions["money"] for trial in of_step_2] == ["5 ct", "5 hd", "5 ct"]
    first = next(trial for trial in trials(suite(tmp_path)) if trial.epoch == 2)
    assert first.step.review == "Money is text, as in 5 hd."


def test_the_control_states_every_convention(tmp_path) -> None:
    """A control has the steps of its course, and the conventions in each specification."""
    control = {"title": "Control", "control_of": "shop.yaml", "epochs": 1}
    pairs = {"p": {**PAIR, "courses": ["shop", "control"], "epochs": 2}}
    found = trials(suite(tmp_path, pairs=pairs, **{"control.yaml": control}), "control.yaml")
    assert [trial.slug for trial in found] == ["p/control.1.add/1", "p/control.2.price/1"]
    assert all("- Money is text such as 5 ct." in trial.task.spec for trial in found)
    assert found[0].step.is_control


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [{"task": "ad", "review": "r"}]}, "no task 'ad'; did you mean 'add'?"),
        ({"steps": [{"task": "add", "review": "r"}] * 2}, "the task 'add' stands there twice"),
        ({"steps": [{"review": "r"}]}, "expected either task, the id of a task of the suite, or define"),
        ({"steps": []}, "expected either steps, or control_of"),
        (
            {"steps": [{"task": "add", "review": "r", "checks": ["x"]}]},
            "expected conventions of the course in checks of step 1: ['x']",
        ),
        ({"steps": [{"task": "add"}]}, "review: missing"),
        (
            {"steps": [{"define": PRICE | {"bugs": []}, "review": "r", "checks": ["money"]}]},
            "steps.0.checks: 'money': expected a known bug of that name",
        ),
        (
            {"steps": [{"define": {k: v for k, v in PRICE.items() if k != "spec"}, "review": "r"}]},
            "steps.0.define.spec: missing; expected ",
        ),
        ({"values": {"unit": []}}, "values.unit: "),
        (
            {"values": {"unit": ["'"]}, "steps": [*COURSE["steps"][:1], {"define": QUOTED, "review": "r"}]},
            "values: step 2, with those of epoch 1: acceptance: ",
        ),
        (
            {"control_of": "none.yaml", "steps": [], "values": {}, "conventions": []},
            "no course file 'none.yaml'",
        ),
    ],
)
def test_a_wrong_course_is_one_line(tmp_path, change, message) -> None:
    """Each mistake names the file, and what was expected."""
    with pytest.raises(SpecError) as caught:
        trials(suite(tmp_path, COURSE | change))
    (line,) = caught.value.problems
    assert line.startswith("benchmarks/shop.yaml:")
    assert message in line


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"memory": "carried"}, "expected courses, and no tasks, with memory: carried"),
        ({"memory": "carried", "courses": ["shop"], "tasks": ["add"]}, "expected courses, and no tasks"),
        ({"memory": "fresh", "tools": "server"}, "expected memory: none with tools: server"),
        (
            {"memory": "fresh", "orchestrator": {"model": "direct"}},
            "expected memory: none with orchestrator direct",
        ),
        ({"history": "keep"}, "expected history: keep with memory: carried only"),
        ({"courses": ["shops"]}, "no course 'shops'; did you mean 'shop'?"),
    ],
)
def test_a_pair_that_makes_no_sense_is_one_line(tmp_path, pair, message) -> None:
    """Memory where there is none to have, and courses that do not exist, are refused with the pairs file."""
    with pytest.raises(SpecError) as caught:
        suite(tmp_path, pairs={"p": PAIR | pair}).named_pairs  # noqa: B018
    (line,) = caught.value.problems
    assert message in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": {}}, "<<unit>> stands for nothing"),
        (
            {"steps": [{"define": PRICE | {"files": {"a.txt": "5 <<unti>>"}}, "review": "r"}]},
            "<<unti>> stands for nothing; values: unit",
        ),
        ({"steps": [{"define": PRICE, "review": "r", "checks": ["money"]}]}, "nothing before it states it"),
        (
            {
                "steps": [
                    COURSE["steps"][0],
                    {"define": PRICE | {"spec": "5 <<unit>>"}, "review": "r", "checks": ["money"]},
                ]
            },
            "its own spec or files state it",
        ),
    ],
)
def test_a_convention_that_needs_no_memory_is_found(tmp_path, change, message) -> None:
    """``harness validate`` asks that memory, and nothing else, tells a step what its tests check."""
    made = suite(tmp_path, COURSE | change)
    assert any(message in line for line in made.course(made.folder / "shop.yaml").problems())


def test_a_value_of_a_later_epoch_that_breaks_a_text_is_one_line(tmp_path) -> None:
    """It is met where that epoch's trials are listed."""
    steps = [*COURSE["steps"][:1], {"define": QUOTED, "review": "r"}]
    found = suite(tmp_path, COURSE | {"values": {"unit": ["ct", "'"]}, "steps": steps})
    with pytest.raises(
        SpecError, match="shop.yaml:[0-9]+: values: step 2, with those of epoch 2: acceptance: "
    ):
        trials(found)
