"""Run a step to its end; start a server detached, recognise it later, and stop it with all that it started.

A process is known by its id *and* its creation time, so a recycled id is never taken for it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StackError
from harness.local.stack.home import REMEDY

if TYPE_CHECKING:
    import psutil

# Takes one line of progress.
Report = Callable[[str], None]
LOG_LINES = 8
# Variables that every server gets from the user's environment.
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR")
GRACE_S = 15.0
KILL_S = 5.0
POLL_S = 0.05


@dataclass(frozen=True)
class Identity:
    """One process for all time. ``created`` is in seconds since the epoch."""

    pid: int
    created: float


def identify(pid: int) -> Identity | None:
    """Return the identity of the process that has this id now, or None."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return Identity(pid, process.create_time())
    return None


def is_alive(identity: Identity) -> bool:
    """Return True if exactly this process still runs."""
    return identify(identity.pid) == identity


def spawn(
    command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path, detached: bool = True
) -> Identity:
    """Start a server in its own session, so that it outlives this process and its terminal.

    With ``detached=False`` it stays in this process's group, and `stop` ends it with this process.

    The log begins anew; that of the last start is kept beside it as ``*.previous``. Raise StackError if the
    command cannot be started, or ends at once.
    """
    if log.exists():
        os.replace(log, log.with_suffix(".previous"))
    process = _popen(command, log, env, cwd, detached=detached)
    # Nobody will wait for it: without this the forgotten handle warns when it is collected.
    process.returncode = 0
    identity = identify(process.pid)
    if identity is None:
        raise failed(f"{Path(command[0]).name} ended at once", log)
    return identity


def own_environment(*names: str) -> dict[str, str]:
    """Return the environment of a server that is a module of this package, with these variables, too."""
    env = {name: os.environ[name] for name in (*INHERITED, *names) if name in os.environ}
    package_root = str(Path(__file__).resolve().parents[3])
    env["PYTHONPATH"] = os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return env | {"PYTHONUNBUFFERED": "1"}


def run(command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path, what: str) -> None:
    """Run a step to its end, its output in ``log``. When interrupted, the step is stopped too.

    Raise StackError with the end of the output if the step fails.
    """
    process = _popen(command, log, env, cwd)
    identity = identify(process.pid)
    try:
        code = process.wait()
    except BaseException:
        if identity is not None:
            stop(identity, grace_s=3.0)
        raise
    if code != 0:
        raise failed(f"{what} failed with exit code {code}", log)


def _popen(
    command: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path, *, detached: bool = True
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=detached,
            )
        except OSError as problem:
            raise StackError(f"cannot start {command[0]}: {problem}") from problem


@contextmanager
def timed(step: str, report: Report) -> Iterator[None]:
    """Report that a step begins, and how long it took unless it fails."""
    report(f"{step} ...")
    started = time.monotonic()
    yield
    report(f"{step}: done in {time.monotonic() - started:.1f} s")


def query(command: Sequence[str], *, text: str, what: str, env: Mapping[str, str]) -> str:
    """Run a short command with ``text`` as its input and return its output.

    Raise StackError with its error output if it fails. Secrets belong in ``env``, which is added to this
    process's: unlike arguments, other users of the machine cannot see it.
    """
    whole = {**os.environ, **env}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False, env=whole
    )
    if done.returncode != 0:
        raise StackError(f"{what} failed: {done.stderr.strip()}")
    return done.stdout


def stop(identity: Identity, *, polite: signal.Signals = signal.SIGTERM, grace_s: float = GRACE_S) -> None:
    """Stop a process and all that it started: first politely, then by force.

    If it has gone, what is left of its group is stopped: as long as that lives, its number is no one else's.
    """
    import psutil

    if not is_alive(identity) and not _left_its_group(identity):
        return
    family = [each for each in _group(identity.pid) if each.create_time() >= identity.created]
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(identity.pid)
        family += [leader, *leader.children(recursive=True)]
    polite_to = family if not is_alive(identity) else [leader]
    for process in polite_to:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(polite)
    identities = [found for process in family if (found := identify(process.pid))]
    for survivor in _wait_gone(identities, grace_s):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(survivor.pid).send_signal(signal.SIGKILL)
    _wait_gone(identities, KILL_S)


def _left_its_group(identity: Identity) -> bool:
    """Return True if a process has ended, and its number may still be that of its group."""
    import psutil

    return identify(identity.pid) is None and identity.created >= psutil.boot_time()


def _wait_gone(identities: list[Identity], timeout_s: float) -> list[Identity]:
    """Wait for processes to end, and return those that have not.

    One that has ended but was not yet collected by its parent counts as gone, unlike with psutil.wait_procs:
    after `harness up` that parent is the system's first process, which in a container may never do it.
    """
    deadline = time.monotonic() + timeout_s
    while (alive := [each for each in identities if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return alive


def _group(leader: int) -> list[psutil.Process]:
    """Return the processes of a leader's group. A child that lost its parent is found only here."""
    import psutil

    members = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == leader:
                members.append(process)
    return members


def wait_until_ready(
    identity: Identity, probe: Callable[[], bool], *, what: str, log: Path, timeout_s: float
) -> None:
    """Wait until ``probe`` returns True; raise StackError if the process ends or time is up before that."""
    deadline = time.monotonic() + timeout_s
    while not probe():
        if not is_alive(identity):
            raise failed(f"{what} ended while starting", log)
        if time.monotonic() > deadline:
            raise failed(f"{what} did not answer within {timeout_s:.0f} s", log)
        time.sleep(POLL_S)


def pip() -> list[str]:
    """Return how to run pip: environments made by uv hold none, but uv can provide one."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return [uv(), "run", "--no-project", "--python", sys.executable, "--with", "pip", "python", "-m", "pip"]


def uv() -> str:
    """Return the program uv, or raise StackError."""
    from uv import find_uv_bin

    try:
        return str(find_uv_bin())
    except FileNotFoundError as problem:
        raise StackError("the program uv is not installed", remedy=REMEDY) from problem


def reason(problem: Exception) -> str:
    """Return in few words why a step of another package failed."""
    if isinstance(problem, subprocess.CalledProcessError):
        return f"{Path(problem.cmd[0]).name} failed"
    return str(problem) or type(problem).__name__


def failed(message: str, log: Path) -> StackError:
    """Return an error that holds the last lines of a log and says where the rest is."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = [line for line in lines if line.strip()][-LOG_LINES:]
    return StackError("\n    ".join([message, *tail]), remedy=f"see {log}")
