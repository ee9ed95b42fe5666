"""Write the tables and the page of a run into its folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from harness.files import write_whole
from harness.results import aggregate, render
from harness.results.dataframe import Table
from harness.results.pricing import Prices
from harness.results.run_folder import load_conversation
from harness.results.tables import Tables
from harness.tasks import loader

PAGE = "report.html"


def write_report(folder: Path, trials: Table, tables: Tables) -> None:
    """Write all that a run's folder holds besides its records and transcripts, which must be there.

    Raises:
        OSError: It cannot be written.
        UsageError: A transcript is damaged.
    """
    from harness.results.page.compose import page

    write_whole(folder / "pairs.csv", aggregate.to_csv(tables.pairs))
    write_whole(folder / "testers.csv", aggregate.to_csv(tables.testers))
    write_whole(folder / "pairs.md", render.markdown(tables))
    write_whole(folder / "tables.json", json.dumps(asdict(tables), ensure_ascii=False, indent=1) + "\n")
    rows = aggregate.rows_of(trials)
    whole, apart = page(f"Run {folder.name}", tables, rows, lambda row: load_conversation(folder, row))
    for name, html in {PAGE: whole, **apart}.items():
        write_whole(folder / name, html)


def load_prices(benchmarks: Path, shown: str) -> Prices:
    """Return the library's prices and the user's own.

    Raises:
        SpecError: The price file is wrong.
    """
    return Prices(loader.load_prices(benchmarks / loader.PRICES_FILE, shown))
