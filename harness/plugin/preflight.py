"""Before the first live trial: what all of them will cost, and that no key, account or model is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from harness.backends.checks.preflight import check
from harness.errors import UsageError
from harness.plugin.collect import TrialItem
from harness.plugin.reporting import say
from harness.plugin.session import BenchmarkSession
from harness.plugin.spending import Spending
from harness.results.columns import counted
from harness.tasks.trial import Trial
from harness.terminal import one_line, printable


class Preflight:
    """A pytest plugin of the process that controls a run that may record."""

    def __init__(self, benchmarks: BenchmarkSession, spending: Spending) -> None:
        self._benchmarks = benchmarks
        self._spending = spending
        self._done = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin after collection and before the first trial, where there are no workers."""
        if not session.config.option.collectonly and not session.testsfailed:
            self._begin([item.trial for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin before the first worker is given a trial."""
        self._begin(self._benchmarks.find_trials(ids))

    def _begin(self, trials: Sequence[Trial]) -> None:
        """Estimate, ask, and check the services, once; nothing where no model will be asked."""
        missing = self._benchmarks.to_record(trials)
        if self._done or not missing:
            return
        self._done = True
        self._spending.estimate(missing)
        if not self._benchmarks.config.getoption("harness_no_live_checks"):
            self._check(missing)

    def _check(self, missing: Sequence[Trial]) -> None:
        pairs = list({trial.pair.name: trial.pair for trial in missing}.values())
        count = f"{counted(len(missing), 'trial')} to record"
        try:
            warnings = check(pairs, os.environ)
        except UsageError as error:
            lines = map(one_line, printable(error.message).splitlines())
            raise pytest.UsageError("\n  ".join([f"{count}, none was begun:", *lines])) from None
        say(self._benchmarks.config, f"{count}: what they need is there", *map(str, warnings))
