"""The run as a whole, in the process that controls it: what it was begun with, and how it ended.

``reports/<run>/run.json`` and ``plan.json`` are there before the first trial begins, so that a run that is
killed can be told from one that has finished. Each process of a run, worker or not, has a sign of life there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.plugin.collect import TrialItem
from harness.plugin.reporting import Reporter
from harness.plugin.resume import OPTIONS, Resumed
from harness.results import run_state
from harness.results.columns import counted
from harness.results.finish import figures_of
from harness.results.run_state import State
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial
from harness.terminal import printable_line

KEY = "harness-run"
MOST_NAMED = 5  # trials without a result


class Run:
    """A pytest plugin of the controlling process.

    Attributes:
        state: What stands in ``run.json``; None until the trials are known.

    Args:
        config: Of this process.
        resumed: What stands in it already, if this run goes on.
        reporter: Has the run's folder, and its figures at the end.
        find_trials: Returns the trials of node ids, which xdist's workers have collected.
        pair: One whose orchestrator lives in Letta, if there is one.
    """

    def __init__(
        self,
        config: pytest.Config,
        resumed: Resumed | None,
        reporter: Reporter,
        find_trials: Callable[[Iterable[str]], list[Trial]],
        pair: Pair | None,
    ) -> None:
        self._config = config
        self._folder = reporter.folder
        self._pair = pair
        self._reporter = reporter
        self._find_trials = find_trials
        self._resumed = resumed
        self._has_begun = False
        self.state: State | None = None
        if resumed is not None:
            reporter.planned = set(resumed.plan.trials)
            reporter.repeats = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the run's folder is."""
        node.workerinput[KEY] = str(self._folder.path)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin the run, where there are no workers, after the checks before a recording."""
        if not session.config.option.collectonly:
            self._begin([item.trial for item in session.items if isinstance(item, TrialItem)])

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin the run before the first worker is given a trial."""
        if not self._has_begun:
            self._begin(self._find_trials(ids))

    def _begin(self, trials: Sequence[Trial]) -> None:
        """Write down what the run consists of; a disk that takes nothing is told with the first record."""
        if not (trials or self._resumed):
            return
        self._has_begun = True
        self._folder.show_alive()
        with suppress(OSError):
            if self._resumed is None:
                run_state.write(self._folder.path, run_state.plan_of(trials))
            run_state.write(self._folder.path, self._state_of(trials))
        self._delete_agents()

    def _state_of(self, trials: Sequence[Trial]) -> State:
        if self._resumed is not None:
            self.state = self._resumed.state.model_copy(update={"ended": None, "figures": None})
            return self.state
        self._reporter.planned = {trial.slug for trial in trials}
        self.state = State(
            began=now(),
            arguments=[str(each) for each in self._config.args],
            options={name: self._config.getoption(f"harness_{name}") for name in OPTIONS},
            pairs=list(dict.fromkeys(trial.pair.name for trial in trials)),
            planned=len(self._reporter.planned),
        )
        return self.state

    def _delete_agents(self) -> None:
        """Delete what killed processes left in Letta, of earlier runs and of this one."""
        if self._pair is None or self._config.getoption("harness_record") == "none":
            return
        from harness.plugin.leftovers import delete_agents

        deleted = delete_agents(self._folder.path.parent, self._pair, self._folder.path)
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if deleted and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(
                f"deleted {counted(deleted, 'agent')} that killed processes had left in Letta"
            )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write down how the run ended."""
        if self.state is None:
            return
        self._delete_agents()
        summary = self._reporter.summary
        figures = None if summary is None else figures_of(summary)
        self.state = self.state.model_copy(
            update={"ended": now(), "figures": figures, "broken": self._reporter.broken}
        )
        with suppress(OSError):
            run_state.write(self._folder.path, self.state)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how to go on, where trials have no result."""
        if self.state is None:
            return
        summary = self._reporter.summary
        left = unfinished(self._reporter.planned, summary.outcomes if summary else ())
        if not left:
            return
        names = ", ".join(left[:MOST_NAMED]) + (
            f" and {len(left) - MOST_NAMED} more" if left[MOST_NAMED:] else ""
        )
        planned = len(self._reporter.planned)
        lines = (
            f"interrupted: {planned - len(left)} of {counted(planned, 'trial')} have a result; not: {names}",
            f"go on: {self.state.command(self._folder.path.name)}",
        )
        for line in lines:
            terminalreporter.write_line(printable_line(line), red=True)


def unfinished(planned: Iterable[str], outcomes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the trials that have no record, sorted."""
    return sorted(set(planned) - {row["trial"] for row in outcomes})


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
