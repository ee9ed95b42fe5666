"""The cassettes folder as files: which of them are cassettes, which do not belong there, and removing them.

Links are never followed, and nothing is opened here: what a file holds is ``cassettes.py``'s question.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CassetteError, UsageError
from harness.terminal import one_line

SLUG = re.compile(r"(?:[A-Za-z0-9%][A-Za-z0-9._+~%-]{0,119}/){2}[1-9]\d{0,5}")
# What repositories keep in such a folder, and nobody wants pruned.
KEPT = frozenset({".gitattributes", ".gitignore", ".gitkeep", "README.md"})


@dataclass(frozen=True)
class Found:
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


def found(folder: Path) -> list[Found]:
    """All files below a cassettes folder, cassettes first, by name and epoch.

    Raises:
        UsageError: There is no such folder.
        CassetteError: A folder below it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{shown(folder)}: no such folder",
            remedy="name it (--cassettes), or record: pytest --record=once",
        )
    return sorted(_below(folder), key=lambda each: (not each.slug, _natural(each)))


def _natural(each: Found) -> tuple[str, int, str]:
    group, _, epoch = each.slug.rpartition("/")
    return group, int(epoch or 0), str(each.path)


def _below(folder: Path) -> Iterator[Found]:
    left = [folder]
    while left:
        here = left.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                    elif entry.name not in KEPT:
                        yield _classified(entry, folder)
        except OSError as error:
            raise CassetteError(f"{shown(here)}: cannot be read: {error.strerror}") from None


def _classified(entry: os.DirEntry[str], folder: Path) -> Found:
    path = Path(entry.path)
    slug = path.relative_to(folder).as_posix().removesuffix(".json")
    if entry.is_symlink():
        return Found(path, why="a link; cassettes are files of their own")
    if not entry.is_file(follow_symlinks=False):
        return Found(path, why="a pipe, socket or device")
    size = entry.stat(follow_symlinks=False).st_size
    if path.suffix == ".json" and SLUG.fullmatch(slug):
        return Found(path, slug=slug, size=size)
    if entry.name.startswith(".") and ".json." in entry.name:
        return Found(path, why="left over from a recording that was cut off", size=size)
    return Found(path, why="not named as a cassette is (pair/task/epoch.json)", size=size)


def remove(folder: Path, files: Iterable[Found]) -> list[Path]:
    """Remove files of a folder, then the folders that are empty. A link goes, what it points at stays.

    Returns:
        The folders removed.

    Raises:
        CassetteError: Something could not be removed.
    """
    inside = folder.resolve()
    for each in files:
        if not each.path.parent.resolve().is_relative_to(inside):
            raise CassetteError(
                f"{shown(each.path)}: lies outside of {shown(folder)} by now; nothing removed"
            )
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise CassetteError(f"{shown(each.path)}: cannot be removed: {error.strerror}") from None
    return _without_empty(folder)


def _without_empty(folder: Path) -> list[Path]:
    folders, left = [], [folder]
    while left:
        with os.scandir(left.pop()) as entries:
            below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        folders += below
        left += below
    removed = []
    for path in reversed(folders):
        try:
            path.rmdir()
        except OSError:  # not empty
            continue
        removed.append(path)
    return removed


def shown(path: Path) -> str:
    """A path as messages name it: relative to the current folder, on one line, without control characters."""
    here = Path.cwd()
    path = path.relative_to(here) if path.is_relative_to(here) else path
    return one_line(path.as_posix())
