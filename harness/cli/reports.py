"""``harness report``, ``show``, ``compare`` and ``view``: read finished runs again."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import say
from harness.errors import UsageError
from harness.results.columns import BY

if TYPE_CHECKING:
    from harness.results.compare import Comparison
    from harness.results.dataframe import Table
    from harness.results.tables import Tables

REPORTS = click.option(
    "--reports", default="reports", type=click.Path(path_type=Path), help="Folder of all runs."
)
BENCHMARKS = click.option(
    "--benchmarks", default="benchmarks", type=click.Path(path_type=Path), help="Folder of prices.yaml."
)
PRICES = click.option(
    "--prices", "day", type=click.DateTime(["%Y-%m-%d"]), help="Price all trials as on this day."
)


@click.command()
@click.argument("run", default="latest")
@click.option("--by", type=click.Choice(BY), default=None, help="One table only, with a row for each.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["terminal", "csv", "md", "json"]),
    default="terminal",
    show_default=True,
)
@PRICES
@REPORTS
@BENCHMARKS
def report(run: str, by: str | None, output_format: str, day: datetime | None, **folders: Path) -> None:
    """Print the tables of RUN from its records. `harness view` writes its page anew.

    RUN is a folder in reports/, or a path. Costs are computed from the stored tokens: by default with the
    prices of the day of recording.
    """
    from harness.results import render
    from harness.results.record import not_records
    from harness.results.report import PAGE
    from harness.results.run_folder import find_run

    path = find_run(run, folders["reports"])
    broken: list[str] = []
    trials, tables = _trials_and_tables(path, folders["benchmarks"], day, broken)
    if broken and trials.empty:
        raise not_records(broken)
    if output_format != "terminal":
        click.echo(_as_text(tables, by, output_format), nl=False)
    else:
        console = render.stdout_console()
        if by is None:
            render.print_tables(tables, console)
        else:
            render.print_table(console, render.results(by), tables.by[by])
        page = path.parent / PAGE
        if page.is_file():
            say(f"report: {page}")
    if broken:
        raise not_records(broken)


def _as_text(tables: Tables, by: str | None, output_format: str) -> str:
    import json
    from dataclasses import asdict

    from harness.results import aggregate, render

    if output_format == "csv":
        return aggregate.to_csv(tables.by[by or "pair"])
    if output_format == "json":
        return json.dumps(tables.by[by] if by else asdict(tables), ensure_ascii=False, indent=1) + "\n"
    return render.markdown_table(render.results(by), tables.by[by]) + "\n" if by else render.markdown(tables)


@click.command()
@click.argument("trial")
@click.option("--run", default="latest", show_default=True, help="The run's folder in reports/.")
@click.option("--reports", "folder", default="reports", type=click.Path(path_type=Path), show_default=True)
def show(trial: str, run: str, folder: Path) -> None:
    """Show the conversation of TRIAL: pair/task/epoch, a task, or a part of the name."""
    from rich.console import Console

    from harness.results.run_folder import find_conversations
    from harness.results.show import print_transcript
    from harness.terminal import visible

    console = Console(highlight=False)
    for conversation in find_conversations(folder, run, trial):
        row = conversation.row
        console.rule(f"{row['trial']}: {row['outcome']}")
        print_transcript(console, conversation.transcript)
        if row["detail"]:
            console.print(visible(row["detail"]), markup=False)


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
@REPORTS
@BENCHMARKS
def compare(names: tuple[str, ...], by: Any, run: str, reports: Path, benchmarks: Path) -> None:
    """Is a difference real? A and B are two runs, or two pairs (or orchestrators, or coders) of one run.

    With one run as A, or nothing, all of that run are compared with each other. Paired by task: difference
    with its 95 % interval, exact McNemar test (sign-flip test over several epochs), Holm's adjustment.
    """
    from harness.results.compare import between_runs, rank, within_run
    from harness.results.render import headline
    from harness.results.run_folder import find_run
    from harness.results.tables import rows_by

    if len(names) > 2:
        raise UsageError(f"expected two names at the most, got {len(names)}")
    paths: list[Path] = []
    with suppress(UsageError):  # names of pairs, then
        paths += [find_run(name, reports) for name in names]
    if len(paths) == 2:
        first, second = (_priced(path, benchmarks) for path in paths)
        comparisons = between_runs(first, second, (names[0], names[1]), by)
        _print_comparisons(comparisons, paths)
        return
    only = (names[0], names[1]) if len(names) == 2 else None
    path = find_run(names[0] if len(names) == 1 else run, reports)
    trials = _priced(path, benchmarks)
    comparisons = within_run(trials, by, only)
    _print_comparisons(comparisons, [path, path])
    if only is None:
        click.echo(headline(rank(comparisons, rows_by(trials, by), by)))


def _print_comparisons(comparisons: list[Comparison], paths: list[Path]) -> None:
    """Print the comparisons as tables; where there is one, also the tasks that differ."""
    from harness.results import gates, render

    console = render.stdout_console()
    render.print_table(console, render.DIFFERENCES, comparisons)
    render.print_table(console, render.SAVINGS, comparisons)
    say(*map(gates.in_one_line, comparisons))
    say(*filter(None, (each.server_note for each in comparisons)))
    for flip in comparisons[0].flips if len(comparisons) == 1 else ():
        say(f"  {flip.task}: {100 * flip.first:.0f} % -> {100 * flip.second:.0f} %")
        for path, trial in zip(paths, (flip.first_trial, flip.second_trial), strict=True):
            folder = path.parent
            say(f"    {folder / 'transcripts' / trial}.json  (harness show {trial} --run {folder})")


@click.command()
@click.argument("run", default="latest")
@PRICES
@REPORTS
@BENCHMARKS
@click.option("--serve", is_flag=True, help="Serve it on loopback until Ctrl-C, for a browser elsewhere.")
@click.option("--port", default=8299, show_default=True, help="With --serve.")
def view(run: str, day: datetime | None, serve: bool, port: int, **folders: Path) -> None:
    """Write the report page and tables of RUN anew from its records, and open the page in a browser."""
    from harness.results.report import PAGE, write_report
    from harness.results.run_folder import find_run

    path = find_run(run, folders["reports"])
    folder = path.parent.resolve()
    try:
        write_report(folder, *_trials_and_tables(path, folders["benchmarks"], day))
    except OSError as error:
        say(f"not written to {error.filename or folder}: {error.strerror}", err=True)
    page = folder / PAGE
    if not page.is_file():
        raise UsageError(f"{page}: not there", remedy="make its folder writable")
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


def _priced(path: Path, benchmarks: Path, on: date | None = None, broken: list[str] | None = None) -> Table:
    from harness.results import aggregate
    from harness.results.dataframe import read
    from harness.results.report import load_prices

    return aggregate.add_costs(
        read(path, broken), load_prices(benchmarks, str(benchmarks / "prices.yaml")), on
    )


def _trials_and_tables(
    path: Path, benchmarks: Path, day: datetime | None, broken: list[str] | None = None
) -> tuple[Table, Tables]:
    from harness.results.tables import tables_of

    on = day.date() if day else None
    trials = _priced(path, benchmarks, on, broken)
    return trials, tables_of(trials, f" Prices of {on}." if on else "")
