"""Status words and letters, the records of a run, its summary, and figures for JUnit files.

Each process writes the trials that it finishes (``RunFolder.add``): they are on the disk before anybody else
hears of them. The controller prints. Tables and gates are computed in ``finish.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness.agents.transcript import ROLES, Transcript, Usage
from harness.plugin.collect import BrokenItem, TrialItem
from harness.results import record, recovery
from harness.results.columns import KINDS, counted
from harness.results.dataframe import frame
from harness.results.finish import finish, not_written
from harness.results.gates import Gates
from harness.results.pricing import Prices, charge_role
from harness.results.record import requests_of
from harness.results.report import PAGE
from harness.results.run_folder import TRIALS, RunFolder, report_payload
from harness.results.run_state import STATE
from harness.results.run_summary import RunSummary, workflow_commands
from harness.terminal import printable_line, visible
from harness.text import shorten

MISSING = "missing_cassette"
MOST_UNSOLVED = 10  # trials that are listed without -ra
SUMMARISED = ("trial", "pair", "kind", "outcome", "detail")
BrokenRows = Callable[[str, str], list[dict[str, Any]]]  # node id, why -> rows of its trial


def payload_of(report: Any) -> dict[str, Any] | None:
    """Return what a report carries of a trial that has ended; None where it is to be tried again."""
    return None if str(report.outcome) == "rerun" else getattr(report, "harness", None)


def say(config: pytest.Config, *lines: str) -> None:
    """Print lines where pytest prints; a worker prints nothing."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    for line in lines if terminal is not None else ():
        terminal.write_line(printable_line(line))


class Payloads:
    """Attaches record and transcript to pytest's reports, in each process that runs trials.

    A worker writes them, and sends the record alone; what it cannot write it sends whole.
    """

    def __init__(self, mode: str, folder: RunFolder, *, writes: bool) -> None:
        self._mode = mode
        self._folder = folder
        self._writes = writes

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Attach the payload as ``harness``; ``harness_broken`` marks a file that cannot be read."""
        report: Any = yield
        if isinstance(item, TrialItem) and call.when == "call":
            if item.result is not None:
                result = item.result
                report.harness = report_payload(
                    result.record.row(), result.transcript, result.files, result.verdict, item.trial.task
                )
            elif call.excinfo is not None:
                row = record.broken(item.trial, call.excinfo.value, mode=self._mode).row()
                report.harness = report_payload(row, Transcript(()), {})
        report.harness_broken = isinstance(item, BrokenItem) and report.failed
        report.harness_trial = isinstance(item, TrialItem)
        return report  # type: ignore[no-any-return]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a trial before the report is sent; not one that pytest-rerunfailures tries again."""
        payload = payload_of(report)
        if payload is None:
            return
        if self._writes and (self._folder.path / STATE).is_file():  # else it is on another machine's disk
            with suppress(OSError):
                self._folder.add(payload)
                vars(report)["harness"] = {"record": payload["record"]}


class Forgetting:
    """Lets go of what has been reported: pytest keeps all reports and items, and trials may be many."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep of a record what pytest's summary may ask for; of three reports that a trial has, a word."""
        payload = getattr(report, "harness", None)
        if payload is not None:
            row = {name: payload["record"][name] for name in SUMMARISED}
            vars(report)["harness"] = {"record": row}
        if getattr(report, "harness_trial", False) and report.passed:
            vars(report).update(keywords={}, user_properties=[])
            # pytest lists even reports that it has nothing to say of.
            unsaid = self._terminal.stats.get("", []) if self._terminal else []
            if unsaid and unsaid[-1] is report:
                unsaid.pop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Drop the conversation of a trial that is over."""
        done: Any = yield
        if isinstance(item, TrialItem):
            item.result = None
        return done  # type: ignore[no-any-return]


class Reporter:
    """Gathers the records of a run and reports on them, in the controlling process."""

    def __init__(
        self, root: Path, folder: RunFolder, prices: Prices, gates: Gates, broken_rows: BrokenRows
    ) -> None:
        self._root = root
        self.folder = folder
        self.finished: set[str] = set()  # trials of this session that have a row
        self.planned: set[str] = set()  # all trials of the run
        self.broken: list[str] = []  # a line for each file that could not be read
        self.repeats = False  # a trial has several rows, as with --dist each
        self._broken_rows = broken_rows
        self._prices = prices
        self._gates = gates
        self._properties: dict[str, list[tuple[str, object]]] = {}
        self._tried_again: dict[str, int] = {}
        self._problem = ""  # why the run's folder cannot be written
        self.summary: RunSummary | None = None

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Return a category, a letter and a word for each outcome; infra outcomes are errors."""
        if getattr(report, "harness_broken", False):
            return "error", "E", ("SPEC ERROR", {"red": True})
        payload = payload_of(report)
        if payload is None:
            return None
        outcome = payload["record"]["outcome"]
        word = outcome.replace("_", " ")
        if outcome in (MISSING, "budget"):  # told below, in a line
            return "missing" if outcome == MISSING else "cut", "E", (word.upper(), {"red": True})
        if payload["record"]["kind"] == "infra":
            return "error", "E", (word.upper(), {"red": True})
        if report.failed:
            return "failed", "F", (f"FAILED ({word})", {"red": True})
        letter, color = (".", "green") if outcome == "solved" else (word[0], "yellow")
        return word, letter, (word.upper(), {color: True})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep each record as it arrives; give JUnit files its figures.

        A trial that pytest-rerunfailures tries again is no result. One whose worker died has a record too:
        xdist reports it in its place, without a phase.
        """
        if str(report.when) == "???" and not hasattr(report, "harness"):
            for row in self._broken_rows(report.nodeid, str(report.longrepr)):
                if kept := self._result_of(row["trial"]):
                    vars(report).update(harness={"record": kept}, outcome="passed", longrepr=None)
                else:
                    vars(report)["harness"] = report_payload(row, Transcript(()), {})
        if getattr(report, "harness_broken", False) and report.when == "call":
            lines = str(report.longrepr).splitlines()
            self.broken.append(printable_line(lines[0] if lines else report.nodeid))
        payload = getattr(report, "harness", None)
        if payload is not None and str(report.outcome) == "rerun":
            name = payload["record"]["trial"]
            self._tried_again[name] = self._tried_again.get(name, 0) + 1
        elif payload is not None:
            self._properties[report.nodeid] = list(junit_properties(payload["record"], self._prices))
            self.repeats |= payload["record"]["trial"] in self.finished
            self.finished.add(payload["record"]["trial"])
            if "conversation" in payload:
                try:
                    self.folder.add(payload)
                except OSError as error:
                    self._problem = not_written(error, self.folder.path)
        if report.when == "teardown":
            report.user_properties.extend(self._properties.pop(report.nodeid, ()))

    def _result_of(self, trial: str) -> dict[str, Any] | None:
        """Return the row of a trial whose worker died when it had a result, but had not sent it yet."""
        for path, note in recovery.notes(self.folder.path):
            if note.trial == trial:
                with suppress(OSError):
                    recovery.recover(self.folder, path, note, self._root)
        rows = [row for row in self.folder.rows() if row["trial"] == trial and row["kind"] == "model"]
        return rows[-1] if rows else None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that misses a gate, though none of its tests failed."""
        if session.config.option.collectonly or not (self.finished or (self.folder.path / TRIALS).is_file()):
            return
        if self.repeats:
            with suppress(OSError):
                self.folder.drop_repeated()
        self.summary = finish(
            self.folder.path,
            frame(self.folder.rows()),
            self._prices,
            self._gates,
            self.broken,
            write=not self._problem,
        )
        if self.summary.failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _list_unsolved(self, terminal: Any) -> None:
        """Print what is not solved and why, a line each; all of it with -ra, nothing with -q."""
        assert self.summary is not None
        rows = [row for row in self.summary.outcomes if row["kind"] == "model" and row["outcome"] != "solved"]
        if not rows or terminal.verbosity < 0:
            return
        most = len(rows) if "a" in terminal.reportchars.lower() else MOST_UNSOLVED
        terminal.section("not solved")
        for row in rows[:most]:
            line = printable_line(f"{row['outcome'].replace('_', ' ')}  {row['trial']}  {row['detail']}")
            width = max(40, terminal._tw.fullwidth - 1)  # noqa: SLF001
            terminal.write_line(shorten(line, width) if terminal.isatty else line)
        if len(rows) > most:
            terminal.write_line(f"and {len(rows) - most} more: -ra lists them, or harness report --failed")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the tables, what the gates say, and where the run's files are."""
        if self.summary is None:
            return
        from harness.results.terminal_tables import print_tables, pytest_console

        self._list_unsolved(terminalreporter)
        terminalreporter.section("pairs")
        print_tables(self.summary.tables, pytest_console(terminalreporter._tw))  # noqa: SLF001
        missing = Counter(row["pair"] for row in self.summary.outcomes if row["outcome"] == MISSING)
        for pair, count in missing.items():
            line = f"not recorded: {visible(pair)}: {counted(count, 'trial')}"
            terminalreporter.write_line(line, red=True)
        if missing:
            terminalreporter.write_line("record them: the same command with --record=once", red=True)
        for name, times in self._tried_again.items():
            outcomes = (row["outcome"] for row in self.summary.outcomes if row["trial"] == name)
            outcome = next(outcomes, "lost")
            terminalreporter.write_line(f"tried again {times}x (--reruns): {visible(name)}: {outcome}")
        for line in self.summary.changes:
            terminalreporter.write_line(visible(line))
        for line in self.summary.failures:
            terminalreporter.write_line(f"GATE: {visible(line)}", red=True)
        for line in workflow_commands(self.summary):
            terminalreporter.write_line(visible(line))
        page = (self.folder.path / PAGE).relative_to(self._root).as_posix()
        terminalreporter.write_line(f"report: {self._problem or self.summary.problem or page}")


def junit_properties(row: Mapping[str, Any], prices: Prices) -> Iterator[tuple[str, object]]:
    """Yield a trial's outcome, attempts, tokens by role, and US dollars where all prices are known."""
    yield "outcome", row["outcome"]
    if row["kind"] != "model":
        return
    yield "attempts", row["attempts"]
    costs = []
    for role in ROLES:
        usage = Usage(*(row[f"{role}_{kind}"] for kind in KINDS))
        yield f"{role}_tokens_in", usage.prompt
        yield f"{role}_tokens_out", usage.output
        if usage != Usage():
            price = prices.of(row[role], date.fromisoformat(row["recorded_at"][:10]))
            requests = requests_of(role, row["requests"])
            costs.append(None if price is None else charge_role(price, usage, requests))
    yield "cost_usd", "unknown" if None in costs else f"{sum(filter(None, costs)):.6f}"
