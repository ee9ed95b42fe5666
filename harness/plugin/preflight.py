"""Check the services once before the first live trial: no key, no account and no model is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from harness.backends.checks.preflight import check
from harness.errors import UsageError
from harness.plugin.collect import TrialItem
from harness.plugin.session import BenchmarkSession
from harness.tasks.trial import Trial
from harness.terminal import one_line, printable, printable_line


class LiveChecks:
    """A pytest plugin, registered in the process that controls a run that may record."""

    def __init__(self, benchmarks: BenchmarkSession) -> None:
        self._benchmarks = benchmarks
        self._done = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Check after collection and before the first trial, where there are no workers."""
        if not session.config.option.collectonly and not session.testsfailed:
            self._check([item.trial for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:  # noqa: ARG002
        """Check before the first worker is given a trial."""
        self._check(self._benchmarks.find_trials(ids))

    def _check(self, trials: Sequence[Trial]) -> None:
        missing = self._benchmarks.to_record(trials)
        if self._done or not missing:
            return
        self._done = True
        pairs = list({trial.pair.name: trial.pair for trial in missing}.values())
        count = f"{len(missing)} trial{'s' * (len(missing) != 1)} to record"
        try:
            warnings = check(pairs, os.environ)
        except UsageError as error:
            lines = map(one_line, printable(error.message, os.environ).splitlines())
            raise pytest.UsageError("\n  ".join([f"{count}, none was begun:", *lines])) from None
        reporter = self._benchmarks.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            for line in (f"{count}: what they need is there", *map(str, warnings)):
                reporter.write_line(printable_line(line, os.environ))
