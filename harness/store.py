"""Keep values by key in a private folder that processes share, and later ones find.

The folder belongs to one user. Whatever in it is not whole, not named by its key or not this user's is passed
over: it is missing, then, and made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from harness.errors import UsageError
from harness.files import write_whole

MAX_ENTRY, MAX_TOTAL = 1 << 20, 64 << 20  # bytes
LOCK = ".lock"


class Store:
    """Texts by key, a hash in hexadecimal.

    Args:
        folder: Made where it is missing; made private where it is not.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # fails where it is somebody else's
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def close(self) -> None:
        """Let go of the folder, and of what is locked in it."""
        os.close(self._lock)

    def read(self, key: str) -> bytes | None:
        """Return the text with this key, if it is here and whole."""
        path = self.folder / key
        with suppress(OSError):
            checksum, _, body = _own_file(path).partition(b"\n")
            if checksum.decode("latin-1") == _checksum(key, body):
                os.utime(path)  # what was not used for longest goes first
                return body
        return None

    def write(self, key: str, text: str) -> None:
        """Keep a text, unless it is too long, or the disk does not take it."""
        body = text.encode()
        if len(body) <= MAX_ENTRY:
            with suppress(OSError):
                write_whole(self.folder / key, f"{_checksum(key, body)}\n{text}")

    @contextmanager
    def one_at_a_time(self, key: str) -> Iterator[None]:
        """Wait while another process executes the run with this key.

        A lock of one byte, at a place that the key gives, ends with the process that holds it. Where the
        disk has no locks, a run may be executed twice.
        """
        place = int(key[:15], 16)
        with suppress(OSError):
            fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, place)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, place)

    def prune(self, most: int = MAX_TOTAL) -> None:
        """Remove what was not used for longest, until so many bytes are left."""
        found = []
        with suppress(OSError):
            for each in os.scandir(self.folder):
                with suppress(OSError):
                    found.append((each.stat(follow_symlinks=False), each.path))
        total = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda each: each[0].st_mtime):
            if total <= most:
                return
            if not path.endswith(LOCK):
                with suppress(OSError):
                    os.unlink(path)
                    total -= status.st_size


def default_folder(name: str) -> Path:
    """Return a folder of this name in the user's cache folder.

    Raises:
        OSError: Nobody knows where that is.
    """
    folder = platformdirs.user_cache_path("pair-harness") / name
    if not folder.is_absolute():
        raise OSError("this user has no home folder")
    return folder


def home_folder() -> Path:
    """Return the folder of what belongs to a user, not a repository: HARNESS_HOME, or one in the cache.

    Raises:
        UsageError: HARNESS_HOME names the home of a user who is not known, or a file.
    """
    named = os.environ.get("HARNESS_HOME")
    if not named:
        return Path(platformdirs.user_cache_dir("pair-harness")).resolve()
    try:
        folder = Path(named).expanduser().resolve()
    except RuntimeError:
        raise UsageError(f"HARNESS_HOME={named}: there is no such user", remedy="name a folder") from None
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"HARNESS_HOME={named}: it is no folder", remedy="name a folder")
    return folder


def _checksum(key: str, body: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest()


def _own_file(path: Path) -> bytes:
    """Read a plain file of this user.

    Raises:
        OSError: It is something else, or too long.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        is_own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        if not is_own or status.st_size > 2 * MAX_ENTRY:
            raise OSError("not a kept value")
        return file.read()
