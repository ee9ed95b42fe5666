"""A service that no longer answers ends the recording, and is told once."""

from types import SimpleNamespace

import pytest
from rows import a_row, an_infra_row

from harness.plugin.breaker import Breaker


def reports(*outcomes: str) -> list[SimpleNamespace]:
    """The reports of trials with these outcomes, of pairs named by what stands before a dot."""
    found = []
    for each in outcomes:
        pair, _, outcome = each.partition(".")
        made = a_row if outcome == "solved" else an_infra_row
        payload = {"record": {**made(), "pair": pair, "outcome": outcome, "detail": "away"}}
        found.append(SimpleNamespace(harness=payload, outcome="failed", longrepr="away"))
    return found


@pytest.mark.parametrize(
    ("outcomes", "stops"),
    [
        (["a.api_error"] * 3, True),
        (["a.api_error", "b.solved", "a.api_error", "b.solved", "a.api_error"], True),
        (["a.api_error", "a.api_error", "a.solved", "a.api_error"], False),
        (["a.stale_cassette"] * 4, False),
        (["a.api_error", "b.api_error", "c.api_error"], False),
    ],
)
def test_in_a_row_means_of_one_pair(outcomes, stops):
    """Others' trials stand between; one that comes through begins the count anew; with workers too."""
    workers = SimpleNamespace(shouldstop=False)
    config = SimpleNamespace(
        getoption=lambda _: False,
        pluginmanager=SimpleNamespace(get_plugin={"dsession": workers}.get),
    )
    plugin = Breaker(config, list)
    for report in reports(*outcomes):
        plugin.pytest_runtest_logreport(report)
    assert bool(workers.shouldstop) is stops
