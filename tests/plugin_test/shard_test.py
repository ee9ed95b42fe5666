"""``--shard K/N``: the parts of a run."""

import argparse
import json
import random

import pytest
from click.testing import CliRunner
from in_process import run_here

from harness.cli.main import main
from harness.plugin import parse_shard
from harness.plugin.shard import part
from harness.tasks.trial import Trial


@pytest.fixture
def trials(task, pair):
    """Seven tasks with four epochs each."""
    tasks = [task.model_copy(update={"id": f"task{n}"}) for n in range(7)]
    return [
        Trial(task=each, pair=pair, epoch=epoch, source="benchmarks/x.yaml")
        for each in tasks
        for epoch in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("of", [1, 2, 3, 5, 28, 40])
def test_the_parts_are_all_trials_and_equal(trials, of):
    """Each trial is in exactly one part, and no part has two more than another; order means nothing."""
    shuffled = random.Random(1).sample(trials, len(trials))
    parts = [[each.slug for each in part(shuffled, number, of)] for number in range(1, of + 1)]
    assert sorted(slug for each in parts for slug in each) == sorted(each.slug for each in trials)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parts == [[each.slug for each in part(trials, number, of)] for number in range(1, of + 1)]


def test_trials_of_a_task_stay_together(trials):
    """They share test runs: of three parts at most two share a task."""
    parts = [{each.task.id for each in part(trials, number, 3)} for number in (1, 2, 3)]
    assert sum(map(len, parts)) <= 7 + 2


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1.5/2"])
def test_what_is_no_part_is_refused(text):
    """The message says what is expected."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected K/N"):
        parse_shard(text)


SUITE = """\
pairs:
  one: {orchestrator: {model: openai/x}, coder: a, tester: a, backend: local, epochs: 2}
"""
TASK = """\
title: Add
difficulty: trivial
spec: Write add(a, b).
code_file: add.py
test_file: test_add.py
reference: |
  def add(a, b): return a + b
acceptance: |
  from add import add
  def test_add(): assert add(1, 2) == 3
"""


def test_a_run_has_its_part_alone(pytester):
    """What is left of -k is dealt out; a test of somebody else runs in each part; an empty part passes."""
    benchmarks = pytester.mkdir("benchmarks")
    for name in ("one", "two", "three"):
        (benchmarks / f"{name}.yaml").write_text(TASK)
    (benchmarks / "pairs.yaml").write_text(SUITE)
    pytester.makepyfile(test_own="def test_own(): pass")
    counts = []
    for number in (1, 2):
        chosen = ("benchmarks", "test_own.py", "-k", "one.yaml or own", "--shard", f"{number}/2")
        done = pytester.runpytest_inprocess("--co", "-q", *chosen)
        counts.append([line for line in done.outlines if "::" in line])
    assert [len(each) for each in counts] == [2, 2]
    assert set(counts[0]) & set(counts[1]) == {"test_own.py::test_own"}
    empty = pytester.runpytest_inprocess("benchmarks/one.yaml", "--shard", "1/9")
    empty.stdout.fnmatch_lines(["shard: 1 of 9; *"])
    assert empty.ret == 0


def test_the_part_is_dealt_from_all_trials_of_a_resumed_run(pytester):
    """The same command with --resume has the same part: what is finished is dropped from it, not from all."""
    benchmarks = pytester.mkdir("benchmarks")
    for name in ("one", "two", "three"):
        (benchmarks / f"{name}.yaml").write_text(TASK)
    (benchmarks / "pairs.yaml").write_text(SUITE)
    part_of = ("benchmarks", "--shard", "1/3")
    first = pytester.runpytest_inprocess(*part_of)
    first.stdout.fnmatch_lines(["*4 deselected*"])
    again = pytester.runpytest_inprocess(*part_of, "--resume", "--co", "-q")
    assert len([line for line in again.outlines if "::" in line]) == 2  # both ended in an infra error


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_in_every_result(pytester):
    """Its trials are missing: the summary says so, and the merged parts are no green run."""
    benchmarks = pytester.mkdir("benchmarks")
    for name in ("one", "two"):
        (benchmarks / f"{name}.yaml").write_text(TASK)
    (benchmarks / "broken.yaml").write_text("title: x\n")
    (benchmarks / "pairs.yaml").write_text(SUITE)
    parts = []
    for number in (1, 2):
        run_here(pytester, "benchmarks", "--shard", f"{number}/2")
        parts.append((pytester.path / "reports" / "latest").resolve())
    told = [json.loads((part / "run.json").read_text())["broken"] for part in parts]
    assert all("benchmarks/broken.yaml:1: " in line for lines in told for line in lines)
    assert any(told)
    said = CliRunner().invoke(main, ["merge", *(part.name for part in parts)])
    assert said.exit_code == 1
    assert "its trials are missing: " in said.output.replace("\n", " ")
    merged = (pytester.path / "reports" / "latest").resolve()
    assert "**error:** its trials are missing: " in (merged / "summary.md").read_text()
    assert json.loads((merged / "run.json").read_text())["broken"]


@pytest.mark.slow
def test_the_merged_parts_are_one_run_that_goes_on(pytester):
    """What no part has measured is run by one command; ``harness runs`` knows how many trials there are."""
    benchmarks = pytester.mkdir("benchmarks")
    for name in ("one", "two", "three"):
        (benchmarks / f"{name}.yaml").write_text(TASK)
    (benchmarks / "pairs.yaml").write_text(SUITE)
    parts = []
    for number in (1, 2):
        run_here(pytester, "benchmarks", "--shard", f"{number}/2")
        parts.append((pytester.path / "reports" / "latest").resolve().name)
    said = CliRunner().invoke(main, ["merge", *parts])
    assert said.exit_code == 1, "no trial has a cassette"
    merged = (pytester.path / "reports" / "latest").resolve()
    assert json.loads((merged / "run.json").read_text())["figures"]["finished"] == 6
    again = run_here(pytester, f"--resume={merged.name}", "--co", "-q", "benchmarks")
    assert len([line for line in again.outlines if "::" in line]) == 6
