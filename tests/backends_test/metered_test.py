"""All calls of a trial that is recorded are counted, of every role; none of one that is replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.agents.transcript import ROLES
from harness.backends.budget import Budget, Caps, Meter
from harness.results.columns import KINDS
from harness.runner import run_trial


def metered(setup, budget: Budget):
    def meter(_pair, transport) -> Meter:
        return Meter(transport, budget, budget.caps, "main", lambda _role, _model, usage, _n: usage.output)

    return replace(setup, meter=meter)


def test_what_is_counted_is_what_the_record_says(trial, recording, replaying) -> None:
    """Letta's turns too: the orchestrator is asked more often than coder and tester."""
    budget = Budget()
    row = run_trial(trial, metered(recording, budget)).record.row()
    kinds = [kind for kind in KINDS if kind != "cache_write_1h"]
    assert budget.spent.tokens == sum(row[f"{role}_{kind}"] for role in ROLES for kind in kinds)
    assert budget.spent.usd == sum(row[f"{role}_output"] for role in ROLES)
    assert budget.spent.calls == row["steps"] + 2
    before = replace(budget.spent)
    assert run_trial(trial, metered(replaying, budget)).record.outcome == row["outcome"]
    assert budget.spent == before


@pytest.mark.parametrize("usd", [5, 35, 45])
def test_a_budget_ends_a_trial_before_its_next_call(trial, recording, letta, claude, usd) -> None:
    """Wherever it is: nothing is recorded, and no agent is left behind."""
    budget = Budget(Caps(usd=usd))
    result = run_trial(trial, metered(recording, budget))
    assert result.record.outcome == "budget"
    assert result.record.kind == "infra"
    assert usd <= budget.spent.usd < usd + 30
    assert not recording.path(trial).exists()
    assert letta.agents == {}
    asked = len(letta.requests), len(claude.requests)
    assert run_trial(trial, metered(recording, budget)).record.outcome == "budget"
    assert (len(letta.requests), len(claude.requests)) == asked
