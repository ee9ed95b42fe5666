"""The files of one trial, in memory, and the only check of the file names that models write.

A workspace touches no disk, so no name, link or race can lead out of it; the sandbox writes copies of it into
folders of its own. This module is part of the text that Letta's tool sandbox runs
(``backends/letta/tool_source.py``), so it imports the standard library and ``harness.text`` only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.text import is_safe_path, shorten

MAX_FILES = 100
MAX_FILE_CHARS = 500_000


class WorkspaceError(Exception):
    """A model asked for something that a workspace refuses; the message is meant for that model."""


class Workspace(Mapping[str, str]):
    """A mapping of relative POSIX path to text, sorted by path; ``write`` alone changes it."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self._files: dict[str, str] = dict(files or {})

    def __getitem__(self, path: str) -> str:
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)

    def write(self, path: str, text: str) -> None:
        """Create or replace a file, whose path comes from ``inside``.

        Raises:
            WorkspaceError: The file or the workspace would become too large, or a folder has its name.
        """
        for other in self._files:
            if other.startswith(f"{path}/") or path.startswith(f"{other}/"):
                raise WorkspaceError(f"{path} cannot stand beside {other}: a file is no folder")
        if len(text) > MAX_FILE_CHARS:
            raise WorkspaceError(
                f"{path} would have {len(text)} characters; at most {MAX_FILE_CHARS} are kept"
            )
        if path not in self._files and len(self._files) >= MAX_FILES:
            raise WorkspaceError(f"the workspace already holds {MAX_FILES} files")
        self._files[path] = text

    def snapshot(self) -> dict[str, str]:
        """Return a copy of the files as they are now."""
        return dict(sorted(self._files.items()))


def inside(name: object, folder: object = None) -> str:
    """Return the path in the workspace that a model means by a file name and, perhaps, a folder.

    Raises:
        WorkspaceError: It is not a plain name inside the workspace.
    """
    nothing = (None, "", ".", "./", "workspace")
    if name in nothing or not isinstance(name, str) or not isinstance(folder, str | None):
        raise WorkspaceError("file_name must be the name of a file, such as 'add.py'")
    path = name if folder is None or folder in nothing else f"{folder.removesuffix('/')}/{name}"
    path = path.removeprefix("./").removeprefix("workspace/")
    if not is_safe_path(path):
        raise WorkspaceError(
            f"the file name {shorten(path)!r} is not allowed: it must be a relative path inside the "
            "workspace, without '..', such as 'add.py'"
        )
    return path


def files_in(folder: Path) -> dict[str, str]:
    """Read the regular files of a folder: relative path -> text.

    Raises:
        RuntimeError: The folder cannot be read, or holds a link, a large file or one that is no text.
    """

    def stop(error: OSError) -> None:
        raise error

    files: dict[str, str] = {}
    try:
        for top, folders, names in os.walk(folder, onerror=stop):
            links = [name for name in (*folders, *names) if os.path.islink(os.path.join(top, name))]
            if links:
                raise RuntimeError(f"the workspace holds a link: {links[0][:80]!r}")
            for name in names:
                path = Path(top, name)
                if path.stat().st_size > 4 * MAX_FILE_CHARS:
                    raise RuntimeError(f"a file of the workspace is too large: {name[:80]!r}")
                files[path.relative_to(folder).as_posix()] = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeError(f"the workspace cannot be read: {type(error).__name__}") from None
    return files
