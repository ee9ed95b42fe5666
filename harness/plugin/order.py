"""Which worker runs which trial, and when: long tasks first, all trials of a task on one worker.

Trials of a task share test runs, so one worker executes fewer than several would. When no task is left, a
worker without work takes trials from the one with the most, but no steps of a course, through which one agent
lives. No result depends on any of this.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import pytest
from xdist.scheduler import WorkStealingScheduling

from harness.plugin.times import Times, task_of

STEP = re.compile(r"::step-\d+$")
ENOUGH = 2  # trials: xdist's workers begin one only when they know the next


class LongestFirst(WorkStealingScheduling):  # type: ignore[misc]  # xdist is untyped
    """An xdist scheduler that hands out whole tasks, the longest first, and single trials at the end."""

    def __init__(self, config: pytest.Config, log: Any, times: Times) -> None:
        super().__init__(config, log)
        self.times = times
        self.in_order = False

    def check_schedule(self) -> None:
        """Give a task to each worker that has next to nothing to do; where none is left, share out again."""
        if not self.in_order and self.collection:
            self.in_order = True
            seconds = self.times.of_tasks(self.collection)
            self.pending.sort(key=lambda at: -seconds[self.task_at(at)])  # stable: tasks stay together
        for node in self.nodes:
            while self.pending and not node.shutting_down and len(self.node2pending[node]) < ENOUGH:
                tasks = map(self.task_at, self.pending)
                first = self.task_at(self.pending[0])
                self._send_tests(node, sum(1 for _ in takewhile(first.__eq__, tasks)))
        whole: dict[Any, list[int]] = self.node2pending
        # Where no more stands than a worker needs to go on, xdist takes nothing away.
        self.node2pending: dict[Any, list[int]] = {
            node: places[:ENOUGH] if len(places) > ENOUGH and any(map(self.is_step, places)) else places
            for node, places in whole.items()
        }
        super().check_schedule()
        self.node2pending = whole

    def is_step(self, place: int) -> bool:
        """Return True if a step of a course stands at a place of the collection."""
        return STEP.search(self.collection[place]) is not None

    def task_at(self, place: int) -> str:
        """Return the task of the trial at a place of the collection."""
        return task_of(self.collection[place])
