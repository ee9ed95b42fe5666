"""A pytest-driven evaluation harness for coding agents made of two models.

A Letta agent orchestrates; Claude, behind two tools, writes the code and the tests. Importing this
package has no side effect and imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.notebook import evaluate
    from harness.results.dataframe import Table
else:

    def __getattr__(name: str) -> object:
        """Return ``evaluate``, which imports nearly all of the package, when it is first asked for."""
        if name != "evaluate":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from harness.notebook import evaluate

        return evaluate


__all__ = ["__version__", "evaluate", "load"]
__version__ = "0.1.0"


def load(
    run: str | Path = "latest", reports: str | Path = "reports", benchmarks: str | Path = "benchmarks"
) -> Table:
    """Return the trials of a run as a pandas table, with what each of them cost.

    Args:
        run: A folder or its ``trials.jsonl``, or the name of a folder in ``reports``.
        reports: The folder of all runs.
        benchmarks: Where ``prices.yaml`` is, if there is one.

    Returns:
        One row for each trial. Its columns are described in ``harness/schemas/record.schema.json``; in
        addition ``orchestrator_cost``, ``coder_cost``, ``tester_cost`` and ``cost``, their sum: US dollars at
        the prices of the day of recording, missing where a price or the tokens are unknown.

    Raises:
        HarnessError: There is no such run, a line of it is no record, or the price file is wrong.
    """
    from harness.results import aggregate
    from harness.results.dataframe import load as load_records
    from harness.results.report import load_prices

    folder = Path(benchmarks)
    prices = load_prices(folder)
    return aggregate.add_costs(load_records(run, reports), prices)
