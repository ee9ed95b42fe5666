"""``harness cassettes``: list, show, check, compare and prune recordings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.console import say


@click.group()
def cassettes() -> None:
    """Look after the recordings in cassettes/: list, show, check, diff, prune.

    All from the files alone. Whether a cassette still plays is what `pytest benchmarks` checks.
    """


CASSETTES = click.option(
    "--cassettes",
    "folder",
    default="cassettes",
    type=click.Path(file_okay=False, path_type=Path),
    show_default=True,
)
BENCHMARKS = click.option(
    "--benchmarks", default="benchmarks", type=click.Path(file_okay=False, path_type=Path), show_default=True
)


@cassettes.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for scripts.")
@CASSETTES
@BENCHMARKS
def cassettes_list(names: tuple[str, ...], as_json: bool, folder: Path, benchmarks: Path) -> None:
    """One line for each cassette: trial, outcome, date, size, exchanges, versions, state.

    NAME is a part of the trial's name, such as a task, or the file; default: all. Without a benchmarks
    folder, the state tells what can be seen from the file alone.
    """
    from harness.cassette.audit.cassette_files import list_files
    from harness.cassette.audit.check import inspect, select
    from harness.cassette.audit.expected import catalogue
    from harness.cassette.audit.printing import print_table
    from harness.redact import redact_json

    suite = catalogue(benchmarks, Path.cwd(), os.environ) if benchmarks.is_dir() else None
    files = [each for each in select(list_files(folder), names, folder) if each.slug]
    rows = redact_json([inspect(each, suite).row() for each in files], os.environ)
    click.echo(json.dumps(rows, indent=2)) if as_json else print_table(rows)


@cassettes.command("show")
@click.argument("name")
@CASSETTES
def cassettes_show(name: str, folder: Path) -> None:
    """Show what was recorded: for each exchange what is new in the request, and the answer.

    NAME is a trial (pair/task/epoch), a part of its name that fits one only, or a file. No task or pair is
    needed.
    """
    from harness.cassette.audit.printing import console
    from harness.results.exchanges import exchange_parts, facts
    from harness.results.show import print_parts

    cassette = load_named(name, folder)
    say(*facts(cassette))
    print_parts(console(), exchange_parts(cassette))


@cassettes.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@CASSETTES
@BENCHMARKS
def cassettes_check(names: tuple[str, ...], folder: Path, benchmarks: Path) -> None:
    """Find what is wrong with cassettes, without playing them. For CI.

    Damaged, edited, misnamed and stale files, secrets, cassettes without a trial, files that are no
    cassettes, trials without a cassette: one line each, with what to do. That they play is shown by
    `pytest benchmarks`. NAME is a part of a trial's name, or a file; default: all.

    Exit code: 0 nothing is wrong, 1 something is, 2 a wrong argument.
    """
    from harness.cassette.audit.check import check
    from harness.cassette.audit.expected import catalogue

    report = check(folder, catalogue(benchmarks, Path.cwd(), os.environ), names)
    say(*map(str, report.problems), *report.notes)
    click.echo(f"{report.checked} cassettes checked, {len(report.problems)} problems")
    sys.exit(1 if report.problems else 0)


@cassettes.command("diff")
@click.argument("one")
@click.argument("other")
@CASSETTES
def cassettes_diff(one: str, other: str, folder: Path) -> None:
    """Compare two recorded conversations, exchange by exchange.

    ONE and OTHER are trials (pair/task/epoch) or files. Before each exchange stands = (the same),
    ~ (changed: where it first differs, in A and in B), - (only in ONE) or + (only in OTHER).

    Exit code: 0 the conversations are the same (dates and versions may differ), 1 they differ, 2 one
    cannot be read.
    """
    from harness.cassette.audit.diff import compare, compare_facts
    from harness.errors import CassetteError, UsageError

    try:
        a, b = load_named(one, folder), load_named(other, folder)
    except CassetteError as error:
        raise UsageError(error.message, remedy=error.remedy) from None
    differ = False
    for line in [*compare_facts(a, b), *compare(a, b)]:
        differ = differ or line.mark not in ("", "=")
        say(f"{line.mark or ' '} {line.text}", *(f"            {detail}" for detail in line.details))
    sys.exit(1 if differ else 0)


@cassettes.command("prune")
@click.option("--delete", is_flag=True, help="Really remove them. Default: only tell.")
@CASSETTES
@BENCHMARKS
def cassettes_prune(delete: bool, folder: Path, benchmarks: Path) -> None:
    """Remove cassettes that no trial of the suite has, files that are no cassettes, and empty folders.

    Tells what it would remove; removes with --delete. Links are removed, never followed. A damaged
    cassette of a trial that the suite has is not touched. Cassettes of pairs that --orchestrator and
    --coder made are kept as long as the suite has their task.
    """
    from harness.cassette.audit.cassette_files import display_path, remove
    from harness.cassette.audit.check import prunable
    from harness.cassette.audit.expected import catalogue

    files = prunable(folder, catalogue(benchmarks, Path.cwd(), os.environ))
    for file, why in files:
        say(f"{'remove' if delete else 'would remove'} {display_path(file.path)}: {why}")
    for path in remove(folder, [file for file, _ in files]) if delete else ():
        say(f"remove {display_path(path)}: an empty folder")
    more = "" if delete or not files else "; --delete removes them"
    click.echo(f"{len(files)} files {'removed' if delete else 'to remove'}{more}")


def load_named(name: str, folder: Path) -> Any:
    """Return the cassette that a name means."""
    from harness.cassette.audit.cassette_files import display_path
    from harness.cassette.audit.check import find_one
    from harness.cassette.file import load

    path = find_one(name, folder)
    return load(path, display_path(path))
