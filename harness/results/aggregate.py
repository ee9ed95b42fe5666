"""Summarise trials, one row for each pair, orchestrator, task, tag ..., all with the same columns.

Rates have the measured trials in their denominator; infra errors stand beside them, never in them.
"""

from __future__ import annotations

from datetime import date
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.agents.transcript import ROLES, Usage
from harness.results.columns import COSTS, GRADES, KINDS, SETTINGS, TOKENS, backend_of, mark_of
from harness.results.pricing import Prices, charge_role
from harness.results.record import requests_of
from harness.results.stats import pass_at_k, pass_hat_k, rate_interval
from harness.tasks.pair import ON_APP_SERVER

if TYPE_CHECKING:
    import pandas as pd

SUMS = ("attempts", "repairs", "tool_calls", "tool_errors", "transport_retries")
SOLVED = ("solved", "solved_at_1", "solved_after_repair")
OF_TESTS = ("generated_passed", "tests_valid", *GRADES)


def add_costs(trials: pd.DataFrame, prices: Prices, on: date | None = None) -> pd.DataFrame:
    """Add ``<role>_cost`` and ``cost`` in US dollars, missing where tokens or a price are unknown.

    The prices are those of the day on which each trial was recorded, unless another day is given.
    """
    costs = {f"{role}_cost": _costs(trials, role, prices, on) for role in ROLES}
    return trials.assign(**costs, cost=sum(costs.values()))


def _costs(trials: pd.DataFrame, role: str, prices: Prices, on: date | None) -> Any:
    """Return dollars for each trial as floats; no tokens cost nothing, whatever the price.

    Each request is priced by itself where the sum of a trial's tokens does not decide.
    """
    import numpy as np

    tokens = trials[[f"{role}_{kind}" for kind in KINDS]].to_numpy(float, na_value=np.nan)
    requests = trials["requests"].to_numpy(object)
    days = trials["recorded_at"].str[:10].astype("category")
    dollars = np.full(len(trials), np.nan)
    places: dict[Any, Any] = trials.groupby([trials[role], days], observed=True, dropna=not on).indices
    for (model, day), chosen in places.items():
        if not tokens[chosen].any():
            continue  # a mock: the library of prices need not be read for it
        price = prices.of(str(model), on or date.fromisoformat(day))
        if price is None:
            continue
        dollars[chosen] = tokens[chosen] @ [getattr(price, kind) for kind in KINDS] / 1_000_000
        by_request = np.full(len(chosen), price.request > 0)
        by_request |= (tokens[chosen, 1] > 0) & (price.cache_write_1h != price.cache_write)
        if price.tiers:
            by_request |= tokens[chosen, :3].sum(axis=1) > price.tiers[0].above
        for n in chosen[by_request & ~np.isnan(dollars[chosen])]:
            each = requests_of(role, requests[n]) if isinstance(requests[n], str) else []
            dollars[n] = charge_role(price, Usage(*map(int, tokens[n])), each)  # None becomes NaN
    dollars[tokens.sum(axis=1) == 0] = 0.0
    return dollars


def summary(trials: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return one row for each value of a column, one of ``columns.BY``, from the trials of ``add_costs``.

    Under ``tag`` a trial counts in the row of each of its tags.

    Returns:
        Columns: ``by`` itself; for pairs, their ``SETTINGS``; ``trials`` (measured), ``tasks``,
        ``infra_errors``; ``solved``, ``solved_at_1`` and ``solved_after_repair``; ``solved_pct`` with the
        95 % bounds ``solved_low_pct`` and ``solved_high_pct`` (``stats.rate_interval``, clustered by task,
        or by pair where the rows are tasks); ``pass_at_k_pct`` and ``pass_hat_k_pct`` for ``k`` epochs;
        ``acceptance_pct``, the mean share of acceptance tests passed; sums over trials; the tester's
        ``test_files``, ``tests_valid`` and rates; ``<role>_<kind>`` tokens; ``<role>_cost``, ``cost``,
        ``cost_per_trial`` and ``cost_per_solved`` in US dollars, missing where a price is unknown, and
        ``unpriced``, the models whose price that is; ``wall_p50_s`` and ``wall_p95_s``, seconds of recording.
    """
    import pandas as pd

    trials = _with_key(trials, by)
    measured = _with_flags(trials[trials["kind"] == "model"])
    distinct = _distinct(measured)
    # Not only those observed: who had nothing but infra errors has a row, too.
    names = trials[by].cat.categories
    every, count, once = (_sizes(table, by) for table in (trials, measured, distinct))
    total, known = _sums(
        measured, by, [*SOLVED, *SUMS, "forged", "acceptance_fraction", *TOKENS, *COSTS, "cost"]
    )
    tests, written = _sums(measured[measured["tests_valid"].notna()], by, list(OF_TESTS))
    files, solved = written["tests_valid"], total["solved"]
    costs = {name: total[name].where((known[name] == count) & (count > 0)) for name in (*COSTS, "cost")}
    group = measured.groupby(by, observed=False)
    columns: dict[str, Any] = {
        by: names.astype(object),
        **(_settings(trials, by) if by == "pair" else {}),
        "mark": _marks(trials, by),
        "trials": count,
        "tasks": group["task"].nunique().to_numpy(),
        "infra_errors": every - count,
        **{name: total[name].astype(int) for name in SOLVED},
        "solved_pct": _percent(solved, count),
        "solved_at_1_pct": _percent(total["solved_at_1"], count),
        **_estimates(distinct, by),
        "acceptance_pct": _percent(total["acceptance_fraction"], known["acceptance_fraction"]),
        **{name: total[name].astype(int) for name in (*SUMS, "forged")},
        "repeated": count - once,
        "test_files": files,
        **{name: tests[name].astype(int) for name in OF_TESTS},
        "generated_passed_pct": _percent(tests["generated_passed"], files),
        "false_alarm_pct": _percent(files - tests["tests_valid"], files),
        "false_pass_pct": _percent(tests["bugs_accepted"], tests["bugs_total"]),
        **{name: total[name].astype(int) for name in TOKENS},
        **costs,
        "unpriced": _unpriced(measured, by),
        "cost_per_trial": costs["cost"] / count.where(count > 0),
        "cost_per_solved": costs["cost"] / solved.where(solved > 0),
        **{
            f"wall_p{100 * part:.0f}_s": group["recorded_wall_s"].quantile(part).round(1).array
            for part in (0.5, 0.95)
        },
    }
    return pd.DataFrame(columns)


def _with_key(trials: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the trials that have a value in the column, which has no category without a trial."""
    if by == "tag":
        trials = trials.assign(tag=trials["tags"].str.split()).explode("tag", ignore_index=True)
        trials = trials.assign(tag=trials["tag"].astype("category"))
    trials = trials[trials[by].notna()]
    return trials.assign(**{by: trials[by].cat.remove_unused_categories()})


def _with_flags(measured: pd.DataFrame) -> pd.DataFrame:
    solved = measured["outcome"] == "solved"
    at_once = (measured["solved_at"] == 1).fillna(value=False)
    return measured.assign(
        solved=solved.astype(int),
        solved_at_1=at_once.astype(int),
        solved_after_repair=(solved & ~at_once).astype(int),
        forged=(measured["outcome"] == "forged").astype(int),
        unit=measured["pair"].cat.codes.astype(int) * len(measured["task"].cat.categories)
        + measured["task"].cat.codes,
    )


def _distinct(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without the further epochs of pairs whose epochs are all the same conversation.

    Such epochs (greedy decoding) are no further samples: intervals and pass@k must not count them.
    """
    later = measured["epoch"] > measured.groupby("unit")["epoch"].transform("min")
    if not later.any():
        return measured
    heard = measured["conversation"].fillna("")
    known = heard.astype(bool) & (heard.groupby(measured["unit"]).transform("nunique") == 1)
    equal = known.groupby(measured["pair"], observed=True).transform("all")
    return measured[~(later & equal)]


def apart(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials without mocks; with them where there is nothing else."""
    mocks = trials["backend"] == "mock"
    return trials if mocks.all() else trials[~mocks]


def of_one_server(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials on Letta V1; those on the App Server where there are no others."""
    app = on_app_server(trials)
    return trials if app.all() else trials[~app]


def on_app_server(trials: pd.DataFrame) -> pd.Series[bool]:
    """Tell for each trial whether its orchestrator lived in the App Server."""
    return trials["orchestrator"].astype(str).str.endswith(ON_APP_SERVER)


def _percent(part: pd.Series[Any], whole: pd.Series[Any]) -> pd.Series[float]:
    """Return percentages with one decimal; missing where they would be of nothing."""
    return (100 * part / whole.where(whole > 0)).astype(float).round(1)


def _sizes(trials: pd.DataFrame, by: str) -> pd.Series[int]:
    """Return how many trials each row is of."""
    import numpy as np
    import pandas as pd

    return pd.Series(np.bincount(trials[by].cat.codes, minlength=len(trials[by].cat.categories)))


def _sums(trials: pd.DataFrame, by: str, columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return for each row the sums of columns, and how many trials have a value there.

    All columns at once, as plain floats, and rows by number: an operation of pandas costs as much as the sum
    of a thousand trials, one that compares names of rows several times that.
    """
    import numpy as np
    import pandas as pd

    values = pd.DataFrame(trials[columns].to_numpy(float, na_value=np.nan), columns=columns)
    group = values.groupby(trials[by].array, observed=False)
    return group.sum().reset_index(drop=True), group.count().reset_index(drop=True)


def _settings(trials: pd.DataFrame, by: str) -> dict[str, Any]:
    """Return what each row's trials were made with."""
    first = trials.drop_duplicates(by).sort_values(by, ignore_index=True)
    return {name: first[name].astype(object) for name in SETTINGS}


def _marks(trials: pd.DataFrame, by: str) -> list[str]:
    """Return for each row what stands in for its models."""
    backends: dict[object, set[object]] = {}
    asked = dict.fromkeys([by, "backend", "coder"])
    for row in trials[list(asked)].drop_duplicates().to_dict("records"):
        backends.setdefault(row[by], set()).add(backend_of(row["backend"], row["coder"]))
    return [mark_of(backends[name]) for name in trials[by].cat.categories]


def _unpriced(measured: pd.DataFrame, by: str) -> list[str]:
    """Return for each row the models whose price is not known."""
    models: dict[object, set[str]] = {}
    for role in ROLES:
        lacking = measured.loc[measured[f"{role}_cost"].isna(), [by, role]].drop_duplicates()
        for name, model in lacking.itertuples(index=False, name=None):
            models.setdefault(name, set()).add(str(model))
    return [", ".join(sorted(models.get(name, ()))) for name in measured[by].cat.categories]


def _estimates(measured: pd.DataFrame, by: str) -> dict[str, list[Any]]:
    """Return bounds of the pass rate, and pass@k and pass^k for the epochs that every task has."""
    rows = []
    within = measured["pair" if by == "task" else "task"].cat.codes
    for clusters, units in zip(
        _counts(measured, by, within), _counts(measured, by, measured["unit"]), strict=True
    ):
        interval = rate_interval(clusters)
        k = min((n for n, _ in units), default=0)
        low, high = (100 * interval.low, 100 * interval.high) if interval else (None, None)
        any_of_k = 100 * fmean(pass_at_k(n, c, k) for n, c in units) if k > 1 else None
        all_of_k = 100 * fmean(pass_hat_k(n, c, k) for n, c in units) if k > 1 else None
        rows.append((low, high, k, any_of_k, all_of_k))
    names = ("solved_low_pct", "solved_high_pct", "k", "pass_at_k_pct", "pass_hat_k_pct")
    return {
        name: [value if value is None else round(value, 1) for value in (row[place] for row in rows)]
        for place, name in enumerate(names)
    }


def _counts(measured: pd.DataFrame, by: str, within: pd.Series[int]) -> list[list[tuple[int, int]]]:
    """Return ``(trials, solved)`` of each cluster of each row."""
    import numpy as np

    width = int(within.max(skipna=True)) + 1 if len(within) else 1
    keys, places = np.unique(
        measured[by].cat.codes.to_numpy(int) * width + within.to_numpy(int), return_inverse=True
    )
    sizes, solved = np.bincount(places), np.bincount(places, weights=measured["solved"])
    found: list[list[tuple[int, int]]] = [[] for _ in measured[by].cat.categories]
    for key, n, c in zip(keys.tolist(), sizes.tolist(), solved.tolist(), strict=True):
        found[key // width].append((n, int(c)))
    return found


def to_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV with plain figures."""
    import pandas as pd

    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain dictionaries, unknown figures as None."""
    columns = {}
    for name, column in table.items():
        values, missing = column.tolist(), column.isna()
        if missing.any():
            values = [None if gone else value for value, gone in zip(values, missing, strict=True)]
        columns[str(name)] = values
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
