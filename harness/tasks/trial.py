"""Trials: task x pair x epoch."""

from __future__ import annotations

from pydantic import Field

from harness.tasks.course import CourseStep
from harness.tasks.pair import Pair
from harness.tasks.task import Task, Value


class Trial(Value):
    """One task, by one pair, once. ``slug`` names its item, cassette, workspace and record."""

    task: Task
    pair: Pair
    epoch: int = Field(ge=1)
    source: str = Field("benchmarks", description="The task's file, for messages and commands.")
    step: CourseStep | None = Field(None, description="The trial's place in a course.")

    @property
    def slug(self) -> str:
        """``pair/task/epoch``."""
        return f"{self.pair.name}/{self.task.id}/{self.epoch}"

    @property
    def cassette_path(self) -> str:
        """Path of the trial's cassette, relative to the root."""
        return self.cassette_of(self.task.id)

    def cassette_of(self, task_id: str) -> str:
        """Return the path of the cassette of another task, by the same pair in the same epoch."""
        return f"cassettes/{self.pair.name}/{task_id}/{self.epoch}.json"

    @property
    def run(self) -> str:
        """Name of a step's course run, ``pair/course/epoch``; of any other trial, its slug."""
        return f"{self.pair.name}/{self.step.course}/{self.epoch}" if self.step else self.slug

    @property
    def place(self) -> int:
        """Number of a step in its course; 0 for any other trial."""
        return self.step.number if self.step else 0

    @property
    def tells_of_memory(self) -> bool:
        """True for a step of a course, and wherever the orchestrator has memory tools."""
        return self.step is not None or self.pair.memory != "none"
