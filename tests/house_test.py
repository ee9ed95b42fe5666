"""The house: rooms, and the map of them in CONTRIBUTING.md. The layers are held by `make lint`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "harness"
MAP = re.search(r"## Where is what\n(.*?)\n## ", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
ROWS = [line.split("|")[1:-1] for line in MAP.splitlines() if line.startswith("| `")]


def rooms():
    return {folder.parent.name for folder in HOUSE.glob("*/__init__.py")}


def test_the_map_has_every_room_and_no_other():
    """A room that is added, renamed or removed has to be so in the table and in the drawing too."""
    assert {row[0].strip(" `/") for row in ROWS} == rooms()
    drawing = "\n".join(line for line in MAP.splitlines() if line.startswith("    "))
    assert set(re.findall(r"(\w+)/", drawing)) == rooms()


def test_every_answer_of_the_map_is_there():
    """Each file that the table names exists; a question has at least one."""
    for _room, question, answer in ROWS:
        assert question.strip().endswith("?")
        paths = re.findall(r"`([\w/]+\.py)`", answer)
        assert paths
        assert [path for path in paths if not (HOUSE / path).is_file()] == []


def test_every_module_that_a_test_says_it_is_of_is_there():
    """The first line of a test module may name its subject; a subject that moves takes the name along."""
    for test in ROOT.glob("tests/**/*_test.py"):
        first = (ast.get_docstring(ast.parse(test.read_text())) or "").splitlines()[:1]
        paths = re.findall(r"^harness/[\w/]+\.py", first[0]) if first else []
        assert [path for path in paths if not (ROOT / path).exists()] == [], test


def test_each_room_says_what_it_is_for():
    """Every package starts with a docstring whose first line is a sentence."""
    for init in HOUSE.rglob("__init__.py"):
        first = (ast.get_docstring(ast.parse(init.read_text())) or "").splitlines()[:1]
        assert first
        assert first[0].endswith((".", ":"))


def test_few_files_lie_at_the_root():
    """What belongs to a room stands in it."""
    assert len(list(HOUSE.glob("*.py"))) <= 8


def test_tests_stand_where_the_modules_stand():
    """``tests/<room>_test/`` mirrors a room: a test of a room that is gone would be found nowhere."""
    tests = ROOT / "tests"
    for path in tests.glob("*_test/**/*_test.py"):
        parts = [part.removesuffix("_test") for part in path.parent.relative_to(tests).parts]
        assert HOUSE.joinpath(*parts).is_dir(), path
