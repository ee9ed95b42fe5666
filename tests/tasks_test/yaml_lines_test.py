"""harness/tasks/yaml_lines.py: YAML into plain data that remembers its lines, whatever is in the file."""

import os
import sys

import pytest

from harness.errors import SpecError
from harness.tasks.yaml_lines import MAX_BYTES, YamlFile

BUDGET_S = 60


@pytest.fixture
def read(tmp_path):
    """Write a file and read it back."""

    def read_it(text):
        path = tmp_path / "x.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return YamlFile(path, "x.yaml").document

    return read_it


def problems(read, text):
    """Return the messages of a file: those that end the reading, else those of the document."""
    try:
        found = [problem.message for problem in read(text).problems]
    except SpecError as error:
        found = error.problems
    assert found, "no problem was found"
    return found


def test_plain_data_comes_with_the_line_of_each_path(read):
    """Each key and each list item can be traced to the line on which it stands."""
    document = read("# a comment\na: 1\nb:\n  c: [x, y]\n  d:\n    - e: 2\n")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"], "d": [{"e": 2}]}}
    places = [("a",), ("b",), ("b", "c"), ("b", "d", 0, "e")]
    assert [document.problem(place, "").line for place in places] == [2, 3, 4, 6]


def test_a_path_without_a_line_has_its_nearest_ancestors(read):
    """A field that is missing is reported where its parent stands."""
    document = read("a:\n\n  b: {c: 1}\n")
    assert document.problem(("a", "b", "nope", 3, "deeper"), "wrong").message == "x.yaml:3: wrong"
    assert document.problem(("nope",), "wrong").line == document.problem((), "wrong").line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "x.yaml:1: the file is empty"),
        ("# only a comment\n", "x.yaml:1: the file is empty"),
        ("- a\n- b\n", "x.yaml:1: expected 'key: value' lines at the top, got a list"),
        ("just words\n", "x.yaml:1: expected 'key: value' lines at the top, got a single value"),
        ("a: 1\nb: [1, 2\nc: 3\n", "x.yaml:3: not valid YAML"),
        ("a: 1\n\tb: 2\n", "x.yaml:2: not valid YAML"),
        ("a: 'never closed\n", "not valid YAML"),
        ("a: *nowhere\n", "x.yaml:1: aliases are not supported"),
        ("a: 1\n---\nb: 2\n", "expected one document"),
        ("a: \x00\n", "not valid YAML: unacceptable character"),
        ("a: é\nb: 1\nc: \x07\n", "x.yaml:3: not valid YAML: unacceptable character #x0007"),
        ("a: \x07\n", "not valid YAML"),
        ("a: 2026-13-45\n", "x.yaml:1: a: cannot be read as a value: month must be in 1..12"),
        ("? [a, b]\n: 1\n", "x.yaml:1: expected a word as key, got a list"),
        ("a: 1\n? {b: c}\n: 1\n", "x.yaml:2: expected a word as key, got a mapping"),
        ("a: !!python/name:os.system x\n", "x.yaml:1: the tag "),
        ("a: !mine x\n", "x.yaml:1: the tag "),
        ("a: " + "9" * 5000 + "\n", "x.yaml:1: a: cannot be read as a value: Exceeds the limit"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_file_and_line(read, text, shown):
    """A file that is no plain mapping is refused in one line, with the line at fault."""
    (problem,) = problems(read, text)
    assert problem.startswith("x.yaml:")
    assert shown in problem
    assert "\n" not in problem


def test_a_repeated_key_names_both_lines(read):
    """The second of two equal keys is reported with the line of the first."""
    assert problems(read, "a: 1\nb: {c: 1,\n    c: 2}\na: 3\n") == [
        "x.yaml:3: b.c: already given on line 2",
        "x.yaml:4: a: already given on line 1",
    ]


def test_keys_that_yaml_would_convert_stay_words(read):
    """A key such as yes or 1 is the word that was written, so two spellings cannot hide a repetition."""
    assert read("yes: 1\n1: 2\nnull: 3\n").data == {"yes": 1, "1": 2, "null": 3}


def test_bytes_that_are_not_utf_8_name_their_line(read):
    """A file in another encoding is refused on the line of the first wrong byte."""
    assert problems(read, b"a: 1\nb: caf\xe9\n") == ["x.yaml:2: expected UTF-8 text"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(read):
    """A file saved by an editor that adds a mark still loads."""
    assert read("\ufeffa: 1\n").data == {"a": 1}


def test_a_file_that_is_too_large_is_refused(read):
    """More than the limit is not parsed at all."""
    (problem,) = problems(read, "a: 1 #" + "x" * MAX_BYTES)
    assert "at most 1000000 are read" in problem


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_cannot_be_opened_is_a_problem_too(tmp_path, kind):
    """No file, or a folder in its place, is an error of the harness and no traceback."""
    path = tmp_path if kind == "folder" else tmp_path / "nope.yaml"
    with pytest.raises(SpecError, match=r"^x\.yaml: cannot be read: "):
        _ = YamlFile(path, "x.yaml").document


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: *x\n",
        "a: &x [1]\nc: *x\n",
        "a: &x [*x]\n",
        "a: &x 1\nc: *x\n",
        "a: &x {b: 1}\n<<: *x\n",
    ],
    ids=["mapping", "list", "itself", "scalar", "merge"],
)
def test_an_alias_is_refused(read, text):
    """A value is written out where it stands: no alias, not even of one word."""
    assert "aliases" in " ".join(problems(read, text))


@pytest.mark.parametrize("text", ["b: 1\na: &x [text]\n", "b: 1\na: &x text\n", "b: 1\na: &x {c: 1}\n"])
def test_an_anchor_is_refused(read, text):
    """Also one that no alias names: it would do nothing, and look as if it did."""
    assert problems(read, text) == ["x.yaml:2: anchors are not supported; leave out &x"]


def test_a_bomb_of_aliases_is_refused_at_once(read):
    """Nested aliases that would expand to billions of items are refused before they do."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert any("aliases" in line for line in problems(read, "\n".join(lines) + "\n"))


@pytest.mark.parametrize(
    "text", ["a: !mine {b: 1}\n", "a: !!python/object/new:os.getcwd []\n", "!mine\na: 1\n"]
)
def test_a_tag_on_a_collection_is_refused(read, text):
    """A tag means a type that is not read, so it may not pass in silence."""
    assert "x.yaml:1: " in problems(read, text)[0]


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_is_refused(read, brackets):
    """A value nested deeper than any task needs is refused."""
    opening = "[" if brackets == "[]" else "{a: "
    text = "a: " + opening * 50 + "1" + brackets[1] * 50 + "\n"
    assert "deep nesting" in problems(read, text)[0]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_very_deep_nesting_is_an_error_and_no_crash(pytester, opening):
    """A file within the size limit cannot kill the process that reads it."""
    path = pytester.path / "deep.yaml"
    path.write_text(f"a:\n  {opening * (900_000 // len(opening))}\n", encoding="utf-8")
    script = (
        "import pathlib\nfrom harness import errors\nfrom harness.tasks.yaml_lines import YamlFile\n"
        f"try:\n    YamlFile(pathlib.Path({str(path)!r}), 'deep.yaml').document\n"
        "except errors.SpecError as error:\n    print('refused', error.problems[0])\n"
    )
    result = pytester.run(sys.executable, "-c", script, timeout=BUDGET_S)
    assert result.ret == 0
    assert result.outlines[0].startswith("refused deep.yaml:")


@pytest.mark.parametrize(
    "value", ["1" + ":1" * 200 + ".5", "0b_", "2026-01-01 25:00:00", "0o", "!!float x", "!!bool maybe"]
)
def test_a_scalar_that_yaml_cannot_convert_is_a_problem_or_a_text(read, value):
    """No scalar of a file ends the run with an exception of its own."""
    document = read(f"a: {value}\n")
    found = [problem.message for problem in document.problems]
    assert isinstance(document.data["a"], str) or found[0].startswith("x.yaml:1: ")


def test_every_problem_is_reported_in_one_go(read):
    """A file with several faults names them all at once, in their order."""
    found = problems(read, "a: 1\na: 2\nb: !mine x\nc: 2026-99-01\n? [d]\n: 1\n")
    assert [line.split(":")[1] for line in found] == ["2", "3", "4", "5"]


def test_line_ends_of_other_systems_are_read(read):
    """A file with CRLF has the same data and lines."""
    document = read(b"a: 1\r\nb: |\r\n  x\r\n  y\r\n")
    assert document.data == {"a": 1, "b": "x\ny\n"}
    assert document.problem(("b",), "").line == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# why\nsource: humaneval\n", True),
        ("only: [a]\nsource:\n", True),
        ("source: [never closed\n", True),
        ("title: x\n", False),
        ("spec: |\n  source: x\n", False),
        ("sources: x\n", False),
    ],
)
def test_a_top_level_key_is_found_without_parsing(tmp_path, text, found):
    """What a file was meant to be is known by its keys, also where it is no valid YAML."""
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert YamlFile(path, "x.yaml").has_key("source") is found


def test_what_is_no_file_has_no_key(tmp_path):
    """A folder, or nothing, is not taken for a file of any kind."""
    assert not YamlFile(tmp_path, "x.yaml").has_key("source")
    assert not YamlFile(tmp_path / "nothing.yaml", "x.yaml").has_key("source")


def test_a_file_is_read_once(tmp_path):
    """Looking for a key and parsing, however often, see the same text."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n")
    file = YamlFile(path, "x.yaml")
    assert file.has_key("a")
    path.unlink()
    assert file.document is file.document
    assert file.document.data == {"a": 1}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_problem(tmp_path):
    """A file that may not be read is named, with the reason."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(SpecError, match="Permission denied"):
        _ = YamlFile(path, "x.yaml").document


def test_a_large_file_is_not_read(tmp_path):
    """A sparse file of 3 GB costs no memory."""
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(SpecError, match=r"^x\.yaml: 3221225472 bytes; at most 1000000 are read$"):
        _ = YamlFile(path, "x.yaml").document


@pytest.mark.parametrize("value", ["010", "-07", "1:30", "1_000", "0b11", "190:20:30.15", "1_0.5"])
def test_numbers_that_nobody_means(value, read):
    """YAML 1.1 reads them in base 8, 2 or 60: they are refused, and taken as text in quotes."""
    assert problems(read, f"b: x\na: {value}\n") == [
        f"x.yaml:2: a: write {value} as a plain number, or in quotes"
    ]
    assert read(f"a: '{value}'\n").data == {"a": value}
    assert read("a: [0, -1, 10, 1.5, 0.25, 0x1F]\n").data == {"a": [0, -1, 10, 1.5, 0.25, 31]}
