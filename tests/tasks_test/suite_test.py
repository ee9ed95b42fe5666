"""harness/tasks/suite.py: which tasks, pairs and trials a benchmarks folder and the command line make."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.errors import SpecError, UsageError
from harness.tasks.suite import Selection, Suite

TASK = """\
title: Add
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: "def add(a, b): return a + b"
acceptance: "def test(): pass"
"""
PAIRS = """\
pairs:
  one: {orchestrator: {model: openai/o}, coder: c, epochs: 2}
  two: {orchestrator: {model: openai/p}, coder: c, tester: t}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmarks folder with one task and two pairs."""
    folder = tmp_path / "benchmarks"
    (folder / "deep").mkdir(parents=True)
    (folder / "add.yaml").write_text(TASK)
    (folder / "pairs.yaml").write_text(PAIRS)
    return folder


def suite(folder: Path, environment: dict[str, str] | None = None, **chosen: object) -> Suite:
    return Suite(folder, folder.parent, Selection(**chosen), environment or {})


def slugs(suite: Suite) -> list[str]:
    return [trial.slug for trial in suite.trials(suite.folder / "add.yaml")]


def test_each_pair_and_epoch(folder) -> None:
    """A task is tried by each pair, as often as the pair says."""
    assert slugs(suite(folder)) == ["one/add/1", "one/add/2", "two/add/1"]


def test_the_tester_is_the_coder_by_default(folder) -> None:
    """A pair without a tester tests with the coder's model."""
    assert [(pair.coder, pair.tester) for pair in suite(folder).pairs] == [("c", "c"), ("c", "t")]


def test_a_pair_on_request_runs_where_it_is_named(folder) -> None:
    """A pair that needs keys can stand in the file, and leaves a plain run alone."""
    text = PAIRS + "  paid: {orchestrator: {model: openai/q}, coder: c, on_request: true}\n"
    (folder / "pairs.yaml").write_text(text)
    assert slugs(suite(folder)) == ["one/add/1", "one/add/2", "two/add/1"]
    assert slugs(suite(folder, pairs=("paid",))) == ["paid/add/1"]
    alone = "pairs:\n  paid: {orchestrator: {model: openai/q}, coder: c, on_request: true}\n"
    (folder / "pairs.yaml").write_text(alone)
    with pytest.raises(UsageError, match=r"run on request only -> name one: --pair paid"):
        slugs(suite(folder))


def test_a_pair_for_some_tasks(folder) -> None:
    """A pair may be run for the tasks that it names, and leaves the others alone."""
    (folder / "other.yaml").write_text(TASK)
    for tasks, expected in (("[add]", ["some/add/1"]), ("[other]", [])):
        line = f"  some: {{orchestrator: {{model: openai/q}}, coder: c, tasks: {tasks}}}\n"
        (folder / "pairs.yaml").write_text(PAIRS + line)
        assert slugs(suite(folder, pairs=("some",))) == expected


def test_chosen_pairs_and_epochs(folder) -> None:
    """Pairs and epochs come from the command line if given there, in the order asked for."""
    assert slugs(suite(folder, pairs=("two",), epochs=2)) == ["two/add/1", "two/add/2"]
    assert [pair.name for pair in suite(folder, pairs=("two", "one")).pairs] == ["two", "one"]


def test_an_unknown_pair_is_answered_with_the_nearest_and_all(folder) -> None:
    """A typing error is met with what could have been meant."""
    with pytest.raises(UsageError) as caught:
        _ = suite(folder, pairs=("onne",)).pairs
    assert str(caught.value) == (
        "no pair 'onne' in benchmarks/pairs.yaml; did you mean 'one'? -> use one of: one, two"
    )


def test_crossed_models(folder) -> None:
    """Each orchestrator is paired with each coder, under names that tell them apart."""
    crossed = suite(folder, orchestrators=("openai/o", "openai-o"), coders=("c", "d"))
    assert len({pair.name for pair in crossed.pairs}) == 4


def test_a_pair_goes_before_the_environment(folder) -> None:
    """ORCH_MODEL does not override a pair that was asked for by name."""
    assert slugs(suite(folder, {"ORCH_MODEL": "openai/x"}, pairs=("two",))) == ["two/add/1"]


def test_files(folder) -> None:
    """Task files are found in subfolders; pair and price files, and others, are none."""
    (folder / "deep" / "sub.yml").write_text(TASK)
    (folder / "prices.yaml").write_text("prices: {}")
    (folder / "notes.txt").write_text("")
    assert [path.name for path in suite(folder).files()] == ["add.yaml", "sub.yml"]


def test_the_same_stem_twice(folder) -> None:
    """Two tasks cannot share an id, since they would share cassettes; the second is told of the first."""
    (folder / "deep" / "add.yaml").write_text(TASK)
    twice = suite(folder)
    assert [task.id for task in twice.tasks(folder / "add.yaml")] == ["add"]
    with pytest.raises(
        SpecError, match=r"benchmarks/deep/add.yaml:1: id: 'add' is already used by benchmarks/add"
    ):
        twice.tasks(folder / "deep" / "add.yaml")


@pytest.mark.parametrize(
    "line",
    [
        "id: other",
        "id: 'other'",
        'id: "other" # why',
        "id:    other",
        '"id": other',
        "id : other",
        "id: >-\n  other",
    ],
)
def test_an_id_of_its_own(line, folder) -> None:
    """The id in the file counts, however it is quoted."""
    (folder / "deep" / "add.yaml").write_text(f"{line}\n{TASK}")
    assert [task.id for task in suite(folder).tasks(folder / "deep" / "add.yaml")] == ["other"]


def test_no_pairs_file(folder) -> None:
    """Without a pairs file and models there is nothing to run with, and no pair to be named."""
    (folder / "pairs.yaml").unlink()
    with pytest.raises(
        UsageError, match=r"no benchmarks/pairs\.yaml -> `harness init` writes one, or pass --orchestrator"
    ):
        _ = suite(folder).pairs
    with pytest.raises(UsageError, match=r"no benchmarks/pairs\.yaml -> `harness init` writes one$"):
        _ = suite(folder, pairs=("one",)).pairs


def test_the_same_pair_twice_is_one(folder) -> None:
    """A pair or model that is named twice is run once."""
    assert slugs(suite(folder, pairs=("two", "two"))) == ["two/add/1"]
    assert len(suite(folder, orchestrators=("o", "o"), coders=("c", "c")).pairs) == 1


def test_what_is_no_file_is_no_task(folder) -> None:
    """A folder or a dangling link that is called like a task file disturbs nothing."""
    (folder / "folder.yaml").mkdir()
    (folder / "link.yaml").symlink_to(folder / "nowhere.yaml")
    assert [path.name for path in suite(folder).files()] == ["add.yaml"]
    assert [task.id for task in suite(folder).tasks(folder / "add.yaml")] == ["add"]


# --- source files -------------------------------------------------------------------------------------


def add_source(folder: Path, name: str = "many.yaml", text: str = "") -> Path:
    """A source file of two tasks, x and y."""
    fields = {
        "title": "T",
        "spec": "S",
        "code_file": "c.py",
        "test_file": "test_c.py",
        "reference": "r",
        "acceptance": "a",
    }
    (folder / "ours.jsonl").write_text("".join(json.dumps({**fields, "id": name}) + "\n" for name in "xy"))
    (folder / name).write_text(f"source: ours.jsonl\n{text}")
    return folder / name


def test_source_files_are_no_task_files(folder) -> None:
    """Those that walk the task files do not meet the tasks of a source."""
    many = add_source(folder)
    found = suite(folder)
    assert [path.name for path in found.files()] == ["add.yaml"]
    assert found.sources() == [many]
    assert found.holds(many)


def test_a_source_takes_part_when_named(folder) -> None:
    """By default its tasks are only those of a run that names it; task files always take part."""
    many = add_source(folder)
    assert not suite(folder).collects(many)
    assert suite(folder, paths=frozenset({many})).collects(many)
    assert suite(folder).collects(folder / "add.yaml")


def test_a_source_that_always_takes_part(folder) -> None:
    """``collect: always`` makes a source like a task file; so does a mistake in it, which is to be told."""
    assert suite(folder).collects(add_source(folder, text="collect: always\n"))
    assert suite(folder).collects(add_source(folder, text="collect: sometimes\n"))


def test_the_trials_of_a_source(folder) -> None:
    """Task by task; each trial is named by its file and task, for commands to find it."""
    trials = suite(folder, pairs=("one",)).trials(add_source(folder))
    assert [trial.slug for trial in trials] == ["one/x/1", "one/x/2", "one/y/1", "one/y/2"]
    assert [trial.source for trial in trials[1:3]] == ["benchmarks/many.yaml::x", "benchmarks/many.yaml::y"]


def test_ids_of_a_source_that_are_taken(folder) -> None:
    """A task file's id comes first; between two sources the first that takes part does."""
    many, more = add_source(folder), add_source(folder, "more.yaml")
    (folder / "x.yaml").write_text(TASK)
    both = suite(folder, paths=frozenset({many, more}))
    said = r"^benchmarks/many.yaml:1: id: 'x' is already used by benchmarks/x.yaml; name one of the two"
    with pytest.raises(SpecError, match=said):
        both.tasks(many)
    assert [task.id for task in both.tasks(folder / "x.yaml")] == ["x"]
    (folder / "x.yaml").unlink()
    both = suite(folder, paths=frozenset({many, more}))
    assert [task.id for task in both.tasks(many)] == ["x", "y"]
    said = "^benchmarks/more.yaml:1: id: 'x' and 1 more are already used by benchmarks/many.yaml; name one"
    with pytest.raises(SpecError, match=said):
        both.tasks(more)
    assert len(suite(folder, paths=frozenset({more})).tasks(more)) == 2


# --- bad input ----------------------------------------------------------------------------------------


def test_a_pair_that_names_an_unknown_task(folder) -> None:
    """A typing error does not drop the pair in silence, nor make its recordings look like leftovers."""
    some = "  some: {orchestrator: {model: openai/q}, coder: c, tasks: [add, ad]}\n"
    (folder / "pairs.yaml").write_text(PAIRS + some)
    with pytest.raises(SpecError) as caught:
        _ = suite(folder).pairs
    assert str(caught.value) == (
        "benchmarks/pairs.yaml:4: pairs.some.tasks: no task 'ad'; did you mean 'add'?"
    )


def test_a_task_that_cannot_be_read_is_no_unknown_one(folder) -> None:
    """Neither one with a mistake in its file, nor one of a source that is not named or not installed."""
    (folder / "bad.yaml").write_text("titel: x\n")
    (folder / "many.yaml").write_text("source: nowhere.py:tasks\n")
    some = "  some: {orchestrator: {model: openai/q}, coder: c, tasks: [bad, far]}\n"
    (folder / "pairs.yaml").write_text(PAIRS + some)
    assert len(suite(folder).pairs) == 3


@pytest.mark.parametrize("epochs", [0, -1, 1001, 1_000_000_000])
def test_epochs_have_limits(epochs, folder) -> None:
    """Those of a pairs file; else collecting would not end."""
    with pytest.raises(UsageError, match=f"^--epochs {epochs}: expected 1 to 1000$"):
        _ = suite(folder, epochs=epochs).pairs


def test_ids_and_pairs_that_differ_in_case_only(folder) -> None:
    """Their cassettes would be one file on some disks: both are refused, with the other's place."""
    (folder / "Add.yaml").write_text(TASK)
    with pytest.raises(SpecError, match="^benchmarks/add.yaml:1: id: 'add' is already used by .*/Add.yaml"):
        slugs(suite(folder))
    (folder / "pairs.yaml").write_text(PAIRS + "  One: {orchestrator: {model: openai/q}, coder: c}\n")
    with pytest.raises(SpecError, match="^benchmarks/pairs.yaml:4: pairs.One: .* differs from 'one' in more"):
        _ = suite(folder).pairs


def test_hidden_files_and_loops_of_links_are_no_tasks(folder) -> None:
    """What editors and disks leave is not read, and a folder is looked into once."""
    (folder / ".add.yaml").write_text("x")
    (folder / ".old").mkdir()
    (folder / ".old/add.yaml").write_text(TASK)
    for name in ("one", "two"):
        (folder / "deep" / name).symlink_to("..")
    (folder / "shared").symlink_to("deep")
    (folder / "deep/sub.yaml").write_text(TASK.replace("title: Add", "id: sub\ntitle: Sub"))
    found = [path.relative_to(folder).as_posix() for path in suite(folder).files()]
    assert found == ["add.yaml", "deep/sub.yaml", "shared/sub.yaml"]


def test_what_is_no_file_is_named(folder) -> None:
    """A pipe with a task's name, or a link to nowhere, is not opened, and not passed over in silence."""
    os.mkfifo(folder / "pipe.yaml")
    (folder / "gone.yaml").symlink_to("nowhere")
    os.mkfifo(folder / "prices.yaml")
    (folder / "pairs.yaml").unlink()
    os.mkfifo(folder / "pairs.yaml")
    names = [path.name for path in suite(folder).unreadable()]
    assert names == ["gone.yaml", "pairs.yaml", "pipe.yaml", "prices.yaml"]
    with pytest.raises(SpecError, match="^benchmarks/pairs.yaml: cannot be read: not a regular file$"):
        _ = suite(folder).pairs
    with pytest.raises(SpecError, match="^benchmarks/pipe.yaml: cannot be read: not a regular file$"):
        suite(folder).tasks(folder / "pipe.yaml")


def test_a_mock_is_asked_of_no_real_backend(folder) -> None:
    """Nobody offers a model called oracle: the backend is what was left out."""
    said = (
        "the coder oracle is a mock, .*direct.oracle has backend anthropic -> run a pair of pairs.yaml with"
    )
    with pytest.raises(UsageError, match=said):
        _ = suite(folder, orchestrators=("direct",), coders=("oracle",)).pairs
    pairs = "pairs:\n  {name}: {{orchestrator: {{model: direct}}, coder: 'bug:x', backend: {backend}}}\n"
    (folder / "pairs.yaml").write_text(pairs.format(name="a", backend="local"))
    with pytest.raises(UsageError, match="the coder bug:x is a mock, and the pair a has backend local"):
        _ = suite(folder).pairs
    (folder / "pairs.yaml").write_text(pairs.format(name="a", backend="mock"))
    assert [pair.coder for pair in suite(folder).pairs] == ["bug:x"]


def test_models_that_make_no_pair(folder) -> None:
    """One line, not a traceback."""
    with pytest.raises(UsageError, match="--orchestrator direct --coder none: expected a coder's model"):
        _ = suite(folder, orchestrators=("direct",), coders=("none",)).pairs


def test_a_key_in_the_place_of_a_model_is_not_repeated(folder) -> None:
    """Somebody mixed two variables up; what they see may stand in a log of CI."""
    key = "sk-ant-api03-" + "Ab1" * 12
    with pytest.raises(UsageError) as caught:
        _ = suite(folder, orchestrators=("no handle\n",), coders=(key,)).pairs
    assert key[15:] not in str(caught.value)
