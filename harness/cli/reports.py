"""``harness report``, ``compare``, ``view`` and ``show``: finished runs, read again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import say
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.results.compare import Comparison
    from harness.results.dataframe import Table

KEYS = ("pair", "orchestrator", "coder", "tester", "task", "tag", "difficulty")
FORMATS = ("terminal", "csv", "md", "json")


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where runs and prices are."""
    command = click.option(
        "--benchmarks", default="benchmarks", type=click.Path(path_type=Path), help="Folder of prices.yaml."
    )(command)
    return click.option(
        "--reports", default="reports", type=click.Path(path_type=Path), help="Folder of all runs."
    )(command)


@click.command()
@click.argument("run", default="latest")
@click.option("--by", type=click.Choice(KEYS), default=None, help="One table only, with a row for each.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="terminal", show_default=True)
@click.option("--prices", "day", type=click.DateTime(["%Y-%m-%d"]), help="Price all trials as on this day.")
@_options
def report(run: str, by: str | None, form: str, day: datetime | None, **where: Path) -> None:
    """Show the tables of RUN again, and write its report page and tables anew from its records.

    RUN is a folder in reports/, or a path. Costs are computed from the stored tokens: by default with the
    prices of the day of recording.
    """
    from harness.results import render
    from harness.results.report import write_report
    from harness.results.run_folder import find_run
    from harness.results.tables import tables_of

    path = find_run(run, where["reports"])
    on = day.date() if day else None
    trials = _priced(path, where["benchmarks"], on)
    tables = tables_of(trials, f" Prices of {on}." if on else "")
    try:
        write_report(path.parent, trials, tables)
    except OSError as error:
        say(f"not written to {error.filename or path.parent}: {error.strerror}", err=True)
    if form == "terminal":
        console = render.console()
        if by is None:
            render.print_tables(tables, console)
        else:
            render.print_table(console, render.results(by), tables.by[by])
        say(f"report: {path.parent / 'report.html'}")
        return
    click.echo(_as_text(tables, by, form), nl=False)


def _as_text(tables: Any, by: str | None, form: str) -> str:
    import json
    from dataclasses import asdict

    from harness.results import aggregate, render

    if form == "csv":
        return aggregate.rows_to_csv(tables.by[by or "pair"])
    if form == "json":
        return json.dumps(tables.by[by] if by else asdict(tables), ensure_ascii=False, indent=1) + "\n"
    return render.markdown_table(render.results(by), tables.by[by]) + "\n" if by else render.markdown(tables)


@click.command()
@click.argument("names", nargs=-1, metavar="[A] [B]")
@click.option(
    "--by",
    type=click.Choice(["pair", "orchestrator", "coder"]),
    default="pair",
    show_default=True,
    help="What is compared, or what is the same in both runs.",
)
@click.option("--run", default="latest", show_default=True, help="The run in which A and B are compared.")
@_options
def compare(names: tuple[str, ...], by: Any, run: str, reports: Path, benchmarks: Path) -> None:
    """Is a difference real? A and B are two runs, or two pairs (or orchestrators, or coders) of one run.

    With one run as A, or nothing, all of that run are compared with each other. Paired by task: difference
    with its 95 % interval, exact McNemar test (sign-flip test over several epochs), Holm's adjustment.
    """
    from harness.results import compare as comparing

    if len(names) > 2:
        raise UsageError(f"expected two names at the most, got {len(names)}")
    runs = [_run(name, reports) for name in names]
    if len(names) == 2 and all(runs):
        first, second = (_priced(path, benchmarks) for path in runs if path)
        found = comparing.between_runs(first, second, (names[0], names[1]), by)
        _tell(found, [path.parent for path in runs if path])
        return
    if len(names) == 2:
        path = _found(run, reports)
        trials, only = _priced(path, benchmarks), (names[0], names[1])
    else:
        path, only = _found(names[0] if names else run, reports), None
        trials = _priced(path, benchmarks)
    found = comparing.within_run(trials, by, only)
    _tell(found, [path.parent, path.parent])
    if only is None:
        rates = {
            str(name): float((group["outcome"] == "solved").mean())
            for name, group in trials[trials["kind"] == "model"].groupby(by, observed=True)
        }
        best, *others = comparing.best(found, rates)
        click.echo(f"best: {best}; not shown to be worse: {', '.join(others) or 'none'}")


def _tell(found: list[Comparison], folders: list[Path]) -> None:
    """The comparisons as a table; the tasks that differ below it where there is one comparison."""
    from harness.results import gates, render

    console = render.console()
    render.print_table(console, render.DIFFERENCES, found)
    render.print_table(console, render.SAVINGS, found)
    for each in found:
        say(gates.told(each))
    if len(found) > 1:
        return
    for flip in found[0].flips:
        say(f"  {flip.task}: {100 * flip.first:.0f} % -> {100 * flip.second:.0f} %")
        for folder, trial in zip(folders, (flip.first_trial, flip.second_trial), strict=True):
            say(f"    {folder / 'transcripts' / trial}.json  (harness show {trial} --run {folder})")


@click.command()
@click.argument("run", default="latest")
@click.option("--reports", default="reports", type=click.Path(path_type=Path), help="Folder of all runs.")
@click.option("--serve", is_flag=True, help="Serve it on loopback until Ctrl-C, for a browser elsewhere.")
@click.option("--port", default=8299, show_default=True, help="With --serve.")
def view(run: str, reports: Path, serve: bool, port: int) -> None:
    """Open the report page of RUN in a browser."""
    page = _found(run, reports).parent.resolve() / "report.html"
    if not page.is_file():
        raise UsageError(f"{page}: not there", remedy=f"harness report {run}")
    if serve:
        _serve(page, port)
        return
    import webbrowser

    say(str(page))
    if not webbrowser.open(page.as_uri()):
        say("no browser was found: open the file, or use --serve", err=True)


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


def _run(name: str, reports: Path) -> Path | None:
    """The records of a run, or None where no run has this name."""
    from harness.results.run_folder import find_run

    try:
        return find_run(name, reports)
    except UsageError:
        return None


def _found(name: str, reports: Path) -> Path:
    from harness.results.run_folder import find_run

    return find_run(name, reports)


def _priced(path: Path, benchmarks: Path, on: date | None = None) -> Table:
    from harness.results import aggregate
    from harness.results.dataframe import read
    from harness.results.report import load_prices

    return aggregate.priced(read(path), load_prices(benchmarks, str(benchmarks / "prices.yaml")), on)
