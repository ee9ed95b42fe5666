"""The warm fork server, from the harness's side: start it, hand it runs, end it.

One server for each process of the harness (each pytest-xdist worker has its own). It starts isolated
(``inner/isolation.py``), imports pytest once, and forks for each run. Where this machine forbids that, it
runs without, and ``protections`` says so.
"""

from __future__ import annotations

import functools
import secrets
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from harness.errors import SandboxError
from harness.sandbox import HiddenTests, TestRun, Visible
from harness.sandbox.filesystem_view import BEHIND, NO_SIGHT, TMP, Sight, bubblewrap, view
from harness.sandbox.hidden_code import compiled
from harness.sandbox.inner.isolation import remove
from harness.sandbox.process import HERE, WORK, Died, Refused, Server, program
from harness.tasks.task import Limits

PACKAGES = ("pytest",)  # what the code may import, with what it requires; the same on every machine
Isolation = Literal["namespaces", "bubblewrap", "none"]
ISOLATION_KINDS: tuple[Isolation, ...] = ("namespaces", "bubblewrap", "none")
NAMESPACE_PROTECTIONS = ("no network", "own processes", "hidden files", "no privileges")
TRIES = 3
BACKSTOP = 8  # times as long a run may take, where a busy machine gives it no core
CLOSED = "the sandbox was closed during a run"
MAX_FILES_BYTES = 48 << 20  # of the 64 MB that a run has: a full disk must be no fault of the machine


@dataclass(frozen=True)
class Probe:
    """What this machine enforces.

    Attributes:
        isolation: The kind of isolation.
        protections: The words of this package's docstring -> True if it holds.
    """

    isolation: Isolation
    protections: Mapping[str, bool]


class ForkServer:
    """A sandbox that forks each run from a warm process. Safe to share between threads: one run at a time.

    Args:
        sight: What the code sees of the disk besides Python and pytest, and what not.
        warm: False: pytest starts anew for each run, in a new server. Slow; what ``True`` is compared to.
        isolation: Which kinds to try, in this order; ``none`` runs without.
        probe: Only find out which protections this machine gives.
        seed: Of ``random`` and of the hashes that order sets; runs agree where it is the same.
    """

    def __init__(
        self,
        *,
        sight: Sight = NO_SIGHT,
        warm: bool = True,
        isolation: Sequence[Isolation] = ISOLATION_KINDS,
        probe: bool = False,
        seed: int = 0,
    ) -> None:
        self.sight = sight
        self.warm = warm
        self.seed = seed
        self._others: dict[Visible, ForkServer] = {}
        self._only_probe = probe
        self._kinds = [each for each in isolation if each == "none" or sys.platform == "linux"]
        self._has_been_ready = False
        self._is_closing = False
        self._server: Server | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server without waiting for it. A run starts it too."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """End the server and whatever runs in it, also on behalf of another thread."""
        self._is_closing = True
        while not self._lock.acquire(timeout=0.1):
            if (server := self._server) is not None:
                server.kill()  # another thread's run, which ends with it
        try:
            self._is_closing = False
            self._end()
            for other in self._others.values():
                other.close()
        finally:
            self._lock.release()

    def seeing(self, visible: Visible) -> ForkServer:
        """See ``Sandbox.seeing``: a server of its own, since what is mounted stays. Closed with this one."""
        if visible == self.sight.visible:
            return self
        with self._lock:
            if visible not in self._others:
                sight = replace(self.sight, visible=visible)
                self._others[visible] = ForkServer(
                    sight=sight, warm=self.warm, isolation=self._kinds, seed=self.seed
                )
            return self._others[visible]

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions that the code may import, with what they require."""
        return (*PACKAGES, *self.sight.visible.packages)

    @property
    def probe(self) -> Probe:
        """Return the kind of isolation in use here, and what it enforces."""
        protections = self.protections  # only then is it known which kind is left
        return Probe(self._kinds[0], protections)

    @property
    def protections(self) -> dict[str, bool]:
        """Return which protections are enforced here."""
        with self._lock:
            held = self._ready().protections
        isolation = dict.fromkeys(NAMESPACE_PROTECTIONS, self._kinds[0] != "none")
        rest = {name: held.get(name, False) for name in ("read-only disk", "process limit", "system calls")}
        return {"group kill": True, "limits": sys.platform == "linux", **isolation, **rest}

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
        if sum(len(text.encode("utf-8", "surrogatepass")) for text in files.values()) > MAX_FILES_BYTES:
            return TestRun("crashed", detail="the files are larger than the sandbox's disk")
        order: dict[str, Any] = {
            "memory": limits.memory_mb << 20,
            "timeout_s": limits.timeout_s,
            "backstop_s": limits.timeout_s * BACKSTOP,
            "cpu_s": int(limits.timeout_s) + 2,
        }
        body: dict[str, Any] = {
            "nonce": secrets.token_hex(16),
            "files": dict(files),
            "test": test_path,
            "text": hidden.source if hidden else files[test_path],
            "hidden": hidden is not None,
            "only": sorted(hidden.only) if hidden and hidden.only is not None else None,
            "code": code_path,
            "seed": self.seed,
            "paths": self.sight.folders,
        }
        with self._lock:
            try:
                return self._run(order, body)
            except BaseException:
                self._end()  # an answer may still be under way: nobody must take it for his own
                raise
            finally:
                if not self.warm:
                    self._end()

    def _run(self, order: dict[str, Any], body: dict[str, Any]) -> TestRun:
        said = ""
        for _ in range(TRIES):
            server = self._ready()
            try:
                if self._kinds[0] != "none":
                    if body["hidden"]:
                        body["compiled"] = compiled(body["text"], str(Path(WORK, body["test"])))
                    return server.run({**order, "folder": WORK, "tmp": TMP}, body)
                return self._run_in_a_folder(server, order, body)
            except Died as death:
                self._end()
                if self._is_closing:
                    raise SandboxError(CLOSED) from None
                said = f": {death}" if str(death) else ""
        raise SandboxError(
            f"the sandbox's server died {TRIES} times during the same run{said}",
            remedy="look for a lack of memory on this machine",
        )

    @staticmethod
    def _run_in_a_folder(server: Server, order: dict[str, Any], body: dict[str, Any]) -> TestRun:
        """Without isolation a run has a folder of the disk."""
        try:
            box = Path(tempfile.mkdtemp(prefix="harness-")).resolve()
            for name in ("work", "tmp"):
                (box / name).mkdir()
        except OSError as error:
            raise SandboxError(
                f"the sandbox cannot make a folder: {error}", remedy="free space in TMPDIR"
            ) from None
        try:
            return server.run({**order, "folder": str(box / "work"), "tmp": str(box / "tmp")}, body)
        finally:
            remove(str(box))

    def _ready(self) -> Server:
        """Return a server that answers; without isolation only where that is forbidden."""
        if self._server is not None and not self._server.is_alive:
            self._end()
        said = ""
        for _ in range(TRIES + len(self._kinds)):
            try:
                server = self._start()
                server.wait_until_ready()
            except Refused as refusal:
                self._end()
                said = str(refusal)
                if len(self._kinds) == 1 or self._has_been_ready:
                    break
                del self._kinds[0]  # forbidden here; ``protections`` tells what is left
            except Died as death:
                self._end()
                if self._is_closing:
                    raise SandboxError(CLOSED) from None
                said = str(death)
            else:
                self._has_been_ready = True
                return server
        raise SandboxError(
            f"the sandbox cannot run: {said or 'its Python did not start in time'}",
            remedy="run `python -I -m pytest --version` with this Python",
        )

    def _start(self) -> Server:
        if self._server is None:
            kind = self._kinds[0]
            seen = view(self.packages, self.sight.hidden, self.sight.folders) if kind != "none" else None
            plan = {"isolation": kind, "warm": self.warm, "probe": self._only_probe, **(seen or {})}
            command = program()
            if seen and kind == "bubblewrap":
                command = [*bubblewrap(seen, HERE / "inner"), *program(BEHIND)]
            self._server = Server(plan, command, self.seed)
        return self._server

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


@functools.cache
def probe() -> Probe:
    """Probe once what this machine enforces."""
    with ForkServer(probe=True) as server:
        return server.probe


def protections() -> dict[str, bool]:
    """Return what this machine enforces: the words of this package's docstring -> True if it holds."""
    return dict(probe().protections)


def in_words() -> str:
    """One line about what this machine enforces and what it does not."""
    held = [name for name, holds in protections().items() if holds]
    missing = [name for name, holds in protections().items() if not holds]
    if not missing:
        return ", ".join(held)
    return f"{', '.join(held)}; NOT here: {', '.join(missing)} (--require-sandbox makes this an error)"


def require_all() -> None:
    """Insist on every protection.

    Raises:
        SandboxError: This machine does not enforce one of them.
    """
    missing = [name for name, holds in protections().items() if not holds]
    if missing:
        raise SandboxError(
            f"--require-sandbox: this machine does not enforce: {', '.join(missing)}",
            remedy="allow user namespaces (Linux 5.14 or newer), or run in a virtual machine",
        )


def home() -> tuple[Path, ...]:
    """Return the home folder, as a folder to hide; nothing where nobody knows it."""
    try:
        return (Path.home(),)
    except RuntimeError:  # no HOME, and a user without an entry
        return ()
