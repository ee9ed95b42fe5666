"""The sandbox's process, and the socket to it. Messages are those of ``inner/server.py``."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.errors import SandboxError
from harness.sandbox import TestRun
from harness.sandbox.report import Ended, judged

BOX = "/box"  # where a run's files stand behind the walls
WORK = f"{BOX}/work"
HERE = Path(__file__).parent
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from inner import server; server.main(int(sys.argv[2]))"
STARTUP_S = 60.0
GRACE_S = 30.0  # between a run's own end and the server's answer, on a busy machine
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "LOGNAME": "coder",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "MALLOC_ARENA_MAX": "1",  # each further arena would take 64 MB or more of a run's address space
}


class Died(Exception):
    """The server has gone, or takes too long."""


class Refused(Exception):
    """This machine does not let the server build its walls."""


class Server:
    """One process that runs orders.

    Args:
        plan: What it is to build; see ``inner/walls.py``.
        command: What starts it, without its socket.
        seed: Of the hashes that order sets.

    Raises:
        SandboxError: It cannot be started.
    """

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

    @property
    def pid(self) -> int:
        """The process that everything of the sandbox descends from."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the server has said which protections hold.

        Raises:
            Refused: The walls are forbidden here.
            Died: It did not come so far.
        """
        if self._is_ready:
            return
        self._line.settimeout(STARTUP_S)
        answer = self._receive()
        if answer is None:
            said = self._last_words()
            raise (Refused if said.startswith("bwrap:") else Died)(said)
        if "refused" in answer:
            raise Refused(answer["refused"])
        self.protections = answer
        self._is_ready = True

    def run(self, order: dict[str, Any]) -> TestRun:
        """Run one order. After any exception the server is of no more use.

        Raises:
            Died: The server has died; the code may or may not be to blame.
            SandboxError: Nothing could be run.
        """
        self._line.settimeout(order["timeout_s"] + GRACE_S)
        self._send(order)
        answer = self._receive()
        if answer is None or answer["nonce"] != order["nonce"]:
            raise Died(self._last_words())
        # Without walls the box has another name in each run, which would differ in every text.
        report = answer["report"].replace(str(Path(order["folder"]).parent), BOX)
        return judged(Ended(report, answer["code"], answer["late"]), order["nonce"], WORK)

    def kill(self) -> None:
        """End the process, and with it all that it started."""
        self._process.kill()

    def close(self) -> None:
        """Kill it, and forget it."""
        self._line.close()
        self.kill()
        self._process.wait()
        if self._process.stderr is not None:
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
        data = bytearray()
        while len(data) < size:
            piece = self._line.recv(min(size - len(data), 1 << 20))
            if not piece:
                return b""
            data += piece
        return bytes(data)

    def _last_words(self) -> str:
        """What the process said on its standard error before it died. Ends it."""
        self.kill()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def program(place: str = str(HERE)) -> list[str]:
    """The server's command line, without its socket; ``place`` is where it finds ``inner``."""
    return [sys.executable, "-s", "-P", "-B", "-c", BOOT, place]
