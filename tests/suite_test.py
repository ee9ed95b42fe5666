"""Which trials a benchmarks folder and the command line make."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SpecError, UsageError
from harness.suite import Selection, Suite

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


def test_chosen_pairs_and_epochs(folder) -> None:
    """Pairs and epochs come from the command line if given there."""
    assert slugs(suite(folder, pairs=("two",), epochs=2)) == ["two/add/1", "two/add/2"]


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
    assert twice.task(folder / "add.yaml").id == "add"
    with pytest.raises(
        SpecError, match=r"benchmarks/deep/add.yaml:1: id: 'add' is already used by benchmarks/add"
    ):
        twice.task(folder / "deep" / "add.yaml")


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
    assert suite(folder).task(folder / "deep" / "add.yaml").id == "other"


def test_no_pairs_file(folder) -> None:
    """Without a pairs file and models there is nothing to run with."""
    (folder / "pairs.yaml").unlink()
    with pytest.raises(UsageError, match=r"no benchmarks/pairs\.yaml"):
        _ = suite(folder).pairs


def test_the_same_pair_twice_is_one(folder) -> None:
    """A pair or model that is named twice is run once."""
    assert slugs(suite(folder, pairs=("two", "two"))) == ["two/add/1"]
    assert len(suite(folder, orchestrators=("o", "o"), coders=("c", "c")).pairs) == 1


def test_what_is_no_file_is_no_task(folder) -> None:
    """A folder or a dangling link that is called like a task file disturbs nothing."""
    (folder / "folder.yaml").mkdir()
    (folder / "link.yaml").symlink_to(folder / "nowhere.yaml")
    assert [path.name for path in suite(folder).files()] == ["add.yaml"]
    assert suite(folder).task(folder / "add.yaml").id == "add"
