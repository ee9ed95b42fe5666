"""What pytest's reports carry of a trial."""

from rows import a_row, an_infra_row

from harness.plugin.reporting import junit_properties
from harness.results.pricing import Prices
from harness.tasks.loader import Price


def test_the_properties_of_a_trial():
    """Tokens by role and dollars, for JUnit; an unknown price is unknown, an infra error has no figures."""
    prices = Prices({"code": Price(input=2, cache_write=4, cache_read=1, output=10)})
    row = a_row(coder_input=500_000, coder_cache_read=1_000_000, coder_output=100_000)
    found = dict(junit_properties(row, prices))
    assert (found["outcome"], found["coder_tokens_in"], found["coder_tokens_out"]) == (
        "solved",
        1_500_000,
        100_000,
    )
    assert found["cost_usd"] == "3.000000"
    assert (
        dict(junit_properties(a_row(orchestrator_input=1, orchestrator="no-such"), prices))["cost_usd"]
        == "unknown"
    )
    assert dict(junit_properties(an_infra_row(), prices)) == {"outcome": "stale_cassette"}
