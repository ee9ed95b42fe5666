"""What a run reported, read with suspicion: the code under test could write to the same pipe."""

from __future__ import annotations

import functools
import json
import re
import signal
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import SandboxError
from harness.sandbox import Status, Test, TestRun
from harness.text import well_formed

OUTCOMES = frozenset({"passed", "failed", "error", "skipped", "xfailed", "xpassed"})
MAX_COUNT, MAX_EXIT = 1_000_000, 255
CLEAN = (
    (re.compile(r"\bat 0x[0-9a-fA-F]+"), "at 0x..."),
    (re.compile(r"\btmp[a-z0-9_]{8}\b"), "tmp..."),
    (re.compile(r"\b\d+\.\d+s\b"), "N.NNs"),
)


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        report: Its lines, each behind the nonce of the run.
        code: Exit code, negative for a signal; None if it was ended.
        late: Its time ran out.
        tripwire: A test was added that must fail.
    """

    report: str
    code: int | None
    late: bool
    tripwire: bool = True


def judged(ended: Ended, nonce: str, folder: str) -> TestRun:
    """Return the run that a report tells of; ``folder``, where the files stood, is cut out of the texts.

    Raises:
        SandboxError: Nothing could be run, said before any code of a model had its turn.
    """
    report = _read(ended.report, nonce)
    if report.cannot:
        raise SandboxError(f"the sandbox cannot run: {report.cannot[:300]}")
    tests = tuple(Test(clean(t.name, folder), t.outcome, clean(t.text, folder)) for t in report.tests)
    run = functools.partial(TestRun, tests=tests, collected=report.collected, syntax=report.syntax)
    if ended.late:
        return run("timeout", detail="the tests did not end in time")
    if report.forged:
        return run("forged", detail=report.forged)
    if report.exit is None or ended.code != 0:
        return _without_end(ended, run, started=report.started)
    status = _status(tests, report, tripwire=ended.tripwire)
    detail = ""
    if status == "crashed":
        detail = f"pytest ended with code {report.exit} before its tests were done"
    elif status == "forged":
        detail = "the code changed how its tests are judged"
    return run(status, detail=detail)


def _without_end(ended: Ended, run: Callable[..., TestRun], *, started: bool) -> TestRun:
    if ended.code == -signal.SIGXCPU:
        return run("timeout", detail="the tests used up their CPU time")
    code = ended.code or 0
    how = f"signal {-code}" if code < 0 else f"status {code}"
    when = "before it reported" if started else "while the code was compiled"
    return run("crashed", detail=f"the test process ended with {how} {when}")


@dataclass
class _Report:
    """A report as far as it is whole.

    Attributes:
        started: The code had its turn.
        exit: How pytest ended; None if the report has no end.
        forged: Why a line cannot be the runner's.
    """

    cannot: str = ""
    started: bool = False
    syntax: str = ""
    collected: int = 0
    tests: tuple[Test, ...] = ()
    exit: int | None = None
    tripped: bool = False
    forged: str = ""


def _read(report: str, nonce: str) -> _Report:
    """Read a report, up to the first line that the runner cannot have written."""
    read = _Report()
    tests: dict[str, Test] = {}
    collected: int | None = None
    try:
        for number, (kind, *values) in enumerate(_lines(report, nonce)):
            if kind == "cannot" and number == 0:
                return _Report(cannot=str(values[0]))
            if (kind == "ready") != (number == 0) or read.exit is not None:
                raise ValueError("out of order")
            if kind == "ready":
                read.started, read.syntax = True, well_formed(str(values[0]))
            elif kind == "collected" and collected is None and 0 <= int(values[0]) <= MAX_COUNT:
                read.collected = collected = int(values[0])
            elif kind == "test" and values[1] in OUTCOMES and values[0] not in tests:
                name, outcome, text = values
                tests[name] = Test(well_formed(str(name)), outcome, well_formed(str(text)))
            elif kind == "end" and 0 <= int(values[0]) <= MAX_EXIT:
                read.exit, read.tripped = int(values[0]), values[1] is True
            else:
                raise ValueError(kind)
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
        read.exit, read.forged = None, "the code wrote into the report of its tests"
    read.tests = tuple(tests.values())
    return read


def _lines(report: str, nonce: str) -> Iterator[list[Any]]:
    *whole, _cut = report.split("\n")
    for line in whole:
        if not line.startswith(nonce):
            raise ValueError("not the runner's line")
        yield json.loads(line.removeprefix(nonce))


def _status(tests: tuple[Test, ...], report: _Report, *, tripwire: bool) -> Status:
    bad = [test for test in tests if test.outcome in ("failed", "error", "xpassed")]
    if any(test.text.startswith("MemoryError") for test in bad):
        return "memory"
    missing = report.collected > len(tests)
    if missing and report.exit not in (0, 5):  # whatever failed before: pytest was ended, or broke
        return "crashed"
    if bad:
        return "failed"
    if missing or report.exit not in (0, 5):
        return "crashed"
    if tripwire and report.collected and not report.tripped:
        return "forged"
    return "passed" if any(test.outcome == "passed" for test in tests) else "no_tests"


@functools.cache
def _library_folders() -> tuple[str, ...]:
    """Where this Python keeps its modules, longest first: they are named without it."""
    return tuple(sorted(set(sysconfig.get_paths().values()), key=len, reverse=True))


def clean(text: str, folder: str) -> str:
    """Test output without what differs from run to run: paths, addresses, durations."""
    text = text.replace(f"{folder}/", "").replace(folder, ".")
    for library in _library_folders():
        text = text.replace(f"{library}/", "")
    for pattern, instead in CLEAN:
        text = pattern.sub(instead, text)
    return text
