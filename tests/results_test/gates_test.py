"""harness/results/gates.py: what a run must reach."""

import pytest
from rows import an_infra_row, many

from harness.errors import UsageError
from harness.results import aggregate, gates
from harness.results.compare import between_runs
from harness.results.dataframe import frame
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.render import headline
from harness.results.tables import tables_of


def trials(*rows):
    return aggregate.add_costs(frame(rows), Prices())


def against(old, new):
    return between_runs(old, new, ("old", "this run"), "pair")


def pairs(*rows):
    return aggregate.rows_of(aggregate.summary(trials(*rows), "pair"))


def test_each_pair_must_reach_the_percentage():
    """Exactly reached is reached; what was not measured is not."""
    rows = pairs(*many("a", 10), *many("b", 9), an_infra_row("c"))
    (b, c) = gates.too_few_solved(rows, 50)
    assert b == "b: 45.0 % solved (9 of 20), below 50 %"
    assert c == "c: nothing was measured, so it did not reach 50 %"
    assert not list(gates.too_few_solved(rows[:1], 50))


def test_a_rate_is_not_rounded_up_to_the_gate():
    """99.96 percent are shown as 100.0 and are below 100 all the same."""
    (line,) = gates.too_few_solved(pairs(*many("a", 2499, 2500)), 100)
    assert "2499 of 2500" in line


def test_a_pair_that_is_shown_to_be_worse_is_told_with_its_tasks():
    """Ten tasks lost of twenty: told; two lost: not enough."""
    old = trials(*many("a", 20))
    (line,) = gates.worse(against(old, trials(*many("a", 10))))
    assert "a in this run against a in old: -50.0 points" in line
    assert "lost: t10, t11" in line
    found = against(old, trials(*many("a", 18)))
    assert not list(gates.worse(found))
    assert "no difference shown; 20 tasks would have shown one of" in gates.in_one_line(found[0])


def test_gates_are_checked_before_the_first_trial(tmp_path):
    """A percentage that is none, a baseline that is not there."""
    with pytest.raises(UsageError, match="expected 0 to 100, got 101"):
        Gates.of(101, "", tmp_path)
    with pytest.raises(UsageError, match="no run 'x'"):
        Gates.of(None, "x", tmp_path)
    assert Gates.of(None, "", tmp_path) == Gates()


def test_the_best_pair_is_named():
    """As the best if it is shown to be that, else with those that are not shown to be worse; not of one."""
    tables = tables_of(trials(*many("a", 20), *many("b", 19), *many("c", 2)))
    assert "; ".join(headline(tables.ranking)).startswith("highest: a; not shown to be worse: b (")
    tables = tables_of(trials(*many("a", 20), *many("c", 2)))
    assert "; ".join(headline(tables.ranking)).startswith("best: a; shown to be worse: c (")
    assert headline(tables_of(trials(*many("a", 20))).ranking) == []
