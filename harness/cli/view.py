"""``harness view``: the pages of runs, opened, served, followed or exported."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import say
from harness.cli.reports import BENCHMARKS, PRICES, REPORTS, priced, trials_and_tables
from harness.errors import UsageError
from harness.results.columns import counted

if TYPE_CHECKING:
    from harness.results.dataframe import Table

REFRESH_S = 10  # how often a page that follows a run is written and loaded anew


@click.command()
@click.argument("run", default="")
@PRICES
@REPORTS
@BENCHMARKS
@click.option("--serve", is_flag=True, help="Serve it on loopback until Ctrl-C, for a browser elsewhere.")
@click.option("--port", default=8299, show_default=True, type=click.IntRange(0, 65535), help="With --serve.")
@click.option(
    "--export",
    "export_to",
    type=click.Path(path_type=Path),
    help="Write the page of all runs and their pages into this folder, and open nothing.",
)
def view(
    run: str, day: datetime | None, *, serve: bool, port: int, export_to: Path | None, **folders: Path
) -> None:
    """Open the page of RUN, written anew from its records; without RUN, a page that lists and compares all.

    That page follows a run that goes on until it ends, or until Ctrl-C.
    """
    from harness.results.run_folder import find_run

    reports = Reports(folders["reports"], folders["benchmarks"], day)
    if export_to is not None:
        if run or serve:
            raise UsageError("--export takes neither RUN nor --serve", remedy="harness view --export FOLDER")
        reports.export(export_to)
    elif run:
        page = reports.write_page(find_run(run, reports.folder))
        if serve:
            _serve(page, port)
        else:
            _open(page)
    else:
        if not any(reports.folder.glob("*/trials.jsonl")):
            raise UsageError(f"no run in {reports.folder}", remedy="run `pytest benchmarks` first")
        _view_all(replace(reports, folder=reports.folder.resolve()), port if serve else None)


@dataclass(frozen=True)
class Reports:
    """The pages of all runs.

    Attributes:
        folder: Of the runs.
        benchmarks: Where the prices are.
        day: Whose prices count; None for that of each recording.
    """

    folder: Path
    benchmarks: Path
    day: datetime | None

    @property
    def index(self) -> Path:
        """The page of all runs."""
        from harness.results.page import runs

        return self.folder / runs.INDEX

    def load(self, path: Path) -> Table:
        """Read and price the records of a run."""
        return priced(path, self.benchmarks, self.day.date() if self.day else None)

    def write_page(self, path: Path) -> Path:
        """Write the page and tables of a run anew; an older page is left where that cannot be done."""
        from harness.results.report import PAGE, load_prices, write_report

        folder = path.parent.resolve()
        try:
            prices = load_prices(self.benchmarks)
            found = trials_and_tables(path, self.benchmarks, self.day)
            write_report(folder, *found, prices, self.day.date() if self.day else None)
        except OSError as error:
            say(f"not written to {error.filename or folder}: {error.strerror}", err=True)
        page = folder / PAGE
        if not page.is_file():
            raise UsageError(f"{page}: not there", remedy="make its folder writable")
        return page

    def write_index(
        self, known: dict[Hashable, str] | None = None, unread: list[UsageError] | None = None
    ) -> bool:
        """Write the page of all runs, and the pages of runs that have none; tell if a run goes on.

        ``known`` and ``unread`` as in ``runs_page`` and ``find_runs``.
        """
        from harness.files import write_whole
        from harness.results.page import runs

        found = runs.find_runs(self.folder, self.load)
        for each in found[: runs.COMPARED]:
            if not each.has_page or each.state == "running":
                with suppress(UsageError):  # a conversation that is not yet there
                    self.write_page(self.folder / each.name / "trials.jsonl")
        found = runs.find_runs(self.folder, self.load, unread)
        write_whole(self.index, runs.runs_page(found, self.folder, self.load, REFRESH_S, known))
        return any(each.state == "running" for each in found)

    def export(self, target: Path) -> None:
        """Write the page of all runs and their pages, and nothing else of them, into a folder."""
        import shutil

        from harness.results.page import runs

        self.write_index()
        unread: list[UsageError] = []
        found = runs.find_runs(self.folder, self.load, unread)
        _tell(unread)
        try:
            target.mkdir(parents=True, exist_ok=True)
            (target / runs.INDEX).write_text(runs.runs_page(found, self.folder, self.load), encoding="utf-8")
            for each in found:
                if each.has_page:
                    (target / each.name).mkdir(exist_ok=True)
                    shutil.copyfile(self.folder / each.name / runs.PAGE, target / each.name / runs.PAGE)
        except OSError as error:
            raise UsageError(f"not written to {error.filename or target}: {error.strerror}") from None
        say(f"{counted(len(found), 'run')}: {target / runs.INDEX}")


def _tell(unread: list[UsageError]) -> None:
    say(*(f"left out: {error.message}" for error in unread), err=True)


def _open(page: Path) -> None:
    import webbrowser

    say(str(page))
    if not webbrowser.open(page.as_uri()):
        say("no browser was found: open the file, or use --serve", err=True)


def _view_all(reports: Reports, port: int | None) -> None:
    """Open or serve the page of all runs, and write it anew while one goes on."""
    import threading

    unread: list[UsageError] = []
    goes_on = reports.write_index(unread=unread)
    _tell(unread)
    if port is not None:
        threading.Thread(target=_follow, args=(reports,), daemon=True).start()
        _serve(reports.index, port)
        return
    _open(reports.index)
    if goes_on:
        say("following the run that goes on (Ctrl-C ends it)")
        with suppress(KeyboardInterrupt):
            _follow(reports, until_done=True)


def _follow(reports: Reports, *, until_done: bool = False) -> None:
    """Write the page of all runs anew whenever records were added."""
    import time

    seen: object = None
    known: dict[Hashable, str] = {}
    while True:
        newest = max((path.stat().st_mtime_ns for path in reports.folder.glob("*/trials.jsonl")), default=0)
        goes_on = True
        if newest != seen or until_done:
            goes_on, seen = reports.write_index(known), newest
        if until_done and not goes_on:
            return
        time.sleep(REFRESH_S)


def _serve(page: Path, port: int) -> None:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    try:
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=page.parent)
        )
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used: {error.strerror}", remedy="choose another --port"
        ) from None
    say(f"http://127.0.0.1:{server.server_port}/{page.name} (Ctrl-C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
