"""Load records as a pandas table with one dtype for each column; ``harness.load`` for notebooks.

pandas is imported here and in ``aggregate.py`` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args, get_type_hints

from harness.errors import UsageError
from harness.results.columns import TOKENS
from harness.results.record import REQUESTS, Record, read_rows
from harness.results.run_folder import find_run
from harness.tasks.task import Difficulty

if TYPE_CHECKING:
    import pandas as pd

Table: TypeAlias = "pd.DataFrame"
TEXTS = (
    "trial",
    "conversation",
    "final_answer",
    "requests",
    "task_digest",
    "tags",
    "detail",
    "recorded_at",
    "letta_version",
)
DTYPES = {bool: "boolean", int: "Int64", float: "Float64"}
CHUNK = 5_000


def frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return rows of records as a table, sorted by pair, task and epoch.

    A trial that stands there twice counts once, as it was last. Columns that no row has are missing values.

    Returns:
        Columns as in ``record.row_schema()``: names and outcomes as categories, counts as nullable integers
        (``Int64``), truths as ``boolean``, fractions and seconds as ``Float64``, the rest as text.

    Raises:
        TypeError, ValueError: A value is not of its column's type.
    """
    import pandas as pd

    remaining, chunks = iter(rows), []
    while chunk := list(islice(remaining, CHUNK)):
        chunks.append(_with_dtypes(pd.DataFrame.from_records(chunk)))
    if not chunks:
        return _with_dtypes(pd.DataFrame())
    table = _concatenate(chunks).drop_duplicates("trial", keep="last")
    if not table["requests"].dropna().str.fullmatch(REQUESTS).all():
        raise ValueError("requests: expected `role:N:input,cache_write,cache_read,output,cache_write_1h `")
    return table.sort_values(["pair", "task", "epoch"], ignore_index=True)


def load(run: str | Path = "latest", reports: str | Path = "reports") -> pd.DataFrame:
    """Return the records of a run as a table; see ``frame`` for its columns.

    A run is a folder or its ``trials.jsonl``, or the name of a folder in ``reports``.

    Raises:
        UsageError: There is no such run, or it holds what is no record.
    """
    return read(find_run(run, reports))


def read(path: Path, broken: list[str] | None = None) -> pd.DataFrame:
    """Return the records of a ``trials.jsonl`` as a table; ``broken`` is that of ``record.read_rows``.

    Raises:
        UsageError: It cannot be read, or a line of it is no record.
    """
    try:
        return frame(read_rows(path, broken))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a file of records: {error}") from None


def _with_dtypes(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with all columns of a record's row, each with its dtype."""
    import pandas as pd

    kinds: dict[str, Any] = {}
    for name, hint in get_type_hints(Record).items():
        options = get_args(hint) or (hint,)
        kinds[name] = next((dtype for kind, dtype in DTYPES.items() if kind in options), "category")
    del kinds["tokens"], kinds["recorded"]
    kinds["difficulty"] = pd.CategoricalDtype(list(get_args(Difficulty)), ordered=True)
    kinds |= dict.fromkeys(TOKENS, "Int64") | dict.fromkeys(TEXTS, "string")
    kinds |= dict.fromkeys(("recorded_wall_s", "notional_cost_usd"), "Float64")
    return table.reindex(columns=list(kinds)).astype(kinds)


def _concatenate(chunks: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the chunks below each other, categories united. Empties the chunks, to save memory."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    columns: dict[str, Any] = {}
    for name in list(chunks[0].columns):
        parts = [chunk.pop(name) for chunk in chunks]
        if parts[0].dtype == "category":
            columns[name] = union_categoricals(parts, sort_categories=not parts[0].cat.ordered)
        else:
            columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)
