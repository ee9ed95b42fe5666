"""The fork server in which model-written code runs. Started by ``fork_server.py``.

Messages are JSON behind four bytes of length, over a socket. The first is the plan; the answer says which
protections hold. Then each order is answered by how its run ended.

An order says only which limits hold. What is to be run, and what the run reports, goes past this process: it
hands two file descriptors on to the fork, which reads the one and writes to the other. So no text of a run is
ever in the memory that later forks inherit.
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

from . import isolation, pytest_runner

GLANCE_S = 0.2  # between two looks at how a run is served


def main(fd: int) -> None:
    """Serve until the other side of the socket has gone."""
    line = socket.socket(fileno=fd)
    line.set_inheritable(False)
    first = receive(line)
    if first is None:
        return
    plan, _ = first
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # whatever the harness blocks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for process 1 a signal without a handler is none
    os.umask(0o022)
    held = {}
    try:
        if plan["isolation"] == "namespaces":
            held = isolation.build(plan)
        elif plan["isolation"] == "bubblewrap":
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
    while (message := receive(line)) is not None:
        order, files = message
        send(line, server.run(order, *files))


def send(line: socket.socket, message: dict[str, Any]) -> None:
    """Send a message."""
    data = json.dumps(message).encode()
    line.sendall(struct.pack("!I", len(data)) + data)


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Receive the next message and its file descriptors; None when the other side has gone."""
    head, files, *_ = socket.recv_fds(line, 4, 2)
    head += receive_bytes(line, 4 - len(head)) if head else b""
    data = receive_bytes(line, struct.unpack("!I", head)[0]) if head else b""
    return (dict(json.loads(data)), files) if data else None


def receive_bytes(line: socket.socket, size: int) -> bytes:
    """Receive so many bytes; none when the other side has gone."""
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def listed(folder: str) -> list[str]:
    """Return the names in a folder; none where it is gone."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


class Server:
    """Runs orders one after another, each in a fork of its own."""

    def __init__(self, line: socket.socket, plan: dict[str, Any], held: dict[str, bool]) -> None:
        self.line = line
        self.mounts = plan["isolation"] == "namespaces"
        self.isolated = plan["isolation"] != "none"
        self.other_user = held.get("other_user", False)
        self.counted = held.get("process limit", False)
        self.filtered = held["system calls"]
        sys.path[:] = [path for path in sys.path[1:] if os.path.isdir(path)]
        if self.mounts:
            isolation.fresh_box(other_user=False)
        if self.isolated:
            os.chdir(f"{isolation.BOX}/work")
        self.runner = pytest_runner.Runner(f"{isolation.BOX}/work", warm=self.isolated and plan["warm"])
        if self.isolated:
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

    def run(self, order: dict[str, Any], body: int, report: int) -> dict[str, Any]:
        """Run an order; return how it ended.

        ``body`` is a file that holds what is to be run; the fork alone reads it, and writes to ``report``.
        """
        if self.mounts:
            isolation.fresh_box(other_user=self.other_user)
        isolation.begin_numbers()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self.be_the_run(order, body, report)
        os.close(body)
        os.close(report)
        watch = Watch(self, child, began, order)
        watch.until_its_end()
        self.kill(child, watch)
        if self.isolated:
            self.clear()
        return {"code": watch.code, "late": watch.late}

    def be_the_run(self, order: dict[str, Any], body: int, report: int) -> NoReturn:
        """Be the run; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            os.dup2(1, 2)  # nobody reads what the code says
            for each in (self.line, self.ended, self.wake):
                each.close()
            isolation.close_numbers()
            if self.mounts:
                isolation.drop_privileges(other_user=self.other_user)
            if self.filtered:
                isolation.install_seccomp_filter()
            os.environ.update(HOME=order["folder"], TMPDIR=order["tmp"])
            with open(body, "rb") as file:
                order |= json.loads(file.read())
            pytest_runner.limit(order, processes=self.counted)
            self.runner.run(order, report)
            code = 0
        finally:
            os._exit(code)

    def kill(self, child: int, watch: Watch) -> None:
        """End the run and all that it started, and wait until none of it is left."""
        while True:
            try:
                # As process 1 this is all the others; else all that stayed in the run's session.
                os.kill(-1 if self.isolated else -child, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if not self.isolated and watch.code is not None:
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
    """Wait for a run, until it ends or is late.

    Time in which processes of the run were ready to go on, and a busy machine gave them no core, does not
    count, up to ``backstop_s``: what a run shows must not depend on what else the machine does.
    """

    def __init__(self, server: Server, child: int, began: float, order: dict[str, Any]) -> None:
        self.server = server
        self.child = child
        self.began = began
        self.limit = order["timeout_s"]
        self.backstop = order["backstop_s"]
        self.code: int | None = None
        self.late = False
        self.served: dict[str, tuple[int, int]] = {}  # thread -> ns on a core, ns ready without one

    def until_its_end(self) -> None:
        """Wait while the run may go on."""
        ended, line = self.server.ended, self.server.line
        waiting = select.poll()
        waiting.register(ended.fileno(), select.POLLIN)
        waiting.register(line.fileno(), select.POLLHUP | getattr(select, "POLLRDHUP", 0))
        while self.code is None:
            elapsed = time.monotonic() - self.began
            left = min(self.limit + self.without_core(elapsed), self.backstop) - elapsed
            if left <= 0:
                self.late = True
                return
            for found, _ in waiting.poll(min(left, GLANCE_S) * 1000):
                if found == line.fileno():
                    self.server.kill(self.child, self)  # nobody waits for an answer
                    os._exit(1)
                ended.recv(4096)
                self.look()

    def without_core(self, elapsed: float) -> float:
        """Return the seconds in which the run was ready to go on without a core.

        At least what it did on cores counts, so that many processes at once gain nothing. What the last
        moments of a process were like is not known.
        """
        own = str(os.getpid())
        # Without a process namespace there are others' processes too: then the first one tells.
        pids = filter(str.isdigit, listed("/proc")) if self.server.isolated else [str(self.child)]
        for pid in pids if elapsed >= GLANCE_S else ():
            for thread in listed(f"/proc/{pid}/task") if pid != own else ():
                try:
                    with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                        on, ready, _ = map(int, file.read().split())
                except (OSError, ValueError):
                    continue  # it has ended; or no Linux, and all time counts
                self.served[thread] = (on, ready)
        on_core_ns = sum(on for on, _ in self.served.values())
        ready_ns = sum(ready for _, ready in self.served.values())
        return max(0.0, min(ready_ns / 1e9, elapsed - on_core_ns / 1e9))

    def look(self) -> None:
        """Take note if the run has ended by itself; clear away what it left behind and has ended too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == self.child:
                self.code = os.waitstatus_to_exitcode(status)
            if pid == 0:
                return
