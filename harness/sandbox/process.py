"""The sandbox's process, and the socket to it. Messages are those of ``inner/server.py``."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from harness.errors import SandboxError
from harness.sandbox import TestRun
from harness.sandbox.run_report import Ended, judged

BOX = "/box"  # where a run's files stand when it is isolated
WORK = f"{BOX}/work"
HERE = Path(__file__).parent
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from inner import server; server.main(int(sys.argv[2]))"
STARTUP_S = 60.0
GRACE_S = 30.0  # between a run's own end and the server's answer, on a busy machine
MAX_REPORT = 8_000_000
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "LOGNAME": "coder",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "MALLOC_ARENA_MAX": "1",  # each further arena would take 64 MB or more of a run's address space
    **dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    ),  # likewise, of numpy
}


class Died(Exception):
    """The server has gone, or takes too long."""


class Refused(Exception):
    """This machine does not let the server isolate itself."""


class Server:
    """One process that runs orders.

    Args:
        plan: What it is to build; see ``inner/isolation.py``.
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
        """Return True while the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process that everything of the sandbox descends from."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the server has said which protections hold.

        Raises:
            Refused: This kind of isolation is forbidden here.
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

    def run(self, order: dict[str, Any], body: dict[str, Any]) -> TestRun:
        """Run one order, of limits and folders, on a body. After any exception the server is of no more use.

        Raises:
            Died: The server has died; the code may or may not be to blame.
            SandboxError: Nothing could be run.
        """
        reader, writer = socket.socketpair()
        with reader:
            # Unlike a pipe, a socket cannot be opened again, and this end cannot read what it wrote.
            with writer, _anonymous_file(json.dumps(body).encode()) as file:
                writer.shutdown(socket.SHUT_RD)
                self._send(order, file.fileno(), writer.fileno())
            report, answer = self._wait(reader, order["backstop_s"] + GRACE_S)
        if answer is None:
            raise Died(self._last_words())
        # Without isolation the box has another name in each run, which would differ in every text.
        report = report.replace(str(Path(order["folder"]).parent), BOX)
        tripwire = not body["hidden"]
        return judged(Ended(report, answer["code"], answer["late"], tripwire), body["nonce"], WORK)

    def _wait(self, reader: socket.socket, patience_s: float) -> tuple[str, dict[str, Any] | None]:
        """Read the report until the server has said how the run ended, and then what is left of it."""
        report = bytearray()
        deadline = time.monotonic() + patience_s
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        waiting.register(self._line, select.POLLIN)
        while True:
            events = dict(waiting.poll(max(0.0, deadline - time.monotonic()) * 1000))
            if not events:
                return "", None
            if reader.fileno() in events and not _read(reader, report):
                waiting.unregister(reader)
            if self._line.fileno() in events:
                self._line.settimeout(GRACE_S)
                answer = self._receive()
                reader.setblocking(False)
                while _read(reader, report):
                    pass
                return report.decode("utf-8", "replace"), answer

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

    def _send(self, message: dict[str, Any], *files: int) -> None:
        data = json.dumps(message).encode()
        try:
            socket.send_fds(self._line, [struct.pack("!I", len(data))], files)
            self._line.sendall(data)
        except OSError:
            pass  # it has died: the missing answer says so

    def _receive(self) -> dict[str, Any] | None:
        """Receive the next message; None when the server has gone, or takes too long."""
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
        """End the process; return the last line that it wrote to its standard error."""
        self.kill()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


def _anonymous_file(data: bytes) -> IO[bytes]:
    """Return a file without a name, in memory where that can be had, to be read from its beginning."""
    in_memory = hasattr(os, "memfd_create")
    file = os.fdopen(os.memfd_create("order"), "w+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def _read(reader: socket.socket, report: bytearray) -> bool:
    """Read a piece of the report; return False when there is none, or it has become too long."""
    try:
        piece = reader.recv(65536)
    except (BlockingIOError, ConnectionResetError):
        return False
    report += piece
    if len(report) > MAX_REPORT:
        reader.shutdown(socket.SHUT_RD)  # whoever goes on writing gets an error
        return False
    return bool(piece)


def program(place: str = str(HERE)) -> list[str]:
    """Return the server's command line, without its socket; ``place`` is where it finds ``inner``."""
    return [sys.executable, "-s", "-P", "-B", "-c", BOOT, place]
