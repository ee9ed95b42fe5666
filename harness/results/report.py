"""Write the tables and the page of a run into its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.agents.transcript import Spent
from harness.files import write_whole
from harness.results import aggregate, render
from harness.results.aside import begun
from harness.results.dataframe import Table
from harness.results.pricing import Prices
from harness.results.run_folder import load_conversation, load_texts
from harness.results.run_state import incomplete
from harness.results.tables import Tables
from harness.tasks import loader

if TYPE_CHECKING:
    from harness.results.page.compose import Views

PAGE = "report.html"


def write_report(
    folder: Path, trials: Table, tables: Tables, prices: Prices | None = None, on: date | None = None
) -> None:
    """Write all that a run's folder holds besides its records and transcripts, which must be there.

    With ``prices``, the page has the cost of each answer too, ``on`` a day or that of its recording.

    Raises:
        OSError: It cannot be written.
        UsageError: A transcript is damaged.
    """
    with views_of(folder, trials, prices, on) as views:
        write_with(views, folder, trials, tables)


def views_of(
    folder: Path, trials: Table, prices: Prices | None = None, on: date | None = None
) -> AbstractContextManager[Callable[[], Views]]:
    """Begin to make the page's views of trials, half of all the work; the block gets what waits for them."""

    def cost_of(row: Mapping[str, Any], spent: Spent) -> float | None:
        if on is None and not row["recorded_at"]:
            return None  # an error ended it, and nothing says when
        day = on or date.fromisoformat(str(row["recorded_at"])[:10])
        return prices.cost(spent.model, spent.usage, day, spent.steps) if prices else None

    def views() -> Views:
        from harness.results.page import compose

        sources = compose.Sources(partial(load_conversation, folder), partial(load_texts, folder), cost_of)
        return compose.views(aggregate.rows_of(trials), sources)

    return begun(views)


def write_with(views: Callable[[], Views], folder: Path, trials: Table, tables: Tables) -> None:
    """Do as ``write_report`` does, with views that were begun before."""
    from harness.results.page.compose import page

    write_whole(folder / "pairs.csv", aggregate.to_csv(tables.pairs))
    write_whole(folder / "testers.csv", aggregate.to_csv(tables.testers))
    write_whole(folder / "pairs.md", render.markdown(tables))
    write_whole(folder / "tables.json", json.dumps(asdict(tables), ensure_ascii=False, indent=1) + "\n")
    rows = aggregate.rows_of(trials)
    missing = incomplete(folder, len(rows)).strip()
    write_whole(folder / PAGE, page(f"Run {folder.name}", tables, rows, views(), missing))


def load_prices(benchmarks: Path, shown: str = "") -> Prices:
    """Return the library's prices and the user's own; ``shown`` names their file in messages.

    Raises:
        SpecError: The price file is wrong.
    """
    path = benchmarks / loader.PRICES_FILE
    return Prices(loader.load_prices(path, shown or str(path)))
