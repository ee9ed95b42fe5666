"""The fork server in which model-written code runs. Started by ``fork_server.py``.

Messages are JSON behind four bytes of length, over a socket. The first is the plan; the answer says which
protections hold. Then each order (files and limits) is answered by what its run reported and how it ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

from . import isolation, runner

MAX_REPORT = 8_000_000


def main(fd: int) -> None:
    """Serve until the other side of the socket has gone."""
    line = socket.socket(fileno=fd)
    line.set_inheritable(False)
    plan = receive(line)
    if plan is None:
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whatever the harness blocks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for process 1 a signal without a handler is none
    os.umask(0o022)
    held = {}
    try:
        if plan["walls"] == "namespaces":
            held = isolation.build(plan)
        elif plan["walls"] == "bubblewrap":
            held = isolation.built_by_bubblewrap()
    except OSError as error:
        send(line, {"refused": str(error)})
        return
    held["system calls"] = sys.platform == "linux" and isolation.seccomp_available()
    if plan["probe"]:
        send(line, held)
        return
    server = Server(line, plan, held)
    send(line, held)
    while (order := receive(line)) is not None:
        send(line, server.run(order))


def send(line: socket.socket, message: dict[str, Any]) -> None:
    """A message."""
    data = json.dumps(message).encode()
    line.sendall(struct.pack("!I", len(data)) + data)


def receive(line: socket.socket) -> dict[str, Any] | None:
    """The next message; None when the other side has gone."""
    head = receive_bytes(line, 4)
    data = receive_bytes(line, struct.unpack("!I", head)[0]) if head else b""
    return dict(json.loads(data)) if data else None


def receive_bytes(line: socket.socket, size: int) -> bytes:
    """So many bytes; none when the other side has gone."""
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


class Server:
    """Runs orders one after another, each in a fork of its own."""

    def __init__(self, line: socket.socket, plan: dict[str, Any], held: dict[str, bool]) -> None:
        self.line = line
        self.mounts = plan["walls"] == "namespaces"
        self.walled = plan["walls"] != "none"
        self.other_user = held.get("other_user", False)
        self.counted = held.get("process limit", False)
        self.filtered = held["system calls"]
        sys.path[:] = [path for path in sys.path[1:] if os.path.isdir(path)]
        if self.mounts:
            isolation.fresh_box(other_user=False)
        if self.walled:
            os.chdir(f"{isolation.BOX}/work")
        self.runner = runner.Runner(f"{isolation.BOX}/work", warm=self.walled and plan["warm"])
        if self.walled:
            self.clear()
        # A byte comes through when a child ends, whoever still holds the pipe of its report.
        for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
            del sys.modules[name]  # a file of the code may have this name
        self.ended, wake = socket.socketpair()
        self.ended.setblocking(False)
        wake.setblocking(False)
        self.wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """What the run of an order reported, and how it ended."""
        if self.mounts:
            isolation.fresh_box(other_user=self.other_user)
        # Unlike a pipe, a socket cannot be opened again, and this end cannot read what it wrote.
        reader, writer = socket.socketpair()
        writer.shutdown(socket.SHUT_RD)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            reader.close()
            self.be_the_run(order, writer.fileno())
        writer.close()
        watch = Watch(self, child, reader, began + order["timeout_s"])
        watch.until_its_end()
        self.kill(child, watch)
        watch.drain()
        reader.close()
        if self.walled:
            self.clear()
        report = watch.report.decode("utf-8", "replace")
        return {"nonce": order["nonce"], "report": report, "code": watch.code, "late": watch.late}

    def be_the_run(self, order: dict[str, Any], writer: int) -> NoReturn:
        """Never returns: this process is the run."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            os.dup2(1, 2)  # nobody reads what the code says
            for each in (self.line, self.ended, self.wake):
                each.close()
            if self.mounts:
                isolation.drop_privileges(other_user=self.other_user)
            if self.filtered:
                isolation.forbid()
            os.environ.update(HOME=order["folder"], TMPDIR=order["tmp"])
            runner.limit(order, processes=self.counted)
            self.runner.run(order, writer)
            code = 0
        finally:
            os._exit(code)

    def kill(self, child: int, watch: Watch) -> None:
        """End the run and all that it started, and wait until none of it is left."""
        while True:
            try:
                # As process 1 this is all the others; without walls, all that stayed in the run's session.
                os.kill(-1 if self.walled else -child, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if not self.walled and watch.code is not None:
                return
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid == child:
                watch.code = os.waitstatus_to_exitcode(status)

    def clear(self) -> None:
        """Leave and forget the run's files."""
        os.chdir("/")
        isolation.remove_box() if self.mounts else isolation.clean_box()


class Watch:
    """What one run reports, until it ends, is late or says too much."""

    def __init__(self, server: Server, child: int, reader: socket.socket, deadline: float) -> None:
        self.server = server
        self.child = child
        self.reader = reader
        self.deadline = deadline
        self.report = bytearray()
        self.code: int | None = None
        self.late = False
        reader.setblocking(False)

    def until_its_end(self) -> None:
        """Read on while the run may go on."""
        ended, line = self.server.ended, self.server.line
        waiting = select.poll()
        for each in (self.reader, ended):
            waiting.register(each.fileno(), select.POLLIN)
        waiting.register(line.fileno(), select.POLLHUP | getattr(select, "POLLRDHUP", 0))
        while self.code is None and len(self.report) < MAX_REPORT:
            left = self.deadline - time.monotonic()
            if left <= 0:
                self.late = True
                return
            for found, _ in waiting.poll(left * 1000):
                if found == line.fileno():
                    self.server.kill(self.child, self)  # nobody waits for an answer
                    os._exit(1)
                elif found == self.reader.fileno() and not self.read():
                    waiting.unregister(found)
                elif found == ended.fileno():
                    ended.recv(4096)
                    self.look()

    def look(self) -> None:
        """Whether the run has ended by itself; what it left behind and has ended too is cleared away."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == self.child:
                self.code = os.waitstatus_to_exitcode(status)
            if pid == 0:
                return

    def read(self) -> bytes:
        """The next piece, kept in ``report``."""
        try:
            piece = self.reader.recv(65536)
        except ConnectionResetError:
            return b""
        self.report += piece
        return piece

    def drain(self) -> None:
        """What was reported last, all that could write being dead."""
        while len(self.report) < MAX_REPORT:
            try:
                if not self.read():
                    return
            except BlockingIOError:
                return
