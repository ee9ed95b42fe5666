"""Read files from the user's folder into a workspace, and write a workspace's files there.

File names are a model's. Nothing is written through a link or out of the folder, and nothing that exists
there is replaced unless that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.agents.workspace import MAX_FILE_CHARS, MAX_FILES
from harness.errors import UsageError
from harness.files import write_whole
from harness.text import is_safe_path

IGNORED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True)
class WrittenFile:
    """One file. ``refusal`` says why it was not written; empty if it was."""

    name: str
    lines: int
    refusal: str = ""


def require_writable(folder: Path, names: Sequence[str], *, force: bool) -> None:
    """Refuse, before the work, a folder that is a file, or in which one of the files exists already."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="choose another --workspace")
    for name in names:
        if reason := refusal(folder, name, force=force):
            raise UsageError(
                f"{folder / name} {reason}", remedy="choose another name, or --force to replace it"
            )


def write_files(folder: Path, files: Mapping[str, str], *, force: bool) -> list[WrittenFile]:
    """Write files (relative path -> text), each whole or not at all; ``force`` replaces what exists."""
    written = []
    for name, text in sorted(files.items()):
        reason = refusal(folder, name, force=force)
        if not reason:
            try:
                write_whole(folder / name, text)
            except OSError as error:
                reason = f"cannot be written: {error.strerror}"
        written.append(WrittenFile(name, len(text.splitlines()), reason))
    return written


def refusal(folder: Path, name: str, *, force: bool) -> str:
    """Return why a file must not be written; empty if it may be."""
    if not is_safe_path(name):
        return "has a name that leads out of the folder"
    parent = folder
    for part in Path(name).parts[:-1]:
        parent /= part
        if parent.is_symlink():
            return f"would be written through the link {parent.name}"
        if parent.exists() and not parent.is_dir():
            return f"cannot be written: {parent.name} is no folder"
    target = folder / name
    if target.is_dir() and not target.is_symlink():
        return "is a folder"
    return "" if force or not os.path.lexists(target) else "stands there already"


def read_files(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return files of the folder, path -> text: those named, and the text files below a folder that is named.

    Raises:
        UsageError: A name does not exist, leads out of the folder, is no text, or all is too much.
    """
    root = folder.resolve()
    files: dict[str, str] = {}
    for name in names:
        path = (folder / name).resolve()
        if not path.is_relative_to(root):
            raise UsageError(f"--give {name}: it is not in {folder}")
        if path.is_dir():
            files |= {each: text for each, text in read_below(root, path) if text is not None}
            continue
        relative, text = path.relative_to(root).as_posix(), read_text(path)
        if text is None or not is_safe_path(relative):
            raise UsageError(
                f"--give {name}: expected a text file with a plain name in {folder}",
                remedy="name another, or leave it out",
            )
        files[relative] = text
    if len(files) > MAX_FILES:
        raise UsageError(
            f"--give: {len(files)} files; a workspace holds {MAX_FILES}", remedy="name some of them"
        )
    return files


def read_below(root: Path, folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield a folder's files but for hidden ones, links and names that no workspace takes."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each[:1] != "." and each not in IGNORED)
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(root).as_posix()
            if is_safe_path(relative) and not path.is_symlink():
                yield relative, read_text(path)


def read_text(path: Path) -> str | None:
    """Return the text of a file; None if it is missing, too long or no text."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_CHARS:
            return None
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
