"""harness/plugin/order.py and times: long tasks first, a task's trials together, nobody idle."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from xdist.remote import Producer

from harness.plugin.order import LongestFirst
from harness.plugin.times import Times

LONG = [f"benchmarks/long.yaml::p[{n}]" for n in range(8)]
SHORT = [f"benchmarks/a{file}.yaml::p[{n}]" for file in range(3) for n in range(2)]
TRIALS = SHORT + LONG


class FakeNode:
    """An xdist worker that notes what it is given, and gives back what is stolen."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.given, self.stolen, self.shutting_down = [], [], False

    def send_runtest_some(self, places):
        self.given += places

    def send_steal(self, places):
        self.stolen = places

    def shutdown(self):
        self.shutting_down = True


class FakeConfig:
    option = SimpleNamespace(tx=["popen", "popen"], debug=False)

    def getvalue(self, name):
        return getattr(self.option, name)


def took(names, seconds):
    return dict.fromkeys(names, seconds)


@pytest.fixture
def scheduled(tmp_path):
    """Two workers with these trials, of which the long ones took ten times as long."""
    file = tmp_path / "times.json"
    file.write_text(json.dumps(took(SHORT, 0.1) | took(LONG, 1.0)))
    scheduler = LongestFirst(FakeConfig(), Producer("test", enabled=False), Times(tmp_path, file))
    nodes = [FakeNode("gw0"), FakeNode("gw1")]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, TRIALS)
    scheduler.schedule()
    return scheduler, nodes


def names(places):
    return [TRIALS[place] for place in places]


def test_the_longest_task_begins_first_and_stays_on_one_worker(scheduled):
    """The other worker has the next task, and gets a further one before it has nothing to do."""
    scheduler, (one, other) = scheduled
    assert names(one.given) == LONG
    assert names(other.given) == SHORT[:2]
    scheduler.mark_test_complete(other, other.given[0])
    assert names(other.given) == SHORT[:4]


def work(scheduler, node):
    """Let a worker end its first trial, if it may begin it; answer a theft at once."""
    pending = scheduler.node2pending[node]
    if not pending or (len(pending) == 1 and not node.shutting_down):
        return []
    done = pending[0]
    scheduler.mark_test_complete(node, done)
    if (robbed := scheduler.steal_requested_from_node) is not None:
        scheduler.remove_pending_tests_from_node(robbed, robbed.stolen)
    return [done]


def test_a_worker_without_work_takes_from_the_other(scheduled):
    """First half of the longest queue; in the end each trial has run once, and both workers to the last."""
    scheduler, (one, other) = scheduled
    done = []
    for _ in SHORT[1:]:
        done += work(scheduler, other)
    assert names(other.given) == SHORT + LONG[4:]
    turns = 0
    while not scheduler.tests_finished or scheduler.has_pending:
        done += (both := work(scheduler, one) + work(scheduler, other))
        turns += 1
        assert both, "nobody can go on"
    assert sorted(done) == list(range(len(TRIALS)))
    assert turns <= len(LONG) / 2 + 2
    assert one.shutting_down
    assert other.shutting_down


def test_a_worker_that_dies_loses_one_trial(scheduled):
    """The rest of its task is given to the others."""
    scheduler, (one, other) = scheduled
    assert scheduler.remove_node(one) == LONG[0]
    while scheduler.node2pending[other]:
        scheduler.mark_test_complete(other, scheduler.node2pending[other][0])
    assert sorted(other.given) == [TRIALS.index(name) for name in TRIALS if name != LONG[0]]


def test_an_unknown_task_is_told_by_its_file(tmp_path):
    """More bugs are more test runs, and those that start processes are the longest."""
    (tmp_path / "plain.yaml").write_text("bugs:\n  - name: x\n")
    (tmp_path / "buggy.yaml").write_text("bugs:\n  - name: x\n  - name: y\n")
    (tmp_path / "cli.yaml").write_text("acceptance: |\n  import subprocess\nbugs:\n  - name: x\n")
    times = Times(tmp_path, None)
    seconds = times.of_tasks(f"{name}.yaml::p[1]" for name in ("plain", "buggy", "cli", "missing"))
    assert sorted(seconds, key=seconds.get) == ["missing.yaml", "plain.yaml", "buggy.yaml", "cli.yaml"]


def test_the_runs_of_a_course_share_the_time_of_its_file(tmp_path):
    """Each is over soon: it fills what is left when the tasks have been handed out."""
    (tmp_path / "course.yaml").write_text("steps:" + "\n  - name: x" * 20)
    (tmp_path / "task.yaml").write_text("bugs:" + "\n  - name: x" * 4)
    runs = [f"course.yaml::p[{epoch}]::step-1" for epoch in range(1, 11)]
    seconds = Times(tmp_path, None).of_tasks([*runs, "task.yaml::p[1]", "task.yaml::q[1]"])
    assert max(seconds, key=seconds.get) == "task.yaml"


@pytest.mark.parametrize("damaged", ["", "[]", '{"a": "b"}', "\x00"])
def test_times_are_kept_and_a_damaged_file_is_no_matter(tmp_path, damaged):
    """What took long and was remembered this time still counts half; the last write is whole."""
    file = tmp_path / "times.json"
    file.write_text(damaged)
    for seconds, left in ((8.0, 8.0), (0.1, 4.0)):
        times = Times(tmp_path, file)
        times.pytest_runtest_logreport(SimpleNamespace(when="call", nodeid="a::b", duration=seconds))
        times.pytest_runtest_logreport(SimpleNamespace(when="setup", nodeid="a::b", duration=99.0))
        times.pytest_unconfigure()
        assert json.loads(file.read_text()) == {"a::b": left}


def test_steps_of_a_course_stay_on_their_worker(tmp_path) -> None:
    """One agent lives through them: where all else is done, nobody takes steps from the one that has it."""
    steps = [f"benchmarks/courses/c.yaml::p[1]::step-{number}" for number in range(1, 9)]
    other = ["benchmarks/add.yaml::p[1]"]
    file = tmp_path / "times.json"
    file.write_text(json.dumps(took(steps, 1.0) | took(other, 0.1)))
    scheduler = LongestFirst(FakeConfig(), Producer("test", enabled=False), Times(tmp_path, file))
    nodes = [FakeNode("gw0"), FakeNode("gw1")]
    for node in nodes:
        scheduler.add_node(node)
        scheduler.add_node_collection(node, [*other, *steps])
    scheduler.schedule()
    assert [len(node.given) for node in nodes] == [8, 1]
    scheduler.mark_test_complete(nodes[1], 0)
    assert nodes[0].stolen == []
    for place in range(1, 7):
        scheduler.mark_test_complete(nodes[0], place)
        assert nodes[0].stolen == []
    assert scheduler.node2pending[nodes[0]] == [7, 8]
