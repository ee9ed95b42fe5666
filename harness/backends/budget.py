"""Hold the budget of a run over all its workers.

A worker reserves each call before it makes it, and tells afterwards what it used. While less than the cap is
spent a call is made, so each worker can exceed it by the call that it has under way; near the cap calls wait
for those under way, where what calls of their kind used so far says that together they would exceed it.

Counted is what is used, not what is recorded: repeated calls, trials that fail, answers that got lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from harness.agents.transcript import Role, Usage
from harness.backends.retries import Transport
from harness.errors import BudgetSpent, UnusableAnswer

T = TypeVar("T")
LOOK_AGAIN_S = 0.5
REMEDY = "give more, and the same command goes on with what is missing"


@dataclass(frozen=True)
class Caps:
    """What a run may spend, and one trial of it; None: as much as it takes."""

    usd: float | None = None
    tokens: int | None = None
    trial_usd: float | None = None


@dataclass
class Amount:
    """Calls, and what they used."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0

    def add(self, other: Amount) -> None:
        """Add what other calls used."""
        self.usd += other.usd
        self.tokens += other.tokens
        self.calls += other.calls


class Call(NamedTuple):
    """Who makes a call, and to whom."""

    worker: str
    role: Role
    model: str


class Spending(Protocol):
    """What a worker needs of the budget, in this process or behind a connection."""

    def require(self) -> None:
        """Raise BudgetSpent if no call may be made any more."""

    def reserve(self, call: Call, *, patient: bool) -> float:
        """Ask to make a call; see ``Budget.reserve``."""

    def spend(self, call: Call, used: Amount, *, lost: int = 0, unpriced: bool = False) -> None:
        """Tell what it used; see ``Budget.spend``."""


@dataclass
class Budget:
    """What a run has spent and may spend; threads may share it.

    Attributes:
        spent: By all workers together.
        unpriced: Models whose dollars are not known, and not counted.
    """

    caps: Caps = Caps()
    spent: Amount = field(default_factory=Amount)
    unpriced: set[str] = field(default_factory=set)
    _lock: Any = field(default_factory=threading.RLock)
    _by_kind: dict[tuple[Role, str], Amount] = field(default_factory=dict)
    _under_way: dict[Call, Amount] = field(default_factory=dict)

    def reserve(self, call: Call, *, patient: bool = True) -> float:
        """Return 0 for a call that may be made, or after how many seconds to ask again.

        With ``patient=False`` it does not wait for others: they may be waiting for it.

        Raises:
            BudgetSpent: No call may be made any more.
        """
        with self._lock:
            self.require()
            expected = self._expected(call)
            others = [each for under_way, each in self._under_way.items() if under_way.worker != call.worker]
            if patient and others and self._exceeds([expected, *others]):
                return LOOK_AGAIN_S
            self._under_way[call] = expected
            return 0.0

    def require(self) -> None:
        """Raise BudgetSpent if no call may be made any more."""
        caps, spent = self.caps, self.spent
        if caps.usd is not None and spent.usd >= caps.usd:
            raise BudgetSpent(
                f"the budget is spent: ${spent.usd:,.4f} of ${caps.usd:,.4f} (--max-cost)", remedy=REMEDY
            )
        if caps.tokens is not None and spent.tokens >= caps.tokens:
            raise BudgetSpent(
                f"the budget is spent: {spent.tokens:,} of {caps.tokens:,} tokens (--max-tokens)",
                remedy=REMEDY,
            )

    def spend(self, call: Call, used: Amount, *, lost: int = 0, unpriced: bool = False) -> None:
        """Count what a call used, and as much for each time that its answer was lost.

        One that failed used nothing, but what calls of its kind use for each answer that was lost.
        """
        with self._lock:
            self._under_way.pop(call, None)
            each = used if used.calls else self._expected(call)
            if used.calls:
                self._by_kind.setdefault((call.role, call.model), Amount()).add(used)
                self.spent.add(used)
            for _ in range(lost):
                self.spent.add(Amount(each.usd, each.tokens, 1))
            if unpriced:
                self.unpriced.add(call.model)

    def release(self, worker: str) -> None:
        """Count the calls that a worker had under way when it died: they may have to be paid."""
        with self._lock:
            for call in [each for each in self._under_way if each.worker == worker]:
                self.spend(call, Amount(), lost=1)

    def _expected(self, call: Call) -> Amount:
        """Return what calls of its kind used so far, on average."""
        seen = self._by_kind.get((call.role, call.model))
        return Amount(seen.usd / seen.calls, seen.tokens // seen.calls, 1) if seen else Amount(calls=1)

    def _exceeds(self, amounts: list[Amount]) -> bool:
        usd = self.spent.usd + sum(each.usd for each in amounts)
        tokens = self.spent.tokens + sum(each.tokens for each in amounts)
        too_dear = self.caps.usd is not None and usd > self.caps.usd
        return too_dear or (self.caps.tokens is not None and tokens > self.caps.tokens)


@dataclass
class Meter:
    """Reserves and counts the calls of one trial.

    Attributes:
        transport: Of the trial; knows which answers were lost.
        budget: Of the run.
        caps: Of the run.
        worker: Who runs the trial.
        price: US dollars of a role from model, tokens and number of requests; None if unknown.
        wait: Sleeps for seconds.
        spent: US dollars of the trial so far.
    """

    transport: Transport
    budget: Spending
    caps: Caps
    worker: str
    price: Callable[[Role, str, Usage, int], float | None]
    wait: Callable[[float], None] = time.sleep
    spent: float = 0.0

    def call(
        self,
        role: Role,
        model: str,
        request: Callable[[], T],
        used: Callable[[T], tuple[Usage, int]],
        *,
        patient: bool = True,
    ) -> T:
        """Make a call; ``used`` tells of its answer the tokens, and how many requests these are of.

        Raises:
            BudgetSpent: The run or the trial may spend no more; nothing was asked.
        """
        call = Call(self.worker, role, model)
        self._reserve(call, patient=patient)
        before = self.transport.lost[role]
        try:
            answer = request()
            usage, requests = used(answer)
        except BaseException as error:
            # One that was interrupted, or that nobody could read, may have to be paid, too.
            lost = isinstance(error, UnusableAnswer) or not isinstance(error, Exception)
            lost_before = self.transport.lost[role] - before
            self.budget.spend(call, Amount(), lost=lost_before + lost)
            raise
        times = self.transport.lost[role] - before
        usd = self.price(role, model, usage, requests)
        tokens = usage.input + usage.cache_write + usage.cache_read + usage.output
        self.spent += (usd or 0.0) * (1 + times)
        self.budget.spend(call, Amount(usd or 0.0, tokens, 1), lost=times, unpriced=usd is None)
        return answer

    def require(self) -> None:
        """Raise BudgetSpent if no call may be made any more."""
        self.budget.require()

    def _reserve(self, call: Call, *, patient: bool) -> None:
        cap = self.caps.trial_usd
        if cap is not None and self.spent >= cap:
            raise BudgetSpent(
                f"this trial has cost ${self.spent:,.4f}, of ${cap:,.4f} that one may (--max-trial-cost)",
                remedy="give more, if trials of this task are worth it",
            )
        while seconds := self.budget.reserve(call, patient=patient):
            self.wait(seconds)
