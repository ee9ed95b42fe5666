"""The run as a whole, in the process that controls it: what it was begun with, and how it ended.

``reports/<run>/run.json`` and ``plan.json`` are there before the first trial begins, so that a run that is
killed can be told from one that has finished. Each process of a run, worker or not, has a sign of life there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.plugin.collect import TrialItem
from harness.plugin.reporting import Reporter
from harness.results import run_state
from harness.results.run_folder import RunFolder
from harness.results.run_state import Figures, State
from harness.tasks.trial import Trial

KEY = "harness-run"
OPTIONS = ("pair", "orchestrator", "coder", "epochs", "record", "mutants", "mix_mocks")  # that choose trials


class Run:
    """A pytest plugin of the controlling process.

    Attributes:
        state: What stands in ``run.json``; None until the trials are known.

    Args:
        config: Of this process.
        folder: The run's folder.
        reporter: Has the figures at the end.
        find_trials: Returns the trials of node ids, which xdist's workers have collected.
    """

    def __init__(
        self,
        config: pytest.Config,
        folder: RunFolder,
        reporter: Reporter,
        find_trials: Callable[[Iterable[str]], list[Trial]],
    ) -> None:
        self._config = config
        self._folder = folder
        self._reporter = reporter
        self._find_trials = find_trials
        self.state: State | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the run's folder is."""
        node.workerinput[KEY] = str(self._folder.path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin the run, where there are no workers."""
        if not session.config.option.collectonly:
            self._begin([item.trial for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin the run before the first worker is given a trial."""
        if self.state is None:
            self._begin(self._find_trials(ids))

    def _begin(self, trials: Sequence[Trial]) -> None:
        """Write down what the run consists of; a disk that takes nothing is told with the first record."""
        if not trials:
            return
        self.state = State(
            began=now(),
            arguments=[str(each) for each in self._config.args],
            options={name: self._config.getoption(f"harness_{name}") for name in OPTIONS},
            pairs=list(dict.fromkeys(trial.pair.name for trial in trials)),
            planned=len({trial.slug for trial in trials}),
        )
        self._folder.alive  # noqa: B018  (from now on)
        with suppress(OSError):
            run_state.write(self._folder.path, run_state.plan_of(trials))
            run_state.write(self._folder.path, self.state)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write down how the run ended."""
        if self.state is None:
            return
        figures = None
        if (summary := self._reporter.summary) is not None:
            costs = [row["cost"] for row in summary.tables.pairs]
            figures = Figures(
                finished=len(summary.outcomes),
                measured=sum(row["kind"] == "model" for row in summary.outcomes),
                solved=sum(row["outcome"] == "solved" for row in summary.outcomes),
                cost=None if None in costs else sum(costs),
            )
        self.state = self.state.model_copy(update={"ended": now(), "figures": figures})
        with suppress(OSError):
            run_state.write(self._folder.path, self.state)


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
