"""Runs pytest on model-written code, in a process that can do little harm and is always ended.

Covered, each run: a fresh copy of the files in a folder of its own, removed afterwards; a process
session of its own, killed as a group; an empty environment (no key can be read from it); no standard
input, no output; limits on wall time, CPU, memory, file size and open files. On Linux, where the
kernel allows it, also no network and a process tree that cannot outlive the run (namespaces).
``protections()`` tells which of these this machine gives.

**Not** covered: reading and writing elsewhere on the disk as the user who runs the harness; code under
test shares a process with its tests and could forge their result.
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
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import SandboxError
from harness.trial import Limits

CHILD = Path(__file__).with_name("sandbox_child.py")
STARTUP_S = 60.0
MAX_REPORT = 1_000_000
Status = Literal["passed", "failed", "no_tests", "timeout", "memory", "crashed"]
CLEAN = (
    (re.compile(r"0x[0-9a-fA-F]{4,}"), "0x..."),
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
        with tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve() / "work"
            _lay(files, folder)
            return _judge(*_run_child(folder, test_path, limits), folder)


@functools.cache
def protections() -> dict[str, bool]:
    """What this machine can enforce, probed once."""
    if sys.platform != "linux":
        return {"group kill": True, "limits": False, "no network": False, "process namespace": False}
    probe = [sys.executable, "-I", str(CHILD), "probe"]
    works = subprocess.run(probe, capture_output=True, timeout=STARTUP_S, check=False).returncode == 0
    return {"group kill": True, "limits": True, "no network": works, "process namespace": works}


def _lay(files: Mapping[str, str], folder: Path) -> None:
    try:
        folder.mkdir()
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    except OSError as error:
        raise SandboxError(
            f"the sandbox cannot write its copy of the workspace: {error}", remedy="free some space in TMPDIR"
        ) from None


def _run_child(folder: Path, test_path: str, limits: Limits) -> tuple[bytes, int, bool, str]:
    """Report, wait status and whether time ran out."""
    nonce = secrets.token_hex(16)
    order = {
        "nonce": nonce,
        "folder": str(folder),
        "test": test_path,
        "memory": limits.memory_mb << 20,
        "cpu_s": int(limits.timeout_s) + 2,
        "isolate": protections()["no network"],
    }
    reader, writer = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-s", "-P", "-B", str(CHILD), "run", str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(folder),
            pass_fds=(writer,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reader)
        raise SandboxError(f"the sandbox cannot start a process: {error}") from None
    finally:
        os.close(writer)
    try:
        assert child.stdin is not None
        child.stdin.write(json.dumps(order).encode())
        child.stdin.close()
        report, late = _read(reader, limits.timeout_s)
    except BrokenPipeError:
        report, late = b"", False
    finally:
        os.close(reader)
        _kill_group(child)
    return report, child.returncode, late, nonce


def _read(reader: int, timeout_s: float) -> tuple[bytes, bool]:
    """All that the child reports. Its time starts when it says ``ready`` (pytest is imported)."""
    os.set_blocking(reader, False)
    data = b""
    deadline = time.monotonic() + STARTUP_S
    ready = False
    while len(data) < MAX_REPORT:
        if not ready and data.startswith(b"ready\n"):
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


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def _judge(report: bytes, code: int, late: bool, nonce: str, folder: Path) -> TestRun:
    if not report.startswith(b"ready\n"):
        raise SandboxError(
            "the sandbox's Python did not start"
            if late
            else f"the sandbox's Python ended with status {code}",
            remedy="run `python -m pytest --version` with this Python",
        )
    try:
        told = json.loads(report.removeprefix(b"ready\n"))
        known = isinstance(told, dict) and told.get("nonce") == nonce
    except ValueError:
        told, known = {}, False
    if not known:
        if late:
            return TestRun("timeout", detail="the tests did not end in time")
        number = -code if code < 0 else code - 128
        how = f"signal {number}" if number > 0 else f"status {code}"
        if number == signal.SIGXCPU:
            return TestRun("timeout", detail="the tests used up their CPU time")
        return TestRun("crashed", detail=f"the test process ended with {how} before it reported")
    tests = tuple(Test(t["name"], t["outcome"], clean(t["text"], folder)) for t in told["tests"])
    return TestRun(_status(tests, told), tests)


def _status(tests: tuple[Test, ...], told: dict[str, Any]) -> Status:
    if any("MemoryError" in test.text for test in tests if test.outcome in ("failed", "error")):
        return "memory"
    if any(test.outcome in ("failed", "error", "xpassed") for test in tests):
        return "failed"
    if told["exit"] not in (0, 5) or told["collected"] > len(tests):
        return "crashed"
    return "passed" if any(test.outcome == "passed" for test in tests) else "no_tests"


def clean(text: str, folder: Path) -> str:
    """Test output without what differs from run to run: paths, addresses, durations."""
    text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    for pattern, instead in CLEAN:
        text = pattern.sub(instead, text)
    return text
