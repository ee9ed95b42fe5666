"""harness/plugin/test_runs: one cache for all processes of a run, and for the next run."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
import warm

from harness.sandbox.fork_server import probe
from harness.tasks.yaml_lines import YamlFile

ROOT = Path(__file__).parents[2]
TASKS = ("functions/add.yaml", "bugfix/moving_average.yaml")
PAIRS = ("smollm2-guided+oracle", "smollm2+oracle")
pytestmark = pytest.mark.skipif(probe().isolation == "none", reason="nothing is remembered here")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A small suite of shipped tasks and pairs, with their recordings."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "cassettes", root / "cassettes")
    for name in TASKS:
        (root / "benchmarks" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "benchmarks" / name, root / "benchmarks" / name)
    pairs = YamlFile(ROOT / "benchmarks/pairs.yaml", "pairs.yaml").document.data["pairs"]
    of_two = {"pairs": {name: pairs[name] for name in PAIRS}}
    (root / "benchmarks/pairs.yaml").write_text(json.dumps(of_two))
    (root / "pytest.ini").write_text("[pytest]\n")
    return root


def replay(root, cache, *arguments, shuffled=None):
    """Return what a run says of its test runs, and all that it leaves in its folder but dates."""
    names = [f"benchmarks/{name}" for name in TASKS]
    if shuffled is not None:
        random.Random(shuffled).shuffle(names)
    arguments = (*names, "-p", "no:cacheprovider", *arguments, *(f"--pair={name}" for name in PAIRS))
    done = warm.run(arguments, root, {**os.environ, "XDG_CACHE_HOME": str(cache)})
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("test runs: ")]
    run = (root / "reports/latest").resolve()
    rows = sorted((run / "trials.jsonl").read_text().splitlines())
    left = {path.name: path.read_text() for path in run.glob("pairs.*")}
    left |= {str(path.relative_to(run)): path.read_text() for path in run.glob("transcripts/**/*.json")}
    tables = json.loads((run / "tables.json").read_text())
    executed, remembered = (int(word) for word in line.split() if word.isdigit())
    return executed, remembered, (rows, left, tables)


@pytest.mark.slow
def test_nothing_depends_on_the_cache_the_workers_or_the_order(repository, tmp_path):
    """Cache off, empty and warm, at -n 0, 2 and 4, in random order: the same records, tables, transcripts."""
    executed, _, left = replay(repository, tmp_path / "off", "--no-run-cache")
    assert executed > 10
    assert len(left[0]) == len(TASKS) * 3  # of the guided one two epochs
    assert not (tmp_path / "off/pair-harness").exists()
    assert replay(repository, tmp_path / "on", "-n4", shuffled=1)[::2] == (executed, left)
    for workers in ("-n0", "-n2"):
        again, known, same = replay(repository, tmp_path / "on", workers, shuffled=2)
        assert (again, same) == (0, left)
        assert known >= executed
    assert replay(repository, tmp_path / "on", "-n2", "--no-run-cache")[::2] == (executed, left)


def test_a_cache_that_cannot_be_used_is_said_and_costs_nothing_else(repository, tmp_path):
    """A file where the folder should be: the run remembers its own test runs, and says so."""
    (tmp_path / "pair-harness").write_text("")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = warm.run(["benchmarks/functions/add.yaml", "--pair", PAIRS[0]], repository, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test runs are remembered for this run only: " in done.stdout
    assert "\ntest runs: " in done.stdout
