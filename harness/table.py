"""Records into the pair table, with pandas, which is imported here only.

Rates have the measured trials in their denominator; infra errors stand beside them, never in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.pricing import Prices
from harness.stats import pass_at_k, pass_hat_k
from harness.transcript import ROLES
from harness.verdict import MODEL_OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("input", "cache_write", "cache_read", "output")
SUMS = ("attempts", "repairs", "tool_calls", "tool_errors", "transport_retries")
GRADES = ("bugs_caught", "bugs_accepted", "bugs_total", "mutants_caught", "mutants_total")
NAMES = ("orchestrator", "coder", "tester", "flow", "tools", "backend")


def frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with nullable integers, sorted by trial."""
    import pandas as pd

    table = pd.DataFrame.from_records(list(rows))
    if table.empty:
        return table
    numbers = [c for c in (*SUMS, "solved_at", "steps", "generated_tests", *GRADES) if c in table]
    numbers += [f"{role}_{kind}" for role in ROLES for kind in KINDS]
    truths = [c for c in ("generated_passed", "tests_valid") if c in table]
    table = table.astype(dict.fromkeys(numbers, "Int64") | dict.fromkeys(truths, "boolean"))
    return table.sort_values(["pair", "task", "epoch"], ignore_index=True)


def by_pair(trials: pd.DataFrame, prices: Prices, on: date | None = None) -> pd.DataFrame:
    """One row for each pair.

    Args:
        trials: From ``frame``.
        prices: Where prices come from.
        on: The day whose prices count. Default: the day on which each trial was recorded.

    Returns:
        Columns: ``pair``, the pair's models, ``trials`` (measured), ``infra_errors``, counts and percentages
        of solved trials, ``pass_at_k_pct`` and ``pass_hat_k_pct`` for ``k`` epochs, sums over trials,
        ``<role>_<kind>`` tokens, ``<role>_cost``, ``cost`` and ``cost_per_solved`` in US dollars; a cost is
        missing where a price is unknown.
    """
    import pandas as pd

    if trials.empty:
        return pd.DataFrame()
    priced = trials.assign(**{f"{role}_cost": _costs(trials, role, prices, on) for role in ROLES})
    rows = [_pair_row(str(name), group) for name, group in priced.groupby("pair", sort=True)]
    return pd.DataFrame(rows)


def _pair_row(name: str, group: pd.DataFrame) -> dict[str, Any]:
    measured = group[group["outcome"].isin(MODEL_OUTCOMES)]
    count = len(measured)
    solved = int((measured["outcome"] == "solved").sum())
    at_once = int((measured["solved_at"] == 1).sum())
    passed = int(measured["generated_passed"].sum())
    row: dict[str, Any] = {"pair": name}
    row.update({column: str(group[column].iloc[0]) for column in NAMES})
    row.update(
        trials=count,
        infra_errors=len(group) - count,
        solved=solved,
        solved_pct=_percent(solved, count),
        solved_at_1=at_once,
        solved_at_1_pct=_percent(at_once, count),
        generated_passed=passed,
        generated_passed_pct=_percent(passed, count),
    )
    row.update(_over_epochs(measured))
    row.update({column: int(measured[column].sum()) for column in SUMS})
    for role in ROLES:
        row.update({f"{role}_{kind}": int(measured[f"{role}_{kind}"].sum()) for kind in KINDS})
    for role in ROLES:
        row[f"{role}_cost"] = _total(measured[f"{role}_cost"])
    costs = [row[f"{role}_cost"] for role in ROLES]
    row["cost"] = None if None in costs else sum(costs)
    row["cost_per_solved"] = row["cost"] / solved if solved and row["cost"] is not None else None
    return row


def _over_epochs(measured: pd.DataFrame) -> dict[str, Any]:
    """pass@k and pass^k, the means over tasks, for as many epochs as every task has; None below two."""
    solved = (measured["outcome"] == "solved").groupby(measured["task"])
    counts = list(zip(solved.size(), solved.sum(), strict=True))
    k = min((int(n) for n, _ in counts), default=0)
    row: dict[str, Any] = {"k": k, "pass_at_k_pct": None, "pass_hat_k_pct": None}
    if k > 1:
        for name, estimate in (("pass_at_k_pct", pass_at_k), ("pass_hat_k_pct", pass_hat_k)):
            row[name] = round(100 * fmean(estimate(int(n), int(c), k) for n, c in counts), 1)
    return row


def by_tester(trials: pd.DataFrame) -> pd.DataFrame:
    """One row for each tester model, over all trials in which it wrote a test file.

    Args:
        trials: From ``frame``.

    Returns:
        Columns: ``tester``, ``test_files``, ``generated_passed_pct`` (test files that pass on the code they
        were written for), ``tests_valid``, ``false_alarm_pct`` (test files that reject the
        reference), ``false_pass_pct`` (known bugs that test files accept), and the sums of ``GRADES``.
    """
    import pandas as pd

    graded = trials[trials["tests_valid"].notna()] if "tests_valid" in trials else trials.head(0)
    rows = []
    for name, group in graded.groupby("tester", sort=True) if len(graded) else ():
        sums = {column: int(group[column].sum()) for column in GRADES}
        passed = int(group["generated_passed"].sum())
        valid = int(group["tests_valid"].sum())
        rows.append(
            {
                "tester": str(name),
                "test_files": len(group),
                "generated_passed_pct": _percent(passed, len(group)),
                "tests_valid": valid,
                "false_alarm_pct": _percent(len(group) - valid, len(group)),
                "false_pass_pct": _percent(sums["bugs_accepted"], sums["bugs_total"]),
                **sums,
            }
        )
    return pd.DataFrame(rows)


def _costs(trials: pd.DataFrame, role: str, prices: Prices, on: date | None) -> pd.Series[float]:
    """Dollars for each trial; missing where tokens or the price are. No tokens cost nothing."""
    import pandas as pd

    tokens = trials[[f"{role}_{kind}" for kind in KINDS]].astype("Float64")
    asked = pd.DataFrame({"model": trials[role], "day": on.isoformat() if on else trials["recorded_at"]})
    known = {
        (model, day): prices.of(model, date.fromisoformat(day[:10]))
        for model, day in asked.dropna().drop_duplicates().itertuples(index=False, name=None)
    }
    rates = [known.get(key) for key in asked.itertuples(index=False, name=None)]
    dollars = pd.Series(0.0, index=trials.index, dtype="Float64")
    for kind in KINDS:
        each = [None if rate is None else getattr(rate, kind) for rate in rates]
        dollars += tokens[f"{role}_{kind}"] * pd.Series(each, index=trials.index, dtype="Float64") / 1_000_000
    return dollars.mask((tokens.sum(axis=1) == 0) & tokens.notna().all(axis=1), 0.0)


def _total(costs: pd.Series[Any]) -> float | None:
    """The sum, or None if one of them is unknown."""
    return None if costs.isna().any() or costs.empty else float(costs.sum())


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def to_csv(table: pd.DataFrame) -> str:
    """CSV with plain figures."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dictionaries, unknown figures as None."""
    import pandas as pd

    return [
        {str(key): value if pd.notna(value) else None for key, value in row.items()}
        for row in table.to_dict("records")
    ]
