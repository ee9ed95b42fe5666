"""Export a run as one table: a row for each trial, the columns of ``harness.load``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UsageError
from harness.files import write_whole
from harness.results.dataframe import Table


def write_csv(trials: Table, path: Path) -> None:
    """Write plain figures; what is unknown is an empty cell."""
    write_whole(path, str(trials.to_csv(index=False, lineterminator="\n")))


def write_parquet(trials: Table, path: Path) -> None:
    """Write a Parquet file in which each column keeps its type.

    Raises:
        UsageError: pyarrow, which writes it, is not installed.
    """
    if find_spec("pyarrow") is None:
        remedy = "pip install 'pair-harness[parquet]', or --format csv"
        raise UsageError("pyarrow is not installed", remedy=remedy)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        trials.to_parquet(fresh, engine="pyarrow", index=False)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
