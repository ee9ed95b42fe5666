"""Run one part of the trials (``--shard K/N``): N machines without a network between them run all of them.

Every part has as many trials as the others, give or take one; with courses, a few. Trials of a task share
test runs, so they stay together but for those at a border; tasks are dealt by the hash of their id, so that
long ones, which often stand in one folder, are spread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from harness.plugin.collect import TrialItem
from harness.tasks.trial import Trial


class Shard:
    """A pytest plugin, in each process that collects.

    Args:
        number: Which part, from 1.
        of: How many there are.
    """

    def __init__(self, number: int, of: int) -> None:
        self.number = number
        self.of = of
        self._is_empty = False

    # After -k and -m, which every machine is given alike; --lf and --ff, which differ, come later still.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the trials of other parts; what is no trial runs in each part."""
        trials = [item.trial for item in items if isinstance(item, TrialItem)]
        chosen = {trial.slug for trial in part(trials, self.number, self.of)}
        others = [item for item in items if isinstance(item, TrialItem) and item.trial.slug not in chosen]
        config.hook.pytest_deselected(items=others)
        left = set(others)
        items[:] = [item for item in items if item not in left]
        self._is_empty = bool(trials) and not items

    def pytest_report_header(self) -> str:
        """Say which part this is."""
        return f"shard: {self.number} of {self.of}; `harness merge RUN...` puts their runs together"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let a part without a trial pass: there are more parts than trials."""
        if self._is_empty and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK


def part(trials: Sequence[Trial], number: int, of: int) -> list[Trial]:
    """Return the trials of one of ``of`` parts, whatever order they come in."""
    ordered = sorted(trials, key=_place)
    # Where the first step of a course run goes, all go: one agent lives through them.
    first = {trial.run: at for at, trial in reversed(list(enumerate(ordered)))}
    return [trial for trial in ordered if -(-(first[trial.run] + 1) * of // len(ordered)) == number]


def _place(trial: Trial) -> tuple[str, str, str, int]:
    name = trial.step.course if trial.step else trial.task.id
    return _hash(name), name, trial.run, trial.place


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
