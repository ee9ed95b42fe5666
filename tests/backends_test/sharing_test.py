"""Objects of one process, called from others."""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from harness.backends.budget import Amount, Budget, Call, Caps
from harness.backends.sharing import Address, Remote, Served
from harness.errors import BudgetSpent, HarnessError


@pytest.fixture
def served():
    found = Served(budget=Budget(Caps(tokens=1000)))
    yield found
    found.close()


def spend(address: Address, worker: str) -> None:
    budget = Remote(address, "budget")
    for _ in range(10):
        budget.reserve(Call(worker, "coder", "m"), patient=False)
        budget.spend(Call(worker, "coder", "m"), Amount(0.0, 50, 1))


def test_processes_share_one_budget_and_its_errors(served) -> None:
    """What other processes spend counts in one sum, and its end reaches them as the error that it is."""
    spend(served.address, "here")
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=spend, args=(served.address, f"gw{n}")) for n in range(2)]
    for each in others:
        each.start()
    for each in others:
        each.join(60)
    assert 1000 <= served._objects["budget"].spent.tokens <= 1050
    with pytest.raises(BudgetSpent, match="of 1,000 tokens") as caught:
        Remote(served.address, "budget").require()
    assert caught.value.remedy


def test_who_does_not_know_the_key_is_not_heard(served) -> None:
    """Nothing of a caller is read before that."""
    host, port, _ = served.address
    with pytest.raises(AuthenticationError):
        Client((host, port), authkey=b"a guess")
    Remote(served.address, "budget").require()  # and others are heard still


def test_a_controlling_process_that_is_gone_is_one_line(served) -> None:
    """A worker that outlives it says so."""
    address = served.address
    served.close()
    with pytest.raises(HarnessError, match="the process that controls this run is gone"):
        Remote(address, "budget").require()


class Slow:
    def answer(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def test_a_call_that_was_interrupted_leaves_its_answer_to_nobody() -> None:
    """A time limit strikes anywhere; the next call gets its own answer."""

    class Expired(BaseException):
        pass

    def expire(*_: object) -> None:
        raise Expired

    served = Served(slow=Slow())
    remote = Remote(served.address, "slow")
    assert remote.answer(0) == 0
    handler = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(Expired):
            remote.answer(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert remote.answer(0.01) == 0.01
    served.close()
