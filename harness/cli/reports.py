"""``harness report``, ``show`` and ``compare``: read finished runs again."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import say
from harness.cli.settings import benchmarks_folder, there
from harness.errors import UsageError
from harness.results.columns import BY, counted

if TYPE_CHECKING:
    from harness.results.compare import Comparison
    from harness.results.dataframe import Table
    from harness.results.tables import Tables

REPORTS = click.option(
    "--reports", default="reports", type=click.Path(path_type=Path), help="Folder of all runs."
)
BENCHMARKS = click.option(
    "--benchmarks",
    default=benchmarks_folder,
    type=click.Path(path_type=Path),
    callback=there,
    help="Folder of prices.yaml.",
)
PRICES = click.option(
    "--prices", "day", type=click.DateTime(["%Y-%m-%d"]), help="Price all trials as on this day."
)

FORMAT = click.option(
    "--format",
    "output_format",
    type=click.Choice(["terminal", "csv", "md", "json"]),
    default="terminal",
    show_default=True,
)
WIDE = click.option("--wide", is_flag=True, help="All columns, though the screen be narrower.")


@click.command()
@click.argument("run", default="latest")
@click.option("--by", type=click.Choice(BY), default=None, help="One table only, with a row for each.")
@click.option("--pair", "pairs", multiple=True, metavar="NAME", help="List this pair's trials; repeatable.")
@click.option("--outcome", "outcomes", multiple=True, metavar="WORD", help="List these trials; repeatable.")
@click.option("--failed", is_flag=True, help="List the trials that are not solved, and why.")
@FORMAT
@WIDE
@PRICES
@REPORTS
@BENCHMARKS
def report(  # noqa: PLR0913  (one for each option)
    run: str,
    *,
    by: str | None,
    pairs: tuple[str, ...],
    outcomes: tuple[str, ...],
    failed: bool,
    output_format: str,
    wide: bool,
    day: datetime | None,
    **folders: Path,
) -> None:
    """Print the tables of RUN from its records. `harness view` writes its page anew.

    RUN is a folder in reports/, or a path. Costs are computed from the stored tokens: by default with the
    prices of the day of recording. With --pair, --outcome or --failed its trials are listed instead.
    """
    from harness.results import terminal_tables
    from harness.results.listing import COLUMNS, chosen, print_trials
    from harness.results.record import not_records
    from harness.results.render import as_text, results
    from harness.results.report import PAGE
    from harness.results.run_folder import find_run

    path = find_run(run, folders["reports"])
    broken: list[str] = []
    trials, tables = trials_and_tables(path, folders["benchmarks"], day, broken)
    if broken and trials.empty:
        raise not_records(broken)
    console = terminal_tables.stdout_console(wide=wide)
    if pairs or outcomes or failed:
        if by:
            raise UsageError("--by is of tables, and --pair, --outcome and --failed list trials")
        rows = chosen(trials, pairs, outcomes, failed=failed)
        if output_format == "terminal":
            print_trials(console, rows, str(path.parent), wide=wide)
        else:
            click.echo(as_text(COLUMNS, rows, output_format), nl=False)
    elif output_format != "terminal":
        text = as_text(results(by), tables.by[by], output_format) if by else _as_text(tables, output_format)
        click.echo(text, nl=False)
    else:
        if by is None:
            terminal_tables.print_tables(tables, console, wide=wide)
        else:
            left_out = terminal_tables.print_table(console, results(by), tables.by[by], wide=wide)
            terminal_tables.print_left_out(console, left_out)
        page = path.parent / PAGE
        if page.is_file():
            say(f"report: {page}")
    if broken:
        raise not_records(broken)


def _as_text(tables: Tables, output_format: str) -> str:
    """Return all tables; as CSV, that of pairs."""
    import json
    from dataclasses import asdict

    from harness.results import aggregate, render

    if output_format == "csv":
        return aggregate.to_csv(tables.pairs)
    if output_format == "json":
        return json.dumps(asdict(tables), ensure_ascii=False, indent=1) + "\n"
    return render.markdown(tables)


@click.command()
@click.argument("trial")
@click.option("--run", default="latest", show_default=True, help="The run's folder in reports/.")
@click.option("--reports", "folder", default="reports", type=click.Path(path_type=Path), show_default=True)
def show(trial: str, run: str, folder: Path) -> None:
    """Show the conversation of TRIAL: pair/task/epoch, a task, or a part of the name.

    It is one of the newest run, unless --run names another.
    """
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
    type=click.Choice(["pair", "orchestrator", "coder", "memory"]),
    default="pair",
    show_default=True,
    help="What is compared, or what is the same in both runs.",
)
@click.option("--run", default="latest", show_default=True, help="The run in which A and B are compared.")
@click.option("--details", is_flag=True, help="Also the tasks that differ, with their conversations.")
@FORMAT
@WIDE
@REPORTS
@BENCHMARKS
def compare(  # noqa: PLR0913  (one for each option)
    names: tuple[str, ...],
    *,
    by: Any,
    run: str,
    details: bool,
    output_format: str,
    wide: bool,
    reports: Path,
    benchmarks: Path,
) -> None:
    """Tell if a difference is real. A and B are two runs, or two pairs (orchestrators, coders) of one run.

    With one run as A, or nothing, all of that run are compared with each other. Paired by task: difference
    with its 95 % interval, exact McNemar test (sign-flip test over several epochs), Holm's adjustment. The
    verdict stands last. --by memory compares kinds of memory on courses, paired by step, and counts course
    runs; A and B are none, fresh or carried.
    """
    from harness.results import courses
    from harness.results.compare import between_runs, rank, within_run
    from harness.results.gates import left_out
    from harness.results.render import headline, took_part, verdict
    from harness.results.tables import rows_by
    from harness.results.terminal_tables import print_comparisons, print_left_out, stdout_console
    from harness.terminal import printable_line

    paths, only = _sides_of(names, run, reports, by)
    verdicts: list[str] = []
    measured: list[str] = []
    if len(paths) == 2:
        first, second = (priced(path, benchmarks) for path in paths)
        comparisons = between_runs(first, second, (names[0], names[1]), by)
        of_both = set(first[by].dropna()) & set(second[by].dropna())
        measured = [pair for trials in (first, second) for pair in _measured_pairs(trials, by, of_both)]
    else:
        trials = priced(paths[0], benchmarks)
        if by == "memory":
            comparisons = courses.by_memory(trials, only)
        else:
            ordinary = courses.plain(trials)
            trials = trials if only or ordinary.empty else ordinary
            comparisons = within_run(trials, by, only)
            measured = _measured_pairs(trials, by, only or set(trials[by].dropna()))
            verdicts = [] if only else headline(rank(comparisons, rows_by(trials, by), by))
    if output_format != "terminal":
        click.echo(_comparisons_as_text(comparisons, output_format), nl=False)
        return
    console = stdout_console(wide=wide)
    print_left_out(console, print_comparisons(console, comparisons, wide=wide), "compare")
    if len(comparisons) > 1:
        say("p is adjusted for the comparisons made at once (Holm), the intervals are not")
    if details:
        _print_flips(comparisons, paths)
    elif flips := {flip.task for each in comparisons for flip in each.flips}:
        what = counted(len(flips), "step" if any(each.steps for each in comparisons) else "task")
        where = " in at least one of these comparisons" if len(comparisons) > 1 else ""
        say(f"{what} solved more or less often{where}: --details lists them")
    if by in ("orchestrator", "coder"):
        why = "one run alone has the like" if len(paths) == 2 else f"more than the {by} differs"
        say(*took_part(comparisons, measured, why))
    for each in comparisons:
        say(*left_out(each), *filter(None, [each.server_note]))
    for line in verdicts or map(verdict, comparisons):
        console.print(printable_line(line), markup=False)


def _sides_of(
    names: tuple[str, ...], run: str, reports: Path, by: str
) -> tuple[list[Path], tuple[str, str] | None]:
    """Return the two runs that are named; or else one run, and the two of it that are named."""
    from harness.results.run_folder import find_run

    if len(names) > 2:
        raise UsageError(f"expected two names at the most, got {len(names)}")
    paths: list[Path] = []
    missing: list[UsageError] = []
    for name in names:
        try:
            paths.append(find_run(name, reports))
        except UsageError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0] if len(names) == 2 else _no_second(names[0], run, reports, by, missing[0])
    if len(names) == 2 and (names[0] == names[1] or len({path.resolve() for path in paths}) == 1):
        raise UsageError(
            f"{' and '.join(dict.fromkeys(names))}: the same is named twice",
            remedy="name two runs, or two pairs of one run",
        )
    return (paths or [find_run(run, reports)]), (names[0], names[1]) if missing else None


def _measured_pairs(trials: Table, by: str, names: Collection[str]) -> list[str]:
    """Return the pairs of these orchestrators, coders ... of which something was measured."""
    return list(trials.loc[trials[by].isin(list(names)) & (trials["kind"] == "model"), "pair"].unique())


def _no_second(name: str, run: str, reports: Path, by: str, error: UsageError) -> UsageError:
    """Return what is wrong with a single name that is no run: it may be a pair, which takes a second one."""
    from harness.results.dataframe import load

    with suppress(UsageError):  # that run is not there, either
        if name in set(load(run, reports)[by]):
            text = f"{name} is no run, but the {by} of one: a second {by} is missing"
            return UsageError(text, remedy=f"harness compare {name} OTHER")
    return error


def _print_flips(comparisons: list[Comparison], paths: list[Path]) -> None:
    """Print the tasks that differ, and the commands that show their conversations."""
    for each in comparisons:
        say(f"{each.names[1]} against {each.names[0]}:")
        for flip in each.flips:
            say(f"  {flip.task}: {100 * flip.first:.0f} % -> {100 * flip.second:.0f} %")
            for path, trial in ((paths[0], flip.first_trial), (paths[-1], flip.second_trial)):
                say(f"    harness show {trial} --run {path.parent}")


def _comparisons_as_text(comparisons: list[Comparison], output_format: str) -> str:
    import json
    from dataclasses import asdict

    from harness.results import aggregate, render

    if output_format == "md":
        return render.markdown_table([*render.DIFFERENCES, *render.SAVINGS[2:]], comparisons) + "\n"
    rows = [{**asdict(each), "verdict": each.verdict} for each in comparisons]
    if output_format == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    return aggregate.to_csv([_flat(row) for row in rows])


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison's row with bounds as columns, and lists as names in one cell."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key.endswith(("interval", "interval_pct")):
            flat |= {f"{key}_{end}": value and value[end] for end in ("low", "high")}
        elif key == "pairs":
            flat |= {"first_pairs": " ".join(value[0]), "second_pairs": " ".join(value[1])}
        elif key == "flips":
            flat[key] = " ".join(flip["task"] for flip in value)
        else:
            flat[key] = " ".join(value) if isinstance(value, tuple) else value
    return flat


def priced(path: Path, benchmarks: Path, on: date | None = None, broken: list[str] | None = None) -> Table:
    """Read the records of a run, with their costs; ``broken`` gathers lines that are none."""
    from harness.results import aggregate
    from harness.results.dataframe import read
    from harness.results.report import load_prices

    return aggregate.add_costs(read(path, broken), load_prices(benchmarks), on)


def trials_and_tables(
    path: Path, benchmarks: Path, day: datetime | None, broken: list[str] | None = None
) -> tuple[Table, Tables]:
    """Read the records of a run, as ``priced``, and make its tables."""
    from harness.results.run_state import incomplete
    from harness.results.tables import tables_of

    on = day.date() if day else None
    trials = priced(path, benchmarks, on, broken)
    further = incomplete(path.parent, len(trials)) + (f" Prices of {on}." if on else "")
    return trials, tables_of(trials, further)
