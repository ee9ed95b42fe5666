"""Trials: task x pair x epoch."""

from __future__ import annotations

from pydantic import Field

from harness.tasks.pair import Pair
from harness.tasks.task import Task, Value


class Trial(Value):
    """One task, by one pair, once. ``slug`` names its item, cassette, workspace and record."""

    task: Task
    pair: Pair
    epoch: int = Field(ge=1)
    source: str = Field("benchmarks", description="The task's file, for messages and commands.")

    @property
    def slug(self) -> str:
        """``pair/task/epoch``."""
        return f"{self.pair.name}/{self.task.id}/{self.epoch}"

    @property
    def cassette_path(self) -> str:
        """Path of the trial's cassette, relative to the root."""
        return f"cassettes/{self.slug}.json"
