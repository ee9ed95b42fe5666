"""Run the trials on a Dask cluster (``--cluster``): pytest collects, reports and decides as ever.

Each trial is reported when its result has come from a worker, so that records, progress, gates and exit codes
are those of a run without a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.backends.sharing import Address, Served
from harness.cluster.dask_cluster import DaskCluster
from harness.cluster.order import Control, Done, Order, Settings, Spending, ignore
from harness.errors import HarnessError, UsageError
from harness.files import write_whole
from harness.plugin.collect import TrialItem
from harness.plugin.reporting import say
from harness.redact.allowed import NAME as ALLOWED
from harness.results.journal import File
from harness.tasks.trial import Trial
from harness.terminal import printable_line

if TYPE_CHECKING:
    from harness.plugin.session import BenchmarkSession
    from harness.runner import Mode, Result

MAX_FOLDER_BYTES = 20_000_000  # of a task's ``paths``


class ClusterLoop:
    """A pytest plugin that takes the place of the loop over all items."""

    def __init__(self, benchmarks: BenchmarkSession, address: str) -> None:
        self._benchmarks = benchmarks
        self._address = address
        self._done: Done | None = None  # of the item that is being reported
        self._spending: Spending | None = None
        self._notes: dict[str, File] = {}  # by worker
        option = benchmarks.config.getoption
        self._settings = Settings(
            mutants=option("harness_mutants"),
            require_sandbox=option("harness_require_sandbox"),
            run_cache=not option("harness_no_run_cache"),
        )

    def pytest_report_header(self) -> str:
        """Say where the trials run."""
        return f"cluster: {self._address}"

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all trials on the cluster, and whatever else was collected here, in place of pytest's loop."""
        config = session.config
        if session.testsfailed and not config.option.continue_on_collection_errors:
            return None  # pytest's own loop says so
        if config.option.collectonly:
            return None
        trials = {item.trial.slug: item for item in session.items if isinstance(item, TrialItem)}
        for item in session.items:
            if not isinstance(item, TrialItem):
                self._report(session, item)
        if not trials:
            return True
        progress: Any = config.pluginmanager.get_plugin("harness-progress")

        def begins(slug: str, worker: str) -> None:
            progress.begin(trials[slug].nodeid, worker)

        try:
            with DaskCluster(self._address, partial(say, config)) as cluster:
                spending: Any = config.pluginmanager.get_plugin("harness-spending")
                shared: dict[str, Any] = {}
                release: Callable[..., None] = ignore
                if spending is not None:
                    shared = {"limiter": spending.limiter, "budget": spending.budget}
                    release = spending.budget.release
                    today = datetime.now(UTC).date()
                    self._spending = Spending(spending.caps, self._benchmarks.prices, today)
                control = Control(release, begins, self._keep)
                served = Served(cluster.host, control=control, **shared)
                try:
                    progress.show()
                    orders = (self._order(item.trial, served.address) for item in trials.values())
                    for order, done in cluster.run(orders, control):
                        self._done = done
                        self._report(session, trials[order.trial.slug])
                        self._done = None
                finally:
                    served.close()
        except UsageError as error:
            raise pytest.UsageError(printable_line(str(error))) from None
        return True

    def _order(self, trial: Trial, control: Address) -> Order:
        root = self._benchmarks.root
        mode: Mode = "all" if self._benchmarks.to_record([trial]) else "none"
        if trial.pair.memory == "carried" and mode == "all":
            raise UsageError(
                f"the pair {trial.pair.name} carries its memory from step to step: workers could not go on",
                remedy="record it without --cluster",
            )
        names = [Path(trial.cassette_path).parts[0] + f"/{ALLOWED}"]
        names += [trial.cassette_path] if mode == "none" else []
        files = {name: (root / name).read_bytes() for name in names if (root / name).is_file()}
        for folder in trial.task.paths:
            files |= content_of(root, folder)
        return Order(trial, mode, files, control, self._settings, self._spending)

    def _report(self, session: pytest.Session, item: pytest.Item) -> None:
        """Let pytest run an item, of which a trial has its result already, and stop where it wants to."""
        if isinstance(item, TrialItem) and self._done is not None:
            item.run = self._finish
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    def _keep(self, worker: str, note: str) -> None:
        """Keep what a worker is at where the processes of this machine note it."""
        if worker not in self._notes:
            folder = self._benchmarks.run_folder.path
            self._notes[worker] = File(folder, f"worker-{len(self._notes) + 1}")
        self._notes[worker](note)

    def _finish(self, trial: Trial) -> Result:
        """Keep the cassette that a worker recorded; return its result."""
        done = self._done
        assert done is not None
        self._benchmarks.test_runs.add(done.test_runs)
        if done.cassette is not None:
            write_whole(self._benchmarks.root / trial.cassette_path, done.cassette.decode())
        if done.result is None:
            raise WorkerError(done.problem)
        return done.result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Report the time that a trial took on its worker."""
        report: Any = yield
        if self._done is not None and call.when == "call":
            report.duration = self._done.seconds
        return report  # type: ignore[no-any-return]


class WorkerError(HarnessError):
    """A worker could not run a trial, or was lost with it."""


def content_of(root: Path, folder: str) -> dict[str, bytes]:
    """Return the files of a folder of the repository that a task's code may import.

    Raises:
        UsageError: They are more than a worker should be sent for each trial.
    """
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted((root / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            total += path.stat().st_size
            if total > MAX_FOLDER_BYTES:
                raise UsageError(
                    f"{folder}: more than {MAX_FOLDER_BYTES // 1_000_000} MB, and each trial would carry it",
                    remedy="name a smaller folder in `paths`",
                )
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found
