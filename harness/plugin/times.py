"""How long trials took in earlier runs on this machine, so that the longest can begin first.

A task that is not known is told by its file: each known bug is one more test run, and tests that start
processes take ten times as long. Runs of a course share most of their test runs, and so the time of its file.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from harness.files import write_whole

MOST = 10_000  # trials whose time is kept


class Times:
    """How long trials took, a pytest plugin of the controlling process.

    Args:
        root: The folder that node ids are relative to.
        file: Where times are kept between runs; None: nowhere.
    """

    def __init__(self, root: Path, file: Path | None) -> None:
        self._root = root
        self._file = file
        self._known: dict[str, float] = {}
        if file is not None:
            with suppress(OSError, ValueError, TypeError, AttributeError):
                kept = json.loads(file.read_text(encoding="utf-8"))
                self._known = {str(name): float(seconds) for name, seconds in kept.items()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a trial's time; one that was remembered this time counts half of what it took before."""
        if report.when == "call":
            before = self._known.pop(report.nodeid, 0.0)
            self._known[report.nodeid] = round(max(report.duration, before / 2), 3)

    def pytest_unconfigure(self) -> None:
        """Keep the times of the trials that ran last."""
        if self._file is not None:
            kept = dict(list(self._known.items())[-MOST:])
            with suppress(OSError):
                write_whole(self._file, json.dumps(kept, indent=0) + "\n")

    def of_tasks(self, trials: Iterable[str]) -> dict[str, float]:
        """Return how long all trials of each task may take; only their order means anything."""
        seconds: dict[str, float] = defaultdict(float)
        for name in trials:
            seconds[task_of(name)] += self._known.get(name, 0.0)
        parts = Counter(map(_file_of, seconds))
        return {
            name: known or self._guess(_file_of(name)) / parts[_file_of(name)]
            for name, known in seconds.items()
        }

    def _guess(self, file: str) -> float:
        """Return a time for all of a file that is longer than any known one where the file looks long."""
        try:
            text = (self._root / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return 0.0
        return (1 + text.count("- name:")) * (10 if "subprocess" in text else 1)


def task_of(node_id: str) -> str:
    """Return the node id of a trial's task, or of what a test of somebody else stands in."""
    return node_id.rpartition("::")[0]


def _file_of(task: str) -> str:
    return task.partition("::")[0]
