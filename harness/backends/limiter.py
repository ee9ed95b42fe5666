"""Pace the requests of all workers of a run, service by service, and give up a service that fails on.

A service here is an address with a model: each has limits of its own. Nothing is held back until one of them
complains. Then

- 429 and 529: all workers pause for as long as ``retry-after`` asks (or 1, 2, 4 ... s), and go on at the rate
  that the service was seen to take, a little below it at first and beyond it once that holds (the cubic of
  RFC 9438, counted in answers);
- a failure (no connection, 5xx): all pause for 1, 2, 4 ... s, then one request at a time tries it, until one
  is answered.

Requests that were under way together when it began to fail count as one failure: how many workers there are
changes nothing. One ``Limiter`` serves all workers (``sharing.py``); it never sleeps itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple, Protocol

from harness.errors import ApiError

# throttled: 429, 529. failed: it may pass. refused: it will not. other: answered, but not well.
Result = Literal["ok", "throttled", "failed", "refused", "other"]
FAILURES_IN_A_ROW = 6  # pauses of 1 + 2 + 4 + 8 + 16 s
PATIENCE_S = 600.0  # without one good answer to a service that only says 429
LONGEST_BACKOFF_S = 60.0
WINDOW_S = 60.0  # over which it is counted what a service takes
PROBE_S = 60.0  # a lone request without an answer for so long makes room for another
LOOK_AGAIN_S = 0.2
SLOWEST = 1 / 120  # requests a second
SHARE = 0.85  # of the rate that it took
PLATEAU = 10  # good answers until that rate is reached again


class Turn(NamedTuple):
    """When a request may be sent, in seconds of the limiter's clock, and what was known of its service then.

    ``complaints`` is their number: a turn is void after the next, and what was sent before tells nothing new.
    """

    at: float
    complaints: int


VOID = Turn(inf, -1)


class Admission(NamedTuple):
    """Send the request if ``wait_s`` is 0; else ask again then, with the turn."""

    wait_s: float
    turn: Turn


class Pacing(Protocol):
    """What a request needs of a limiter, in this process or behind a connection."""

    def admit(self, service: str, turn: Turn | None = None) -> Admission:
        """Ask to send a request; see ``Limiter.admit``."""

    def answered(self, service: str, sent: Turn, result: Result, asked: float | None, why: str) -> None:
        """Report what became of it; see ``Limiter.answered``."""


@dataclass
class Lane:
    """One service as it is seen."""

    failures: int = 0  # in a row
    throttles: int = 0  # in a row
    throttled_at: float = inf  # since when it answers nothing else
    complaints: int = 0
    complained_at: float = -inf
    paused_until: float = -inf
    failing_until: float = -inf
    probe_at: float = -inf
    rate: float = inf  # requests a second
    taken: float = inf  # the rate that it was seen to take
    streak: int = 0  # good answers at a rate
    next_at: float = -inf
    began_at: float = 0.0  # counting of those sent
    sent: int = 0
    span: float = 0.0  # seconds between its last two complaints
    accepted: int = 0  # sent in these seconds, and not complained of
    was_full: bool = True  # it had not complained before
    given_up: str = ""


class Limiter:
    """Paces and gives up services; threads may share it.

    Args:
        gives_up: False lets a failing service fail on.
        longest_wait_s: Bounds every pause.
        clock: Seconds, of any beginning.
    """

    def __init__(
        self,
        *,
        gives_up: bool = True,
        longest_wait_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gives_up = gives_up
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()

    def admit(self, service: str, turn: Turn | None = None) -> Admission:
        """Return whether a request may be sent now, or after how many seconds to ask again.

        Args:
            service: Its name, as messages show it.
            turn: What the last answer to the same question said.

        Raises:
            ApiError: The service was given up.
        """
        with self._lock:
            return self._admit(self._lane(service), turn)

    def _admit(self, lane: Lane, turn: Turn | None) -> Admission:
        now = self._clock()
        if lane.given_up:
            raise ApiError(lane.given_up)
        paused_until = max(lane.paused_until, lane.failing_until)
        if now < paused_until:
            return Admission(paused_until - now, VOID)
        if lane.failures:
            if now - lane.probe_at < PROBE_S:
                return Admission(min(LOOK_AGAIN_S, self._longest_wait_s), VOID)
            lane.probe_at = now
        elif lane.rate < inf:
            if turn is None or turn.complaints != lane.complaints:
                turn = Turn(max(now, lane.next_at), lane.complaints)
                lane.next_at = turn.at + 1 / lane.rate
            if turn.at > now:
                return Admission(turn.at - now, turn)
        if now - lane.began_at > WINDOW_S:
            lane.began_at, lane.sent = (lane.began_at + now) / 2, lane.sent // 2
        lane.sent += 1
        return Admission(0.0, Turn(now, lane.complaints))

    def answered(
        self, service: str, sent: Turn, result: Result, asked: float | None = None, why: str = ""
    ) -> None:
        """Learn from what became of a request.

        Args:
            service: As for ``admit``.
            sent: The turn of its admission.
            result: What came.
            asked: Seconds of ``retry-after``.
            why: What failed, for people.
        """
        with self._lock:
            lane, now = self._lane(service), self._clock()
            self._learn(lane, now, result, asked, is_news=sent.complaints == lane.complaints)
            if self._gives_up and not lane.given_up:
                lane.given_up = self._hopeless(lane, service, now, asked, why)

    def _learn(self, lane: Lane, now: float, result: Result, asked: float | None, *, is_news: bool) -> None:
        lane.probe_at = -inf
        match result:
            case "ok":
                lane.failures = lane.throttles = 0
                lane.failing_until, lane.throttled_at = -inf, inf
                if lane.rate < inf and is_news:
                    lane.streak += 1
                    self._set_rate(lane)
            case "throttled":
                self._throttled(lane, now, asked, is_news=is_news)
            case "failed" | "refused" if is_news:
                lane.failures += 1
                lane.complaints += 1
                if result == "failed":
                    lane.failing_until = now + self._pause(lane.failures, asked)

    def given_up(self) -> list[str]:
        """Return why services were given up, one line each."""
        with self._lock:
            return [lane.given_up for lane in self._lanes.values() if lane.given_up]

    def waiting(self) -> dict[str, float]:
        """Return the services that no request may go to now, and for how many seconds."""
        with self._lock:
            lanes, now = dict(self._lanes), self._clock()
        left = {name: max(each.paused_until, each.failing_until) - now for name, each in lanes.items()}
        return {name: seconds for name, seconds in left.items() if seconds > 0}

    def _lane(self, service: str) -> Lane:
        return self._lanes.setdefault(service, Lane(began_at=self._clock()))

    def _pause(self, times: int, asked: float | None) -> float:
        backoff = min(2.0 ** min(times - 1, 9), LONGEST_BACKOFF_S)
        return min(backoff if asked is None else asked, self._longest_wait_s)

    def _throttled(self, lane: Lane, now: float, asked: float | None, *, is_news: bool) -> None:
        lane.failures, lane.failing_until = 0, -inf
        lane.throttled_at = min(lane.throttled_at, now)
        if is_news:
            lane.throttles += 1
            lane.complaints += 1
            lane.complained_at, lane.streak = now, 0
            lane.span, lane.accepted, lane.was_full = now - lane.began_at, lane.sent, lane.rate == inf
            lane.began_at, lane.sent = now, 0
        pause = self._pause(lane.throttles, asked)
        lane.paused_until = lane.next_at = max(lane.paused_until, now + pause)
        lane.accepted -= 1
        # After its first complaint, what it took at once is what it has room for in one pause.
        span = lane.span + (lane.paused_until - lane.complained_at if lane.was_full else 0.0)
        lane.taken = max(lane.accepted, 0.5) / span if span > 0 else inf
        self._set_rate(lane)

    @staticmethod
    def _set_rate(lane: Lane) -> None:
        distance = (lane.streak - PLATEAU) / PLATEAU
        lane.rate = max(SLOWEST, lane.taken * (1 + (1 - SHARE) * distance**3))

    def _hopeless(self, lane: Lane, service: str, now: float, asked: float | None, why: str) -> str:
        if lane.failures >= FAILURES_IN_A_ROW:
            return f"{service}: {lane.failures} failures in a row, the last: {why}"
        if asked is not None and asked > PATIENCE_S:
            return f"{service}: it asks to wait {asked:,.0f} s: {why}"
        if now - lane.throttled_at > PATIENCE_S:
            return f"{service}: no request got through in {now - lane.throttled_at:,.0f} s: {why}"
        return ""
