"""``--resume``: go on with a run, with the trials that have no record, or one of an infra error.

Options that choose trials are those that the run was begun with. A run whose tasks, pairs or prompts have
changed since is refused: its table would mix two things.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.agents import prompts
from harness.errors import HarnessError, UsageError
from harness.plugin.collect import TrialItem
from harness.results import recovery, run_state
from harness.results.columns import counted, first_lines
from harness.results.record import read_rows
from harness.results.run_folder import TRIALS, RunFolder, run_folders
from harness.results.run_state import STATE, Plan, State
from harness.tasks.suite import Suite

KEY = "harness-resume"
# Options that choose trials, with their defaults: given anew, they must be those of the run.
OPTIONS: Mapping[str, Any] = {
    "pair": [],
    "orchestrator": "",
    "coder": "",
    "epochs": None,
    "record": "none",
    "mutants": 0,
    "mix_mocks": False,
}
LONGEST_WAIT_S = 20.0  # xdist's workers notice within 15 s that their controller was killed


@dataclass(frozen=True)
class Resumed:
    """The run that goes on.

    Attributes:
        folder: Its folder.
        state, plan: What it was begun with.
        finished: Trials that are measured already.
        recorded: How many bytes of records there were when it went on: the same for all processes.
    """

    folder: RunFolder
    state: State
    plan: Plan
    finished: frozenset[str]
    recorded: int


def begin(config: pytest.Config, root: Path) -> Resumed | None:
    """Return the run that --resume names, with config's options set to the run's; None without --resume.

    Raises:
        UsageError: There is no such run, it still goes on, or was begun with other options.
    """
    given = vars(config).get("workerinput", {}).get(KEY)
    if given is not None:
        folder, recorded = RunFolder(Path(given["folder"])), given["recorded"]
    elif config.getoption("harness_resume") is None or hasattr(config, "workerinput"):
        return None
    else:
        folder, recorded = RunFolder(find(root / "reports", config.getoption("harness_resume"))), None
    state, plan = run_state.read(folder.path, State), run_state.read(folder.path, Plan)
    restore(config, state, folder.path.name)
    path = folder.path / TRIALS
    if recorded is None:
        wait_for_its_processes(folder.path)
        recover(folder, root)
        recorded = path.stat().st_size if path.exists() else 0
    last = {row["trial"]: row["kind"] for row in read_rows(path, end=recorded)} if recorded else {}
    finished = frozenset(trial for trial, kind in last.items() if kind == "model")
    return Resumed(folder, state, plan, finished, recorded)


def find(reports: Path, name: str) -> Path:
    """Return the folder of the run with this name, or at this path; without a name that of the newest.

    Raises:
        UsageError: There is none.
    """
    runs = [folder for folder in run_folders(reports) if (folder / STATE).is_file()]
    if not runs:
        raise UsageError(f"--resume: no run in {reports} tells what it was begun with")
    if not name:
        return runs[0]
    for folder in (reports / name, Path(name)):
        if (folder / STATE).is_file():
            return folder.resolve()
    raise UsageError(
        f"--resume: no run {name!r} in {reports}",
        remedy=f"use one of: {', '.join(each.name for each in runs[:6])} (as --resume=RUN)",
    )


def restore(config: pytest.Config, state: State, name: str) -> None:
    """Set the options to those of the run.

    Raises:
        UsageError: One is given, and is another.
    """
    for option, default in OPTIONS.items():
        old, new = state.options.get(option, default), config.getoption(f"harness_{option}")
        if new not in (default, old):
            flag = option.replace("_", "-")
            raise UsageError(
                f"--resume: {name} was begun with --{flag} {in_words(old)}, not {in_words(new)}",
                remedy=f"leave out --{flag}, or begin a new run",
            )
        setattr(config.option, f"harness_{option}", old)


def in_words(value: Any) -> str:
    """Return the value of an option for a message."""
    return " ".join(map(str, value)) if isinstance(value, list) and value else str(value or "its default")


def wait_for_its_processes(folder: Path) -> None:
    """Wait until workers have noticed that their controller was killed.

    Raises:
        UsageError: The run still goes on.
    """
    ends = time.monotonic() + LONGEST_WAIT_S
    while run_state.is_alive(folder):
        if time.monotonic() > ends:
            raise UsageError(f"--resume: {folder.name} still runs", remedy="wait for its end, or stop it")
        time.sleep(0.2)


def recover(folder: RunFolder, root: Path) -> None:
    """Finish what the run's processes had begun when they were killed."""
    for path, note in recovery.notes(folder.path):
        try:
            recovery.recover(folder, path, note, root)
        except OSError as error:
            raise UsageError(f"--resume: {error.filename or folder.path}: {error.strerror}") from None


def require_unchanged(resumed: Resumed, suite: Suite) -> None:
    """Raise UsageError if a task, a pair or the prompts are no longer those that the run was begun with."""
    problems = []
    if resumed.plan.prompts != prompts.prompts_digest():
        problems.append("the harness's prompts and tools have changed")
    pairs = {pair.name: pair for pair in suite.pairs}
    for name, fields in resumed.plan.pairs.items():
        if name not in pairs:
            problems.append(f"the pair {name} is gone")
        elif names := run_state.changed(fields, run_state.fields_of(pairs[name])):
            problems.append(f"the pair {name} has changed: {', '.join(names)}")
    for name, planned in resumed.plan.tasks.items():
        now: dict[str, dict[str, str]] = {}
        with suppress(HarnessError):  # told where the file is collected
            now = planned_again(suite, suite.root / planned.source.partition("::")[0])
        if name not in now:
            problems.append(f"{planned.source}: the task {name} is gone, or cannot be read")
        elif names := run_state.changed(planned.fields, now[name]):
            problems.append(f"{planned.source}: the task {name} has changed: {', '.join(names)}")
    if problems:
        name = resumed.folder.path.name
        raise UsageError(
            "\n".join([f"--resume: {name} was begun with something else:", *first_lines(problems)]),
            remedy="begin a new run, or take these changes back",
        )


def planned_again(suite: Suite, path: Path) -> dict[str, dict[str, str]]:
    """Return what a plan would hold of a file's tasks now, by their names in it."""
    if suite.file(path).is_course:
        return {run_state.planned_name(each): run_state.fields_of_task(each) for each in suite.trials(path)}
    return {task.id: run_state.fields_of(task) for task in suite.tasks(path)}


class Resume:
    """A pytest plugin, in each process that collects trials."""

    def __init__(self, resumed: Resumed) -> None:
        self._resumed = resumed

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which records there were."""
        given = {"folder": str(self._resumed.folder.path), "recorded": self._resumed.recorded}
        node.workerinput[KEY] = given

    # After --shard, which deals the trials of all.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the trials that are finished, or none of the run's."""
        left = set(self._resumed.plan.trials) - self._resumed.finished
        chosen = [each for each in items if not isinstance(each, TrialItem) or each.trial.slug in left]
        kept = set(chosen)
        config.hook.pytest_deselected(items=[each for each in items if each not in kept])
        items[:] = chosen

    def pytest_report_header(self) -> str:
        """Say what is left to do."""
        planned = set(self._resumed.plan.trials)
        done = len(planned & self._resumed.finished)
        name = self._resumed.folder.path.name
        left = len(planned) - done
        return f"resuming {name}: {done} of {counted(len(planned), 'trial')} measured, {left} left"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let a run pass that has nothing left to do."""
        nothing_left = set(self._resumed.plan.trials) <= self._resumed.finished
        if nothing_left and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
