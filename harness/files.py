"""Write files that are whole: a reader sees the old text or the new one, a line or none of it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

BLOCK = 4096


def write_whole(path: Path, text: str | Iterable[str], *, mode: int = 0o644) -> None:
    """Replace a file in one step by a text, or by its parts, and leave nothing behind if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:  # no space, say
            error.filename = str(path)
        Path(name).unlink(missing_ok=True)
        raise


def append_line(path: Path, line: str) -> None:
    """Append a line, whole or not at all, though several processes append and one is killed at it.

    What a process left of a line when it was killed is cut off first.

    Raises:
        OSError: It cannot be written, as on a full disk; the file is as it was.
    """
    left = f"{line}\n".encode("utf-8", "surrogatepass")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with suppress(OSError):  # a disk without locks: one system call writes a line, in practice
            fcntl.flock(handle, fcntl.LOCK_EX)
        whole = _end_of_lines(handle)
        try:
            while left:
                left = left[os.write(handle, left) :]
        finally:
            if left:
                os.ftruncate(handle, whole)
    finally:
        os.close(handle)


def _end_of_lines(handle: int) -> int:
    """Return where the last whole line of a file ends, and cut off what follows."""
    size = at = os.lseek(handle, 0, os.SEEK_END)
    end = 0
    while at > 0 and not end:
        at = max(0, at - BLOCK)
        last = os.pread(handle, BLOCK, at).rfind(b"\n")
        end = at + last + 1 if last >= 0 else 0
    if end < size:
        os.ftruncate(handle, end)
    return end
