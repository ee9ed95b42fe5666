"""``harness new task``: write a task file to start from, which is a right task already."""

from __future__ import annotations

import re
import sys
from pathlib import Path

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

    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,59}", name) or name in sys.stdlib_module_names or name in TAKEN:
        raise UsageError(
            f"{name!r} cannot name a task",
            remedy="use lower-case letters, digits and _, as for a module, and no module of Python's own",
        )
    path = folder / f"{name}.yaml"
    if any(folder.rglob(path.name)):
        raise UsageError(f"there is a task {name} already in {folder}", remedy="choose another name")
    write_whole(path, TEMPLATE.format(name=name))
    return path
