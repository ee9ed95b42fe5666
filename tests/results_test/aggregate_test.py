"""harness/results/aggregate.py: the pair table, against figures computed by hand."""

import csv
import io
import json

import pytest
from rows import a_row, an_infra_row, many

from harness.results import aggregate
from harness.results.columns import BY
from harness.results.dataframe import frame
from harness.results.pricing import Prices
from harness.results.tables import tables_of
from harness.tasks.loader import Price

OWN = Prices(
    {
        "orch": Price(input=1, cache_write=2, cache_read=0.5, output=10),
        "code": Price(input=3, cache_write=4, cache_read=0.25, output=15),
        "free": Price(input=0, output=0),
    }
)


def pairs_of(*rows, prices=OWN, on=None):
    return aggregate.rows_of(aggregate.summary(aggregate.add_costs(frame(rows), prices, on), "pair"))


def graded(*rows):
    return tables_of(aggregate.add_costs(frame(rows), OWN)).testers


def test_testers_are_graded_over_all_pairs_by_what_they_wrote():
    """False alarms are of test files, false passes of known bugs; who wrote none has no row."""
    none = {"tests_valid": None, "bugs_caught": None, "bugs_accepted": None, "bugs_total": None}
    rows = [
        a_row("p", tester="x", tests_valid=True, bugs_caught=3, bugs_accepted=0, bugs_total=3),
        a_row("q", tester="x", tests_valid=True, bugs_caught=1, bugs_accepted=2, bugs_total=3),
        a_row("q", task="u", tester="x", tests_valid=False, bugs_caught=0, bugs_accepted=0, bugs_total=3),
        a_row("q", task="v", tester="x", outcome="wrong", **none),
        a_row("q", task="w", tester="y", outcome="gave_up", **none),
        an_infra_row("q", task="z", tester="x"),
    ]
    (row,) = graded(*rows)
    assert {key: row[key] for key in ("tester", "test_files", "generated_passed_pct", "tests_valid")} == {
        "tester": "x",
        "test_files": 3,
        "generated_passed_pct": 100.0,
        "tests_valid": 2,
    }
    assert (row["false_alarm_pct"], row["false_pass_pct"]) == (33.3, 22.2)
    assert (row["bugs_caught"], row["bugs_accepted"], row["bugs_total"]) == (4, 2, 9)
    assert graded(rows[4]) == graded(rows[5]) == graded() == []


def test_pass_at_k_and_pass_hat_k_are_means_over_tasks():
    """Only epochs that every task has count: solved twice, and once of two, give 100 and 50 percent."""
    rows = [
        a_row(task="t", epoch=1),
        a_row(task="t", epoch=2),
        a_row(task="u", epoch=1),
        a_row(task="u", epoch=2, outcome="wrong"),
    ]
    (row,) = pairs_of(*rows)
    assert (row["k"], row["pass_at_k_pct"], row["pass_hat_k_pct"]) == (2, 100.0, 50.0)
    (row,) = pairs_of(*rows, a_row(task="u", epoch=3, outcome="wrong"))
    assert (row["k"], row["pass_at_k_pct"], row["pass_hat_k_pct"]) == (2, 83.3, 50.0)
    (row,) = pairs_of(*rows, a_row(task="v"))
    assert (row["k"], row["pass_at_k_pct"], row["pass_hat_k_pct"]) == (1, None, None)


ROWS = (
    a_row(orchestrator_input=1_000_000, orchestrator_output=100_000, coder_input=1_000_000),
    a_row(
        task="u",
        outcome="solved",
        solved_at=2,
        attempts=2,
        repairs=1,
        tool_calls=4,
        tool_errors=1,
        transport_retries=3,
        coder_cache_write=500_000,
        coder_cache_read=4_000_000,
    ),
    a_row(task="v", outcome="wrong", tester_output=200_000, generated_passed=True),
    a_row(task="w", outcome="limit", attempts=2, repairs=1, tool_calls=8),
    an_infra_row(task="x"),
    an_infra_row(task="y", outcome="api_error"),
)


def test_the_figures_of_a_pair():
    """Every figure of the table is the one that a hand count of its rows gives."""
    (row,) = pairs_of(*ROWS)
    assert row == {
        "pair": "p",
        "orchestrator": "orch",
        "coder": "code",
        "tester": "code",
        "flow": "free",
        "tools": "client",
        "backend": "anthropic",
        "coder_settings": "",
        "tester_settings": "",
        "mark": "",
        "forged": 0,
        "repeated": 0,
        "trials": 4,
        "infra_errors": 2,
        "solved": 2,
        "solved_pct": 50.0,
        "solved_at_1": 1,
        "solved_at_1_pct": 25.0,
        "solved_after_repair": 1,
        "solved_low_pct": 15.0,
        "solved_high_pct": 85.0,
        "tasks": 4,
        "acceptance_pct": 50.0,
        "test_files": 4,
        "tests_valid": 2,
        "false_alarm_pct": 50.0,
        "false_pass_pct": 25.0,
        "bugs_caught": 8,
        "bugs_accepted": 4,
        "bugs_total": 16,
        "mutants_caught": 0,
        "mutants_total": 0,
        "generated_passed": 3,
        "generated_passed_pct": 75.0,
        "k": 1,
        "pass_at_k_pct": None,
        "pass_hat_k_pct": None,
        "attempts": 6,
        "repairs": 2,
        "tool_calls": 16,
        "tool_errors": 1,
        "transport_retries": 3,
        "orchestrator_input": 1_000_000,
        "orchestrator_cache_write": 0,
        "orchestrator_cache_read": 0,
        "orchestrator_output": 100_000,
        "coder_input": 1_000_000,
        "coder_cache_write": 500_000,
        "coder_cache_read": 4_000_000,
        "coder_output": 0,
        "tester_input": 0,
        "tester_cache_write": 0,
        "tester_cache_read": 0,
        "tester_output": 200_000,
        "orchestrator_cost": pytest.approx(1 + 1),
        "coder_cost": pytest.approx(3 + 2 + 1),
        "tester_cost": pytest.approx(3),
        "cost": pytest.approx(11),
        "cost_per_trial": pytest.approx(2.75),
        "cost_per_solved": pytest.approx(5.5),
        "unpriced": "",
        "wall_p50_s": 1.5,
        "wall_p95_s": 1.5,
    }


def test_infra_rows_are_in_no_denominator():
    """Trials that say nothing about the models change one figure: their own count."""
    without = pairs_of(*ROWS[:4])[0]
    (row,) = pairs_of(*ROWS)
    assert {key for key in row if row[key] != without[key]} == {"infra_errors"}


@pytest.mark.parametrize("role", ["orchestrator", "coder", "tester"])
def test_an_unknown_price_makes_the_cost_unknown(role):
    """No part of an unknown sum is shown as the sum; what is known beside it stays."""
    (row,) = pairs_of(a_row(**{role: "no-such-model", f"{role}_output": 5}))
    assert (row[f"{role}_cost"], row["cost"], row["cost_per_solved"]) == (None, None, None)
    assert {row[f"{other}_cost"] for other in ("orchestrator", "coder", "tester") if other != role} == {0.0}


def test_one_trial_without_a_price_makes_the_pairs_cost_unknown():
    """A sum over some of the trials would look cheaper than it was."""
    rows = [a_row(epoch=n, coder_output=5) for n in (1, 2)]
    rows[1]["recorded_at"] = None
    assert pairs_of(*rows)[0]["cost"] is None


def test_no_tokens_cost_nothing_whatever_the_price():
    """A model that was never asked does not make the cost unknown."""
    (row,) = pairs_of(a_row(tester="no-such-model"))
    assert (row["tester_cost"], row["cost"]) == (0.0, 0.0)


def test_nothing_solved_has_no_cost_per_solved():
    """There is no division by nothing, and no zero in its place."""
    (row,) = pairs_of(a_row(outcome="wrong", coder_input=1_000_000))
    assert (row["solved_pct"], row["cost"], row["cost_per_solved"]) == (0.0, 3.0, None)


def test_a_pair_of_nothing_but_infra_errors_has_no_rates():
    """Unknown is shown as unknown, in a table that holds another pair as well."""
    broken, fine = pairs_of(an_infra_row("a"), an_infra_row("a", task="u"), a_row("b"))
    assert (broken["trials"], broken["infra_errors"]) == (0, 2)
    for key in ("solved_pct", "solved_at_1_pct", "generated_passed_pct", "cost", "cost_per_solved"):
        assert broken[key] is None
    assert (broken["coder_input"], broken["attempts"]) == (0, 0)
    assert fine["solved_pct"] == 100.0


def test_a_table_of_nothing_but_infra_errors():
    """Not one trial could be measured: the table still stands."""
    (row,) = pairs_of(an_infra_row())
    assert (row["trials"], row["infra_errors"], row["solved_pct"], row["cost"]) == (0, 1, None, None)


def test_no_rows_make_an_empty_table():
    """Nothing was run: no pair, no error."""
    assert pairs_of() == []


def test_rows_and_pairs_are_sorted():
    """The table does not depend on the order in which workers finished."""
    rows = [a_row("b", epoch=2), a_row("a", task="z"), a_row("b", epoch=1), a_row("a", task="c")]
    ordered = aggregate.rows_of(frame(rows))
    assert [(row["pair"], row["task"], row["epoch"]) for row in ordered] == [
        ("a", "c", 1),
        ("a", "z", 1),
        ("b", "t", 1),
        ("b", "t", 2),
    ]
    assert pairs_of(*rows) == pairs_of(*reversed(rows))


def test_the_day_of_the_prices_can_be_chosen():
    """By default each trial has the prices of its own day; one recording can be priced at any date."""
    asked = []

    class Dated:
        def of(self, model, on):
            asked.append(on.isoformat())
            return Price(input=on.year - 2025, cache_write=0, cache_read=0, output=0)

    rows = [
        a_row(coder_input=1_000_000, recorded_at="2026-01-01"),
        a_row(epoch=2, coder_input=1_000_000, recorded_at="2027-05-05T10:00:00Z"),
    ]
    assert pairs_of(*rows, prices=Dated())[0]["coder_cost"] == pytest.approx(3)
    assert set(asked) == {"2026-01-01", "2027-05-05"}
    import datetime as dt

    assert pairs_of(*rows, prices=Dated(), on=dt.date(2028, 1, 1))[0]["coder_cost"] == pytest.approx(6)


def test_rows_are_plain_python_values():
    """What leaves pandas can be written as JSON and compared with ==."""
    rows = pairs_of(*ROWS, an_infra_row("q"))
    assert {type(value) for row in rows for value in row.values()} <= {str, int, float, type(None)}
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    plain = aggregate.rows_of(frame(ROWS))
    assert {type(value) for row in plain for value in row.values()} <= {str, int, float, bool, type(None)}


def test_the_csv_holds_the_same_figures():
    """A cell of the file is the row's value, and empty where that is unknown."""
    pairs = aggregate.summary(aggregate.add_costs(frame([*ROWS, an_infra_row('q,"x"')]), OWN), "pair")
    text = aggregate.to_csv(aggregate.rows_of(pairs))
    assert "\r" not in text
    read = list(csv.DictReader(io.StringIO(text)))
    for got, row in zip(read, aggregate.rows_of(pairs), strict=True):
        for key, value in row.items():
            assert (float(got[key]) if isinstance(value, int | float) else got[key]) == (
                "" if value is None else value
            )


@pytest.mark.parametrize("count", [1, 3, 7])
def test_percentages_are_of_the_measured_trials(count):
    """A rate is rounded to one decimal."""
    rows = [a_row(epoch=1), *[a_row(epoch=n + 2, outcome="wrong") for n in range(count)]]
    assert pairs_of(*rows)[0]["solved_pct"] == round(100 / (count + 1), 1)


def test_every_grouping_counts_the_same_trials():
    """Models, tasks and difficulties divide the trials; a tag takes each that has it."""
    rows = [*ROWS, a_row("q", task="z", difficulty="hard", tags="x", orchestrator="o2", coder="c2")]
    trials = aggregate.add_costs(frame(rows), OWN)
    for by in BY:
        found = aggregate.rows_of(aggregate.summary(trials, by))
        wanted = {"x": 5, "y": 4} if by == "tag" else None
        if wanted:
            assert {row["tag"]: row["trials"] for row in found} == wanted
        else:
            counts = [sum(row[name] for row in found) for name in ("trials", "infra_errors")]
            assert counts == [5, 2]
        assert next(iter(found[0])) == by
    assert [row["difficulty"] for row in aggregate.rows_of(aggregate.summary(trials, "difficulty"))] == [
        "easy",
        "hard",
    ]


def test_models_without_a_price_are_named():
    """Unknown stays unknown, and it is said what is missing."""
    rows = [a_row(coder="new-1", coder_output=5), a_row(task="u", tester="new-2", tester_output=5)]
    (row,) = pairs_of(*rows)
    assert (row["cost"], row["unpriced"]) == (None, "new-1, new-2")


def test_bounds_are_those_of_the_statistics():
    """Clustered by task; where the rows are tasks, by pair."""
    from harness.results.stats import rate_interval

    rows = [
        a_row(pair, outcome, task=task, epoch=epoch)
        for pair in ("p", "q")
        for task, outcomes in {"t": "ss", "u": "sw", "v": "ww"}.items()
        for epoch, letter in enumerate(outcomes, start=1)
        for outcome in [{"s": "solved", "w": "wrong"}[letter]]
    ]
    trials = aggregate.add_costs(frame(rows), OWN)
    for by, counts in (("pair", [(2, 2), (2, 1), (2, 0)]), ("coder", [(4, 4), (4, 2), (4, 0)])):
        expected = rate_interval(counts)
        row = aggregate.rows_of(aggregate.summary(trials, by))[0]
        assert row["solved_low_pct"] == round(100 * expected.low, 1)
        assert row["solved_high_pct"] == round(100 * expected.high, 1)
    task = aggregate.rows_of(aggregate.summary(trials, "task"))[1]
    assert task["solved_low_pct"] == round(100 * rate_interval([(2, 1), (2, 1)]).low, 1)


def test_equal_epochs_count_once():
    """Epochs that are one conversation in every task are no samples: as if each task had one epoch."""
    equal = many("a", 6, tasks=12, epochs=2, conversation="same")
    once = many("a", 6, tasks=12, conversation="same")
    (two,), (one,) = pairs_of(*equal), pairs_of(*once)
    assert two["repeated"] == 12
    assert one["repeated"] == 0
    for name in ("solved_pct", "solved_low_pct", "solved_high_pct", "k", "pass_at_k_pct"):
        assert two[name] == one[name]


def test_epochs_of_which_one_differs_all_count():
    """A single other answer shows that the epochs are samples."""
    rows = many("a", 6, tasks=12, epochs=2, conversation="same")
    rows[0]["conversation"] = "other"
    (row,) = pairs_of(*rows)
    assert (row["repeated"], row["k"]) == (0, 2)


def test_forged_trials_are_counted_and_never_solved():
    """They are measurements: in the denominator, with a column of their own."""
    (row,) = pairs_of(a_row(outcome="forged", task="t1"), a_row(task="t2"))
    assert (row["trials"], row["solved"], row["forged"], row["solved_pct"]) == (2, 1, 1, 50.0)
