"""What a run reported, read with suspicion: the code under test could write to the same pipe."""

from __future__ import annotations

import functools
import json
import re
import signal
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import SandboxError
from harness.sandbox import Status, Test, TestRun
from harness.text import well_formed

OUTCOMES = frozenset({"passed", "failed", "error", "skipped", "xfailed", "xpassed"})
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
        late: Whether its time ran out.
    """

    report: str
    code: int | None
    late: bool


def judged(ended: Ended, nonce: str, folder: str) -> TestRun:
    """The run that a report tells of; ``folder`` is where the files stood, and is cut out of the texts.

    Raises:
        SandboxError: Nothing could be run.
    """
    told = _told(ended.report, nonce)
    if told.cannot:
        raise SandboxError(f"the sandbox cannot run: {told.cannot[:300]}")
    tests = tuple(Test(clean(t.name, folder), t.outcome, clean(t.text, folder)) for t in told.tests)
    if ended.late:
        return TestRun("timeout", tests, "the tests did not end in time", told.collected)
    if told.exit is None or ended.code != 0:
        return _without_end(ended, tests, told.collected)
    status = _status(tests, told)
    detail = ""
    if status == "crashed":
        detail = f"pytest ended with code {told.exit} before its tests were done"
        if told.exit in (0, 5) and not told.tripped:
            detail = "the code changed how its tests are judged"
    return TestRun(status, tests, detail, told.collected)


def _without_end(ended: Ended, tests: tuple[Test, ...], collected: int) -> TestRun:
    if ended.code == -signal.SIGXCPU:
        return TestRun("timeout", tests, "the tests used up their CPU time", collected)
    code = ended.code or 0
    how = f"signal {-code}" if code < 0 else f"status {code}"
    return TestRun("crashed", tests, f"the test process ended with {how} before it reported", collected)


@dataclass(frozen=True)
class _Told:
    """A report as far as it is whole. ``exit`` is None if it has no end, or a line is not the runner's."""

    collected: int = 0
    tests: tuple[Test, ...] = ()
    exit: int | None = None
    tripped: bool = False
    cannot: str = ""


def _told(report: str, nonce: str) -> _Told:
    collected, exit_code, tripped = 0, None, False
    tests: dict[str, Test] = {}
    try:
        for kind, *values in _lines(report, nonce):
            if exit_code is not None or (kind == "test" and values[0] in tests):
                raise ValueError("told twice, or after the end")
            if kind == "cannot":
                return _Told(cannot=str(values[0]))
            if kind == "collected":
                collected = int(values[0])
            elif kind == "test" and values[1] in OUTCOMES:
                name, outcome, text = values
                tests[name] = Test(well_formed(str(name)), outcome, well_formed(str(text)))
            elif kind == "end":
                exit_code, tripped = int(values[0]), values[1] is True
            else:
                raise ValueError(kind)
    except (ValueError, TypeError, LookupError, RecursionError):
        return _Told(collected, tuple(tests.values()))
    return _Told(collected, tuple(tests.values()), exit_code, tripped)


def _lines(report: str, nonce: str) -> Iterator[list[Any]]:
    *whole, _cut = report.split("\n")
    for line in whole:
        if not line.startswith(nonce):
            raise ValueError("not the runner's line")
        yield json.loads(line.removeprefix(nonce))


def _status(tests: tuple[Test, ...], told: _Told) -> Status:
    bad = [test for test in tests if test.outcome in ("failed", "error", "xpassed")]
    if any(test.text.startswith("MemoryError") for test in bad):
        return "memory"
    if bad:
        return "failed"
    if told.exit not in (0, 5) or told.collected > len(tests) or (told.collected and not told.tripped):
        return "crashed"
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
