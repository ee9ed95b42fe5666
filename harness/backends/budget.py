"""Hold the budget of a run over all its workers.

A worker reserves each call before it makes it, and tells afterwards what it used. While less than the cap is
spent a call is made, so each worker can exceed it by the call that it has under way; near the cap calls wait
for those under way, where what calls of their kind used so far says that together they would exceed it. A
trial does not begin where what is left will not do for it: half a trial is paid for nothing.

Counted is what is used, not what is recorded: repeated calls, trials that fail, answers that got lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from harness.agents.transcript import Role, Usage
from harness.backends.retries import Transport
from harness.errors import BudgetSpent, HarnessError, UnusableAnswer

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

    def begin(self, worker: str, trial: str, pair: str) -> float:
        """Ask to begin a trial; see ``Budget.begin``."""

    def end(self, worker: str, *, whole: bool) -> None:
        """Tell that it has ended; see ``Budget.end``."""

    def reserve(self, call: Call, *, patient: bool) -> float:
        """Ask to make a call; see ``Budget.reserve``."""

    def spend(self, call: Call, used: Amount, *, lost: int = 0, unpriced: bool = False) -> None:
        """Tell what it used; see ``Budget.spend``."""


@dataclass
class TrialUnderWay:
    """A trial of a pair: what it is expected to use, where that was known when it began, and has used."""

    pair: str
    expected: Amount | None
    used: Amount = field(default_factory=Amount)


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
    _expected_of: dict[str, Amount] = field(default_factory=dict)
    _by_pair: dict[str, Amount] = field(default_factory=dict)  # ``calls`` counts trials
    _trials: dict[str, TrialUnderWay] = field(default_factory=dict)

    def expect(self, trials: Mapping[str, Amount]) -> None:
        """Learn what trials are expected to use, by their names."""
        with self._lock:
            self._expected_of.update(trials)

    def begin(self, worker: str, trial: str, pair: str) -> float:
        """Return 0 for a trial that may begin, or after how many seconds to ask again.

        Raises:
            BudgetSpent: It may not: nothing is left, or less than it is expected to use.
        """
        with self._lock:
            self.release(worker)  # one that died and came back under its name
            self.require()
            expected = self._expected_of.get(trial) or _mean(self._by_pair.get(pair))
            others = [self._left(each) for who, each in self._trials.items() if who != worker]
            if expected is not None and self._exceeds([expected, *others]):
                if others:
                    return LOOK_AGAIN_S
                raise BudgetSpent(
                    f"the rest of the budget will not do for a trial that uses about ${expected.usd:,.4f} "
                    f"and {expected.tokens:,} tokens: spent are {self._in_words()}",
                    remedy=REMEDY,
                )
            self._trials[worker] = TrialUnderWay(pair, expected)
            return 0.0

    def end(self, worker: str, *, whole: bool) -> None:
        """Let go of what the worker's trial did not use; ``whole``: it tells what trials of its pair use."""
        with self._lock:
            trial = self._trials.pop(worker, None)
            if trial is not None and whole:
                used = Amount(trial.used.usd, trial.used.tokens, 1)
                self._by_pair.setdefault(trial.pair, Amount()).add(used)

    def _left(self, trial: TrialUnderWay) -> Amount:
        """Return what a trial may still use, as far as that is known."""
        expected = trial.expected or _mean(self._by_pair.get(trial.pair)) or Amount()
        usd, tokens = expected.usd - trial.used.usd, expected.tokens - trial.used.tokens
        return Amount(max(0.0, usd), max(0, tokens))

    def reserve(self, call: Call, *, patient: bool = True) -> float:
        """Return 0 for a call that may be made, or after how many seconds to ask again.

        With ``patient=False`` it does not wait for others: they may be waiting for it.

        Raises:
            BudgetSpent: No call may be made any more.
        """
        with self._lock:
            self.require()
            expected = self._expected(call)
            others = [each for other, each in self._under_way.items() if other.worker != call.worker]
            if patient and others and self._exceeds([expected, *others]):
                return LOOK_AGAIN_S
            self._under_way[call] = expected
            return 0.0

    def require(self) -> None:
        """Raise BudgetSpent if no call may be made any more."""
        caps, spent = self.caps, self.spent
        too_much = caps.usd is not None and spent.usd >= caps.usd
        if too_much or (caps.tokens is not None and spent.tokens >= caps.tokens):
            raise BudgetSpent(f"the budget is spent: {self._in_words()}", remedy=REMEDY)

    def _in_words(self) -> str:
        caps, spent = self.caps, self.spent
        usd = f"${spent.usd:,.4f} of ${caps.usd:,.4f} (--max-cost)" if caps.usd is not None else ""
        tokens = (
            f"{spent.tokens:,} of {caps.tokens:,} tokens (--max-tokens)" if caps.tokens is not None else ""
        )
        return ", ".join(filter(None, (usd, tokens)))

    def spend(self, call: Call, used: Amount, *, lost: int = 0, unpriced: bool = False) -> None:
        """Count what a call used, and as much for each time that its answer was lost.

        One that failed used nothing, but what calls of its kind use for each answer that was lost.
        """
        with self._lock:
            self._under_way.pop(call, None)
            each = used if used.calls else self._expected(call)
            total = Amount(used.usd + each.usd * lost, used.tokens + each.tokens * lost, used.calls + lost)
            self.spent.add(total)
            if used.calls:
                self._by_kind.setdefault((call.role, call.model), Amount()).add(used)
            if call.worker in self._trials:
                self._trials[call.worker].used.add(total)
            if unpriced:
                self.unpriced.add(call.model)

    def release(self, worker: str) -> None:
        """Count the calls that a worker had under way when it died: they may have to be paid."""
        with self._lock:
            for call in [each for each in self._under_way if each.worker == worker]:
                self.spend(call, Amount(), lost=1)
            self.end(worker, whole=False)

    def _expected(self, call: Call) -> Amount:
        """Return what calls of its kind used so far, on average."""
        return _mean(self._by_kind.get((call.role, call.model))) or Amount(calls=1)

    def _exceeds(self, amounts: list[Amount]) -> bool:
        usd = self.spent.usd + sum(each.usd for each in amounts)
        tokens = self.spent.tokens + sum(each.tokens for each in amounts)
        too_dear = self.caps.usd is not None and usd > self.caps.usd * (1 + 1e-9)
        return too_dear or (self.caps.tokens is not None and tokens > self.caps.tokens)


def _mean(amount: Amount | None) -> Amount | None:
    """Return one of so many."""
    return amount and Amount(amount.usd / amount.calls, amount.tokens // amount.calls, 1)


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
        self.spent += (usd or 0.0) * (1 + times)
        self.budget.spend(call, Amount(usd or 0.0, usage.total, 1), lost=times, unpriced=usd is None)
        return answer

    @contextmanager
    def trial(self, name: str, pair: str) -> Iterator[None]:
        """Hold what a trial is expected to use while the block runs.

        Raises:
            BudgetSpent: It may not begin.
        """
        while seconds := self.budget.begin(self.worker, name, pair):
            self.wait(seconds)
        whole = False
        try:
            yield
            whole = True
        finally:
            # With the controlling process, who counted has gone; what was recorded stays recorded.
            with suppress(HarnessError):
                self.budget.end(self.worker, whole=whole)

    def _reserve(self, call: Call, *, patient: bool) -> None:
        cap = self.caps.trial_usd
        if cap is not None and self.spent >= cap:
            raise BudgetSpent(
                f"this trial has cost ${self.spent:,.4f}, of ${cap:,.4f} that one may (--max-trial-cost)",
                remedy="give more, if trials of this task are worth it",
            )
        while seconds := self.budget.reserve(call, patient=patient):
            self.wait(seconds)
            self.transport.waited(seconds)
