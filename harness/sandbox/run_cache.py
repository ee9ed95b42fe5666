"""Keep what test runs showed, so that no run is executed twice, neither in one process nor in another.

A run is a function of its files and tests, its limits and seed, and of what it runs on: Python, pytest and
the packages that it sees, the sandbox and the protections that hold. All of that makes its key.

Taken from here is only what came out by itself: a run that passed, failed, or found no tests. Timeouts, lack
of memory and crashes may be the machine's doing, so they are executed each time, and so is what was forged.

The folder belongs to one user and is hidden from the code under test; where nothing hides it (isolation
``none``), nothing may be kept. Whatever in it is not whole, not named by its key or not this user's is
passed over. **Not** covered: code whose result depends on the date, or on chance that no seed holds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.files import write_whole
from harness.redact import leaks
from harness.sandbox import HiddenTests, TestRun, Visible
from harness.sandbox.filesystem_view import view, with_requirements
from harness.sandbox.fork_server import ForkServer, Probe
from harness.tasks.task import Limits

KEPT = frozenset({"passed", "failed", "no_tests"})
MAX_ENTRY, MAX_TOTAL = 1 << 20, 64 << 20  # bytes
LOCK = ".lock"


def default_folder() -> Path:
    """Return where runs are kept between runs: in the user's cache folder.

    Raises:
        OSError: Nobody knows where that is.
    """
    folder = platformdirs.user_cache_path("pair-harness") / "test-runs"
    if not folder.is_absolute():
        raise OSError("this user has no home folder")
    return folder


class _Entry(BaseModel):
    """A kept run, with the key that it was kept under."""

    model_config = ConfigDict(extra="forbid", strict=True)
    key: str
    run: TestRun


class RunCache:
    """Test runs by key, in a folder that processes share.

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
        """Let go of the folder; what waits for a run in another process goes on waiting for nothing."""
        os.close(self._lock)

    def get(self, key: str) -> TestRun | None:
        """Return the run with this key, if it is here and whole."""
        try:
            text = _own_file(self.folder / key)
            checksum, _, body = text.partition(b"\n")
            if checksum.decode() != hashlib.sha256(body).hexdigest():
                return None
            entry = _Entry.model_validate_json(body)
            os.utime(self.folder / key)  # the oldest go first
        except (OSError, UnicodeError, ValidationError):
            return None
        return entry.run if entry.key == key and entry.run.status in KEPT else None

    def put(self, key: str, run: TestRun) -> None:
        """Keep a run, unless it is of a kind that is never taken, too long, or holds a secret."""
        if run.status not in KEPT or any(leaks(asdict(run), os.environ)):
            return
        body = _Entry(key=key, run=run).model_dump_json()
        if len(body) <= MAX_ENTRY:
            checksum = hashlib.sha256(body.encode()).hexdigest()
            with suppress(OSError):  # a full disk costs time, nothing else
                write_whole(self.folder / key, f"{checksum}\n{body}")

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


class CachedSandbox:
    """A sandbox that executes a run only if it is not known.

    Attributes:
        counts: Of runs ``executed`` and ``remembered``, shared with the sandboxes that ``seeing`` makes.

    Args:
        server: Executes.
        cache: Remembers.
        probe: What this machine enforces; runs under other protections are not kept.
    """

    def __init__(self, server: ForkServer, cache: RunCache, probe: Probe) -> None:
        self.counts = {"executed": 0, "remembered": 0}
        self._server = server
        self._cache = cache
        self._probe = probe
        self._lock = threading.Lock()  # the server takes one run at a time anyway

    @property
    def executed(self) -> int:
        """How many runs were executed."""
        return self.counts["executed"]

    @property
    def remembered(self) -> int:
        """How many runs were not executed, because they were known."""
        return self.counts["remembered"]

    def seeing(self, visible: Visible) -> CachedSandbox:
        """See ``Sandbox.seeing``."""
        server = self._server.seeing(visible)
        if server is self._server:
            return self
        other = CachedSandbox(server, self._cache, self._probe)
        other.counts = self.counts
        return other

    def run(
        self,
        files: Mapping[str, str],
        test_path: str,
        limits: Limits,
        *,
        code_path: str = "",
        hidden: HiddenTests | None = None,
    ) -> TestRun:
        """See ``Sandbox.run``."""
        order = {
            "files": dict(files),
            "test": test_path,
            "limits": limits.model_dump(mode="json", include={"timeout_s", "memory_mb"}),
            "code": code_path,
            "hidden": hidden and [hidden.source, None if hidden.only is None else sorted(hidden.only)],
        }
        key = _digest([self._ground, order])
        execute = partial(self._server.run, files, test_path, limits, code_path=code_path, hidden=hidden)
        with self._lock:
            known = self._cache.get(key)
            if known is None:
                with self._cache.one_at_a_time(key):
                    known = self._cache.get(key)  # another process may have had it under way
                    if known is None:
                        return self._execute(key, execute)
            self.counts["remembered"] += 1
            return known

    def _execute(self, key: str, execute: Callable[[], TestRun]) -> TestRun:
        self.counts["executed"] += 1
        run = execute()
        if self._server.probe == self._probe:
            self._cache.put(key, run)
        return run

    @cached_property
    def _ground(self) -> str:
        """Digest of all that a run depends on besides its order."""
        machine, sight = os.uname(), self._server.sight
        return _digest(
            {
                "sandbox": _sources(),
                "python": [sys.version, sys.executable, platform.libc_ver()],
                "packages": [[each.name, each.version] for each in with_requirements(self._server.packages)],
                "disk": view(self._server.packages, sight.hidden, sight.folders)["steps"],
                "folders": [_files_of(folder) for folder in sight.folders],
                "machine": [machine.sysname, machine.release, machine.machine, os.geteuid() == 0],
                "probe": asdict(self._probe),
                "seed": self._server.seed,
                "warm": self._server.warm,
            }
        )


def _files_of(folder: str) -> list[tuple[str, int, int, int]]:
    """Return the state of each file below a folder: whatever changes one changes it, the time at least."""
    found = []
    for top, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            with suppress(OSError):
                state = os.lstat(os.path.join(top, name))
                found.append((os.path.join(top, name), state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return found


def _own_file(path: Path) -> bytes:
    """Read a plain file of this user.

    Raises:
        OSError: It is something else, or too long.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_size > 2 * MAX_ENTRY
        ):
            raise OSError("not a kept run")
        return file.read()


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sources() -> str:
    """Digest of the sandbox's own code: another version may judge otherwise."""
    here = Path(__file__).parent
    return _digest(
        [[str(path.relative_to(here)), path.read_text("utf-8")] for path in sorted(here.rglob("*.py"))]
    )
