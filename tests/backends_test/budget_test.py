"""A run's budget: what may still be asked, and what counts as spent."""

from __future__ import annotations

import pytest
from fakes import no_wait

from harness.agents.transcript import Usage
from harness.backends.budget import Amount, Budget, Call, Caps, Meter
from harness.backends.retries import Transport
from harness.errors import ApiError, BudgetSpent, HarnessError, UnusableAnswer

ONE, TWO = Call("gw0", "coder", "m"), Call("gw1", "coder", "m")


def test_a_call_is_made_while_less_than_the_cap_is_spent() -> None:
    """The last one may exceed it; then none is made, and the message names both."""
    budget = Budget(Caps(usd=1.0))
    for _ in range(2):
        assert budget.reserve(ONE) == 0
        budget.spend(ONE, Amount(0.6, 10, 1))
    with pytest.raises(BudgetSpent, match=r"\$1\.2000 of \$1\.0000 \(--max-cost\)"):
        budget.reserve(ONE)
    assert budget.spent == Amount(1.2, 20, 2)


def test_tokens_have_a_cap_of_their_own() -> None:
    """Where no price is known, tokens can be bounded all the same."""
    budget = Budget(Caps(tokens=15))
    budget.spend(ONE, Amount(0.0, 20, 1))
    with pytest.raises(BudgetSpent, match=r"20 of 15 tokens \(--max-tokens\)"):
        budget.require()


def test_near_the_cap_calls_wait_for_those_under_way() -> None:
    """Together they would exceed it; alone one may. So the run exceeds its budget by one call, not by 32."""
    budget = Budget(Caps(usd=1.0))
    budget.reserve(ONE)
    budget.spend(ONE, Amount(0.4, 10, 1))
    assert budget.reserve(ONE) == 0  # 0.4 + 0.4
    assert budget.reserve(TWO) > 0  # 0.4 + 0.4 + 0.4
    assert budget.reserve(TWO, patient=False) == 0  # a tool of a turn under way
    budget.spend(TWO, Amount(0.1, 10, 1))
    budget.spend(ONE, Amount(0.1, 10, 1))
    assert budget.reserve(TWO) == 0


def test_what_a_worker_had_under_way_when_it_died_counts() -> None:
    """It may have to be paid, and holds up nobody."""
    budget = Budget(Caps(usd=10.0))
    budget.spend(ONE, Amount(4.0, 10, 1))
    budget.reserve(ONE)
    budget.release("gw0")
    assert budget.spent == Amount(8.0, 20, 2)
    assert budget.reserve(TWO) == 0


def meter(budget: Budget, transport: Transport, **caps: float) -> Meter:
    return Meter(transport, budget, Caps(**caps), "gw0", lambda _, model, usage, n: usage.input * n * 0.01)


def ask(of: Meter, request=lambda: "answer", usage=Usage(input=10)) -> str:  # noqa: B008
    return of.call("coder", "m", request, lambda _: (usage, 1))


def test_a_repeated_call_is_paid_again_if_its_answer_was_lost() -> None:
    """An answered failure costs nothing; what was lost on its way back was computed, and is billed."""

    class APITimeoutError(Exception):
        """Called like the SDKs' own."""

    class Overloaded(Exception):
        status_code = 500

    budget, transport = Budget(), Transport(no_wait())
    faults = [APITimeoutError(), Overloaded(), APITimeoutError()]

    def request() -> str:
        if faults:
            raise faults.pop()
        return "answer"

    assert ask(meter(budget, transport), lambda: transport.send("coder", request)) == "answer"
    assert transport.retries["coder"] == 3
    assert budget.spent.calls == 3
    assert budget.spent.usd == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("error", "calls"), [(ApiError("401"), 0), (UnusableAnswer("half"), 1), (KeyboardInterrupt(), 1)]
)
def test_a_call_that_fails_counts_if_it_may_have_to_be_paid(error, calls) -> None:
    """An answer that nobody could read, and one that nobody waited for, may have to be."""
    budget = Budget()
    paid = meter(budget, Transport(no_wait()))
    ask(paid)

    def request() -> str:
        raise error

    with pytest.raises(type(error)):
        ask(paid, request)
    assert budget.spent.calls == 1 + calls
    assert budget.spent.usd == pytest.approx(0.1 * (1 + calls))


def test_a_trial_has_a_cap_of_its_own() -> None:
    """It is the trial's, not the run's: the next trial begins at nothing."""
    budget = Budget()
    first = meter(budget, Transport(no_wait()), trial_usd=0.15)
    ask(first)
    ask(first)
    with pytest.raises(BudgetSpent, match=r"this trial has cost \$0\.2000, of \$0\.1500"):
        ask(first)
    assert ask(meter(budget, Transport(no_wait()), trial_usd=0.15)) == "answer"


def test_an_unknown_price_counts_tokens_and_is_told() -> None:
    """No dollars are made up."""
    budget = Budget()
    Meter(Transport(no_wait()), budget, Caps(), "main", lambda *_: None).call(
        "tester", "x", lambda: "answer", lambda _: (Usage(input=3, output=4), 1)
    )
    assert budget.spent == Amount(0.0, 7, 1)
    assert budget.unpriced == {"x"}


def test_a_trial_begins_if_what_is_left_will_do_for_it() -> None:
    """Half a trial is paid for nothing. What others have under way is not left; what they do not use is."""
    budget = Budget(Caps(usd=1.0))
    budget.expect({"p/t/1": Amount(0.6, 10, 1), "p/t/2": Amount(0.6, 10, 1), "p/t/3": Amount(0.4, 10, 1)})
    assert budget.begin("gw0", "p/t/1", "p") == 0
    assert budget.begin("gw1", "p/t/2", "p") > 0
    budget.spend(ONE, Amount(0.5, 10, 1))
    assert budget.begin("gw1", "p/t/3", "p") == 0  # 0.5 spent, 0.1 to come, 0.4 more
    budget.end("gw0", whole=True)
    budget.end("gw1", whole=False)
    with pytest.raises(
        BudgetSpent,
        match=r"rest of the budget will not do for a trial that uses about \$0\.6000 .*0\.5000 of",
    ):
        budget.begin("gw0", "p/t/2", "p")
    assert budget.begin("gw0", "p/t/9", "p") == 0  # of which nothing is known but that its pair used 0.5


def test_a_pair_of_which_nothing_is_known_begins() -> None:
    """A guess is no reason to leave a trial out; what its first trial used is."""
    budget = Budget(Caps(usd=1.0))
    assert budget.begin("gw0", "q/t/1", "q") == 0
    budget.spend(ONE, Amount(0.9, 10, 1))
    budget.end("gw0", whole=True)
    with pytest.raises(BudgetSpent):
        budget.begin("gw0", "q/t/2", "q")


class Gone(Budget):
    """The budget of a controlling process that was killed while a trial was saved."""

    def end(self, worker: str, *, whole: bool) -> None:
        if whole:
            raise HarnessError("the process that controls this run is gone")


def test_a_trial_that_is_saved_stays_saved_though_nobody_counts_any_more() -> None:
    """Else it would be recorded, and paid, again."""
    with meter(Gone(Caps()), Transport(no_wait())).trial("p/t/1", "p"):
        saved = True
    assert saved
