"""Runs pytest on model-written code, in a process that can do little harm and is always ended.

Covered, each run: a fresh copy of the files in a folder of its own, gone afterwards; a process session
of its own, killed as a group; an empty environment (no key can be read from it); no standard input, no
output; limits on wall time, CPU, memory, file size and open files. On Linux, where the kernel allows it,
also no network, a process tree that cannot outlive the run, and a disk that is read-only but for a folder
in memory (namespaces). ``protections()`` tells which of these this machine gives.

**Not** covered: reading elsewhere on the disk as the user who runs the harness (and writing there, where the
disk is not read-only); code under test shares a process with its tests and could forge their result.
"""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import SandboxError
from harness.trial import Limits, well_formed

CHILD = Path(__file__).with_name("sandbox_child.py")
STARTUP_S = 60.0
WRITABLE = 10  # the probe's exit code where all but the read-only disk works
MAX_REPORT = 8_000_000
READY = b"ready\n"
MOUNT_POINTS = ("/mnt", "/srv", "/tmp")  # noqa: S108  (a file system of its own is mounted there)
Status = Literal["passed", "failed", "no_tests", "timeout", "memory", "crashed"]
DEATH = re.compile(rb"\nsignal (\d+)\Z")
OUTCOMES = frozenset({"passed", "failed", "error", "skipped", "xfailed", "xpassed"})
CLEAN = (
    (re.compile(r"\bat 0x[0-9a-fA-F]+"), "at 0x..."),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "tmp..."),
    (re.compile(r"\b\d+\.\d+s\b"), "N.NNs"),
)


@dataclass(frozen=True)
class Test:
    """One test of a run. ``text`` says why it did not pass: the assertion first."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    name: str
    outcome: Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
    text: str = ""


@dataclass(frozen=True)
class TestRun:
    """What one pytest run showed.

    Attributes:
        status: ``passed`` only if the runner reported, at least one test ran and passed, none failed,
            and every collected test is accounted for. ``no_tests``: none ran, or only skips and xfails.
            ``crashed``: the runner died without its report.
        tests: In the order in which they ran.
        detail: One line about a run that did not finish.
    """

    __test__ = False

    status: Status
    tests: tuple[Test, ...] = ()
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the status is ``passed``."""
        return self.status == "passed"

    @property
    def passes(self) -> int:
        """Tests that passed."""
        return sum(test.outcome == "passed" for test in self.tests)


class Sandbox(Protocol):
    """Runs tests on files."""

    def run(self, files: Mapping[str, str], test_path: str, limits: Limits) -> TestRun:
        """Run one test file over a fresh copy of ``files`` (relative POSIX path -> text).

        Raises:
            SandboxError: Nothing could be run; the code is not to blame.
        """


class SubprocessSandbox:
    """One new Python process for each run."""

    def run(self, files: Mapping[str, str], test_path: str, limits: Limits) -> TestRun:
        """See ``Sandbox.run``."""
        isolated = protections()["private files"]
        order: dict[str, Any] = {
            "nonce": secrets.token_hex(16),
            "files": dict(files),
            "test": test_path,
            "memory": limits.memory_mb << 20,
            "cpu_s": int(limits.timeout_s) + 2,
            "mount": _mount_point() if isolated else "",
            "folder": f"{_mount_point()}/work",
        }
        if isolated:
            return _judge(_run_child(order, limits), order)
        try:
            with tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True) as name:
                order["folder"] = str(Path(name).resolve() / "work")
                return _judge(_run_child(order, limits), order)
        except OSError as error:
            raise SandboxError(
                f"the sandbox cannot make a folder: {error}", remedy="free space in TMPDIR"
            ) from None


@functools.cache
def protections() -> dict[str, bool]:
    """What this machine can enforce, probed once."""
    code = 1
    if sys.platform == "linux" and _mount_point():
        probe = [sys.executable, "-I", str(CHILD), "probe", _mount_point()]
        code = subprocess.run(probe, capture_output=True, timeout=STARTUP_S, check=False).returncode
    walls = dict.fromkeys(("no network", "process namespace", "private files"), code in (0, WRITABLE))
    return {"group kill": True, "limits": sys.platform == "linux", **walls, "read-only disk": code == 0}


@functools.cache
def _mount_point() -> str:
    """An existing folder that Python itself does not live in; empty if there is none."""
    places = [*map(Path, sysconfig.get_paths().values()), Path(sys.executable), CHILD]
    python = [path.resolve() for path in places]
    for name in MOUNT_POINTS:
        if Path(name).is_dir() and not any(path.is_relative_to(Path(name).resolve()) for path in python):
            return name
    return ""


@dataclass(frozen=True)
class _Ended:
    """How a child ended: what it reported, its exit code (negative: signal), and whether time ran out."""

    report: bytes
    code: int
    late: bool


def _run_child(order: dict[str, Any], limits: Limits) -> _Ended:
    reader, writer = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-s", "-P", "-B", str(CHILD), "run", str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_environment(order["folder"]),
            pass_fds=(writer,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reader)
        raise SandboxError(f"the sandbox cannot start a process: {error}") from None
    finally:
        os.close(writer)
    report, late = b"", False
    try:
        assert child.stdin is not None
        with child.stdin:
            child.stdin.write(json.dumps(order).encode())
        report, late = _read(reader, limits.timeout_s)
    except BrokenPipeError:
        report = b""
    finally:
        os.close(reader)
        _kill_group(child)
    return _Ended(report, child.returncode, late)


def _read(reader: int, timeout_s: float) -> tuple[bytes, bool]:
    """All that the child reports. Its time starts when it says ``ready`` (pytest is imported)."""
    os.set_blocking(reader, False)
    data = b""
    deadline = time.monotonic() + STARTUP_S
    ready = False
    while len(data) < MAX_REPORT:
        if not ready and data.startswith(READY):
            ready, deadline = True, time.monotonic() + timeout_s
        left = deadline - time.monotonic()
        if left <= 0:
            return data, True
        if _readable(reader, left):
            piece = os.read(reader, 65536)
            if not piece:
                return data, False
            data += piece
    return data, False


def _readable(reader: int, seconds: float) -> bool:
    import select

    return bool(select.select([reader], [], [], seconds)[0])


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _environment(folder: str) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def _judge(ended: _Ended, order: dict[str, Any]) -> TestRun:
    if not ended.report.startswith(READY):
        said = ended.report.decode("utf-8", "replace")[:300]
        how = "did not start in time" if ended.late else f"ended with status {ended.code}"
        raise SandboxError(
            f"the sandbox cannot run: {said or f'its Python {how}'}",
            remedy="run `python -m pytest --version` with this Python",
        )
    told = _told(ended.report.removeprefix(READY), order["nonce"])
    if told is None:
        return _without_report(ended)
    folder = Path(order["folder"])
    tests = tuple(Test(clean(t.name, folder), t.outcome, clean(t.text, folder)) for t in told.tests)
    status = _status(tests, told)
    detail = f"pytest ended with code {told.exit} before its tests were done" if status == "crashed" else ""
    return TestRun(status, tests, detail)


def _without_report(ended: _Ended) -> TestRun:
    if ended.late:
        return TestRun("timeout", detail="the tests did not end in time")
    told = DEATH.search(ended.report)
    number = int(told[1]) if told else -ended.code
    if number == signal.SIGXCPU:
        return TestRun("timeout", detail="the tests used up their CPU time")
    how = f"signal {number}" if number > 0 else f"status {ended.code}"
    return TestRun("crashed", detail=f"the test process ended with {how} before it reported")


@dataclass(frozen=True)
class _Told:
    exit: int
    collected: int
    tests: tuple[Test, ...]


def _told(report: bytes, nonce: str) -> _Told | None:
    """The runner's report, or None if it is not whole: the code under test can write to its pipe."""
    try:
        told = json.loads(report)
        if told["nonce"] != nonce:
            return None
        tests = tuple(
            Test(well_formed(str(t["name"])), t["outcome"], well_formed(str(t["text"])))
            for t in told["tests"]
        )
        whole = all(test.outcome in OUTCOMES for test in tests)
        return _Told(int(told["exit"]), int(told["collected"]), tests) if whole else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _status(tests: tuple[Test, ...], told: _Told) -> Status:
    bad = [test for test in tests if test.outcome in ("failed", "error", "xpassed")]
    if any(test.text.startswith("MemoryError") for test in bad):
        return "memory"
    if bad:
        return "failed"
    if told.exit not in (0, 5) or told.collected > len(tests):
        return "crashed"
    return "passed" if any(test.outcome == "passed" for test in tests) else "no_tests"


@functools.cache
def _library_folders() -> tuple[str, ...]:
    """Where this Python keeps its modules, longest first: they are named without it."""
    return tuple(sorted(set(sysconfig.get_paths().values()), key=len, reverse=True))


def clean(text: str, folder: Path) -> str:
    """Test output without what differs from run to run: paths, addresses, durations."""
    text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    for library in _library_folders():
        text = text.replace(f"{library}/", "")
    for pattern, instead in CLEAN:
        text = pattern.sub(instead, text)
    return text
