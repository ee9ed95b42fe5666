"""harness/cassette/audit/usage.py: tokens of recorded answers."""

from shelves import TALK, exchange

from harness.agents.transcript import Usage
from harness.cassette.audit.usage import usage


def test_usage_of_both_services():
    """Cached tokens are counted once, whichever way a service counts them; the CLI's are in its result."""
    assert usage(TALK[0]) == Usage(20, 0, 7, 30)
    letta = exchange({}, {"usage": {"prompt_tokens": 100, "cached_input_tokens": 40}})
    assert usage(letta) == Usage(60, 0, 40, 0)
    cli = exchange({}, {"result": {"usage": {"input_tokens": 5, "output_tokens": 6}}})
    assert usage(cli) == Usage(input=5, output=6)
    assert sum(map(usage, TALK), Usage()) == Usage(40, 0, 14, 60)


def test_what_reports_no_tokens_used_none():
    """A cassette is what anybody wrote: numbers that are none are no error."""
    assert usage(exchange({}, {"usage": {"input_tokens": "many", "output_tokens": True}})) == Usage()
    assert usage(exchange({}, {"usage": {"prompt_tokens": "many"}})) == Usage()
    assert usage(exchange({}, b"text")) == Usage()
