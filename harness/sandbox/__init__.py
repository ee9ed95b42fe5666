"""Runs pytest on model-written code, in a process that can do little harm and is always ended.

The pieces: ``ForkServer`` (``fork_server.py``) keeps one warm process (``process.py``), in which each run is
a fork; ``filesystem_view.py`` says what it sees of this machine, ``inner/`` is what it executes,
``run_report.py`` reads what a run reported.

Covered on Linux, where the kernel allows user namespaces (``ForkServer.protections`` tells what this
machine gives):

- *no network*: not even loopback;
- *own processes*: a process tree that sees nothing else of this machine and cannot outlive the run;
- *hidden files*: the disk holds Python, pytest and the system's libraries, and neither the repository nor
  the home folder, other packages, cassettes or other tasks;
- *read-only disk*: but for 64 MB in memory, new for each run, which `/tmp` is part of (with bubblewrap only
  where no Python lives below `/tmp`);
- *no privileges*: no capability, and no way to gain one; as root, another user;
- *process limit*: 64 at once;
- *system calls*: none whose effect outlives a run (shared memory of System V, message queues, keys) or that
  reaches other processes of the same user (limits, priorities).

Covered everywhere: a fresh copy of the files; a session of its own, killed as a group; an environment
without keys; no standard input, no output; limits on wall time, CPU time, memory of each process (Linux),
file size and open files. Wall time in which a busy machine gave a run no core does not count, up to a
backstop (``inner/server.py``; Linux), so that a verdict does not depend on the load.

A result needs the runner's own report, complete, with every collected test in it. That the machine is at
fault can only be said before any code of a model had its turn. A file of generated tests gets one test more
that must fail; hidden tests bring twins that must (``grading/twins.py``). Hidden tests and reports pass by
the warm server, whose memory later runs inherit.

**Not** covered: code under test shares a process with its tests, so it can read the tests that judge it, and
report what it likes. What it cannot read there is which of them must fail: it has to guess. It is right in
one of 2^n times for n independent twins, about twice as often where a run whose order may matter is
repeated, and more often if it understands which of two values is the likelier one. The memory of all
processes of a run together is not limited, nor is what the kernel itself lets through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.tasks.task import Limits

Status = Literal["passed", "failed", "no_tests", "timeout", "memory", "crashed", "forged"]


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
            ``crashed``: the runner died without its report. ``forged``: the code wrote into the report, or
            made a test pass that must fail.
        tests: In the order in which they ran; those that ended, where the run did not.
        detail: One line about a run that did not finish.
        collected: How many tests pytest found; 0 where it did not come so far.
        syntax: Why the code file does not compile; empty if it does.
    """

    __test__ = False

    status: Status
    tests: tuple[Test, ...] = ()
    detail: str = ""
    collected: int = 0
    syntax: str = ""

    @property
    def passed(self) -> bool:
        """Return True if the status is ``passed``."""
        return self.status == "passed"

    @property
    def first_failure(self) -> Test | None:
        """The first test that did not pass; a skipped one only if no other failed."""
        bad = [test for test in self.tests if test.outcome != "passed"]
        bad.sort(key=lambda test: test.outcome in ("skipped", "xfailed"))
        return bad[0] if bad else None

    @property
    def passes(self) -> int:
        """Tests that passed."""
        return sum(test.outcome == "passed" for test in self.tests)


@dataclass(frozen=True)
class Visible:
    """What the code of a task may import besides the standard library and pytest.

    Attributes:
        packages: Installed distributions, with what they require.
        paths: Folders of the repository, relative to it; the code cannot write there.
    """

    packages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class HiddenTests:
    """A test file that lies nowhere on the disk of a run. Its failures are reported without traceback.

    Attributes:
        source: Its text.
        only: Names of the cases to run; None for all.
    """

    source: str
    only: frozenset[str] | None = None


class Sandbox(Protocol):
    """Runs tests on files."""

    def seeing(self, visible: Visible) -> Sandbox:
        """Return the sandbox whose runs see just that."""

    def run(
        self,
        files: Mapping[str, str],
        test_path: str,
        limits: Limits,
        *,
        code_path: str = "",
        hidden: HiddenTests | None = None,
    ) -> TestRun:
        """Run one test file over a fresh copy of ``files`` (relative POSIX path -> text).

        Args:
            files: What lies in the run's folder.
            test_path: The test file, one of ``files`` or hidden.
            limits: Of time and memory.
            code_path: The file that is compiled before anything runs; see ``TestRun.syntax``.
            hidden: The test file, where it must not lie on the disk.

        Raises:
            SandboxError: Nothing could be run; the code is not to blame.
        """
