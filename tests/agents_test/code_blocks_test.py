"""harness/agents/code_blocks.py: answers that would kill whoever parses them."""

import resource

import pytest

from harness.agents.code_blocks import extract_code

BOMBS = {"clauses": "[x " + "for()in()" * 54_000 + "]", "names": "import " + ".".join("a" * 60_000)}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_for_the_parser_is_taken_as_it_is(name):
    """It is the model's code, and the sandbox judges it; this process neither dies nor swells."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert extract_code(f"```python\n{BOMBS[name]}\n```\n", "add.py").strip() == BOMBS[name]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
