"""Estimate what trials will cost, from what earlier trials in ``reports/`` used.

For each role of a trial: what its model used on the task, else what it used on any, else a guess. Expected is
the mean; a single trial may well use twice as much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from harness.agents.transcript import ROLES, Role, Usage
from harness.errors import UsageError
from harness.results.columns import KINDS
from harness.results.pricing import Prices, charge, dollars
from harness.results.record import read_rows, requests_of
from harness.results.run_folder import TRIALS, run_folders
from harness.tasks.pair import DIRECT, Pair
from harness.tasks.trial import Trial

MOST_ROWS = 20_000
# Calls and tokens of a trial of a small task, where nothing better is known.
GUESS: dict[Role, tuple[int, Usage]] = {
    "orchestrator": (4, Usage(input=12_000, output=1_000)),
    "coder": (1, Usage(input=1_000, output=1_500)),
    "tester": (1, Usage(input=1_000, output=1_500)),
}


def models_of(pair: Pair) -> dict[Role, str]:
    """Return the models that answer in a pair's trials, by role, as records name them."""
    models: dict[Role, str] = {"orchestrator": pair.orchestrator.label, "coder": pair.coder}
    if pair.has_tester:
        models["tester"] = pair.tester
    if pair.is_direct:
        del models["orchestrator"]
    return models


def is_free(pair: Pair, role: Role) -> bool:
    """Return True if nobody is paid for a role: the embedded stack's own models, mocks, the fixed policy."""
    if role == "orchestrator":
        model = pair.orchestrator.model
        return model == DIRECT or model.startswith("local/")
    return pair.backend in ("local", "mock")


def unpriced(pairs: Iterable[Pair], prices: Prices, on: date) -> list[str]:
    """Return the models that are paid, by nobody knows how much."""
    models = {
        model: None
        for pair in pairs
        for role, model in models_of(pair).items()
        if not is_free(pair, role) and prices.of(model, on) is None
    }
    return sorted(models)


def cost_of(pair: Pair, prices: Prices, on: date) -> Any:
    """Return what prices a call of a pair's trial: dollars of role, model, tokens, number of requests."""

    def cost(role: Role, model: str, usage: Usage, requests: int) -> float | None:
        if is_free(pair, role) or usage == Usage():
            return 0.0
        return prices.cost(model, usage, on, requests)

    return cost


@dataclass
class Used:
    """What trials used together: their number, their calls, and tokens of each kind."""

    trials: int = 0
    calls: int = 0
    tokens: list[int] = field(default_factory=lambda: [0] * len(KINDS))

    def mean(self) -> tuple[int, Usage]:
        """Return calls and tokens of one trial."""
        usage = Usage(*(round(each / self.trials) for each in self.tokens))
        return max(1, round(self.calls / self.trials)), usage


class History:
    """What roles used in earlier trials, each trial as it ran last."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._used: dict[tuple[str, ...], Used] = defaultdict(Used)
        seen: set[str] = set()
        for row in rows:
            if row["kind"] == "model" and row["trial"] not in seen:
                seen.add(row["trial"])
                self._add(row)

    def _add(self, row: Mapping[str, Any]) -> None:
        for role in ROLES:
            tokens = [row.get(f"{role}_{kind}") for kind in KINDS]
            if None in tokens:
                continue
            calls = sum(count for _, count in requests_of(role, row.get("requests") or ""))
            for key in ((role, row[role], row["task"]), (role, row[role])):
                used = self._used[key]
                used.trials += 1
                used.calls += calls
                used.tokens = [old + int(new or 0) for old, new in zip(used.tokens, tokens, strict=True)]

    def expect(self, role: Role, model: str, task: str) -> tuple[int, Usage] | None:
        """Return calls and tokens of a role in one trial; None if its model was never seen in it."""
        for key in ((role, model, task), (role, model)):
            if key in self._used:
                return self._used[key].mean()
        return None


def read_history(reports: Path) -> History:
    """Read the newest runs of a folder; what cannot be read is passed over."""
    runs = (folder / TRIALS for folder in run_folders(reports))
    rows: Iterator[dict[str, Any]] = (row for path in runs for row in reversed(_readable(path)))
    return History(islice(rows, MOST_ROWS))


def _readable(path: Path) -> list[dict[str, Any]]:
    """Return the records of a run, none where its file is missing or cannot be read."""
    found: list[dict[str, Any]] = []
    with suppress(UsageError):
        found.extend(read_rows(path, []))
    return found


@dataclass(frozen=True)
class Estimate:
    """What trials are expected to use. ``usd`` is None if a price is unknown; ``guessed``: trials."""

    trials: int
    calls: int
    tokens: int
    usd: float | None
    guessed: int

    def __str__(self) -> str:
        """Return it in a line."""
        if not self.calls:
            return "no call to a model: mocks answer"
        basis = "as earlier trials of these models used"
        if self.guessed == self.trials:
            basis = "a guess: reports/ holds no earlier trial of these models"
        elif self.guessed:
            basis += f", {self.guessed} of them guessed"
        cost = "an unknown price" if self.usd is None else dollars(self.usd)
        return f"about {self.calls:,} calls, {_rounded(self.tokens):,} tokens, {cost} ({basis})"


def of_trial(trial: Trial, history: History, prices: Prices, on: date) -> Estimate:
    """Return what a trial is expected to use when it is recorded."""
    calls = tokens = guessed = 0
    usd: float | None = 0.0
    for role, model in models_of(trial.pair).items():
        if trial.pair.backend == "mock" and role != "orchestrator":
            continue
        expected = history.expect(role, model, trial.task.id)
        guessed |= expected is None
        count, usage = expected or GUESS[role]
        calls += count
        tokens += usage.total
        if not (is_free(trial.pair, role) or usage == Usage()):
            price = prices.of(model, on)
            usd = None if price is None or usd is None else usd + charge(price, usage, count)
    return Estimate(1, calls, tokens, usd, guessed)


def total(of: Iterable[Estimate]) -> Estimate:
    """Return what trials are expected to use together."""
    every = list(of)
    usd = [each.usd for each in every if each.usd is not None]
    return Estimate(
        trials=len(every),
        calls=sum(each.calls for each in every),
        tokens=sum(each.tokens for each in every),
        usd=sum(usd) if len(usd) == len(every) else None,
        guessed=sum(each.guessed for each in every),
    )


def _rounded(tokens: int) -> int:
    """Return a number with two figures: more would be pretence."""
    return round(tokens, 2 - len(str(tokens)))
