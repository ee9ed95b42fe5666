"""A benchmark run in one pytest process: its options, checked before the first trial, and what trials share.

Not here: what pytest collects (``collect.py``), and records, tables and gates (``reporting.py``).
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.agents.wall_limit import WallLimit
from harness.errors import HarnessError, SpecError, UsageError
from harness.plugin import register_preload, resume
from harness.plugin.collect import CourseFile, SourceFile, TaskFile, in_course_order, without_steps
from harness.plugin.progress import Progress
from harness.plugin.reporting import Forgetting, Payloads, Reporter
from harness.plugin.run import KEY, Run
from harness.plugin.test_runs import TestRuns
from harness.plugin.times import Times
from harness.redact import allowed
from harness.results.gates import Gates
from harness.results.report import load_prices
from harness.results.run_folder import RunFolder
from harness.sandbox import fork_server
from harness.sandbox.filesystem_view import Sight
from harness.tasks.loader import PAIRS_FILE, PRICES_FILE, is_task_file
from harness.tasks.suite import Selection, Suite, is_loop
from harness.tasks.task import Bug, Task
from harness.tasks.trial import Trial
from harness.terminal import LastingStream, printable

if TYPE_CHECKING:
    from harness.runner import Mode, Result

MOST_TOLD = 8  # files of which it is said who takes them


class BenchmarkSession:
    """The state of a pytest run, controller or xdist worker, in a repository with a benchmarks folder.

    ``root`` holds ``cassettes/`` and ``reports/``; ``mode`` is the value of ``--record``. ``is_named``: the
    command line asks for trials, else a setting alone (``harness_collect``): what would stop them is a note.
    """

    def __init__(self, config: pytest.Config, folder: Path, *, is_named: bool) -> None:
        option = config.getoption
        self.config = config
        self.is_named = is_named
        self.left_out: list[str] = []  # why no trial takes part
        self.is_worker = hasattr(config, "workerinput")
        self.root = folder.parent if config.rootpath.is_relative_to(folder) else config.rootpath
        try:
            self.resumed = resume.begin(config, self.root)
        except HarnessError as error:
            raise pytest.UsageError(printable(str(error))) from None
        self.mode: Mode = option("harness_record")
        paths = (Path(os.path.abspath(str(arg).split("::", 1)[0])) for arg in config.args)
        self._paths = [below(folder, path) for path in paths]
        self.suite = Suite(
            folder,
            self.root,
            Selection(
                pairs=tuple(option("harness_pair")),
                orchestrators=split_names(option("harness_orchestrator") or ""),
                coders=split_names(option("harness_coder") or ""),
                epochs=option("harness_epochs"),
                paths=frozenset(self._paths),
            ),
            os.environ,
        )
        # With --require-sandbox nothing runs without isolation, whatever the probe has shown.
        required = option("harness_require_sandbox")
        self._isolation = tuple(
            kind for kind in fork_server.ISOLATION_KINDS if kind != "none" or not required
        )
        self.live: dict[str, Any] = {}  # further fields of the trials' setup, where they may ask models
        self._mutants: dict[str, tuple[Bug, ...]] = {}
        self._graders: dict[str, Any] = {}
        self._on_terminate: Any = None  # what SIGTERM did before
        self._course_runs: dict[str, Any] = {}
        self._steps: set[str] = set()  # ends of node ids, where single steps of a course were named

    @cached_property
    def requested(self) -> bool:
        """True if the arguments reach the task files of a repository that uses the harness.

        Many repositories have a benchmarks folder of another kind: those are left alone.
        """
        folder = self.suite.folder
        if not any(path.is_relative_to(folder) or folder.is_relative_to(path) for path in self._paths):
            return False
        return (
            (folder / PAIRS_FILE).is_file()
            or any(self.suite.file(path).has_key("acceptance") for path in self.suite.files())
            or any(path in self._paths for path in self.suite.sources())
        )

    @cached_property
    def test_runs(self) -> TestRuns:
        """Where this process executes test runs."""
        return TestRuns(self.config, Sight(self.root, (self.root, *fork_server.home())), self._isolation)

    @cached_property
    def times(self) -> Times:
        """How long trials took in earlier runs."""
        kept = self.test_runs.kept
        return Times(self.config.rootpath, kept and kept.with_name("times.json"))

    @cached_property
    def run_folder(self) -> RunFolder:
        """The folder of the run, the same in all its processes; made when the trials are known."""
        if self.is_worker:
            return RunFolder(Path(vars(self.config)["workerinput"][KEY]))
        if self.resumed is not None:
            return self.resumed.folder
        return RunFolder.new(self.root / "reports", datetime.now(UTC))

    # --- options ----------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Refuse wrong options, a wrong pairs file and a source that is not installed, with one line each."""
        if not self.requested:
            return
        self._on_terminate = end_on_sigterm()
        # The clients build thousands of classes: collecting in between costs 0.5 s and finds nothing.
        gc.set_threshold(100_000, 10, 10)
        try:
            reporter = self._check_options()
            in_letta = next((pair for pair in self.suite.pairs if not pair.is_direct), None)
            self.config.pluginmanager.register(self.test_runs, "harness-test-runs")
            if not self.is_worker:
                self.config.pluginmanager.register(self.times, "harness-times")
                register_preload(self.config)
        except HarnessError as error:
            if not self.is_named:
                self.left_out = printable(str(error)).splitlines()
                self.requested = False
                return
            lines = printable(str(error)).splitlines()
            raise pytest.UsageError("\nERROR: ".join(lines)) from None  # of several, pytest parts the lines
        payloads = Payloads(self.mode, self.run_folder, writes=self.is_worker)
        self.config.pluginmanager.register(payloads, "harness-payloads")
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        self.config.pluginmanager.register(Forgetting(terminal), "harness-forgetting")
        if reporter is not None:
            self.config.pluginmanager.register(reporter, "harness-reporter")
            run = Run(self.config, self.resumed, reporter, self.find_trials, in_letta)
            self.config.pluginmanager.register(run, "harness-run")
            before = len(self.resumed.finished) if self.resumed is not None else 0
            progress = Progress(self.config, reporter, before)
            self.config.pluginmanager.register(progress, "harness-progress")
        if terminal is not None:
            # A reader that goes away (`| head`) must not cost a trial; pytest offers no public way.
            writer = terminal._tw  # noqa: SLF001
            writer._file = LastingStream(writer._file)  # noqa: SLF001

    def pytest_unconfigure(self) -> None:
        """Take the sign of life away."""
        if self._on_terminate is not None:
            signal.signal(signal.SIGTERM, self._on_terminate)
        if "run_folder" in vars(self):
            self.run_folder.close()

    def _check_options(self) -> Reporter | None:
        """Read the files and probe the machine as the options demand; return the controller's reporter."""
        option = self.config.getoption
        if not option("harness_mix_mocks"):
            self.suite.check_mix()
        if option("harness_mutants") < 0:
            raise UsageError(f"--mutants {option('harness_mutants')}: expected 0 or more")
        if self.mode != "none" and not self.is_worker:
            allowed.load(self.root / "cassettes")  # a wrong one would refuse what has been paid for
        self.suite.named_pairs  # noqa: B018  (wrong though no pair of it is chosen: say so now)
        self.prices = load_prices(self.suite.folder, self.suite.display(self.suite.folder / PRICES_FILE))
        reporter = None
        if not self.is_worker:
            if self.resumed is not None:
                resume.require_unchanged(self.resumed, self.suite)
            gates = Gates.of(option("harness_fail_under"), option("harness_baseline"), self.root / "reports")
            reporter = Reporter(self.root, self.run_folder, self.prices, gates, self.broken_rows)
            if option("harness_require_sandbox"):
                fork_server.require_all()
        for path in filter(self._paths.__contains__, self.suite.sources()):
            try:
                self.suite.tasks(path)
            except SpecError:
                continue  # reported where the file is collected
        return reporter

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Choose which worker runs which trial, unless --dist does."""
        if not self.requested or config.getoption("dist") != "load":
            return None
        from harness.plugin.order import LongestFirst

        return LongestFirst(config, log, self.times)

    def pytest_report_header(self) -> list[str] | None:
        """Say whether requests can leave this machine, and what holds back model-written code."""
        if self.left_out:
            return ["harness: no trial takes part:", *(f"  {line}" for line in self.left_out)]
        if not self.requested:
            return None
        mode = {
            "none": "replaying cassettes, offline",
            "once": "recording live what has no cassette",
            "all": "recording everything live",
        }[self.mode]
        pairs = ", ".join(pair.name for pair in self.suite.pairs)
        lines = [f"harness: {mode}; pairs: {pairs}", f"sandbox: {fork_server.in_words()}"]
        lines += [self.test_runs.problem] if self.test_runs.problem else []
        left_out = [
            self.suite.display(source)
            for source in self.suite.sources()
            if not self.suite.collects(source) and any(source.is_relative_to(path) for path in self._paths)
        ]
        if left_out:
            lines.append(f"not collected: {', '.join(left_out)} (a source of tasks: name it to run it)")
        lines += [
            f"not collected: {self.suite.display(path)} (not a regular file)"
            for path in self.suite.unreadable()
        ]
        return lines

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect a task file of the suite, where benchmarks were asked for; a source file, if named."""
        if not (is_task_file(file_path) and self.requested):
            return None
        path = below(self.suite.folder, file_path)
        if not (self.suite.holds(path) and self.suite.collects(path)):
            return None
        file = self.suite.file(path)
        kind = SourceFile if file.is_source else CourseFile if file.is_course else TaskFile
        trials_of = partial(self.suite.trials, path)
        return kind.from_parent(parent, path=file_path, trials_of=trials_of, run=self.run)

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Stop at a link to a folder that it lies in: there is nothing new behind it."""
        folder = self.suite.folder
        return True if collection_path.is_relative_to(folder) and is_loop(collection_path) else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Collect the course runs of steps that are named by their node ids."""
        self.config.args[:], self._steps = without_steps(self.config.args)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Let the steps of a course follow each other, though another plugin has shuffled all items.

        Of a course run that was asked for by some of its steps, only these are left.
        """
        runs = {step.rpartition("::")[0] for step in self._steps}
        ends = {item: item.nodeid.rpartition("/")[2] for item in items}
        others = [
            item for item, end in ends.items() if end.rpartition("::")[0] in runs and end not in self._steps
        ]
        self.config.hook.pytest_deselected(items=others)
        items[:] = in_course_order([item for item in items if item not in set(others)])

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """Say why nothing ran, where it is the chosen pairs that take nothing."""
        if exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED or not self.requested or self.is_worker:
            return
        with suppress(HarnessError):  # reported where the file is collected
            files = [*self.suite.files(), *self.suite.courses(), *self.suite.sources()]
            asked = [file for file in files if any(file.is_relative_to(path) for path in self._paths)]
            if asked and not any(self.suite.trials(file) for file in asked if self.suite.collects(file)):
                names = ", ".join(pair.name for pair in self.suite.pairs)
                terminalreporter.write_line(f"no trial: nothing there is for {names}")
                for file in asked[:MOST_TOLD]:
                    takers = self.suite.takers(file)
                    told = f"--pair {takers[0]}" if takers else "no pair of pairs.yaml takes it"
                    more = f" (or {len(takers) - 1} more)" if takers[1:] else ""
                    terminalreporter.write_line(f"  {self.suite.display(file)}: {told}{more}")

    def broken_rows(self, node_id: str, reason: str) -> list[dict[str, Any]]:
        """Return the row of a trial whose worker died; none for a test of somebody else."""
        from harness.results import record

        died = RuntimeError(reason)
        return [record.broken(each, died, mode=self.mode).row() for each in self.find_trials([node_id])]

    def find_trials(self, ids: Iterable[str]) -> list[Trial]:
        """Return the trials of node ids: ``<file>::<pair>[<epoch>]``, ``<file>::<task>::<pair>[<epoch>]``."""
        wanted, found = set(ids), []
        for file in dict.fromkeys(node.split("::", 1)[0] for node in ids):
            path = below(self.suite.folder, self.config.rootpath / file)
            if self.suite.holds(path):
                with suppress(HarnessError):  # reported where the file is collected
                    for trial in self.suite.trials(path):
                        name = f"{trial.pair.name}[{trial.epoch}]"
                        step = f"{file}::{name}::step-{trial.step.number}" if trial.step else ""
                        if wanted & {f"{file}::{name}", f"{file}::{trial.task.id}::{name}", step}:
                            found.append(trial)
        return found

    def to_record(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return those of these trials that the run asks models for."""
        mode, root = self.mode, self.root
        return [
            each
            for each in trials
            if mode == "all" or (mode == "once" and not (root / each.cassette_path).is_file())
        ]

    # --- trials -----------------------------------------------------------------------------

    def run(self, trial: Trial) -> Result:
        """Run a trial; under ``-s -v`` print it as it happens."""
        # Not before the first trial: vcrpy and httpx take longer to import than all tasks to collect.
        from harness.runner import Setup, run_trial

        self.run_folder.show_alive()
        watch = None
        option = self.config.getoption
        # Without its plugins, as with -p no:capture, pytest has not these options: nothing is captured.
        if not self.is_worker and option("capture", "no") == "no" and option("verbose", 0) > 0:
            from harness.results.show import narrator

            # pytest has written the item's name without a line's end.
            watch = narrator(on_a_new_line=True)
        keep = option("harness_keep_agent")
        setup = Setup(
            self.root,
            self.test_runs.sandbox,
            self.mode,
            mutants=self.mutants_of,
            graders=self._graders,
            journal=self.run_folder.journal,
            wall_limit=WallLimit(option("harness_max_trial_time"), option("harness_max_turn_time")),
            course_runs=self._course_runs,
            keep_agents=Path(keep).absolute() if keep else None,
        )
        return run_trial(trial, replace(setup, **self.live), watch)

    def mutants_of(self, task: Task) -> tuple[Bug, ...]:
        """Return as many further known bugs of a task as --mutants asks for; made once for all its trials."""
        from harness.grading.mutants import known_mutants

        wanted = self.config.getoption("harness_mutants")
        if task.id not in self._mutants:
            self._mutants[task.id] = known_mutants(task, self.test_runs.sandbox, wanted) if wanted else ()
        return self._mutants[task.id]


def end_on_sigterm() -> Any:
    """Let SIGTERM end the run as Ctrl-C does: agents are deleted, and the table is printed.

    Returns:
        What it did before; None where it is somebody else's affair.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None

    def terminate(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    return signal.signal(signal.SIGTERM, terminate)


def below(folder: Path, path: Path) -> Path:
    """Return a path as a path below the folder, if links lead there (``--rootdir LINK``); else as it is."""
    if path.is_relative_to(folder) or folder.is_relative_to(path):
        return path
    real, target = path.resolve() if path.is_dir() else path.parent.resolve() / path.name, folder.resolve()
    if target.is_relative_to(real):
        return folder
    return folder / real.relative_to(target) if real.is_relative_to(target) else path


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
