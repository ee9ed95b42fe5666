"""The files of a cassettes folder: list them, tell cassettes from strays, remove them.

Links are never followed. Not covered: what a file holds (``check.py``); nothing is opened here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CassetteError, UsageError
from harness.terminal import one_line

SLUG = re.compile(r"(?:[A-Za-z0-9%][A-Za-z0-9._+~%-]{0,119}/){2}[1-9]\d{0,5}")
# Files that repositories keep in such a folder, never pruned.
KEPT = frozenset({".gitattributes", ".gitignore", ".gitkeep", "README.md"})


@dataclass(frozen=True)
class FolderFile:
    """One file of the folder.

    Attributes:
        path: Where it is.
        slug: The trial that a cassette of this name belongs to; empty for a stray file.
        why: Why it does not belong there; empty for a cassette.
        size: Bytes.
    """

    path: Path
    slug: str = ""
    why: str = ""
    size: int = 0


def list_files(folder: Path) -> list[FolderFile]:
    """List all files below a cassettes folder, cassettes first, by name and epoch.

    Raises:
        UsageError: There is no such folder.
        CassetteError: A folder below it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{display_path(folder)}: no such folder",
            remedy="name it (--cassettes), or record: pytest --record=once",
        )
    return sorted(_scan(folder), key=lambda each: (not each.slug, _by_name_and_epoch(each)))


def _by_name_and_epoch(each: FolderFile) -> tuple[str, int, str]:
    group, _, epoch = each.slug.rpartition("/")
    return group, int(epoch or 0), str(each.path)


def _scan(folder: Path) -> Iterator[FolderFile]:
    left = [folder]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                    elif entry.name not in KEPT:
                        yield _classify(entry, folder)
        except OSError as error:
            raise CassetteError(f"{display_path(here)}: cannot be read: {error.strerror}") from None


def _classify(entry: os.DirEntry[str], folder: Path) -> FolderFile:
    path = Path(entry.path)
    slug = path.relative_to(folder).as_posix().removesuffix(".json")
    if entry.is_symlink():
        return FolderFile(path, why="a link; cassettes are files of their own")
    if not entry.is_file(follow_symlinks=False):
        return FolderFile(path, why="a pipe, socket or device")
    size = entry.stat(follow_symlinks=False).st_size
    if path.suffix == ".json" and SLUG.fullmatch(slug):
        return FolderFile(path, slug=slug, size=size)
    if entry.name.startswith(".") and ".json." in entry.name:
        return FolderFile(path, why="left over from a recording that was cut off", size=size)
    return FolderFile(path, why="not named as a cassette is (pair/task/epoch.json)", size=size)


def remove(folder: Path, files: Iterable[FolderFile]) -> list[Path]:
    """Remove files of a folder, then empty folders. A link is removed, its target stays.

    Returns:
        The folders removed.

    Raises:
        CassetteError: Something could not be removed.
    """
    inside = folder.resolve()
    for each in files:
        if not each.path.parent.resolve().is_relative_to(inside):
            raise CassetteError(
                f"{display_path(each.path)}: lies outside of {display_path(folder)} by now; nothing removed"
            )
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise CassetteError(f"{display_path(each.path)}: cannot be removed: {error.strerror}") from None
    return _remove_empty(folder)


def _remove_empty(folder: Path) -> list[Path]:
    folders, left = [], [folder]
    while left:
        with os.scandir(left.pop()) as entries:
            below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        folders += below
        left += below
    removed = []
    for path in reversed(folders):
        with suppress(OSError):  # not empty
            path.rmdir()
            removed.append(path)
    return removed


def display_path(path: Path) -> str:
    """Format a path for messages: relative to the current folder, on one line, safe for terminals."""
    here = Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return one_line(path.as_posix())
