"""Summarise trials, one row for each pair, orchestrator, task, tag ..., all with the same columns.

Rates have the measured trials in their denominator; infra errors stand beside them, never in them.
"""

from __future__ import annotations

from datetime import date
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.agents.transcript import ROLES, Usage
from harness.results.columns import COSTS, GRADES, KINDS, SETTINGS, TOKENS, mark_of
from harness.results.pricing import Prices, charge_role
from harness.results.record import requests_of
from harness.results.stats import pass_at_k, pass_hat_k, rate_interval
from harness.tasks.pair import ON_APP_SERVER

if TYPE_CHECKING:
    import pandas as pd

SUMS = ("attempts", "repairs", "tool_calls", "tool_errors", "transport_retries")


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
    every, group = (table.groupby(by, observed=False) for table in (trials, measured))
    count, solved = group.size(), group[["solved", "solved_at_1", "solved_after_repair"]].sum()
    costs, walls = _costs_by(measured, by), group["recorded_wall_s"]
    parts: list[Any] = [
        every[list(SETTINGS) if by == "pair" else []].first().astype(object),
        every["backend"].agg(mark_of).rename("mark").astype(object),
        count.rename("trials"),
        group["task"].nunique().rename("tasks"),
        (every.size() - count).rename("infra_errors"),
        solved,
        _percent(solved["solved"], count).rename("solved_pct"),
        _percent(solved["solved_at_1"], count).rename("solved_at_1_pct"),
        _estimates(distinct, by),
        (100 * group["acceptance_fraction"].mean()).round(1).rename("acceptance_pct"),
        group[list(SUMS)].sum(),
        group["forged"].sum(),
        (group.size() - distinct.groupby(by, observed=False).size()).rename("repeated"),
        _grades(measured, by),
        group[list(TOKENS)].sum(),
        costs,
        (costs["cost"] / count.where(count > 0)).rename("cost_per_trial"),
        (costs["cost"] / solved["solved"].where(solved["solved"] > 0)).rename("cost_per_solved"),
        walls.quantile(0.5).round(1).rename("wall_p50_s"),
        walls.quantile(0.95).round(1).rename("wall_p95_s"),
    ]
    table: pd.DataFrame = pd.concat(parts, axis=1)
    return table.set_axis(table.index.astype(object)).rename_axis(by).reset_index()


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


def _estimates(measured: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return bounds of the pass rate, and pass@k and pass^k for the epochs that every task has."""
    import pandas as pd

    clusters = _counts(measured, by, "pair" if by == "task" else "task")
    units = _counts(measured, by, "unit")
    names, rows = measured[by].cat.categories, []
    for name in names:
        interval, counts = rate_interval(clusters.get(name, ())), units.get(name, [])
        k = min((n for n, _ in counts), default=0)
        low, high = (100 * interval.low, 100 * interval.high) if interval else (None, None)
        any_of_k = 100 * fmean(pass_at_k(n, c, k) for n, c in counts) if k > 1 else None
        all_of_k = 100 * fmean(pass_hat_k(n, c, k) for n, c in counts) if k > 1 else None
        rows.append((low, high, k, any_of_k, all_of_k))
    columns = ["solved_low_pct", "solved_high_pct", "k", "pass_at_k_pct", "pass_hat_k_pct"]
    table = pd.DataFrame(rows, index=names, columns=columns)
    return table.astype({name: int if name == "k" else float for name in columns}).round(1)


def _counts(measured: pd.DataFrame, by: str, within: str) -> dict[str, list[tuple[int, int]]]:
    """Return ``(trials, solved)`` of each cluster of each row."""
    counts = measured.groupby([by, within], observed=True)["solved"].agg(["size", "sum"])
    groups: Any = counts.groupby(level=0, observed=True)
    return {str(name): list(group.itertuples(index=False, name=None)) for name, group in groups}


def _grades(measured: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return what the generated tests were worth, over the trials that have a test file."""
    written = measured[measured["tests_valid"].notna()]
    group = written.groupby(by, observed=False)
    sums = group[["generated_passed", "tests_valid", *GRADES]].sum()
    found = group.size().to_frame("test_files").join(sums)
    found["generated_passed_pct"] = _percent(found["generated_passed"], found["test_files"])
    found["false_alarm_pct"] = _percent(found["test_files"] - found["tests_valid"], found["test_files"])
    found["false_pass_pct"] = _percent(found["bugs_accepted"], found["bugs_total"])
    return found


def _costs_by(measured: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return sums of dollars, missing where a part is unknown, and the models whose price is not known."""
    columns = [*COSTS, "cost"]
    group = measured.groupby(by, observed=False)
    unknown = measured[columns].isna().groupby(measured[by], observed=False).any()
    found = group[columns].sum().mask(unknown | (group.size() == 0).to_numpy()[:, None])
    models: dict[str, set[str]] = {name: set() for name in found.index}
    for role in ROLES:
        lacking = measured.loc[measured[f"{role}_cost"].isna(), [by, role]].drop_duplicates()
        for name, model in lacking.itertuples(index=False, name=None):
            models[name].add(str(model))
    return found.assign(unpriced=[", ".join(sorted(models[name])) for name in found.index])


def to_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV with plain figures."""
    import pandas as pd

    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain dictionaries, unknown figures as None."""
    rows: Any = table.astype(object).where(table.notna(), None).to_dict("records")
    return list(rows)
