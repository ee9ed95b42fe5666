"""The files of a cassettes folder: list them, tell cassettes from strays, remove them.

Links are never followed. Not covered: what a file holds (``check.py``); nothing is opened here.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.cassette.file import LINK
from harness.errors import CassetteError, UsageError
from harness.redact import allowed
from harness.terminal import one_line

SLUG = re.compile(r"(?:[A-Za-z0-9%][A-Za-z0-9._+~%-]{0,119}/){2}[1-9]\d{0,5}")
# Files that repositories keep in such a folder, never pruned.
KEPT = frozenset({".gitattributes", ".gitignore", ".gitkeep", "README.md", allowed.NAME})


@dataclass(frozen=True)
class FolderFile:
    """One file of the folder: a cassette by its trial's slug, or a stray one with the reason why it is one.

    ``size`` are the bytes of a cassette.
    """

    path: Path
    slug: str = ""
    why: str = ""
    size: int = 0


def list_files(folder: Path) -> list[FolderFile]:
    """List all files below a cassettes folder, cassettes first, by name and epoch.

    Raise UsageError if there is no such folder, CassetteError if one below it cannot be read.
    """
    if not folder.is_dir():
        remedy = "name it (--cassettes), or record: pytest --record=once"
        raise UsageError(f"{display_path(folder)}: no such folder", remedy=remedy)
    files = [
        _classify(path, found, folder)
        for path, found in _walk(folder)
        if not (stat.S_ISDIR(found.st_mode) or path.name in KEPT)
    ]
    return sorted(files, key=_by_name_and_epoch)


def _by_name_and_epoch(each: FolderFile) -> tuple[bool, str, int, Path]:
    group, _, epoch = each.slug.rpartition("/")
    return not each.slug, group, int(epoch or 0), each.path


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all that is below a folder, a folder before what it holds, however deep (os.walk recurses)."""
    left = [folder]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
        except OSError as error:
            raise CassetteError(f"{display_path(here)}: cannot be read: {error.strerror}") from None


def _classify(path: Path, found: os.stat_result, folder: Path) -> FolderFile:
    slug = path.relative_to(folder).as_posix().removesuffix(".json")
    if stat.S_ISLNK(found.st_mode):
        return FolderFile(path, why=LINK)
    if not stat.S_ISREG(found.st_mode):
        return FolderFile(path, why="a pipe, socket or device")
    if path.suffix == ".json" and SLUG.fullmatch(slug):
        return FolderFile(path, slug=slug, size=found.st_size)
    if path.name.startswith(".") and ".json." in path.name:
        return FolderFile(path, why="left over from a recording that was cut off")
    return FolderFile(path, why="not named as a cassette is (pair/task/epoch.json)")


def remove(folder: Path, files: Iterable[FolderFile]) -> list[Path]:
    """Remove files of a folder, then empty folders, and return these; raise CassetteError if that fails.

    A link is removed, its target stays.
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
    removed = []
    for path in reversed([path for path, found in _walk(folder) if stat.S_ISDIR(found.st_mode)]):
        with suppress(OSError):  # not empty
            path.rmdir()
            removed.append(path)
    return removed


def display_path(path: Path) -> str:
    """Format a path for messages: relative to the current folder, on one line, safe for terminals."""
    here = Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return one_line(path.as_posix())
