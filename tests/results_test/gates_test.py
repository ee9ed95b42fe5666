"""harness/results/gates.py and harness/plugin/finish.py: what a run must reach, and who is told."""

from datetime import UTC, datetime

import pytest
from rows import a_row, a_run, an_infra_row, many

from harness.errors import UsageError
from harness.plugin.finish import RunSummary, properties
from harness.results import aggregate, gates
from harness.results.compare import between_runs
from harness.results.dataframe import frame
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.render import in_short
from harness.results.run_folder import RunFolder
from harness.results.tables import tables_of
from harness.tasks.loader import Price

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


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


def test_a_baseline_without_a_common_pair_is_a_missed_gate(tmp_path):
    """A gate that cannot be decided is not passed."""
    a_run(tmp_path / "old", [a_row("other")])
    run = RunFolder(tmp_path, NOON)
    run.rows = [a_row("a")]
    ending = RunSummary.of(run, Prices(), Gates.of(None, "old", tmp_path), write=False)
    assert ending.failures == ("no pair has measured trials in both old and this run",)


def test_a_job_summary_is_appended(tmp_path, monkeypatch):
    """Where GitHub's variable names a file, the tables and the missed gates end up in it."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    run = RunFolder(tmp_path, NOON)
    run.rows = many("a", 1)
    RunSummary.of(run, Prices(), Gates(fail_under=50), write=False)
    text = path.read_text()
    assert text.startswith("before\n## Pairs")
    assert "| a | 20 | 5.0 |" in text
    assert "- **gate:** a: 5.0 % solved (1 of 20), below 50 %" in text


def test_the_properties_of_a_trial():
    """Tokens by role and dollars, for JUnit; an unknown price is unknown, an infra error has no figures."""
    prices = Prices({"code": Price(input=2, cache_write=4, cache_read=1, output=10)})
    row = a_row(coder_input=500_000, coder_cache_read=1_000_000, coder_output=100_000)
    found = dict(properties(row, prices))
    assert (found["outcome"], found["coder_tokens_in"], found["coder_tokens_out"]) == (
        "solved",
        1_500_000,
        100_000,
    )
    assert found["cost_usd"] == "3.000000"
    assert (
        dict(properties(a_row(orchestrator_input=1, orchestrator="no-such"), prices))["cost_usd"] == "unknown"
    )
    assert dict(properties(an_infra_row(), prices)) == {"outcome": "stale_cassette"}


def test_the_best_pair_is_named():
    """With those that are not shown to be worse; a run of one pair names none."""
    tables = tables_of(trials(*many("a", 20), *many("b", 19), *many("c", 2)))
    assert in_short(tables).startswith("best: a; not shown to be worse: b (")
    assert in_short(tables_of(trials(*many("a", 20)))) == ""


def test_a_page_that_cannot_be_made_costs_no_table(tmp_path, monkeypatch):
    """A bug in the page is told, and fails the run; the tables are printed all the same."""
    monkeypatch.setattr("harness.results.report.write_report", lambda *_: 1 / 0)
    run = RunFolder(tmp_path, NOON)
    run.rows = many("a", 1)
    ending = RunSummary.of(run, Prices(), Gates(), write=True)
    assert ending.tables.pairs[0]["trials"] == 20
    assert "ZeroDivisionError" in ending.problem
    assert ending.failures == (ending.problem,)
