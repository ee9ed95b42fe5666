"""Stop a recording whose services no longer answer, and say an error that comes again only once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.plugin.reporting import payload_of

STOP_AFTER = 3  # trials of one pair in a row


class Breaker:
    """A pytest plugin, registered in the process that controls a run that may record.

    Args:
        config: Of this process.
        given_up: Returns the services that failed too often, each with the reason, as the limiter saw it.
    """

    def __init__(self, config: pytest.Config, given_up: Callable[[], list[str]]) -> None:
        self._plugins = config.pluginmanager
        self._keep_going = bool(config.getoption("harness_keep_going"))
        self._given_up = given_up
        self._in_a_row: dict[str, list[str]] = {}  # pair -> why its last trials could not reach a service
        self._told: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the trials that a service ended; stop where nothing else happens."""
        payload = payload_of(report)
        if payload is None:
            return
        row = payload["record"]
        if row["outcome"] != "api_error":
            self._in_a_row.pop(row["pair"], None)
            return
        detail = row["detail"].partition(" (transport retries")[0]
        if detail in self._told:
            vars(report)["longrepr"] = "the same error as in a trial before"
        self._told.add(detail)
        if self._keep_going:
            return
        before = self._in_a_row.setdefault(row["pair"], [])
        before.append(row["detail"])
        if given_up := self._given_up():
            self._stop(f"stopping: {given_up[0]} (--keep-going goes on)")
        elif len(before) >= STOP_AFTER:
            self._stop(
                f"stopping: {len(before)} trials in a row of the pair {row['pair']} ended with an API error, "
                "the last named above (--keep-going goes on)"
            )

    def _stop(self, reason: str) -> None:
        """End the run as --maxfail does, with workers or without."""
        workers: Any = self._plugins.get_plugin("dsession")
        if workers is not None:
            workers.shouldstop = workers.shouldstop or reason
        else:
            session: Any = self._plugins.get_plugin("session")
            session.shouldfail = session.shouldfail or reason
