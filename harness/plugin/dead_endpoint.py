"""Stop a recording whose services no longer answer, and say an error that comes again only once."""

from __future__ import annotations

from typing import Any

import pytest

STOP_AFTER = 3  # trials of one pair in a row


class DeadEndpoint:
    """A pytest plugin, registered in the process that controls a run that may record."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager
        self._keep_going = bool(config.getoption("harness_keep_going"))
        self._in_a_row: dict[str, list[str]] = {}  # pair -> why its last trials could not reach a service

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the trials that a service ended; stop where nothing else happens."""
        payload = getattr(report, "harness", None)
        if payload is None or str(report.outcome) == "rerun":
            return
        row = payload["record"]
        if row["outcome"] != "api_error":
            self._in_a_row.pop(row["pair"], None)
            return
        before = self._in_a_row.setdefault(row["pair"], [])
        if row["detail"] in before:
            vars(report)["longrepr"] = "the same error as in the trial of this pair before"
        before.append(row["detail"])
        if len(before) >= STOP_AFTER and not self._keep_going:
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
