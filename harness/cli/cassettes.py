"""``harness cassettes``: list, show, check, compare, review and prune recordings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.console import say
from harness.cli.settings import benchmarks_folder
from harness.results.columns import counted

MOST_PLACES = 5  # other repositories that are named


@click.group()
def cassettes() -> None:
    """Look after the recordings in cassettes/: list, show, check, diff, prune, refused, accept.

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
    "--benchmarks",
    default=benchmarks_folder,
    type=click.Path(file_okay=False, path_type=Path),
    show_default="benchmarks",
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
    say(*map(str, report.problems))
    click.echo(f"{counted(report.checked, 'cassette')} checked, {counted(len(report.problems), 'problem')}")
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
    click.echo(f"{counted(len(files), 'file')} {'removed' if delete else 'to remove'}{more}")


@cassettes.command("refused")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--discard", is_flag=True, help="Remove them. What was paid for is lost.")
def cassettes_refused(names: tuple[str, ...], discard: bool) -> None:
    """Show recordings that were not saved: what in them looks like a secret, and what stands around it.

    They wait in the user's cache folder (or HARNESS_HOME), outside of the repository, readable by you alone.
    NAME is a part of the cassette's path; default: all of the repository here. `harness cassettes accept`
    saves one that holds none.

    Exit code: 0 none waits, or they were discarded, 1 some wait, 2 a wrong argument.
    """
    from harness.cassette import unsaved
    from harness.cassette.audit.cassette_files import display_path
    from harness.cassette.review import folder_of, refused, review
    from harness.errors import UsageError

    waiting = refused(names)
    elsewhere = {str(folder_of(each).parent) for each in unsaved.waiting()} - {str(Path.cwd())}
    for each in waiting:
        if discard:
            unsaved.discard(each)
            say(f"discarded {display_path(Path(each.target))}")
            continue
        say(f"{display_path(Path(each.target))}, recorded {each.at}")
        if each.why == "replay":
            say("  it would not replay:", *(f"  {line}" for line in each.found))
            continue
        try:
            for suspect in review(each, os.environ):
                say(f"  {suspect.where}", f"    {suspect.context}")
        except UsageError as error:
            say(f"  {error}")
    if not discard:
        click.echo(f"{counted(len(waiting), 'recording')} wait{'s' * (len(waiting) == 1)}")
        say(*(f"more wait for {place}: run this there" for place in sorted(elsewhere)[:MOST_PLACES]))
    sys.exit(1 if waiting and not discard else 0)


@cassettes.command("accept")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--reason", required=True, help="Why it is no secret, for whoever reviews the repository.")
def cassettes_accept(names: tuple[str, ...], reason: str) -> None:
    """Save recordings that were refused for what is no secret, without recording them again.

    What was found is added to cassettes/allowed-secrets.toml, by its hash and with the reason; review that
    file and the cassette like code. NAME is a part of the cassette's path. See it first: `harness cassettes
    refused NAME`.
    """
    from harness.cassette.audit.cassette_files import display_path
    from harness.cassette.review import accept, folder_of, refused
    from harness.errors import UsageError
    from harness.redact.allowed import NAME

    if not reason.strip():
        raise UsageError("--reason is empty", remedy="say why it is no secret")
    for each in refused(names):
        added = accept(each, reason.strip(), os.environ)
        listed = display_path(folder_of(each) / NAME)
        entries = "1 entry" if added == 1 else f"{added} entries"
        say(f"saved {display_path(Path(each.target))}; {entries} added to {listed}")


def load_named(name: str, folder: Path) -> Any:
    """Return the cassette that a name means."""
    from harness.cassette.audit.cassette_files import display_path
    from harness.cassette.audit.check import find_one
    from harness.cassette.file import load

    path = find_one(name, folder)
    return load(path, display_path(path))
