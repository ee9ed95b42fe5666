"""Files between a workspace and a folder of the user's: names are a model's, and hostile."""

from __future__ import annotations

import os

import pytest

from harness.cli.run.delivered_files import read_files, require_writable, write_files
from harness.errors import UsageError


def written(folder, files, *, force=False) -> dict[str, str]:
    return {each.name: each.refusal for each in write_files(folder, files, force=force)}


def test_files_and_folders_are_made(tmp_path) -> None:
    """Folders as needed; lines are counted."""
    (one,) = write_files(tmp_path / "new", {"pkg/core.py": "a\nb"}, force=False)
    assert (one.lines, one.refusal) == (2, "")
    assert (tmp_path / "new" / "pkg" / "core.py").read_text() == "a\nb"


@pytest.mark.parametrize(
    "name", ["../x.py", "/x.py", "a/../../x.py", ".bashrc", "a\\..\\x.py", "", ".", "a//b"]
)
@pytest.mark.parametrize("force", [False, True])
def test_no_name_leads_out(name, force, tmp_path) -> None:
    """Not even with --force; nothing is made."""
    assert written(tmp_path / "out", {name: "x"}, force=force)[name]
    assert not (tmp_path / "x.py").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_through_a_link(force, tmp_path) -> None:
    """A folder that is a link leads elsewhere; a file that is a link is never followed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.py").write_text("theirs")
    out = tmp_path / "out"
    out.mkdir()
    (out / "pkg").symlink_to(tmp_path / "elsewhere")
    (out / "x.py").symlink_to(tmp_path / "elsewhere" / "x.py")
    (out / "gone.py").symlink_to(tmp_path / "elsewhere" / "gone.py")
    refused = written(out, {"pkg/new.py": "x", "x.py": "mine", "gone.py": "mine"}, force=force)
    assert "link" in refused["pkg/new.py"]
    assert bool(refused["x.py"]) is not force
    assert (tmp_path / "elsewhere" / "x.py").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["x.py"]


def test_folders_and_files_in_the_way(tmp_path) -> None:
    """They are told, with --force too."""
    (tmp_path / "a.py").mkdir()
    (tmp_path / "b").write_text("")
    refused = written(tmp_path, {"a.py": "x", "b/c.py": "x"}, force=True)
    assert (refused["a.py"], "b is no folder" in refused["b/c.py"]) == ("is a folder", True)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch) -> None:
    """One line of the summary, no traceback."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.cli.run.delivered_files.write_whole", full)
    assert "No space left" in written(tmp_path, {"a.py": "x"})["a.py"]


def test_room_is_required_before_the_work(tmp_path) -> None:
    """What would be replaced is refused, and a link counts as something that stands there."""
    require_writable(tmp_path / "new", ["a.py"], force=False)
    (tmp_path / "a.py").symlink_to("nowhere")
    with pytest.raises(UsageError, match="stands there already"):
        require_writable(tmp_path, ["a.py"], force=False)
    require_writable(tmp_path, ["a.py"], force=True)


def test_a_folder_to_give(tmp_path) -> None:
    """Text files with plain names; nothing hidden, no binary, no link, no cache."""
    for name in ("a.py", "pkg/b.txt", ".env", ".git/config", "__pycache__/a.pyc", "bin.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\x00" if name == "bin.dat" else b"text")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    assert read_files(tmp_path, ["."]) == {"a.py": "text", "pkg/b.txt": "text"}
    assert read_files(tmp_path, ["pkg", "a.py"]) == {"a.py": "text", "pkg/b.txt": "text"}
    assert read_files(tmp_path, []) == {}


@pytest.mark.parametrize("name", ["bin.dat", ".env", "out/secret", "nope", "../x"])
def test_what_cannot_be_read_files(name, tmp_path) -> None:
    """Named by hand, a file that no workspace takes is an error: links out of the folder, too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("text")
    (folder / "out").symlink_to(tmp_path)
    (folder / "bin.dat").write_bytes(b"\xff\x00")
    (folder / ".env").write_text("A=b")
    with pytest.raises(UsageError, match="--give"):
        read_files(folder, [name])


def test_too_many_files(tmp_path) -> None:
    """More than a workspace holds is refused."""
    for number in range(101):
        (tmp_path / f"f{number}.txt").write_text("x")
    with pytest.raises(UsageError, match="101 files"):
        read_files(tmp_path, ["."])
