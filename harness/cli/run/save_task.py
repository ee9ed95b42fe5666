"""Make a task file of an ad-hoc run: to be reviewed, because models wrote what judges models there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from harness.errors import UsageError
from harness.files import write_whole
from harness.grading.proofs import UNREVIEWED
from harness.tasks import loader
from harness.tasks.pair import Pair
from harness.tasks.task import Task
from harness.tasks.yaml_lines import field
from harness.terminal import one_line
from harness.text import shorten

TITLE_CHARS = 70
HEAD = """\
# Saved by `harness run` on {day}, from a conversation of {models}.
# TO BE REVIEWED: models wrote reference and acceptance. As long as nobody has read them, this task says
# nothing about anybody. `harness validate {path}` tells what is missing.
# (for completion in editors: `harness schema --write .` and a first line
# `# yaml-language-server: $schema=task.schema.json`)
"""
COMMENTS = {
    "difficulty": "REVIEW: trivial | easy | medium | hard, for a person",
    "tags": f"take {UNREVIEWED!r} out when you have reviewed the file",
    "spec": "all that the models see; every name that acceptance uses must stand here",
    "files": "what lay in the workspace from the start",
    "reference": "REVIEW: what the coder wrote. Is it right, also at the edges?",
    "acceptance": "REVIEW: what the tester wrote. Do all these tests follow from the spec, "
    "and do they cover it?",
    "bugs": "ADD plausible mistakes, each with `name` and `code` (the whole file): "
    "testers are graded on them",
}


def require_free(path: Path) -> None:
    """Refuse, before the work, a task file that exists already, or whose name cannot be a task's."""
    if path.suffix not in (".yaml", ".yml") or not loader.is_task_file(path):
        raise UsageError(f"--save-task {path}: expected a name such as benchmarks/add.yaml")
    if path.exists():
        raise UsageError(f"--save-task {path}: it is there already", remedy="choose another name")
    if not path.stem[:1].isalnum() or not path.stem.isascii() or " " in path.stem:
        raise UsageError(f"--save-task {path}: expected letters, digits and ._- in the task's name")


def save(path: Path, task: Task, files: Mapping[str, str], pair: Pair, day: date) -> Path:
    """Write the task file, and read it back; ``files`` is the workspace at the end of the conversation.

    Raises:
        UsageError: Code or tests are missing.
        SpecError: What was written is no task.
    """
    missing = [name for name in (task.code_file, task.test_file) if not files.get(name)]
    if missing:
        raise UsageError(f"{path} is not written: there is no {' and no '.join(missing)}")
    models = f"{pair.orchestrator.model}, {' and '.join(pair.writers)}"
    fields = {
        **task.model_dump(exclude={"id", "scripts"}),
        "title": shorten(one_line(task.spec.strip().split("\n", 1)[0]), TITLE_CHARS) or path.stem,
        "tags": [UNREVIEWED],
        "reference": files[task.code_file],
        "acceptance": files[task.test_file],
        "bugs": [],
    }
    text = HEAD.format(day=day, models=one_line(models), path=one_line(str(path)))
    for name, value in fields.items():
        text += (f"# {COMMENTS[name]}\n" if name in COMMENTS else "") + field(name, value)
    write_whole(path, text)
    loader.load_task(path, str(path))
    return path
