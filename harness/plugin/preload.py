"""Start xdist's workers as forks of one process that has imported what trials need.

The clients' thousands of classes take two to three seconds of a core to import: in each of four workers, that
was half of what replaying the shipped suite cost. One process, the *parent*, imports them once, and each
worker is a fork of it. xdist and execnet do not notice: what they start is ``worker.py``, which hands its
pipes to the parent and lives as long as the fork does. Where there is no parent (any more), it becomes an
ordinary worker. The parent begins before the controlling process reads options and files; while that has
nothing to do, it imports what its tables need.

Not here: workers on other machines (``--tx``), other systems than Linux, and runs whose coverage is measured,
for what was imported before the measurement began would be missing.
"""

from __future__ import annotations

import array
import ctypes
import gc
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from harness.plugin.preload import serve; serve(int(sys.argv[1]), int(sys.argv[3]), sys.argv[4:])"
)
MODULES = (
    "harness.plugin.session",
    "harness.runner",
    "anthropic.resources.messages",
    "letta_client.resources.agents.messages",
    "letta_client.types.agents",
    "vcr.stubs.httpx_stubs",
    "httpcore",  # httpx loads these when the first client is made
    "httpcore2",
)
# numpy changes the environment for a moment; what another thread starts just then cannot be executed.
BEFORE_THREADS = ("numpy",)
AT_THE_END = ("pandas", "scipy.special", "jinja2")
# pytest wants to rewrite the assertions of packages that bring a plugin, and warns where it is too late.
NO_REWRITE = "\nPYTEST_DONT_REWRITE"
ADDRESS = "parent"
PR_SET_PDEATHSIG = 1
CHECK_S = 5.0


class Preload:
    """A pytest plugin of the controlling process; ``-p no:harness-preload`` does without it."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules = modules
        self._folder = ""
        self._parent = 0

    def pytest_configure(self, config: pytest.Config) -> None:
        """Start the parent, which imports while this process reads options and files."""
        measured = config.pluginmanager.hasplugin("_cov") or "COVERAGE_PROCESS_START" in os.environ
        workers = config.getoption("numprocesses", None)
        if not isinstance(workers, int) or workers < 2 or measured or sys.platform != "linux":
            return
        self._folder = tempfile.mkdtemp(prefix="harness-workers-")  # private
        address = os.path.join(self._folder, ADDRESS)
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(address)
            except OSError:  # a TMPDIR too deep for the address of a socket
                self.pytest_unconfigure()
                return
            listener.listen(workers)
            os.set_inheritable(listener.fileno(), True)
            command = [sys.executable, "-c", BEGIN, str(listener.fileno()), json.dumps(sys.path)]
            command += [str(os.getpid()), *self._modules]
            self._parent = os.posix_spawn(command[0], command, os.environ)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Have xdist start workers through the parent."""
        if not self._parent or not all(spec.popen and not spec.python for spec in specs):
            return
        _import(BEFORE_THREADS)
        threading.Thread(target=_import_for_the_end, daemon=True).start()
        starter, address = str(Path(__file__).with_name("worker.py")), os.path.join(self._folder, ADDRESS)
        for spec in specs:
            spec.python = shlex.join([sys.executable, "-I", "-S", starter, address])

    def pytest_unconfigure(self) -> None:
        """End the parent, and with it a worker that xdist could not end.

        The folder goes first: where this is interrupted, the parent sees to it.
        """
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""
        if self._parent:
            with suppress(ProcessLookupError):
                os.kill(self._parent, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._parent, 0)
            self._parent = 0


def serve(listener_fd: int, controller: int, modules: Sequence[str]) -> None:
    """Import what trials need, and become a worker's parent whenever one is asked for (in the parent)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the workers' business, and the controller's
    gc.disable()
    _import(modules)
    allow_imported()
    gc.freeze()  # a collection in a worker would copy the memory that all share
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(fileno=listener_fd)
    listener.settimeout(CHECK_S)
    while os.getppid() == controller:
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            connection.setblocking(True)
            if os.fork() == 0:
                listener.close()
                _become_worker(connection)
            connection.close()
    shutil.rmtree(os.path.dirname(listener.getsockname()), ignore_errors=True)  # the controller was killed


def allow_imported() -> None:
    """Have pytest, run in this process, not warn of what was imported before it could rewrite assertions."""
    for name, module in [*sys.modules.items()]:
        if ("." not in name or name.startswith(("harness.", "xdist."))) and module is not None:
            with suppress(AttributeError, TypeError):
                module.__doc__ = (module.__doc__ or "") + NO_REWRITE


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        with suppress(Exception):  # who needs it says what is wrong with it
            import_module(name)


def _import_for_the_end() -> None:
    _import(AT_THE_END)
    gc.freeze()  # pytest's last collection has nothing to find there


def _become_worker(connection: socket.socket) -> None:
    """Run what ``worker.py`` was to run, with its pipes; never returns.

    The connection stays open as long as this process lives.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    size = array.array("i").itemsize
    length, data, *_ = connection.recvmsg(4, socket.CMSG_SPACE(3 * size))
    arguments, environment = json.loads(connection.makefile("rb").read(int.from_bytes(length, "big")))
    pipes = array.array("i", data[0][2])
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = "-B" in arguments
    sys.argv = ["-c"]
    sys.path.insert(0, "")
    status = 1
    try:
        exec(arguments[-1], {"__name__": "__main__"})  # noqa: S102  (execnet's one line)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
