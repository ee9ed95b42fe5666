"""The plugin proper: options are checked, records are gathered, the run ends in a table.

Under xdist the workers run trials and send record and transcript with the test report; the controller
alone writes and prints.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.agents.transcript import Transcript, Watch
from harness.errors import HarnessError, SpecError, UsageError
from harness.plugin.collect import RESULT, BrokenItem, SourceFile, TaskFile, TrialItem
from harness.plugin.finish import RunSummary, properties
from harness.results import record
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.report import PAGE, load_prices
from harness.results.run_folder import RunFolder, report_payload
from harness.sandbox import fork_server
from harness.tasks.loader import PAIRS_FILE, is_source_file, looks_like_a_task
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Bug, Task
from harness.tasks.trial import REAL, Pair, Trial
from harness.terminal import visible

if TYPE_CHECKING:
    from harness.runner import Mode, Result

LETTERS = {
    "solved": ".",
    "wrong": "w",
    "no_code": "n",
    "syntax_error": "s",
    "timeout": "t",
    "crashed": "c",
    "gave_up": "g",
    "limit": "l",
}


class BenchmarkSession:
    """Registered where there is a benchmarks folder."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        option = config.getoption
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.root = folder.parent if config.rootpath.is_relative_to(folder) else config.rootpath
        self.suite = Suite(
            folder,
            self.root,
            Selection(
                pairs=tuple(option("pair")),
                orchestrators=_words(option("orchestrator")),
                coders=_words(option("coder")),
                epochs=option("epochs"),
                sources=frozenset(filter(is_source_file, self._paths)),
            ),
            os.environ,
        )
        self.mode: Mode = option("record")
        self.unwritten = ""
        self.ending: RunSummary | None = None
        self._properties: dict[str, list[tuple[str, object]]] = {}
        self._mutants: dict[str, tuple[Bug, ...]] = {}
        self._graders: dict[str, Any] = {}
        self.folder = RunFolder(self.root / "reports", datetime.now(UTC))

    # --- collection -------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Refuse wrong options, a wrong pairs file and a source that is not installed, with one line each."""
        if self._asked_for:
            # The clients build thousands of classes: collecting in between costs 0.5 s and finds nothing.
            gc.set_threshold(100_000, 10, 10)
            try:
                self._keep_mocks_apart(self.suite.pairs)
                assert self._prices
                if not self.is_worker:
                    assert self._gates
                if self.config.getoption("require_sandbox") and not self.is_worker:
                    fork_server.require_all()
                self._require_sources()
            except HarnessError as error:
                raise pytest.UsageError(*str(error).splitlines()) from None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """A task file of the suite is collected, where benchmarks were asked for; a source file, if named."""
        if self.suite.holds(file_path) and self._asked_for and self.suite.collects(file_path):
            kind = SourceFile if self.suite.is_source(file_path) else TaskFile
            file: TaskFile = kind.from_parent(parent, path=file_path)
            file.benchmarks = self
            return file
        return None

    @cached_property
    def _paths(self) -> list[Path]:
        """What the arguments name."""
        return [Path(os.path.abspath(str(arg).split("::", 1)[0])) for arg in self.config.args]

    @cached_property
    def _asked_for(self) -> bool:
        """Whether the arguments reach the task files of a repository that uses the harness.

        Many repositories have a benchmarks folder of another kind: those are left alone.
        """
        folder = self.suite.folder
        if not any(path.is_relative_to(folder) or folder.is_relative_to(path) for path in self._paths):
            return False
        return (
            (folder / PAIRS_FILE).is_file()
            or any(map(looks_like_a_task, self.suite.files()))
            or any(path in self._paths for path in self.suite.sources())
        )

    def _keep_mocks_apart(self, pairs: Iterable[Pair]) -> None:
        """Refuse a table in which perfect stand-ins would be read as models.

        Raises:
            UsageError: There would be one.
        """
        names: dict[str, str] = {pair.backend: pair.name for pair in pairs}
        real = sorted(REAL & set(names))
        if "mock" in names and real and not self.config.getoption("mix_mocks"):
            raise UsageError(
                f"the pair {names['mock']} is a mock, and {names[real[0]]} is not: one table would show both",
                remedy="run them apart, or say --mix-mocks",
            )

    def _require_sources(self) -> None:
        """Load the source files that are named.

        Raises:
            UsageError: A source is not installed.
        """
        for path in self.suite.sources():
            try:
                if path in self._paths:
                    self.suite.tasks(path)
            except SpecError:
                continue  # told of where it is collected

    def _left_out(self) -> list[str]:
        """The source files in the folders that the arguments name whose tasks do not take part."""
        return [
            self.suite.shown(source)
            for source in self.suite.sources()
            if not self.suite.collects(source) and any(source.is_relative_to(path) for path in self._paths)
        ]

    # --- running ----------------------------------------------------------------------------

    def run(self, trial: Trial) -> Result:
        """Run a trial, telling it aloud under ``-s -v``."""
        # Not before the first trial: vcrpy and httpx take longer to import than all tasks to collect.
        from harness.runner import Setup, run_trial

        setup = Setup(self.root, self.sandbox, self.mode, mutants=self.mutants_of, graders=self._graders)
        return run_trial(trial, setup, self._narrator())

    @cached_property
    def sandbox(self) -> fork_server.ForkServer:
        """Where all trials of this process run their code."""
        return fork_server.ForkServer(hidden=(self.root, *fork_server.home()), walls=self._walls)

    @property
    def _walls(self) -> tuple[fork_server.Walls, ...]:
        """With --require-sandbox nothing runs without walls, whatever the probe has shown."""
        required = self.config.getoption("require_sandbox")
        return tuple(kind for kind in fork_server.ALL_WALLS if kind != "none" or not required)

    def mutants_of(self, task: Task) -> tuple[Bug, ...]:
        """Further known bugs of a task, as many as asked for; made once for all its trials."""
        from harness.grading.mutants import known_mutants

        wanted = self.config.getoption("mutants")
        if task.id not in self._mutants:
            self._mutants[task.id] = known_mutants(task, self.sandbox, wanted) if wanted else ()
        return self._mutants[task.id]

    def pytest_unconfigure(self) -> None:
        """End the sandbox's process."""
        if "sandbox" in self.__dict__:
            self.sandbox.close()

    def _narrator(self) -> Watch | None:
        if self.is_worker or self.config.getoption("capture") != "no" or self.config.option.verbose < 1:
            return None
        from harness.results.show import narrator

        print()  # noqa: T201  (pytest has written the item's name without a line's end)
        return narrator()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Let record and transcript travel with the report."""
        report: Any = yield
        if isinstance(item, TrialItem) and call.when == "call":
            result = item.stash.get(RESULT, None)
            if result is not None:
                report.harness = report_payload(result.record.row(), result.transcript, result.files)
            elif call.excinfo is not None:
                row = record.broken(item.trial, call.excinfo.value, mode=self.mode).row()
                report.harness = report_payload(row, Transcript(()), {})
        report.harness_broken = isinstance(item, BrokenItem) and report.failed
        return report  # type: ignore[no-any-return]

    # --- reporting --------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str] | None:
        """Say whether requests can leave this machine, and what holds back model-written code."""
        if not self._asked_for:
            return None
        mode = {
            "none": "replaying cassettes, offline",
            "once": "recording live what has no cassette",
            "all": "recording everything live",
        }[self.mode]
        pairs = ", ".join(pair.name for pair in self.suite.pairs)
        lines = [f"harness: {mode}; pairs: {pairs}", f"sandbox: {fork_server.in_words()}"]
        if left_out := self._left_out():
            lines.append(f"not collected: {', '.join(left_out)} (a source of tasks: name it to run it)")
        return lines

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """A word and a letter for each outcome; infra outcomes are errors."""
        if getattr(report, "harness_broken", False):
            return "error", "E", ("SPEC ERROR", {"red": True})
        carried = getattr(report, "harness", None)
        if carried is None:
            return None
        outcome = carried["record"]["outcome"]
        word = outcome.replace("_", " ")
        if carried["record"]["kind"] == "infra":
            return "error", "E", (word.upper(), {"red": True})
        color = {"green": True} if outcome == "solved" else {"yellow": True}
        if report.failed:
            return "failed", "F", (f"FAILED ({word})", {"red": True})
        return word, LETTERS[outcome], (word.upper(), color)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The controller keeps each record as it arrives, and lets JUnit files have its figures."""
        carried = getattr(report, "harness", None)
        if carried is not None and not self.is_worker:
            self._properties[report.nodeid] = list(properties(carried["record"], self._prices))
            try:
                self.folder.add(carried)
            except OSError as error:
                self.unwritten = f"not written to {error.filename or self.folder.path}: {error.strerror}"
        if report.when == "teardown":
            report.user_properties.extend(self._properties.pop(report.nodeid, ()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A run that misses a gate fails, though none of its tests did."""
        if self.is_worker or not self.folder.rows:
            return
        self.ending = RunSummary.of(self.folder, self._prices, self._gates, write=not self.unwritten)
        if self.ending.failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the pair table, what the gates say, and where the run's files are."""
        if self.ending is None:
            return
        from harness.results.render import print_tables, terminal

        terminalreporter.section("pairs")
        print_tables(self.ending.tables, terminal(terminalreporter._tw))  # noqa: SLF001
        for line in self.ending.changes:
            terminalreporter.write_line(visible(line))
        for line in self.ending.failures:
            terminalreporter.write_line(f"GATE: {visible(line)}", red=True)
        where = self.unwritten or self.suite.shown(self.folder.path / PAGE)
        terminalreporter.write_line(f"report: {self.ending.problem or where}")

    @cached_property
    def _prices(self) -> Prices:
        return load_prices(self.suite.folder, self.suite.shown(self.suite.folder / "prices.yaml"))

    @cached_property
    def _gates(self) -> Gates:
        option = self.config.getoption
        return Gates.of(option("fail_under"), option("baseline"), self.root / "reports")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
