"""harness/cassette/audit/cassette_files.py: list a folder's files, and remove strays."""

import os
import stat

import pytest

from harness.cassette.audit.cassette_files import FolderFile, display_path, list_files, remove
from harness.errors import CassetteError, UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cassettes folder in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cassettes").mkdir()
    return tmp_path / "cassettes"


def put(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


@pytest.mark.parametrize("name", ["a/b/1.json", "gpt-5+haiku/is_palindrome/12.json", "a~b%20+c/x.y/1.json"])
def test_a_cassette_is_known_by_its_name(folder, name):
    """pair/task/epoch.json, with names as pairs and tasks have them."""
    put(folder, name)
    (file,) = list_files(folder)
    assert (file.slug, file.why, file.size) == (name.removesuffix(".json"), "", 1)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("1.json", "not named"),
        ("a/1.json", "not named"),
        ("a/b/c/1.json", "not named"),
        ("a/b/01.json", "not named"),
        ("a/b/0.json", "not named"),
        ("a/b/x.json", "not named"),
        ("a/b/1.yaml", "not named"),
        ("a/b/1.JSON", "not named"),
        ("a b/c/1.json", "not named"),
        ("a/b/1.json~", "not named"),
        ("a/b/.1.json.x7k", "cut off"),
        ("a/b/9999999.json", "not named"),
    ],
)
def test_anything_else_is_stray(folder, name, why):
    """With a reason."""
    put(folder, name)
    (file,) = list_files(folder)
    assert file.slug == ""
    assert why in file.why


@pytest.mark.parametrize("kind", ["pipe", "socket", "link", "broken-link", "linked-folder"])
def test_what_is_no_file_is_stray_and_not_opened(folder, kind):
    """A pipe would block, a link may lead anywhere."""
    path = folder / "a" / "b" / "1.json"
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        path.symlink_to({"link": __file__, "broken-link": "nowhere", "linked-folder": "/"}[kind])
    (file,) = list_files(folder)
    assert file.slug == ""
    assert ("link" in file.why) == ("link" in kind)


def test_a_very_deep_folder(folder):
    """Hundreds of folders in one another are walked, and removed, without recursion."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=here)
        here, old = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(old)
    os.close(here)
    assert list_files(folder) == []
    assert len(remove(folder, [])) == 400


def test_no_folder(folder):
    """A folder that is not there is a wrong argument."""
    with pytest.raises(UsageError, match="no/where: no such folder"):
        list_files(folder.parent / "no" / "where")


def test_removing(folder):
    """Files go, then folders that are empty; the cassettes folder and what is in use stay."""
    put(folder, "a/b/1.json")
    put(folder, "c/d/1.json")
    put(folder, "c/d/x.tmp")
    (folder / "e" / "f").mkdir(parents=True)
    removed = remove(folder, [each for each in list_files(folder) if each.slug != "c/d/1"])
    assert sorted(map(display_path, removed)) == [
        "cassettes/a",
        "cassettes/a/b",
        "cassettes/e",
        "cassettes/e/f",
    ]
    assert [display_path(each.path) for each in list_files(folder)] == ["cassettes/c/d/1.json"]
    remove(folder, list_files(folder))
    assert os.listdir(folder) == []


def test_a_link_goes_and_its_target_stays(folder, tmp_path):
    """Neither a file nor a folder outside is touched, and links do not keep a folder from going."""
    outside = put(tmp_path, "outside/1.json")
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "1.json").symlink_to(outside)
    (folder / "a" / "c").symlink_to(outside.parent)
    remove(folder, list_files(folder))
    assert outside.read_text() == "x"
    assert os.listdir(folder) == []


def test_nothing_outside_is_removed(folder, tmp_path):
    """A folder that was swapped for a link since it was looked at leads to nothing removed."""
    outside = put(tmp_path, "outside/1.json")
    put(folder, "a/b/1.json")
    files = list_files(folder)
    (folder / "a" / "b" / "1.json").unlink()
    (folder / "a" / "b").rmdir()
    (folder / "a" / "b").symlink_to(outside.parent)
    with pytest.raises(CassetteError, match="outside of cassettes"):
        remove(folder, files)
    assert outside.exists()


def test_what_has_gone_already_is_no_error(folder):
    """Two prunes at once do not trip over each other."""
    assert remove(folder, [FolderFile(folder / "1.json")]) == []


def test_paths_are_shown_on_one_line(folder):
    """Relative to the current folder, control characters made visible, invalid UTF-8 too."""
    assert display_path(folder / "a") == "cassettes/a"
    assert display_path(folder / "\x1b[2J\n\t\u202e") == "cassettes/\\x1b[2J\\n\\t\\u202e"
    assert display_path(folder / os.fsdecode(b"\xff")) == "cassettes/\\udcff"
