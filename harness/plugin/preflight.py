"""Check the services once before the first live trial."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from harness.backends.checks.preflight import check
from harness.errors import HarnessError, UsageError
from harness.plugin.collect import TrialItem
from harness.plugin.session import BenchmarkSession
from harness.tasks.trial import Trial
from harness.terminal import printable_line


class LiveChecks:
    """A pytest plugin, registered in the process that controls a run that may record."""

    def __init__(self, benchmarks: BenchmarkSession) -> None:
        self._benchmarks = benchmarks
        self._done = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Without workers: after collection, before the first trial."""
        if not session.config.option.collectonly and not session.testsfailed:
            self._once([item.trial for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:  # noqa: ARG002
        """With workers: before the first of them is given a trial."""
        self._once(self._named(ids))

    def _once(self, trials: Sequence[Trial]) -> None:

        root, mode = self._benchmarks.root, self._benchmarks.mode
        missing = [each for each in trials if mode == "all" or not (root / each.cassette_path).is_file()]
        if self._done or not missing:
            return
        self._done = True
        pairs = list({trial.pair.name: trial.pair for trial in missing}.values())
        count = f"{len(missing)} trial{'s' * (len(missing) != 1)} to record"
        try:
            warnings = check(pairs, os.environ)
        except UsageError as error:
            problems = [printable_line(line, os.environ) for line in error.message.splitlines()]
            raise pytest.UsageError("\n  ".join([f"{count}, none was begun:", *problems])) from None
        reporter = self._benchmarks.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(
                f"{count}: what they need is there"
                + "".join(f"\n{printable_line(str(each), os.environ)}" for each in warnings)
            )

    def _named(self, ids: Sequence[str]) -> list[Trial]:
        """The trials of these node ids, which end in ``::<pair>[<epoch>]``."""
        wanted = set(ids)
        trials = []
        for file in dict.fromkeys(node.split("::", 1)[0] for node in ids):
            path = self._benchmarks.config.rootpath / file
            if not self._benchmarks.suite.holds(path):
                continue
            try:
                of_file = self._benchmarks.suite.trials(path)
            except HarnessError:
                continue  # its item tells
            for trial in of_file:
                name = f"{trial.pair.name}[{trial.epoch}]"
                if wanted & {f"{file}::{name}", f"{file}::{trial.task.id}::{name}"}:
                    trials.append(trial)
        return trials
