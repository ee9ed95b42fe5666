"""A trial's files in a folder of this machine, where another program reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.agents.workspace import files_in
from harness.errors import ApiError


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write these files into a folder, with their own folders."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode("utf-8"))


def require_files(folder: Path, expected: Mapping[str, str], *, writer: str, reported: str) -> None:
    """Compare a folder with all the files that should be there, from what its writer reported.

    Raises:
        ApiError: The folder cannot be read, or holds something else.
    """
    try:
        found = files_in(folder)
    except RuntimeError as error:
        raise ApiError(str(error)) from None
    for path in sorted({*found, *expected}):
        if found.get(path) != expected.get(path):
            raise ApiError(f"{writer} left another {path!r} than {reported}")
