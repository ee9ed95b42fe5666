"""harness/sandbox/run_report.py: what a run reported."""

import json

import pytest

from harness.errors import SandboxError
from harness.sandbox import Test
from harness.sandbox.run_report import Ended, clean, judged

NONCE = "n0nce"
READY = ["ready", ""]
GOOD = (READY, ["collected", 1], ["test", "t", "passed", ""], ["end", 0, True])


def told(*lines, code=0, late=False, tail=""):
    """The run that these lines report."""
    report = "".join(f"{NONCE}{json.dumps(line)}\n" for line in lines) + tail
    return judged(Ended(report, code, late), NONCE, "/box/work")


def test_a_whole_report_is_believed():
    """Every collected test told, the end told, the tripwire tripped, the process ended well."""
    run = told(*GOOD)
    assert (run.status, run.tests, run.collected) == ("passed", (Test("t", "passed"),), 1)


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        (GOOD[:3], {}),
        (GOOD, {"code": 1}),
        (GOOD, {"code": -9}),
        ((READY, ["collected", 2], *GOOD[2:]), {}),
        ((*GOOD[:3], ["end", 3, True]), {}),
        ((), {}),
    ],
)
def test_a_report_without_its_end_is_a_crash(lines, options):
    """Something is missing: the end, a test, or the process ended otherwise."""
    assert told(*lines, **options).status == "crashed"


@pytest.mark.parametrize(
    ("lines", "tail"),
    [
        ((*GOOD, ["test", "u", "passed", ""]), ""),
        ((*GOOD, ["end", 0, True]), ""),
        ((*GOOD[:3], GOOD[2], GOOD[3]), ""),
        ((*GOOD[:2], *GOOD[1:]), ""),
        ((*GOOD[:3], ["end", 0, False]), ""),
        ((*GOOD[:3], ["end", -1, True]), ""),
        ((*GOOD[:3], ["end", 10**400, True]), ""),
        ((READY, ["collected", -1], *GOOD[2:]), ""),
        ((READY, ["collected", 10**19], *GOOD[2:]), ""),
        ((READY, GOOD[1], ["test", "t", "great", ""], GOOD[3]), ""),
        ((READY, GOOD[1], ["test", "t"], GOOD[3]), ""),
        ((READY, READY, *GOOD[1:]), ""),
        (GOOD[1:], ""),
        ((["nonsense"],), ""),
        (([],), ""),
        (GOOD, "junk\n"),
        (GOOD[:1], f"{NONCE}not json\n"),
        (GOOD[:1], f'{NONCE}["collected", NaN]\n'),
    ],
)
def test_what_the_runner_cannot_have_written_is_forged(lines, tail):
    """Told twice, out of order, after the end, out of range, or behind no nonce; or nothing could fail."""
    assert told(*lines, tail=tail).status == "forged"


def test_what_passed_before_a_run_was_ended_is_kept():
    """A line that was cut off is left out, and counts for nothing."""
    run = told(*GOOD[:3], tail=f'{NONCE}["test", "u", "pas', code=None, late=True)
    assert (run.status, [test.name for test in run.tests], run.collected) == ("timeout", ["t"], 1)


def test_only_the_runner_can_blame_the_machine():
    """Before the code had its turn its words are an error; later, or without its nonce, the code's."""
    with pytest.raises(SandboxError, match="the disk is full"):
        told(["cannot", "the disk is full"])
    assert told(READY, ["cannot", "the disk is full"]).status == "forged"
    assert told(tail="the disk is full\n", code=1).status == "forged"


def test_a_death_during_compilation_is_told_as_such():
    """Before the code had its turn only its text can have killed the process."""
    assert told(code=-11).detail == "the test process ended with signal 11 while the code was compiled"
    assert told(READY, code=-11).detail == "the test process ended with signal 11 before it reported"


def test_why_the_code_does_not_compile_is_kept():
    """The first line says so."""
    assert told(["ready", "add.py:1: invalid syntax"], ["end", 0, False]).syntax == "add.py:1: invalid syntax"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("/t/box/a.py:3", "a.py:3"),
        ("in /t/box", "in ."),
        ("<add.A object at 0x7f0123456789>", "<add.A object at 0x...>"),
        ("1 failed in 0.12s", "1 failed in N.NNs"),
        ("nothing to clean", "nothing to clean"),
        ("assert '0xbeef' == '0xbeee'", "assert '0xbeef' == '0xbeee'"),
        ("assert hex(n) == '0x7f0123'", "assert hex(n) == '0x7f0123'"),
    ],
)
def test_cleaning_takes_away_what_differs_and_keeps_what_is_compared(text, cleaned):
    """Paths, addresses and durations go; a value that a test compares stays readable."""
    assert clean(text, "/t/box") == cleaned
