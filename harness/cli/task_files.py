"""``harness new task``, ``validate`` and ``schema``: start a task file, check it, complete it in editors."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

TEMPLATE = """\
# yaml-language-server: $schema=task.schema.json
# (for completion in editors: `harness schema --write .` puts the schema beside this file)
title: Say in one line what is to be built
difficulty: easy                # trivial | easy | medium | hard: for a person
tags: [text]                    # words to group tasks by
spec: |                         # all that the models see; every name that acceptance uses stands here
  Implement a Python function called `{name}(text: str) -> str` that returns the text with its words in
  reverse order, separated by single blanks. An empty text gives an empty text.
code_file: {name}.py            # what the coder writes
test_file: test_{name}.py       # what the tester writes
files: {{}}                       # further files that are there from the start: {{"data.txt": "..."}}
reference: |                    # a right solution; never shown to a model
  def {name}(text: str) -> str:
      return " ".join(reversed(text.split()))
acceptance: |                   # hidden tests that decide `solved`: edge cases that the spec implies
  import pytest

  from {name} import {name}


  @pytest.mark.parametrize(
      ("text", "expected"),
      [("", ""), ("one", "one"), ("one two three", "three two one"), ("  two   blanks ", "blanks two")],
  )
  def test_words(text, expected):
      assert {name}(text) == expected
bugs:                           # plausible mistakes: each is the whole file, and fails acceptance
  - name: reverses the letters
    code: |
      def {name}(text: str) -> str:
          return text[::-1]
  - name: keeps runs of blanks
    code: |
      def {name}(text: str) -> str:
          return " ".join(reversed(text.split(" ")))
  - name: keeps the order
    code: |
      def {name}(text: str) -> str:
          return " ".join(text.split())
limits: {{timeout_s: 10, memory_mb: 512, max_tool_calls: 8, max_repairs: 1, max_tokens: 4096}}
"""


@click.group()
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
def new_task(name: str, folder: Path) -> None:
    """Write a task file with comments, which validates, for you to change.

    NAME names the task, its file and its function: lower-case, as a module.
    """
    path = write_task(name, folder)
    click.echo(f"wrote {path}; change it, then: harness validate {path}")


def write_task(name: str, folder: Path) -> Path:
    """Write the template of a task, its file and its function, and return the file.

    Raises:
        UsageError: The name cannot be used, or is taken.
    """
    from harness.errors import UsageError
    from harness.files import write_whole
    from harness.tasks.task import TAKEN

    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,59}", name) or name in TAKEN:
        raise UsageError(
            f"{name!r} cannot name a task",
            remedy="use lower-case letters, digits and _, as for a module, and no module of Python's own",
        )
    path = folder / f"{name}.yaml"
    if any(folder.rglob(path.name)):
        raise UsageError(f"there is a task {name} already in {folder}", remedy="choose another name")
    write_whole(path, TEMPLATE.format(name=name))
    return path


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
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
            click.echo("\n".join(file.lines()))
    click.echo(f"{count} files checked, {wrong} with problems")
    sys.exit(1 if wrong else 0)


@click.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write them into FOLDER."
)
def schema(folder: Path | None) -> None:
    """Print the JSON Schemas of the task, source, pair and price files, or write them."""
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
    from harness.tasks.loader import PairsFile, PricesFile, SourceFile, TaskFile

    found = {
        "task": TaskFile.model_json_schema(),
        "source": SourceFile.model_json_schema(),
        "pairs": PairsFile.model_json_schema(),
        "prices": PricesFile.model_json_schema(),
        "record": row_schema(),
    }
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {f"{name}.schema.json": {"$schema": draft, **fields} for name, fields in found.items()}
