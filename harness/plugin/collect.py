"""What pytest collects: task and source files, below them their trials as items."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import HarnessError
from harness.tasks.trial import Trial
from harness.terminal import printable

if TYPE_CHECKING:
    from harness.plugin.session import BenchmarkSession
    from harness.runner import Result

RESULT: pytest.StashKey[Result] = pytest.StashKey()


class TaskFile(pytest.File):
    """A task file; its items are its trials. A bad one yields an item that says what is wrong with it."""

    benchmarks: BenchmarkSession

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """A node for each trial, or one that says what is wrong with the file."""
        try:
            trials = self.benchmarks.suite.trials(self.path)
        except HarnessError as error:
            broken: BrokenItem = BrokenItem.from_parent(self, name="spec")
            broken.error = error
            yield broken
            return
        yield from self.nodes(trials)

    def nodes(self, trials: Iterable[Trial]) -> Iterator[pytest.Item | pytest.Collector]:
        """What stands below the file."""
        return _items(self, trials, self.benchmarks)


class SourceFile(TaskFile):
    """A source file; below it stand its tasks, and below each task its trials."""

    def nodes(self, trials: Iterable[Trial]) -> Iterator[pytest.Item | pytest.Collector]:
        """``<task>::<pair>[<epoch>]`` for each trial."""
        for name, of_task in groupby(trials, key=attrgetter("task.id")):
            task: SourceTask = SourceTask.from_parent(self, name=name)
            task.trials = list(of_task)
            task.benchmarks = self.benchmarks
            yield task


class SourceTask(pytest.Collector):
    """One task of a source file."""

    benchmarks: BenchmarkSession
    trials: list[Trial]

    def collect(self) -> Iterator[pytest.Item]:
        """``<pair>[<epoch>]`` for each trial."""
        return _items(self, self.trials, self.benchmarks)


def _items(
    parent: pytest.Collector, trials: Iterable[Trial], benchmarks: BenchmarkSession
) -> Iterator[pytest.Item]:
    for trial in trials:
        item: TrialItem = TrialItem.from_parent(parent, name=f"{trial.pair.name}[{trial.epoch}]")
        item.trial = trial
        item.benchmarks = benchmarks
        item.extra_keyword_matches.update({trial.task.id, *trial.task.tags, trial.task.difficulty})
        yield item


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002
        """One line for an error that the harness raises on purpose; a traceback for a bug in it."""
        known = isinstance(excinfo.value, HarnessError | pytest.fail.Exception)
        text = str(excinfo.value) if known else str(super().repr_failure(excinfo, "short"))
        return printable(text, os.environ)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the item stands, for reports: pytest rewrites the dots of what ends a node id."""
        place = self.nodeid.removesuffix(f"::{self.name}").rpartition("/")[2]
        return self.path, None, f"{self.name} on {place}"


class TrialItem(_Item):
    """One trial."""

    trial: Trial
    benchmarks: BenchmarkSession

    def runtest(self) -> None:
        """Replay or record the trial; raises only what is not the models' doing."""
        result = self.benchmarks.run(self.trial)
        self.stash[RESULT] = result
        if result.error is not None:
            raise result.error
        if self.config.getoption("fail_unsolved") and result.record.outcome != "solved":
            pytest.fail(f"{result.record.outcome}: {result.record.detail}", pytrace=False)


class BrokenItem(_Item):
    """A task file that cannot be read, as an item: the other tasks still run."""

    error: HarnessError

    def runtest(self) -> None:
        """Say what is wrong with the file."""
        raise self.error
