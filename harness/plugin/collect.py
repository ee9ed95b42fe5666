"""pytest collectors and items: task and source files, with their trials below them.

Collecting reads files only. How trials are found and run is handed in, as two functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from harness.errors import HarnessError, SpecError
from harness.tasks.trial import Trial
from harness.terminal import printable
from harness.text import well_formed

if TYPE_CHECKING:
    from harness.runner import Result

STEP = re.compile(r"(.+\[\d+\])::step-\d+")
Run: TypeAlias = "Callable[[Trial], Result]"


class TaskFile(pytest.File):
    """A task file, with its trials as items. ``trials_of`` lists them, or raises what is wrong with it."""

    def __init__(self, *, trials_of: Callable[[], list[Trial]], run: Run, **node: Any) -> None:
        super().__init__(**node)
        self.trials_of = trials_of
        self.run = run

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield the nodes of the file's trials, or one item that reports what is wrong with the file."""
        nodeid = well_formed(self.nodeid)  # pytest writes it into its cache, as UTF-8
        try:
            if nodeid != self.nodeid:
                raise SpecError([f"{nodeid}: its name is no UTF-8 text"], remedy="rename the file")
            yield from self.nodes(self.trials_of())
        except HarnessError as error:
            # The id is the file's own: when the file is mended, --lf and --ff know all its trials by it.
            yield BrokenItem.from_parent(self, name="spec", nodeid=nodeid, error=error)

    def nodes(self, trials: Iterable[Trial]) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield ``<pair>[<epoch>]`` for each trial."""
        return trial_items(self, trials, self.run)


class SourceFile(TaskFile):
    """A source file, with its tasks as collectors."""

    def nodes(self, trials: Iterable[Trial]) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield ``<task>``, with ``<pair>[<epoch>]`` below it, for each task."""
        for name, of_task in groupby(trials, key=attrgetter("task.id")):
            yield SourceTask.from_parent(self, name=name, trials=list(of_task), run=self.run)


class CourseFile(TaskFile):
    """A course file, with its course runs as collectors."""

    def nodes(self, trials: Iterable[Trial]) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield ``<pair>[<epoch>]``, with ``step-<number>`` below it, for each course run."""
        for _, steps in groupby(trials, key=attrgetter("run")):
            of_run = list(steps)
            name = f"{of_run[0].pair.name}[{of_run[0].epoch}]"
            yield CourseRun.from_parent(self, name=name, trials=of_run, run=self.run)


class TrialGroup(pytest.Collector):
    """Trials of a file that belong together, as items."""

    def __init__(self, *, trials: list[Trial], run: Run, **node: Any) -> None:
        super().__init__(**node)
        self.trials = trials
        self.run = run

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each trial."""
        return trial_items(self, self.trials, self.run)


class CourseRun(TrialGroup):
    """The steps of a course by one pair in one epoch: one worker runs them, in order."""


class SourceTask(TrialGroup):
    """One task of a source file, with its trials."""


def trial_items(parent: pytest.Collector, trials: Iterable[Trial], run: Run) -> Iterator[pytest.Item]:
    """Yield an item for each trial: ``<pair>[<epoch>]``, or ``step-<number>`` of a course run."""
    for trial in trials:
        name = f"step-{trial.step.number}" if trial.step else f"{trial.pair.name}[{trial.epoch}]"
        # As text, or pytest 9.2 does not find the item again by its id (pytest#15045: --lf, --ff, --sw).
        nodeid = f"{parent.nodeid}::{name}"
        yield TrialItem.from_parent(parent, name=name, nodeid=nodeid, trial=trial, run=run)


def in_course_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return items with the steps of each course run in order, at the places that its steps had."""
    steps: dict[str, list[TrialItem]] = {}
    for item in items:
        if isinstance(item, TrialItem) and item.trial.step is not None:
            steps.setdefault(item.trial.run, []).append(item)
    waiting = {run: iter(sorted(of, key=lambda each: each.trial.place)) for run, of in steps.items()}
    return [
        next(waiting[item.trial.run]) if isinstance(item, TrialItem) and item.trial.step else item
        for item in items
    ]


def without_steps(args: Sequence[str]) -> tuple[list[str], set[str]]:
    """Return arguments in which a course run stands in place of its steps, and the steps' ends of node ids.

    pytest takes what follows the first bracket of a node id for the parameters of a test.
    """
    found = {arg: match for arg in args if (match := STEP.fullmatch(arg))}
    whole = {arg for arg in args if arg not in found}
    steps = {arg.rpartition("/")[2] for arg, match in found.items() if match[1] not in whole}
    return list(dict.fromkeys(found[arg][1] if arg in found else arg for arg in args)), steps


class HarnessItem(pytest.Item):
    """What all items of the harness report alike."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002
        """Return one line for an error that the harness raises on purpose, a traceback for a bug in it."""
        known = isinstance(excinfo.value, HarnessError | pytest.fail.Exception)
        text = str(excinfo.value) if known else str(super().repr_failure(excinfo, "short"))
        return printable(text)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the item's place and name for reports: pytest rewrites the dots of what ends a node id."""
        place = self.nodeid.removesuffix(f"::{self.name}").rpartition("/")[2]
        return self.path, None, f"{self.name} on {place}"


class TrialItem(HarnessItem):
    """One trial, found by ``-k`` with its task, tags and difficulty too; ``result`` once it has run."""

    def __init__(self, *, trial: Trial, run: Run, **node: Any) -> None:
        super().__init__(**node)
        self.trial = trial
        self.run = run
        self.result: Result | None = None
        self.extra_keyword_matches.update({trial.task.id, *trial.task.tags, trial.task.difficulty})
        if trial.step is not None:
            self.extra_keyword_matches.add(trial.step.course)
        for name in dict.fromkeys((trial.task.difficulty, *trial.task.tags)):
            self._mark(name)

    def _mark(self, name: str) -> None:
        """Make a tag a marker (``-m NAME``), unless the name means something to pytest or a plugin."""
        known = (line.partition(":")[0].partition("(")[0].strip() for line in self.config.getini("markers"))
        ours = f"{name}: tag or difficulty of a task"
        if ours in self.config.getini("markers") or name not in known:
            if ours not in self.config.getini("markers"):
                self.config.addinivalue_line("markers", ours)
            self.add_marker(name)

    def runtest(self) -> None:
        """Replay or record the trial; raise only what is not the models' doing."""
        self.result = self.run(self.trial)
        if self.result.said:
            self.warn(pytest.PytestWarning(self.result.said))
        if self.result.error is not None:
            raise self.result.error
        record = self.result.record
        if self.config.getoption("harness_fail_unsolved") and record.outcome != "solved":
            pytest.fail(f"{record.outcome}: {record.detail}", pytrace=False)


class BrokenItem(HarnessItem):
    """A task file that cannot be read, as an item: the other tasks still run."""

    def __init__(self, *, error: HarnessError, **node: Any) -> None:
        super().__init__(**node)
        self.error = error

    def runtest(self) -> None:
        """Raise what is wrong with the file."""
        raise self.error
