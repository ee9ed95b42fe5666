"""The process in which model-written code runs. Started by ``sandbox.py``; imports nothing of harness.

sandbox_child.py probe FOLDER   exit 0 if all walls can be built here (10: with a writable disk)
sandbox_child.py run FD         read the order from stdin, run pytest, report to FD as JSON
"""

import ctypes
import json
import os
import random
import resource
import signal
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
PR_SET_PDEATHSIG = 1
WRITABLE = 10
MAX_TESTS, MAX_TEXT, MAX_SHORT_TEXT, MANY = 20_000, 2000, 100, 200


def isolate(mount_point, report=None):
    """New user, mount, network, IPC and process namespaces.

    No network, a disk that is read-only but for a folder in memory, and one kill ends the whole tree.
    The code runs as process 2: process 1 of a namespace is immune to its own signals.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *arguments):
        if function(*arguments) != 0:
            raise OSError(ctypes.get_errno(), function.__name__)

    uid, gid = os.geteuid(), os.getegid()
    call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    # mount_setattr(2) on all that is mounted; where the kernel is older than 5.12 the disk stays writable.
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    read_only = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32) == 0
    call(libc.mount, b"tmpfs", mount_point.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"size=64m,mode=1777")
    for _ in range(2):
        leave_to_child(report)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return read_only


def lay(files, folder):
    """Write the files, with the halves of surrogate pairs that a model may have left in them."""
    os.makedirs(folder)
    os.chdir(folder)
    for path, text in files.items():
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)


def leave_to_child(report):
    """Go on in a child; the parent waits, reports a death by signal, and ends."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code < 0 and report is not None:
            os.write(report, b"\nsignal %d" % -code)
        os._exit(abs(code))


def limit(order):
    """Resource limits; a soft CPU limit raises SIGXCPU before the hard one kills."""
    limits = [
        (resource.RLIMIT_AS, order["memory"], order["memory"]),
        (resource.RLIMIT_CPU, order["cpu_s"], order["cpu_s"] + 1),
        (resource.RLIMIT_FSIZE, 16 << 20, 16 << 20),
        (resource.RLIMIT_NOFILE, 128, 128),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    for kind, soft, hard in limits:
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):
            # A platform without this limit (macOS: RLIMIT_AS): sandbox.protections() says so.
            continue


class Collector:
    """A pytest plugin that keeps one row for each test."""

    def __init__(self, folder):
        self.folder = folder
        self.collected = 0
        self.rows = {}

    def pytest_collection_finish(self, session):
        self.collected = len(session.items)

    def pytest_collectreport(self, report):
        if report.failed:
            self.note(report.nodeid or "collection", "error", reason(report))

    def pytest_runtest_logreport(self, report):
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        elif outcome == "failed" and report.when != "call":
            outcome = "error"
        if report.when == "call" or outcome != "passed":
            self.note(report.nodeid, outcome, reason(report) if outcome in ("failed", "error") else "")

    def note(self, name, outcome, text):
        if len(self.rows) < MAX_TESTS and self.rows.get(name, ("passed", ""))[0] == "passed":
            limit = MAX_TEXT if len(self.rows) < MANY else MAX_SHORT_TEXT
            self.rows[name] = (outcome, text.replace(f"{self.folder}/", "")[:limit])


def reason(report):
    """Why a test failed: the raised error first, then the line of the test file."""
    longrepr = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
    if crash is None:
        lines = [line for line in str(longrepr).splitlines() if line.startswith("E ")] or [
            str(longrepr)[-300:]
        ]
        return "\n".join(line.removeprefix("E").strip() for line in lines)
    where = ""
    for entry in getattr(getattr(longrepr, "reprtraceback", None), "reprentries", ()):
        location = getattr(entry, "reprfileloc", None)
        if location is not None and os.path.basename(location.path).startswith("test_"):
            where = f"\nat {location.path}:{location.lineno}"
            break
    return crash.message[: MAX_TEXT - 100] + where


def main():
    if sys.argv[1] == "probe":
        os._exit(0 if isolate(sys.argv[2]) else WRITABLE)
    order = json.load(sys.stdin)
    writer = int(sys.argv[2])
    if order["mount"]:
        isolate(order["mount"], writer)
    folder = order["folder"]
    try:
        lay(order["files"], folder)
    except OSError as error:
        os.write(writer, f"its copy of the files cannot be written: {error.strerror}".encode())
        os._exit(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.set_inheritable(writer, False)
    import _pytest.assertion.rewrite  # noqa: F401  (before the limits, and before the code's own modules)
    import pytest

    random.seed(0)
    limit(order)
    os.write(writer, b"ready\n")
    sys.path.insert(0, folder)
    collector = Collector(folder)
    arguments = ["-q", "-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--noconftest"]
    arguments += ["-p", "no:cacheprovider", "--capture=no", "--tb=short", order["test"]]
    code = pytest.main(arguments, plugins=[collector])
    rows = [{"name": n, "outcome": outcome, "text": text} for n, (outcome, text) in collector.rows.items()]
    told = {"nonce": order["nonce"], "exit": int(code), "collected": collector.collected, "tests": rows}
    data = json.dumps(told).encode()
    while data:
        data = data[os.write(writer, data) :]
    os._exit(0)


main()
