"""Files between a workspace and a folder of the user's: what is given, what is delivered.

File names are a model's. Nothing is written through a link or out of the folder, and nothing that stands
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
class Delivered:
    """One file. ``kept_out`` says why it was not written; empty if it was."""

    name: str
    lines: int
    kept_out: str = ""


def require_room(folder: Path, names: Sequence[str], *, force: bool) -> None:
    """See before the work that its results can be written.

    Raises:
        UsageError: The folder is a file, or one of the files stands there already.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", remedy="choose another --workspace")
    for name in names:
        if why := _kept_out(folder, name, force=force):
            raise UsageError(f"{folder / name} {why}", remedy="choose another name, or --force to replace it")


def deliver(folder: Path, files: Mapping[str, str], *, force: bool) -> list[Delivered]:
    """Write files; each whole or not at all.

    Args:
        folder: The user's.
        files: Relative path -> text.
        force: Replace what stands there.
    """
    return [_delivered(folder, name, text, force=force) for name, text in sorted(files.items())]


def _delivered(folder: Path, name: str, text: str, *, force: bool) -> Delivered:
    lines = len(text.splitlines())
    if why := _kept_out(folder, name, force=force):
        return Delivered(name, lines, why)
    try:
        write_whole(folder / name, text)
    except OSError as error:
        return Delivered(name, lines, f"cannot be written: {error.strerror}")
    return Delivered(name, lines)


def _kept_out(folder: Path, name: str, *, force: bool) -> str:
    """Why a file is not to be written; empty if it may be."""
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


def given(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Files of the folder for the workspace: those named, and the text files below a folder that is named.

    Raises:
        UsageError: A name is not there, leads out of the folder, is no text, or all is too much.
    """
    root = folder.resolve()
    files: dict[str, str] = {}
    for name in names:
        path = (folder / name).resolve()
        if not path.is_relative_to(root):
            raise UsageError(f"--give {name}: it is not in {folder}")
        if path.is_dir():
            files |= {each: text for each, text in _below(root, path) if text is not None}
        else:
            relative = path.relative_to(root).as_posix()
            text = _text(path)
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


def _below(root: Path, path: Path) -> Iterator[tuple[str, str | None]]:
    """The files of a folder but for hidden ones, links and names that no workspace takes."""
    for place, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if each[:1] != "." and each not in IGNORED)
        for name in sorted(names):
            file = Path(place, name)
            relative = file.relative_to(root).as_posix()
            if is_safe_path(relative) and not file.is_symlink():
                yield relative, _text(file)


def _text(path: Path) -> str | None:
    """The text of a file; None if there is none."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_CHARS:
            return None
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
