"""harness/sandbox/report.py: what a run reported."""

import json

import pytest

from harness.errors import SandboxError
from harness.sandbox import Test
from harness.sandbox.report import Ended, clean, judged

NONCE = "n0nce"
GOOD = (["collected", 1], ["test", "t", "passed", ""], ["end", 0, True])


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
        (GOOD[:2], {}),
        (GOOD, {"code": 1}),
        (GOOD, {"code": -9}),
        ((*GOOD, ["test", "u", "passed", ""]), {}),
        ((*GOOD, ["end", 0, True]), {}),
        ((GOOD[0], GOOD[1], GOOD[1], GOOD[2]), {}),
        ((["collected", 2], *GOOD[1:]), {}),
        ((*GOOD[:2], ["end", 0, False]), {}),
        ((*GOOD[:2], ["end", 3, True]), {}),
        ((GOOD[0], ["test", "t", "great", ""], GOOD[2]), {}),
        ((GOOD[0], ["test", "t"], GOOD[2]), {}),
        ((["nonsense"],), {}),
        (([],), {}),
        (GOOD, {"tail": "junk\n"}),
        ((), {"tail": f"{NONCE}not json\n"}),
        ((), {}),
    ],
)
def test_any_other_report_is_a_crash(lines, options):
    """Something is missing, told twice, told after the end, or not the runner's."""
    assert told(*lines, **options).status == "crashed"


def test_what_passed_before_a_run_was_ended_is_kept():
    """A line that was cut off is left out, and counts for nothing."""
    run = told(*GOOD[:2], tail=f'{NONCE}["test", "u", "pas', code=None, late=True)
    assert (run.status, [test.name for test in run.tests], run.collected) == ("timeout", ["t"], 1)


def test_only_the_runner_can_blame_the_machine():
    """Its own words make an error; the same words without its nonce are the code's."""
    with pytest.raises(SandboxError, match="the disk is full"):
        told(["cannot", "the disk is full"])
    assert told(tail="the disk is full", code=1).status == "crashed"


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
