"""The ``harness`` command. Trials themselves are run by pytest (``plugin/``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness import __version__
from harness.cli.cassettes import cassettes
from harness.cli.console import one_line_errors
from harness.cli.doctor import doctor
from harness.cli.letta import letta, models
from harness.cli.local import down, status, up
from harness.cli.reports import compare, report, view
from harness.cli.run.command import run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def main() -> None:
    """Evaluate coding agents made of two models. The trials themselves run with `pytest benchmarks`."""


@main.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@one_line_errors
def validate(files: tuple[Path, ...]) -> None:
    """Check tasks: each reference passes acceptance; each known bug, and empty functions, fail it.

    FILES are task files, source files or folders; default: benchmarks. No model, no Letta and no cassette
    is needed.
    """
    from harness.grading.validate import check

    count = wrong = 0
    for path in files or (Path("benchmarks"),):
        for file in check(path, Path.cwd()):
            count += 1
            wrong += bool(file.problems)
            for line in file.lines():
                click.echo(line)
    click.echo(f"{count} files checked, {wrong} with problems")
    sys.exit(1 if wrong else 0)


@main.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them into FOLDER."
)
@one_line_errors
def schema(folder: Path | None) -> None:
    """Print the JSON Schemas of the task, source, pair and price files, or write them."""
    from harness.cli.schema import schemas

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


for command in (cassettes, doctor, run, letta, models, up, status, down, compare, report, view):
    main.add_command(command)


@main.group()
def new() -> None:
    """Write a file to start from."""


@new.command("task")
@click.argument("name")
@click.option(
    "--in",
    "folder",
    default="benchmarks",
    type=click.Path(file_okay=False, path_type=Path),
    show_default=True,
)
@one_line_errors
def new_task(name: str, folder: Path) -> None:
    """Write a task file with comments, which validates, for you to change.

    NAME names the task, its file and its function: lower-case, as a module.
    """
    from harness.cli.new import write_task

    path = write_task(name, folder)
    click.echo(f"wrote {path}; change it, then: harness validate {path}")
