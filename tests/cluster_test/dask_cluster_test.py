"""Trials on a Dask cluster of two processes, one of which is killed."""

import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from in_process import run_here

from harness.cluster.dask_cluster import DaskCluster
from harness.cluster.order import Control, Done
from harness.errors import UsageError
from harness.plugin.cluster import ClusterLoop

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow  # a cluster of two processes
ROOT = Path(__file__).parents[2]
PAIRS = ("smollm2-guided+oracle", "smollm2+oracle")


@pytest.fixture
def live(pytester, cluster, letta, claude):
    """Six trials that ask stand-ins of Letta and Claude; the workers know where, and the key."""
    benchmarks = pytester.mkdir("benchmarks")
    (benchmarks / "add.yaml").write_text(TASK)
    (benchmarks / "pairs.yaml").write_text(FAKES)
    pytester.makeini("[pytest]\n")
    keys = {"ANTHROPIC_API_KEY": "a-key-for-tests", "ANTHROPIC_BASE_URL": claude.url}
    with distributed.Client(cluster, set_as_default=False) as client:
        client.register_plugin(Environment({**keys, "LETTA_BASE_URL": letta.url}))
    return pytester


class Environment(distributed.WorkerPlugin):
    """Sets variables in each worker, also in one that takes the place of a lost one."""

    name = "variables-of-a-test"
    idempotent = False

    def __init__(self, variables):
        self.variables = variables

    def setup(self, worker):
        """Set them."""
        os.environ.update(self.variables)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A task of the shipped suite, with its recordings by two pairs."""
    benchmarks = pytester.mkdir("benchmarks")
    shutil.copy(ROOT / "benchmarks/functions/add.yaml", benchmarks)
    for pair in PAIRS:
        shutil.copytree(ROOT / "cassettes" / pair / "add", pytester.path / "cassettes" / pair / "add")
    pairs = yaml.safe_load((ROOT / "benchmarks/pairs.yaml").read_text())["pairs"]
    (benchmarks / "pairs.yaml").write_text(yaml.safe_dump({"pairs": {name: pairs[name] for name in PAIRS}}))
    pytester.makeini("[pytest]\n")
    return pytester


@pytest.fixture(scope="module")
def cluster():
    """A scheduler on loopback, and two worker processes."""
    pages = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
    options = {"host": "127.0.0.1", "silence_logs": 50, **pages}
    with distributed.LocalCluster(2, threads_per_worker=1, **options) as cluster:
        yield cluster


def rows(repo):
    path = max(repo.path.glob("reports/2*/trials.jsonl"))
    return sorted(map(json.loads, path.read_text().splitlines()), key=lambda row: row["trial"])


TASK = """\
title: Add
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: "def add(a, b): return a + b"
acceptance: "from add import add\\ndef test_sum(): assert add(2, 3) == 5"
"""
FAKES = """\
pairs:
  one: {orchestrator: {model: openai/gpt-5-mini}, coder: claude-haiku-5-5, epochs: 6}
"""


RECORD = ("--record=once", "--no-live-checks", "--allow-unknown-price", "--max-tokens")


def test_recordings_and_budget_are_the_runs(live, cluster, letta, claude):
    """Cassettes come back and replay; keys are the workers' own; one budget holds; no agent is left."""
    done = run_here(live, "benchmarks", *RECORD, "1000", "--cluster", cluster.scheduler.address)
    outcomes = Counter(row["outcome"] for row in rows(live))
    assert set(outcomes) == {"solved", "budget"}, rows(live)
    done.stdout.fnmatch_lines(["spent: *"])
    assert sum(path.endswith("/messages") for _, path, _ in letta.requests + claude.requests) <= 12
    assert not letta.agents
    recorded = list(live.path.glob("cassettes/one/add/*.json"))
    assert len(recorded) == outcomes["solved"]
    replayed = run_here(live, "benchmarks", f"--epochs={len(recorded)}")
    assert {row["outcome"] for row in rows(live)} <= {"solved", "missing_cassette"}
    assert "a-key-for-tests" not in "".join(done.outlines + replayed.outlines)


def test_a_killed_worker_costs_no_record(suite, cluster, monkeypatch):
    """The records are those of a run without it; what the worker had begun is run again once."""
    counts, killed = [], []

    class Killing(Control):
        def begin(self, slug, worker):
            allowed = super().begin(slug, worker)
            if len(self.begun) == 2 and not killed:
                busy = [each for each in cluster.scheduler.workers.values() if each.processing]
                killed.append(
                    next(each for each in busy if any(slug in task.key for task in each.processing))
                )
                os.kill(pid_of[killed[0].address], signal.SIGKILL)
            counts.append(self.begun)
            return allowed

    with distributed.Client(cluster, set_as_default=False) as client:
        pid_of = client.run(os.getpid)
    monkeypatch.setattr("harness.plugin.cluster.Control", Killing)
    there = run_here(suite, "benchmarks", "--mix-mocks", "--cluster", cluster.scheduler.address)
    of_cluster = rows(suite)
    here = run_here(suite, "benchmarks", "--mix-mocks")
    assert there.ret == here.ret == 0, there.outlines
    assert of_cluster == rows(suite)
    assert len(killed) == 1
    assert sorted(counts[-1].values()) == [1, 1, 2]


def test_the_agent_of_a_killed_worker_is_deleted(live, cluster, letta, monkeypatch):
    """The controlling process knows what each worker is at: the panel tells it, and no agent is left."""
    killed, shown, keep = [], [], ClusterLoop._keep

    def keep_and_kill(self, worker, note):
        keep(self, worker, note)
        if not killed and note and json.loads(note)["stage"] == "attempt 1: coder":
            progress = self._benchmarks.config.pluginmanager.get_plugin("harness-progress")
            shown.extend(progress._running_lines())
            killed.append(worker)
            os.kill(pid_of[f"tcp://{worker}"], signal.SIGKILL)

    monkeypatch.setattr(ClusterLoop, "_keep", keep_and_kill)
    monkeypatch.setenv("LETTA_BASE_URL", letta.url)
    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        pid_of = client.run(os.getpid)
    done = run_here(live, "benchmarks", *RECORD, "100000", "--cluster", cluster.scheduler.address)
    assert [row["outcome"] for row in rows(live)] == ["solved"] * 6, done.outlines
    (line,) = [each for each in shown if killed[0] in each]
    assert re.match(r"  one/add/\d on 127\.0\.0\.1:\d+: attempt 1: coder, 0:\d\d of 0:\d\d$", line)
    assert "deleted 1 agent that killed processes had left in Letta" in done.stdout.str()
    assert not letta.agents
    assert not list(live.path.glob("reports/*/live/worker-*"))


def test_the_command_hands_on_to_pytest(suite):
    """Also where the repository's pytest takes warnings for errors."""
    suite.makeini("[pytest]\nfilterwarnings = error\n")
    command = ("cluster-run", "--workers", "2", "--collect-only", "-q", "--pair", PAIRS[0])
    done = suite.run(str(Path(sys.executable).with_name("harness")), *command)
    assert done.ret == 0, done.errlines
    done.stdout.fnmatch_lines([f"benchmarks/add.yaml::{PAIRS[0]}[[]1]", "2 tests collected*"])


def test_a_trial_is_begun_twice_at_most():
    """Its worker may be lost once, and what it had under way counts; what has ended is not begun again."""
    released = []
    control = Control(released.append)
    control.end("done", Done())
    assert not control.begin("done")
    assert [control.begin(slug) for slug in ("a", "b", "a", "a")] == [True, True, True, False]
    assert released == ["a"]


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch):
    """The address is in it."""
    monkeypatch.setattr("harness.cluster.dask_cluster.CONNECT_S", 0.3)
    with pytest.raises(UsageError, match=r"^no Dask scheduler at tcp://127.0.0.1:9: "):
        DaskCluster("tcp://127.0.0.1:9", print).__enter__()
