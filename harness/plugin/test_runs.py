"""Where the test runs of a benchmark run are executed: a sandbox in each process, and one cache for all.

The controlling process chooses the cache's folder and probes the machine, once for all workers; at the end it
says how many runs were executed and how many remembered.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox import Sandbox, fork_server
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, Isolation, Probe
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.store import default_folder

KEY = "harness-test-runs"


class TestRuns:
    """A pytest plugin, in the controlling process and in each worker.

    Attributes:
        kept: The folder, where it is kept for later runs; known to the controlling process alone.
        problem: Why test runs are not remembered, or not until the next run; may be empty.

    Args:
        config: Of this process.
        sight: What the code under test sees of the disk, and what not.
        isolation: Kinds of isolation to try.
    """

    __test__ = False

    def __init__(self, config: pytest.Config, sight: Sight, isolation: Sequence[Isolation]) -> None:
        self.problem = self._temporary = ""
        self.kept: Path | None = None
        self._input: dict[str, Any] = vars(config).get("workerinput", {}).get(KEY) or self._choose(config)
        folder, probe = self._input["folder"], Probe(**self._input["probe"])
        self._config = config
        if folder:
            sight = replace(sight, hidden=(*sight.hidden, Path(folder)))
        self._server = ForkServer(sight=sight, isolation=isolation)
        self._cache = RunCache(Path(folder)) if folder else None
        self._cached = CachedSandbox(self._server, self._cache, probe) if self._cache else None
        self._counts = [0, 0]  # of the workers

    def _choose(self, config: pytest.Config) -> dict[str, Any]:
        """Choose the cache's folder; none where the code under test could write to it."""
        probe = fork_server.probe()
        folder: Path | None = None
        if probe.isolation == "none":
            self.problem = "no test run is remembered: nothing hides it from the code on this machine"
        elif not config.getoption("harness_no_run_cache"):
            try:
                folder = default_folder("test-runs")
                RunCache(folder).close()
                self.kept = folder
            except OSError as error:
                folder = None
                self.problem = f"test runs are remembered for this run only: {error}"
        if folder is None and probe.isolation != "none":
            self._temporary = tempfile.mkdtemp(prefix="harness-test-runs-")
            folder = Path(self._temporary)
        return {"folder": folder and str(folder), "probe": asdict(probe)}

    @property
    def sandbox(self) -> Sandbox:
        """Where this process executes test runs."""
        return self._cached or self._server

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker what was chosen."""
        node.workerinput[KEY] = self._input

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add the counts of a worker that has ended in good order."""
        self.add((getattr(node, "workeroutput", None) or {}).get(KEY, (0, 0)))

    def add(self, counts: Sequence[int]) -> None:
        """Count the test runs of another process: executed, remembered."""
        self._counts = [one + other for one, other in zip(self._counts, counts, strict=True)]

    def pytest_sessionfinish(self) -> None:
        """Send the counts of a worker."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[KEY] = self._totals()

    def _totals(self) -> list[int]:
        own = [self._cached.executed, self._cached.remembered] if self._cached else [0, 0]
        return [one + other for one, other in zip(self._counts, own, strict=True)]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how many test runs were executed."""
        executed, remembered = self._totals()
        if executed or remembered:
            terminalreporter.write_line(f"test runs: {executed} executed, {remembered} remembered")

    def pytest_unconfigure(self) -> None:
        """End the sandbox; keep the cache's folder small, or remove it."""
        self._server.close()
        if self._cache is not None:
            self._cache.close()
        if hasattr(self._config, "workerinput") or self._cache is None:
            return
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        else:
            self._cache.prune()
