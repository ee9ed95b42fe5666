"""The ``harness`` command. Trials themselves are run by pytest (``plugin.py``)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from harness import __version__
from harness.errors import HarnessError
from harness.scrub import redact

F = TypeVar("F", bound=Callable[..., Any])


def one_line_errors(command: F) -> F:
    """The one place where a command's errors become a message and an exit code."""

    @wraps(command)
    def guarded(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except HarnessError as error:
            for line in str(error).splitlines():
                _say(f"error: {line}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader of our output has gone (`harness show | head`): nothing is left to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    return guarded  # type: ignore[return-value]


def _say(line: str, *, err: bool = False) -> None:
    """Print one line, without secrets and without what a terminal would act on."""
    from harness.shelf import one_line

    click.echo(one_line(redact(line, os.environ)), err=err)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Evaluate coding agents made of two models. The trials themselves run with `pytest benchmarks`."""


@main.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@one_line_errors
def validate(files: tuple[Path, ...]) -> None:
    """Check tasks: each reference passes acceptance, each known bug fails it.

    FILES are task files or folders; default: benchmarks.
    """
    from harness.validate import check

    count = wrong = 0
    for path in files or (Path("benchmarks"),):
        for shown, problems in check(path, Path.cwd()):
            count += 1
            wrong += bool(problems)
            for line in problems or [f"{shown}: ok"]:
                click.echo(line)
    click.echo(f"{count} files checked, {wrong} with problems")
    sys.exit(1 if wrong else 0)


@main.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them into FOLDER."
)
@one_line_errors
def schema(folder: Path | None) -> None:
    """Print the JSON Schemas of the task, pair and price files, or write them."""
    from harness.spec import schemas

    for name, value in schemas().items():
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if folder is None:
            click.echo(text, nl=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            click.echo(f"wrote {folder / name}")


@main.command()
@click.argument("trial")
@click.option("--run", default="latest", show_default=True, help="The run's folder in reports/.")
@click.option("--reports", "folder", default="reports", type=click.Path(path_type=Path), show_default=True)
@one_line_errors
def show(trial: str, run: str, folder: Path) -> None:
    """Show the conversation of TRIAL: pair/task/epoch, a task, or a part of the name."""
    from rich.console import Console

    from harness.reports import find
    from harness.show import show as show_transcript
    from harness.show import visible

    console = Console(highlight=False)
    for conversation in find(folder, run, trial):
        row = conversation.row
        console.rule(f"{row['trial']}: {row['outcome']}")
        show_transcript(console, conversation.transcript)
        if row["detail"]:
            console.print(visible(row["detail"]), markup=False)


@main.group()
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
@one_line_errors
def cassettes_list(names: tuple[str, ...], as_json: bool, folder: Path, benchmarks: Path) -> None:
    """One line for each cassette: trial, outcome, date, size, exchanges, versions, state.

    NAME is a part of the trial's name, such as a task, or the file; default: all. Without a benchmarks
    folder, the state tells what can be seen from the file alone.
    """
    from harness.cassette_print import as_table
    from harness.cassettes import entry, named
    from harness.catalogue import catalogue
    from harness.scrub import redact_json
    from harness.shelf import found

    suite = catalogue(benchmarks, Path.cwd(), os.environ) if benchmarks.is_dir() else None
    files = [each for each in named(found(folder), names, folder) if each.slug]
    rows = redact_json([entry(each, suite).row() for each in files], os.environ)
    click.echo(json.dumps(rows, indent=2)) if as_json else as_table(rows)


@cassettes.command("show")
@click.argument("name")
@CASSETTES
@one_line_errors
def cassettes_show(name: str, folder: Path) -> None:
    """Show what was recorded: for each exchange what is new in the request, and the answer.

    NAME is a trial (pair/task/epoch), a part of its name that fits one only, or a file. No task or pair is
    needed.
    """
    from harness.cassette_print import as_text

    as_text(_recorded(name, folder))


@cassettes.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@CASSETTES
@BENCHMARKS
@one_line_errors
def cassettes_check(names: tuple[str, ...], folder: Path, benchmarks: Path) -> None:
    """Find what is wrong with cassettes, without playing them. For CI.

    Damaged, edited, misnamed and stale files, secrets, cassettes without a trial, files that are no
    cassettes, trials without a cassette: one line each, with what to do. That they play is shown by
    `pytest benchmarks`. NAME is a part of a trial's name, or a file; default: all.

    Exit code: 0 nothing is wrong, 1 something is, 2 a wrong argument.
    """
    from harness.cassettes import check
    from harness.catalogue import catalogue

    report = check(folder, catalogue(benchmarks, Path.cwd(), os.environ), names)
    for line in [*map(str, report.problems), *report.notes]:
        _say(line)
    click.echo(f"{report.checked} cassettes checked, {len(report.problems)} problems")
    sys.exit(1 if report.problems else 0)


@cassettes.command("diff")
@click.argument("one")
@click.argument("other")
@CASSETTES
@one_line_errors
def cassettes_diff(one: str, other: str, folder: Path) -> None:
    """Compare two recorded conversations, exchange by exchange.

    ONE and OTHER are trials (pair/task/epoch) or files. Before each exchange stands = (the same),
    ~ (changed: where it first differs, in A and in B), - (only in ONE) or + (only in OTHER).

    Exit code: 0 the conversations are the same (dates and versions may differ), 1 they differ, 2 one
    cannot be read.
    """
    from harness.cassette_diff import compared, heads
    from harness.errors import CassetteError, UsageError

    try:
        a, b = _recorded(one, folder), _recorded(other, folder)
    except CassetteError as error:
        raise UsageError(error.message, remedy=error.remedy) from None
    differ = False
    for line in [*heads(a, b), *compared(a, b)]:
        differ = differ or line.mark not in ("", "=")
        _say(f"{line.mark or ' '} {line.text}")
        for detail in line.details:
            _say(f"            {detail}")
    sys.exit(1 if differ else 0)


@cassettes.command("prune")
@click.option("--delete", is_flag=True, help="Really remove them. Default: only tell.")
@CASSETTES
@BENCHMARKS
@one_line_errors
def cassettes_prune(delete: bool, folder: Path, benchmarks: Path) -> None:
    """Remove cassettes that no trial of the suite has, files that are no cassettes, and empty folders.

    Tells what it would remove; removes with --delete. Links are removed, never followed. A damaged
    cassette of a trial that the suite has is not touched. Cassettes of pairs that --orchestrator and
    --coder made are kept as long as the suite has their task.
    """
    from harness.cassettes import prunable
    from harness.catalogue import catalogue
    from harness.shelf import remove, shown

    files = prunable(folder, catalogue(benchmarks, Path.cwd(), os.environ))
    for file, why in files:
        _say(f"{'remove' if delete else 'would remove'} {shown(file.path)}: {why}")
    for path in remove(folder, [file for file, _ in files]) if delete else ():
        _say(f"remove {shown(path)}: an empty folder")
    more = "" if delete or not files else "; --delete removes them"
    click.echo(f"{len(files)} files {'removed' if delete else 'to remove'}{more}")


def _recorded(name: str, folder: Path) -> Any:
    """The cassette that a name means."""
    from harness.cassette import load
    from harness.cassettes import one
    from harness.shelf import shown

    path = one(name, folder)
    return load(path, shown(path))


@main.command()
@click.option("--letta-port", default=8283, show_default=True, help="Port of the Letta server.")
@click.option("--model-port", default=8284, show_default=True, help="Port of the local model server.")
@one_line_errors
def up(letta_port: int, model_port: int) -> None:
    """Start the embedded live stack: PostgreSQL, Letta and a small local model. Needs no key."""
    from harness.local.stack import StackOptions
    from harness.local.stack import up as start

    _tell_state(start(StackOptions(letta_port=letta_port, model_port=model_port), click.echo))


@main.command()
@one_line_errors
def status() -> None:
    """Show what of the embedded stack runs."""
    from harness.local.stack import status as look

    state = look()
    _tell_state(state)
    sys.exit(0 if state.running else 3)


@main.command()
@one_line_errors
def down() -> None:
    """Stop the embedded stack; its data stay."""
    from harness.local.stack import down as stop

    stop(click.echo)


def _tell_state(state: Any) -> None:
    for line in state.lines():
        click.echo(line)
