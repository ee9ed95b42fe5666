"""harness/agents/answer_words.py: sentences and headings before a block."""

import pytest

from harness.agents.answer_words import said_of

ASIDE = """\
What not to do
Your original function:
### Before (buggy)
Note: the following is incorrect:
This version would not work:
### Approach B: recursion
Another option is to use a loop:
(do not use this)
An extended version that takes any number of arguments:
You could also write it like this:
Here is what I had first:
Here's the version without the fix:
Or, with a lambda:
A tempting but wrong version:
A better way, should you need floats:
"""
MEND = """\
Fixed version of the original code:
Use this instead of the old version:
Instead of the naive approach, use a dictionary:
Sorry, that was wrong. It should be:
I made a mistake in `add`. Here is the right one:
There's a bug in `add`; it needs to be:
Replace the old `add` with this one:
Wait, that's incorrect. Let me fix it:
"""
NEITHER = """\
Another function, for subtraction:
It raises ValueError for bad values:
The function that returns the previous month:
Now combine the previous functions:
Add this to the existing code:
### Original price
### Usage statistics
### Memory usage
### `or_`
Step 2: the second half of the problem:
Tests for the case that the input was wrong:
"""


@pytest.mark.parametrize(("lines", "expected"), [(ASIDE, "aside"), (MEND, "mend"), (NEITHER, "")])
def test_a_line_says_whether_its_block_is_meant(lines, expected):
    """Old, wrong, another choice or an example; a mend; or nothing of the kind."""
    assert [line for line in lines.splitlines() if said_of(line) != expected] == []


def test_what_is_nearest_to_the_block_counts():
    """A comment in it before the line above it, and that before the heading."""
    assert said_of("", "Corrected:", "### The original code") == "mend"
    assert said_of("# old version", "Here it is:", "### Fixed") == "aside"
