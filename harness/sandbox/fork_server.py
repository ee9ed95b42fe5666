"""The warm fork server, from the harness's side: start it, hand it runs, end it.

One server for each process of the harness (each pytest-xdist worker has its own). It starts behind its
walls (``inner/walls.py``), imports pytest once, and forks for each run. Where this machine forbids the
walls it runs without them, and ``protections`` says so.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from harness.errors import SandboxError
from harness.sandbox import TestRun
from harness.sandbox.report import Ended, judged
from harness.sandbox.view import BEHIND, TMP, WORK, bubblewrap, view
from harness.trial import Limits

HERE = Path(__file__).parent
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from inner import server; server.main(int(sys.argv[2]))"
STARTUP_S = 60.0
GRACE_S = 30.0  # between a run's own end and the server's answer, on a busy machine
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}
PACKAGES = ("pytest",)  # what the code may import, with what it requires; the same on every machine
Walls = Literal["namespaces", "bubblewrap", "none"]
WALLS = ("no network", "own processes", "hidden files", "no privileges")


class ForkServer:
    """A sandbox that forks each run from a warm process. Safe to share between threads: one run at a time.

    Args:
        hidden: Folders that the code must not read, where they lie inside of what it may.
        warm: False: pytest starts anew for each run, in a new server. Slow; what ``True`` is compared to.
        walls: Which kinds to try, in this order; ``none`` runs without.
        probe: Only find out which protections this machine gives.
        seed: Of ``random`` and of the hashes that order sets; runs agree where it is the same.
    """

    def __init__(
        self,
        *,
        hidden: Iterable[Path] = (),
        warm: bool = True,
        walls: Sequence[Walls] = ("namespaces", "bubblewrap", "none"),
        probe: bool = False,
        seed: int = 0,
    ) -> None:
        self._hidden = tuple(hidden)
        self._warm = warm
        self._probe = probe
        self._seed = seed
        self._walls = [each for each in walls if each == "none" or sys.platform == "linux"]
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server without waiting for it. A run starts it too."""
        if self._server is None:
            kind = self._walls[0]
            sight = view(PACKAGES, self._hidden) if kind != "none" else None
            plan = {"walls": kind, "warm": self._warm, "probe": self._probe, **(sight or {})}
            command = _program()
            if sight and kind == "bubblewrap":
                command = [*bubblewrap(sight, HERE / "inner"), *_program(BEHIND)]
            self._server = _Server(plan, command, self._seed)

    def close(self) -> None:
        """End the server and whatever runs in it."""
        if self._server is not None:
            self._server.end()
            self._server = None

    @property
    def protections(self) -> dict[str, bool]:
        """What is enforced here."""
        with self._lock:
            held = self._ready().protections
        walls = dict.fromkeys(WALLS, self._walls[0] != "none")
        rest = {name: held.get(name, False) for name in ("read-only disk", "process limit")}
        return {"group kill": True, "limits": sys.platform == "linux", **walls, **rest}

    def run(self, files: Mapping[str, str], test_path: str, limits: Limits) -> TestRun:
        """See ``Sandbox.run``."""
        order: dict[str, Any] = {
            "nonce": secrets.token_hex(16),
            "files": dict(files),
            "test": test_path,
            "memory": limits.memory_mb << 20,
            "timeout_s": limits.timeout_s,
            "cpu_s": int(limits.timeout_s) + 2,
            "seed": self._seed,
        }
        with self._lock:
            for _ in range(2):
                try:
                    return self._run(order)
                except _Died as death:
                    self.close()
                    said = f": {death}" if str(death) else ""
                finally:
                    if not self._warm:
                        self.close()
        raise SandboxError(
            f"the sandbox's server died twice during the same run{said}",
            remedy="look for a lack of memory on this machine",
        )

    def _run(self, order: dict[str, Any]) -> TestRun:
        server = self._ready()
        if self._walls[0] != "none":
            return server.run({**order, "folder": WORK, "tmp": TMP})
        try:
            box = Path(tempfile.mkdtemp(prefix="harness-")).resolve()
            try:
                for name in ("work", "tmp"):
                    (box / name).mkdir()
                return server.run({**order, "folder": str(box / "work"), "tmp": str(box / "tmp")})
            finally:
                _remove(box)
        except OSError as error:
            raise SandboxError(
                f"the sandbox cannot make a folder: {error}", remedy="free space in TMPDIR"
            ) from None

    def _ready(self) -> _Server:
        """A server that answers: without walls where they cannot be built, anew where it has died."""
        if self._server is not None and not self._server.is_alive:
            self.close()
        try:
            self.start()
            assert self._server is not None
            self._server.wait_until_ready()
        except SandboxError:
            self.close()
            if len(self._walls) == 1:
                raise
            del self._walls[0]  # forbidden here; ``protections`` tells what is left
            return self._ready()
        return self._server


class _Died(Exception):
    """The server has gone."""


class _Server:
    """The process, and the socket to it."""

    def __init__(self, plan: dict[str, Any], command: list[str], seed: int) -> None:
        self.protections: dict[str, bool] = {}
        self._is_ready = False
        self._line, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={**ENVIRONMENT, "PYTHONHASHSEED": str(seed)},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            self._line.close()
            raise SandboxError(f"the sandbox cannot start a process: {error}") from None
        finally:
            theirs.close()
        self._send(plan)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until the server has said which protections hold."""
        if self._is_ready:
            return
        self._line.settimeout(STARTUP_S)
        answer = self._receive()
        if answer is None:
            raise SandboxError(
                f"the sandbox cannot run: {self._last_words() or 'its Python did not start in time'}",
                remedy="run `python -m pytest --version` with this Python",
            )
        self.protections = answer
        self._is_ready = True

    def run(self, order: dict[str, Any]) -> TestRun:
        """Run one order.

        Raises:
            _Died: The server has died; the code may or may not be to blame.
        """
        self._line.settimeout(order["timeout_s"] + GRACE_S)
        self._send(order)
        answer = self._receive()
        if answer is None:
            raise _Died(self._last_words())
        if answer["report"] and not answer["report"].startswith(order["nonce"]) and answer["code"] == 1:
            raise SandboxError(f"the sandbox cannot run: {answer['report'][:300]}")
        ended = Ended(answer["report"], answer["code"], answer["late"])
        return judged(ended, order["nonce"], order["folder"])

    def end(self) -> None:
        """End the process, and with it all that it started."""
        self._line.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        try:
            self._line.sendall(struct.pack("!I", len(data)) + data)
        except OSError:
            pass  # it has died: the missing answer says so

    def _receive(self) -> dict[str, Any] | None:
        """The next message; None when the server has gone, or takes too long."""
        try:
            size = struct.unpack("!I", self._receive_bytes(4))[0]
            return dict(json.loads(self._receive_bytes(size)))
        except (OSError, ValueError, struct.error):
            return None

    def _receive_bytes(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._line.recv(size - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def _last_words(self) -> str:
        """What the process said on its standard error before it died. Ends it."""
        self._process.kill()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _program(place: str = str(HERE)) -> list[str]:
    """The server's command line, without its socket."""
    return [sys.executable, "-s", "-P", "-B", "-c", BOOT, place]


def _remove(folder: Path) -> None:
    """Remove a folder, also one in which closed folders stand; links are not followed."""
    for place, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(f"{place}/{name}"):
                os.chmod(f"{place}/{name}", 0o700)
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def protections() -> dict[str, bool]:
    """What this machine enforces, probed once: the words of this package's docstring -> whether it holds."""
    with ForkServer(probe=True) as server:
        return server.protections


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
