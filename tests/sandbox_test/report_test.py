"""harness/sandbox/report.py: what a run reported."""

import pytest

from harness.sandbox.report import clean


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
