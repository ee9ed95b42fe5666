"""Show how far a run has come: a panel in a terminal, a line every minute in a log, nothing under ``-q``.

The panel takes the place of the letters of trials; lines that pytest or xdist write meanwhile appear above
it. With ``-v`` or ``-s``, in a dumb terminal, beside tests that are no trials, and beside a plugin that draws
its own progress there is none.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from harness.plugin.reporting import Reporter, payload_of
from harness.results import recovery
from harness.results.columns import counted
from harness.results.journal import ENDED
from harness.results.stats import rate_interval
from harness.terminal import printable_line
from harness.text import shorten

if TYPE_CHECKING:
    from rich.live import Live

EVERY_S = 60.0  # between two lines in a log
REFRESHES = 2  # of the panel, a second
MOST_PAIRS, MOST_RUNNING = 6, 6


class Progress:
    """A pytest plugin of the controlling process.

    Args:
        config: Of this process.
        reporter: Knows the trials of the run, and its folder.
        done: Trials that were measured before this run went on.
    """

    def __init__(self, config: pytest.Config, reporter: Reporter, done: int) -> None:
        self._config = config
        self._folder = reporter.folder  # where processes that record note what they are at
        self._reporter = reporter
        self._before = done
        self._began = time.monotonic()
        self._running: dict[str, tuple[float, str]] = {}  # node id -> since when, on which other machine
        self._tasks: dict[str, dict[str, tuple[int, int]]] = {}  # pair -> task -> trials, solved
        self._outcomes: dict[str, str] = {}
        self._last_failure = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], None] | None = None
        self._is_panel = False

    # --- what happens ---------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a trial begins; show the panel from the first on."""
        self.begin(nodeid)
        self.show()

    def begin(self, nodeid: str, worker: str = "") -> None:
        """Note that a trial begins, maybe on a worker of a cluster; from any thread."""
        with self._lock:
            self._running[nodeid] = time.monotonic(), worker

    def show(self) -> None:
        """Show the panel from now on, if there is something to show."""
        if self._stop is None and self._reporter.planned:
            self._began = time.monotonic()
            self._start()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a trial has ended."""
        with self._lock:
            self._running.pop(nodeid, None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a result."""
        payload = payload_of(report)
        if payload is None:
            return
        row = payload["record"]
        with self._lock:
            self._running.pop(report.nodeid, None)
            if row["trial"] not in self._outcomes and row["kind"] == "model":
                tasks = self._tasks.setdefault(row["pair"], {})
                measured, solved = tasks.get(row["task"], (0, 0))
                tasks[row["task"]] = (measured + 1, solved + (row["outcome"] == "solved"))
            self._outcomes[row["trial"]] = row["outcome"]
            if row["outcome"] != "solved":
                self._last_failure = f"{row['trial']}: {row['outcome'].replace('_', ' ')}: {row['detail']}"

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: Any) -> Iterator[None]:
        """Write no letter where the panel counts."""
        status: Any = yield
        if self._is_panel and status and getattr(report, "harness", None) is not None:
            return status[0], "", ""  # type: ignore[return-value]
        return status  # type: ignore[no-any-return]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the panel away before anything else is printed."""
        self._end()

    def pytest_unconfigure(self) -> None:
        """Take it away whatever has happened."""
        self._end()

    # --- what is shown --------------------------------------------------------------------------

    def _start(self) -> None:
        """Choose how progress is shown, and begin."""
        self._stop = lambda: None
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        option = self._config.getoption
        if terminal is None or option("verbose", 0) < 0:
            return
        try:
            stream = os.fdopen(os.dup(terminal._tw._file.fileno()), "w", encoding="utf-8", errors="replace")  # noqa: SLF001
        except (OSError, ValueError, AttributeError):  # no file at all, as in tests of plugins
            return
        is_plain = option("verbose", 0) > 0 or option("capture", "no") == "no" or bool(os.environ.get("CI"))
        is_foreign = type(terminal) is not self._terminal_type() or not self._only_trials()
        can_draw = stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        if can_draw and not is_plain and not is_foreign:
            self._draw(terminal, stream)
        elif not can_draw or is_plain:
            self._thread = threading.Thread(target=self._write_lines, args=(stream,), daemon=True)
            self._thread.start()
            self._stop = stream.close
        else:
            stream.close()

    def _only_trials(self) -> bool:
        """Return True if no test of somebody else takes part, whose letters would tear the panel."""
        session: Any = self._config.pluginmanager.get_plugin("session")
        return bool(session.testscollected <= len(self._reporter.planned) - self._before)

    @staticmethod
    def _terminal_type() -> type:
        from _pytest.terminal import TerminalReporter

        return TerminalReporter

    def _draw(self, terminal: Any, stream: TextIO) -> None:
        from rich.console import Console
        from rich.file_proxy import FileProxy
        from rich.live import Live

        size = shutil.get_terminal_size()
        console = Console(
            file=stream,
            force_terminal=True,
            no_color=not terminal._tw.hasmarkup,  # noqa: SLF001
            width=size.columns,
            height=size.lines,
            highlight=False,
        )
        live = Live(
            get_renderable=lambda: self._panel(console.width),
            console=console,
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        writer = terminal._tw  # noqa: SLF001
        file, shows_info = writer._file, terminal._show_progress_info  # noqa: SLF001
        terminal.showfspath = terminal._show_progress_info = False  # noqa: SLF001
        terminal.ensure_newline()
        writer._file = FileProxy(console, file)  # noqa: SLF001
        self._is_panel = True
        live.start()
        self._stop = lambda: self._undraw(live, stream, terminal, (file, shows_info))

    def _undraw(self, live: Live, stream: TextIO, terminal: Any, was: tuple[Any, Any]) -> None:
        self._is_panel = False
        terminal._tw._file.flush()  # noqa: SLF001
        live.stop()
        terminal._tw._file, terminal._show_progress_info = was  # noqa: SLF001
        stream.close()

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        stop, self._stop = self._stop, lambda: None
        if stop is not None:
            with suppress(OSError, ValueError):  # the terminal is gone
                stop()

    def _write_lines(self, stream: TextIO) -> None:
        while not self._over.wait(EVERY_S):
            with suppress(OSError, ValueError):
                stream.write(f"\n{printable_line(f'harness: {self.summary()}')}\n")
                stream.flush()

    def _panel(self, width: int) -> Any:
        """Return the panel's text: one line each, none longer than the screen."""
        from rich.text import Text

        lines = [self.summary(), *self._pair_lines(), *self._running_lines()]
        if self._last_failure:
            lines.append(f"last: {self._last_failure}")
        shown = (shorten(printable_line(line), max(20, width - 1)) for line in lines)
        return Text("\n".join(shown), no_wrap=True, overflow="ellipsis")

    def summary(self) -> str:
        """Return how far the run has come, in one line."""
        with self._lock:
            running, done = len(self._running), len(self._outcomes)
            counts = [each for tasks in self._tasks.values() for each in tasks.values()]
        planned, all_done = len(self._reporter.planned), self._before + done
        waiting = max(0, planned - all_done - running)
        taken = time.monotonic() - self._began
        parts = [f"{all_done} of {planned} done", f"{running} running", f"{waiting} waiting", clock(taken)]
        if counts:
            measured, solved = (sum(column) for column in zip(*counts, strict=True))
            parts.insert(1, f"{100 * solved / measured:.0f} % solved")
        if done >= 3 and planned > all_done:
            parts.append(f"about {clock(taken / done * (planned - all_done))} left")
        spending: Any = self._config.pluginmanager.get_plugin("harness-spending")
        if spending is not None:
            with suppress(OSError):
                parts.append(spending.in_words())
        return ", ".join(parts)

    def _pair_lines(self) -> list[str]:
        with self._lock:
            pairs = {name: list(tasks.values()) for name, tasks in sorted(self._tasks.items())}
        longest = max(map(len, pairs), default=0)
        lines = []
        for name, counts in list(pairs.items())[:MOST_PAIRS]:
            measured, solved = (sum(column) for column in zip(*counts, strict=True))
            bounds = rate_interval(counts)
            interval = f" ({100 * bounds.low:.0f}-{100 * bounds.high:.0f})" if bounds else ""
            rate = f"{100 * solved / measured:.0f} %{interval}"
            lines.append(f"  {name:{longest}}  {solved} of {measured} solved, {rate}")
        return lines + (
            [f"  and {counted(len(pairs) - MOST_PAIRS, 'pair')}"] if len(pairs) > MOST_PAIRS else []
        )

    def _running_lines(self) -> list[str]:
        """Name what has run longest; of what is recorded, also what it waits for, and since when."""
        with self._lock:
            running = sorted(self._running.items(), key=lambda each: each[1])
            ended = set(self._outcomes)  # the note of a process that was killed stands still
        notes = sorted((note for _, note in recovery.notes(self._folder.path)), key=lambda each: each.began)
        stages = {note.trial: note for note in notes if note.stage != ENDED and note.trial not in ended}
        now = time.time()
        lines = [
            f"  {on(each.trial, each.worker)}: {each.stage}, "
            f"{clock(now - each.since)} of {clock(now - each.began)}"
            for each in stages.values()
        ] or [f"  {on(node, where)}: {clock(time.monotonic() - since)}" for node, (since, where) in running]
        more = [f"  and {len(lines) - MOST_RUNNING} more"] if len(lines) > MOST_RUNNING else []
        return lines[:MOST_RUNNING] + more


def on(trial: str, worker: str) -> str:
    """Return a trial's name with its place, if that is not this machine."""
    return f"{trial} on {worker}" if worker else trial


def clock(seconds: float) -> str:
    """Return a time as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
