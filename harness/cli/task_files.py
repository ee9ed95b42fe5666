"""``harness new task``, ``validate`` and ``schema``: start a task file, check it, complete it in editors."""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.settings import benchmarks_folder

TEMPLATE = Path(__file__).with_name("my_task.yaml")


@click.group()
def new() -> None:
    """Write a file to start from."""


@new.command("task")
@click.argument("name")
@click.option(
    "--in",
    "folder",
    default=benchmarks_folder,
    type=click.Path(file_okay=False, path_type=Path),
    show_default="benchmarks",
)
def new_task(name: str, folder: Path) -> None:
    """Write a task file with comments, which validates, for you to change.

    NAME names the task, its file and its function: lower-case, as a module.
    """
    path = write_task(name, folder)
    click.echo(f"wrote {path}; change it, then: harness validate {path}")


def write_task(name: str, folder: Path) -> Path:
    """Write a task file and return its path; refuse a name that cannot be used, or is taken."""
    from harness.errors import UsageError
    from harness.files import write_whole
    from harness.tasks.task import TAKEN, is_portable

    is_name = re.fullmatch(r"[a-z_][a-z0-9_]{0,59}", name) and not keyword.iskeyword(name)
    is_test = name.startswith("test_") or name.endswith("_test")
    if not is_name or is_test or name in TAKEN or not is_portable(name):
        raise UsageError(
            f"{name!r} cannot name a task",
            remedy="use lower-case letters, digits and _, as for a module; names of Python's modules and of "
            "test files are taken",
        )
    path = folder / f"{name}.yaml"
    if any(folder.rglob(path.name)):
        raise UsageError(f"there is a task {name} already in {folder}", remedy="choose another name")
    schemas = "schemas/task.schema.json" if (folder / "schemas").is_dir() else "task.schema.json"
    write_whole(path, task_text(name, schemas))
    return path


def task_text(name: str, schema: str) -> str:
    """Return a task file to start from; ``schema`` is where editors find the schema, seen from the file."""
    text = TEMPLATE.read_text(encoding="utf-8").replace("my_task", name)
    return text.replace("$schema=task.schema.json", f"$schema={schema}")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--no-cache", is_flag=True, help="Prove every task anew, and keep no proof.")
def validate(files: tuple[Path, ...], *, no_cache: bool) -> None:
    """Check tasks: each reference passes acceptance; each known bug, and empty functions, fail it.

    FILES are task files, source files or folders; default: benchmarks. No model, no Letta and no cassette
    is needed. What was proved before, of the same task by the same harness and Python, is not proved again.
    Exit with 1 if anything is wrong.
    """
    from harness.cli.console import say
    from harness.grading.validate import check, stops_pytest
    from harness.results.columns import counted

    count = wrong = remembered = 0
    given = files or (benchmarks_folder(),)
    for path in given:
        for file in check(path, Path.cwd(), remember=not no_cache):
            count += 1
            wrong += bool(file.problems)
            remembered += file.remembered
            say(*file.lines())
    for line in dict.fromkeys(filter(None, (stops_pytest(path, Path.cwd(), os.environ) for path in given))):
        say(f"warning: a plain pytest would stop: {line}")
    were = "was" if remembered == 1 else "were"
    known = f"; {counted(remembered, 'task')} {were} proved before (--no-cache)" if remembered else ""
    click.echo(f"{counted(count, 'file')} checked, {wrong} with problems{known}")
    sys.exit(1 if wrong else 0)


@click.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them into FOLDER."
)
def schema(folder: Path | None) -> None:
    """Print the JSON Schemas of the task, source, course, pair and price files, or write them."""
    for name, value in schemas().items():
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if folder is None:
            click.echo(text, nl=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            click.echo(f"wrote {folder / name}")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each kind of file, by the name of the schema file."""
    from harness.results.record import row_schema
    from harness.tasks.course import CourseFile
    from harness.tasks.loader import PairsFile, PricesFile, SourceFile, TaskFile

    found = {
        "task": TaskFile.model_json_schema(),
        "source": SourceFile.model_json_schema(),
        "course": CourseFile.model_json_schema(),
        "pairs": PairsFile.model_json_schema(),
        "prices": PricesFile.model_json_schema(),
        "record": row_schema(),
    }
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {f"{name}.schema.json": {"$schema": draft, **fields} for name, fields in found.items()}
