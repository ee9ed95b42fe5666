"""The limiter of all workers: paces a service that complains, and gives up one that fails on."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.backends.limiter import FAILURES_IN_A_ROW, PATIENCE_S, PROBE_S, Limiter
from harness.errors import ApiError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock) -> Limiter:
    return Limiter(clock=clock)


@dataclass
class Workers:
    """So many workers at a service that takes ``rate`` requests a second, and ``burst`` at once."""

    limiter: Limiter
    clock: Clock
    count: int
    rate: float
    burst: float
    takes_s: float
    tells: bool = True  # it says when to come again
    refused: int = 0
    _events: list[tuple[float, int, Any]] = field(default_factory=list)
    _room: float = 0.0
    _since: float = 0.0
    _order: int = 0

    def work(self, needed: int) -> None:
        self._room, done = self.burst, 0
        for worker in range(self.count):
            self._at(worker / 1e4, ("ask", None))
        while done < needed:
            self.clock.now, _, (kind, turn) = heapq.heappop(self._events)
            if kind == "ask":
                self._ask(turn)
            elif kind == "ok":
                done += 1
                self.limiter.answered("s", turn, "ok")
                self._at(self.clock.now, ("ask", None))
            else:
                turn, asked = turn
                self.refused += 1
                self.limiter.answered("s", turn, "throttled", asked if self.tells else None, "429")
                self._at(self.clock.now, ("ask", None))

    def _ask(self, turn: Any) -> None:
        wait_s, turn = self.limiter.admit("s", turn)
        if wait_s:
            self._at(self.clock.now + min(wait_s, 1.0), ("ask", turn))
            return
        self._room = min(self.burst, self._room + (self.clock.now - self._since) * self.rate)
        self._since = self.clock.now
        if self._room >= 1:
            self._room -= 1
            self._at(self.clock.now + self.takes_s, ("ok", turn))
        else:
            self._at(self.clock.now + 0.01, ("no", (turn, (1 - self._room) / self.rate)))

    def _at(self, when: float, event: Any) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, event))


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize(
    "service",
    [(32, 2, 5, 0.01), (32, 2, 5, 5), (32, 50 / 60, 50, 10), (32, 20, 20, 0.5), (128, 5, 50, 20)],
)
def test_many_workers_do_not_burn_requests(limiter, clock, service, tells) -> None:
    """However many workers: past what they sent at once, a tenth is refused, and little time is lost."""
    workers = Workers(limiter, clock, *service, tells)
    workers.work(400)
    at_once = max(0, workers.count - workers.burst)
    assert workers.refused <= at_once + 0.1 * 400, workers.refused
    at_best = max((400 - workers.burst) / workers.rate, 400 * workers.takes_s / workers.count)
    assert clock.now <= 1.6 * at_best + workers.takes_s, (clock.now, at_best)


def test_without_a_complaint_nobody_waits(limiter) -> None:
    """A service that takes everything is sent everything."""
    assert [limiter.admit("s").wait_s for _ in range(1000)] == [0.0] * 1000


def test_retry_after_holds_for_all_workers_and_this_service_alone(limiter, clock) -> None:
    """What one worker was told, all heed; other services go on."""
    first = limiter.admit("s").turn
    limiter.answered("s", first, "throttled", 90.0, "429")
    assert limiter.admit("s").wait_s == 90.0
    assert limiter.admit("other").wait_s == 0.0
    assert limiter.waiting() == {"s": 90.0}
    clock.now = 90.0
    assert limiter.admit("s").wait_s == 0.0
    assert limiter.admit("s").wait_s > 0.0  # the second is paced


def test_it_recovers(limiter, clock) -> None:
    """A service that complained once is soon sent as much as ever."""
    workers = Workers(limiter, clock, 8, rate=1e6, burst=1e6, takes_s=0.1)
    limiter.answered("s", limiter.admit("s").turn, "throttled", 1.0, "429")
    workers.work(200)
    before = clock.now
    workers.work(200)
    assert clock.now - before < 1.2 * 200 * 0.1 / 8


def test_failures_of_requests_under_way_together_count_once(limiter, clock) -> None:
    """32 workers meet one outage once."""
    turns = [limiter.admit("s").turn for _ in range(32)]
    for turn in turns:
        limiter.answered("s", turn, "failed", None, "reset")
    assert limiter.given_up() == []
    assert limiter.admit("s").wait_s == 1.0


def test_one_request_at_a_time_tries_a_failing_service(limiter, clock) -> None:
    """After the pause one probes; the others wait until it is answered, or for long enough."""
    limiter.answered("s", limiter.admit("s").turn, "failed", None, "reset")
    clock.now = 1.0
    probe = limiter.admit("s")
    assert probe.wait_s == 0.0
    assert limiter.admit("s").wait_s > 0.0
    clock.now += PROBE_S  # its worker died
    probe = limiter.admit("s")
    assert probe.wait_s == 0.0
    limiter.answered("s", probe.turn, "ok")
    assert [limiter.admit("s").wait_s for _ in range(9)] == [0.0] * 9


def fail(limiter: Limiter, clock: Clock, times: int, result: Any = "failed") -> None:
    for _ in range(times):
        while (admission := limiter.admit("s")).wait_s:
            clock.now += admission.wait_s
        limiter.answered("s", admission.turn, result, None, "503 away")


@pytest.mark.parametrize("result", ["failed", "refused"])
def test_a_service_that_fails_on_is_given_up(limiter, clock, result) -> None:
    """After so many failures in a row every worker is told why, in the same words."""
    fail(limiter, clock, FAILURES_IN_A_ROW - 1, result)
    assert limiter.given_up() == []
    fail(limiter, clock, 1, result)
    assert limiter.given_up() == [f"s: {FAILURES_IN_A_ROW} failures in a row, the last: 503 away"]
    with pytest.raises(ApiError, match="failures in a row, the last: 503 away"):
        limiter.admit("s")
    assert clock.now <= 31.0


def test_an_answer_in_between_begins_the_count_anew(limiter, clock) -> None:
    """In a row means: without an answer."""
    for _ in range(3):
        fail(limiter, clock, FAILURES_IN_A_ROW - 1)
        while (admission := limiter.admit("s")).wait_s:
            clock.now += admission.wait_s
        limiter.answered("s", admission.turn, "ok")
    assert limiter.given_up() == []


def test_a_quota_that_is_used_up_is_given_up(limiter) -> None:
    """A service that asks to wait until tomorrow ends the run, and not one trial after the other."""
    limiter.answered("s", limiter.admit("s").turn, "throttled", PATIENCE_S + 1, "429")
    assert limiter.given_up() == ["s: it asks to wait 601 s: 429"]


def test_a_service_that_never_has_room_is_given_up_in_time(limiter, clock) -> None:
    """The limit is in time, not in requests: a long pause between two is what the service asked for."""
    while not limiter.given_up():
        fail(limiter, clock, 1, "throttled")
    assert "no request got through in 6" in limiter.given_up()[0]
    assert PATIENCE_S < clock.now < PATIENCE_S + 130


def test_with_keep_going_nothing_is_given_up(clock) -> None:
    """--keep-going waits as long as it takes."""
    limiter = Limiter(gives_up=False, clock=clock)
    fail(limiter, clock, 1100)
    assert limiter.given_up() == []
