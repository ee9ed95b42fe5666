"""What the App Server needs of a machine, and how it is installed: pinned, with known checksums."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest

from harness.errors import StackError
from harness.local.stack import app_server_install
from harness.local.stack.home import Home


def test_without_git_nothing_is_installed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The App Server keeps memory in git: said at once, in one line with the remedy."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(StackError, match="no program git") as caught:
        app_server_install.ensure(home, print)
    assert (caught.value.remedy, list(home.root.iterdir())) == ("install git", [])


def test_an_old_glibc_is_told_with_both_versions(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel would install elsewhere or not at all; V1 is the way out."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.17"))
    with pytest.raises(StackError, match=r"needs glibc 2\.28 or newer, and this machine has 2\.17") as caught:
        app_server_install.ensure(home, print)
    assert "--letta v1" in caught.value.remedy
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert app_server_install.lacking() is None


def pip_that(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Stand in for pip: it gets the arguments that pip would get."""
    program = folder / "pip.py"
    program.write_text(f"import sys, pathlib\n{script}\n")
    monkeypatch.setattr(app_server_install, "pip", lambda: [sys.executable, str(program)])


def test_it_is_installed_once_with_pinned_checksums(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip gets one release with the sums of its wheels; what is complete is not installed again."""
    copy = "args = sys.argv; pathlib.Path('asked').write_text(pathlib.Path(args[-1]).read_text() + str(args))"
    pip_that(monkeypatch, tmp_path, copy)
    install = app_server_install.ensure(home, lambda line: None)
    asked = (home.root / "asked").read_text()
    assert asked.startswith("letta==0.34.12 --hash=sha256:")
    assert ("--require-hashes" in asked, "--no-deps" in asked, install.complete) == (True, True, True)
    pip_that(monkeypatch, tmp_path, "sys.exit(7)")
    assert app_server_install.ensure(home, lambda line: None) == install


def test_a_failed_installation_is_redone(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip's own last words are shown; nothing counts as installed."""
    pip_that(monkeypatch, tmp_path, "print('THESE PACKAGES DO NOT MATCH THE HASHES'); sys.exit(1)")
    with pytest.raises(StackError, match="installing the App Server failed.*\n.*DO NOT MATCH THE HASHES"):
        app_server_install.ensure(home, lambda line: None)
    assert not app_server_install.locate(home).complete
    reported: list[str] = []
    pip_that(monkeypatch, tmp_path, "pass")
    assert app_server_install.ensure(home, reported.append).complete
    assert reported[0] == "an unfinished installation of the App Server is removed"
