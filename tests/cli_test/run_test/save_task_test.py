"""A task file of what an ad-hoc run left."""

from __future__ import annotations

from datetime import date

import pytest

from harness.cli.run.save_task import save
from harness.errors import UsageError
from harness.tasks.loader import load_task

DAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    "text",
    [
        "plain\n",
        "no end",
        "  indented first\nline\n",
        "\n\nblank first\n",
        "tabs\tand trailing blanks  \n",
        "ends in blank lines\n\n\n",
        "\n",
        " \n \n",
        "# a comment\n---\n...\n",
        "key: value\n- item\n",
        "bell \x07 null \x00 escape \x1b\n",
        "CR\r\nNEL\x85LS\u2028BOM\ufeff\n",
        "emoji 🎉 and quotes ' \" \\ \n",
        "yes",
        "123",
        "null",
        "!!python/object:os.system x",
        "*alias",
        "%TAG\n",
        "a" * 5000,
    ],
)
def test_any_text_is_read_back_as_it_was(text, task, pair, tmp_path) -> None:
    """Whatever models wrote, the task file says the same, in every field."""
    tests = f"{text!r}\n"  # which has to compile
    asked = task.model_copy(update={"spec": text, "files": {"data.txt": text}})
    path = save(tmp_path / "t.yaml", asked, {"add.py": text, "test_add.py": tests}, pair, DAY)
    read = load_task(path, "t.yaml")
    assert (read.spec, read.reference, read.acceptance, read.files["data.txt"]) == (text, text, tests, text)
    assert read.digest == asked.digest


def test_code_stands_as_code(task, pair, tmp_path) -> None:
    """It can be reviewed: a block, line by line."""
    code = 'def add(a, b):\n    """Sum."""\n\n    return a + b\n'
    path = save(tmp_path / "t.yaml", task, {"add.py": code, "test_add.py": code}, pair, DAY)
    assert 'reference: |\n  def add(a, b):\n      """Sum."""\n\n      return a + b\n' in path.read_text()


def test_a_hostile_spec_stays_in_its_field(task, pair, tmp_path) -> None:
    """A title made of the first line cannot end a comment or a line."""
    asked = task.model_copy(update={"spec": "\x1b[2J: # '\"\nreference: mine\n"})
    path = save(tmp_path / "t.yaml", asked, {"add.py": "a", "test_add.py": "b"}, pair, DAY)
    assert load_task(path, "t.yaml").title == "\\x1b[2J: # '\""
    assert "\x1b" not in path.read_text()


@pytest.mark.parametrize(
    "files", [{}, {"add.py": "x"}, {"test_add.py": "x"}, {"add.py": "x", "test_add.py": ""}]
)
def test_no_task_without_code_and_tests(files, task, pair, tmp_path) -> None:
    """What is missing is named, and no file is left."""
    with pytest.raises(UsageError, match="there is no"):
        save(tmp_path / "t.yaml", task, files, pair, DAY)
    assert not (tmp_path / "t.yaml").exists()
