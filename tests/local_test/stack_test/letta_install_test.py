"""Unpacking Letta's source safely, and knowing a finished installation from an unfinished one."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from harness.errors import StackError
from harness.local.stack.home import Home
from harness.local.stack.letta_install import interpreter, locate, unpack


def archive(path: Path, name: str) -> str:
    """Writes a source archive with one member and gives its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 2
        tar.addfile(member, io.BytesIO(b"hi"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_published_file_is_unpacked(tmp_path: Path) -> None:
    """An archive with the right checksum comes out as it is."""
    checksum = archive(tmp_path / "a.tar.gz", "letta/file")
    unpack(tmp_path / "a.tar.gz", checksum, tmp_path / "out")
    assert (tmp_path / "out/letta/file").read_text() == "hi"


def test_another_file_is_refused(tmp_path: Path) -> None:
    """With a wrong checksum nothing is unpacked."""
    archive(tmp_path / "a.tar.gz", "letta/file")
    with pytest.raises(StackError, match="not the published file"):
        unpack(tmp_path / "a.tar.gz", "0" * 64, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_cannot_escape(tmp_path: Path) -> None:
    """A path that leads out of the folder is refused, even with the right checksum."""
    checksum = archive(tmp_path / "a.tar.gz", "../escaped")
    with pytest.raises(StackError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", checksum, tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


def test_only_a_marked_installation_is_complete(tmp_path: Path) -> None:
    """A folder with a Python but without the marker was interrupted, and counts as not installed."""
    install = locate(Home(tmp_path))
    install.program("python").parent.mkdir(parents=True)
    install.program("python").touch()
    assert not install.complete
    install.marker.touch()
    assert install.complete
    install.program("python").unlink()
    assert not install.complete


@pytest.mark.parametrize(
    ("version", "chosen"), [((3, 11), "/mine"), ((3, 13), "/mine"), ((3, 14), "3.11"), ((3, 10), "3.11")]
)
def test_the_running_python_is_used_where_letta_allows_it(version: tuple[int, int], chosen: str) -> None:
    """Another Python is asked for only where Letta's source does not allow the running one."""
    assert interpreter(version, "/mine") == chosen
