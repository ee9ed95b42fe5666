"""Keep what test runs showed, so that no run is executed twice, neither in one process nor in another.

A run is a function of its files and tests, its limits and seed, and of what it runs on: Python, pytest and
the packages that it sees, the sandbox and the protections that hold. All of that makes its key.

Taken from here is only what came out by itself: a run that passed, failed, or found no tests. Timeouts, lack
of memory and crashes may be the machine's doing, so they are executed each time, and so are what was forged
and a failure that speaks of such a thing: of a ``subprocess.run(..., timeout=5)`` in a test, say.

The folder (``harness/store.py``) is hidden from the code under test; where nothing hides it (isolation
``none``), nothing may be kept. **Not** covered: code whose result depends on the date, or on chance that no
seed holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.redact import leaks
from harness.sandbox import HiddenTests, TestRun, Visible
from harness.sandbox.filesystem_view import view, with_requirements
from harness.sandbox.fork_server import ForkServer, Probe
from harness.store import Store
from harness.tasks.task import Limits

KEPT = frozenset({"passed", "failed", "no_tests"})
RUN = TypeAdapter(TestRun)
OF_THE_MACHINE = re.compile(
    r"Timeout(?:Expired|Error)|BlockingIOError|MemoryError|Errno (?:11|12|23|24|28)\b|SIGKILL|"
    r"(?:returncode|status)\D{0,40}-9\b"
)


class RunCache(Store):
    """Test runs by key; see ``Store`` for their folder."""

    def get(self, key: str) -> TestRun | None:
        """Return the run with this key, if it is here, whole, and of a kind that may be taken."""
        body = self.read(key)
        try:
            run = RUN.validate_json(body, strict=True) if body is not None else None
        except ValidationError:
            return None
        return run if run and run.status in KEPT else None

    def put(self, key: str, run: TestRun) -> None:
        """Keep a run, unless it may be the machine's doing, is of a kind never taken, or holds a secret."""
        unlucky = any(OF_THE_MACHINE.search(each.text) for each in run.tests if each.outcome != "passed")
        if run.status in KEPT and not unlucky and not any(leaks(asdict(run), os.environ)):
            self.write(key, RUN.dump_json(run).decode())


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
        self._ground = ""
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
        self._ground = self._ground or ground(self._server, self._probe)
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

    def remember(self, what: object, make: Callable[[], str]) -> str:
        """Return a text that is a function of ``what``, a JSON value; it is made where it is not known."""
        key = _digest(["text", what])
        known = self._cache.read(key)
        if known is not None:
            return known.decode()
        text = make()
        if not any(leaks(text, os.environ)):
            self._cache.write(key, text)
        return text

    def _execute(self, key: str, execute: Callable[[], TestRun]) -> TestRun:
        self.counts["executed"] += 1
        run = execute()
        if self._server.probe == self._probe:
            self._cache.put(key, run)
        return run


def ground(server: ForkServer, probe: Probe) -> str:
    """Digest of all that a run in this sandbox depends on besides its order."""
    machine, sight = os.uname(), server.sight
    return _digest(
        {
            "sandbox": digest_of_sources(Path(__file__).parent),
            "python": [sys.version, sys.prefix, os.path.realpath(sys.executable), platform.libc_ver()],
            "packages": [  # RECORD: one's own may change without its version
                [each.name, each.version, each.read_text("RECORD")]
                for each in with_requirements(server.packages)
            ],
            "disk": view(server.packages, sight.hidden, sight.folders)["steps"],
            "folders": [_files_of(folder) for folder in sight.folders],
            "machine": [machine.sysname, machine.release, machine.machine, os.geteuid() == 0],
            "probe": asdict(probe),
            "seed": server.seed,
            "warm": server.warm,
        }
    )


def digest_of_sources(folder: Path) -> str:
    """Digest of the Python files in a folder of the harness: another version may judge otherwise."""
    paths = sorted(folder.rglob("*.py"))
    return _digest(
        [[path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")] for path in paths]
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


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
