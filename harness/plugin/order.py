"""Which worker runs which trial, and when: long tasks first, all trials of a task on one worker.

Trials of a task share test runs, so one worker executes fewer than several would. When no task is left, a
worker without work takes trials from the one with the most. No result depends on any of this.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import pytest
from xdist.scheduler import WorkStealingScheduling

from harness.plugin.times import Times, task_of

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
                tasks = [self.task_at(place) for place in self.pending]
                self._send_tests(node, sum(1 for _ in takewhile(tasks[0].__eq__, tasks)))
        super().check_schedule()

    def task_at(self, place: int) -> str:
        """Return the task of the trial at a place of the collection."""
        return task_of(self.collection[place])
