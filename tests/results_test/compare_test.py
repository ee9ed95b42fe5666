"""harness/results/compare.py: two sets of trials, paired by task."""

from datetime import date

import pytest
from rows import a_row, an_infra_row, many

from harness.errors import UsageError
from harness.results import aggregate
from harness.results.compare import Ranking, between_pairs, between_runs, rank, within_run
from harness.results.dataframe import frame
from harness.results.pricing import Prices
from harness.results.render import conclusion, headline, took_part
from harness.results.sides import Side
from harness.results.tables import rows_by, tables_of
from harness.tasks.loader import Price

PRICES = Prices(
    {
        "orch": Price(input=1, output=1),
        "code": Price(input=2, output=2),
        "dear": Price(input=20, output=20),
    }
)


def trials(*rows):
    return aggregate.add_costs(frame(rows), PRICES)


def test_a_difference_is_shown():
    """Ten of twenty tasks gained and none lost: p is 2 / 2**10."""
    (found,) = within_run(trials(*many("a", 5), *many("b", 15)), "pair")
    assert (found.first, found.second, found.tasks, found.verdict) == ("a", "b", 20, "better")
    assert (found.first_pct, found.second_pct, found.difference_pct) == (25, 75, 50)
    assert found.p == found.p_holm == pytest.approx(2 / 2**10)
    assert found.interval_pct.low < 50 < found.interval_pct.high
    assert [flip.task for flip in found.flips] == [f"t{n:02d}" for n in range(5, 15)]
    assert (found.flips[0].first_trial, found.flips[0].second_trial) == ("a/t05/1", "b/t05/1")


def test_no_difference_is_shown():
    """Two tasks of twenty are too few, and what would not have been is said."""
    (found,) = within_run(trials(*many("a", 5), *many("b", 7)), "pair")
    assert found.verdict == "not shown"
    assert found.p == 0.5
    assert conclusion(found).endswith("p = 0.5; even alone, it takes 36.6 points to show one")


def test_epochs_are_averaged_by_task():
    """A task solved in one of two epochs is half solved; tasks, not trials, are what counts."""
    one = [a_row("a", "solved", task="t", epoch=1), a_row("a", "wrong", task="t", epoch=2)]
    (found,) = within_run(trials(*one, a_row("b", task="t")), "pair")
    assert (found.first_pct, found.second_pct, found.tasks) == (50, 100, 1)


def test_all_pairs_are_adjusted_for_their_number():
    """Three comparisons: the smallest p value is multiplied by three."""
    table = trials(*many("a", 0), *many("b", 10), *many("c", 10))
    found = within_run(table, "pair")
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].p_holm == pytest.approx(3 * found[0].p)
    assert [each.verdict for each in found] == ["better", "better", "not shown"]
    ranking = rank(found, rows_by(table, "pair"), "pair")
    assert ranking == Ranking(best=("b", "c"), rate_pct=50.0, worse=("a",))


def test_the_cheaper_of_tied_pairs_is_named_first():
    """Then the faster; a price that is unknown comes last."""
    table = trials(
        *many("a", 5, recorded_wall_s=9.0),
        *many("b", 5, recorded_wall_s=2.0),
        *many("c", 5, coder="no-such-model", coder_input=5),
    )
    ranking = rank(within_run(table, "pair"), rows_by(table, "pair"), "pair")
    assert ranking.best == ("b", "a", "c")


def test_worse_than_one_of_the_tied_is_not_worse_than_the_best():
    """Of two at 50 %, the one is shown to be better on the tasks that it shares with the third alone."""
    rows = [*many("a", 15, 30), *many("c", 6, 30)]
    rows += [a_row("b", "solved" if n >= 15 else "wrong", task=f"t{n:02d}") for n in range(30)]
    table = trials(*rows)
    found = within_run(table, "pair")
    assert [each.verdict for each in found] == ["not shown", "worse", "not shown"]
    ranking = rank(found, rows_by(table, "pair"), "pair")
    assert (ranking.best, ranking.close, ranking.worse) == (("a", "b"), ("c",), ())
    assert headline(ranking)[1].startswith("not shown to be worse than each of these: c (paired")


def test_a_mock_is_never_the_best():
    """It stands apart, is compared with mocks only, and is best where there is nothing else."""
    mocks = [*many("m", 20, backend="mock"), *many("n", 19, backend="mock")]
    table = trials(*many("a", 5, backend="local"), *many("b", 1), *mocks)
    found = within_run(table, "pair")
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("m", "n")]
    ranking = rank(found, rows_by(table, "pair"), "pair")
    assert ranking.best == ("a (stand-in)",)
    assert ranking.mocks == ("m (mock)", "n (mock)")
    assert rank([], rows_by(trials(*mocks), "pair"), "pair").best == ("m (mock)",)
    (named,) = within_run(table, "pair", ("a", "m"))
    assert named.names == ("a (stand-in)", "m (mock)")


def test_who_had_the_better_partner_is_not_the_best_for_that():
    """An orchestrator's rate is that of all its coders; the best is ahead where the coder is the same."""
    rows = [*many("a", 12, orchestrator="x", coder="strong"), *many("b", 2, orchestrator="x", coder="weak")]
    rows += many("c", 11, orchestrator="y", coder="strong")
    table = trials(*rows)
    ranking = rank(within_run(table, "orchestrator"), rows_by(table, "orchestrator"), "orchestrator")
    assert (ranking.best, ranking.rate_pct, ranking.close) == (("x",), 35.0, ("y",))
    assert headline(ranking)[0] == "ahead with the same partners: x"


def test_orchestrators_that_are_alike_with_each_coder_are_tied():
    """Whatever the rates of all their trials are: one of them had a weak coder more."""
    rows = [*many("a", 12, orchestrator="x", coder="strong"), *many("b", 2, orchestrator="x", coder="weak")]
    rows += [
        *many("c", 12, orchestrator="y", coder="strong"),
        *many("d", 2, orchestrator="z", coder="strong"),
    ]
    table = trials(*rows)
    ranking = rank(within_run(table, "orchestrator"), rows_by(table, "orchestrator"), "orchestrator")
    assert (set(ranking.best), ranking.worse) == ({"x", "y"}, ("z",))
    tied, worse = headline(ranking)
    assert tied == "tied with the same partners: y, x"
    assert worse.startswith("shown to be worse than each of these: z (")


def test_what_beats_the_highest_rate_where_both_were_measured_is_named():
    """A rate over other, easier tasks may be the highest; the paired test then says the opposite."""
    rows = [*many("a", 0, 10), *many("b", 10, 10)]
    rows += [a_row("a", task=f"easy{n}") for n in range(40)]
    rows += [a_row("b", "wrong", task=f"hard{n}") for n in range(20)]
    table = trials(*rows)
    ranking = rank(within_run(table, "pair"), rows_by(table, "pair"), "pair")
    assert (ranking.best, ranking.better, ranking.worse) == (("a",), ("b",), ())
    best, better = headline(ranking)
    assert best == "highest: a"
    assert better.startswith("but shown to be better where compared: b (paired by task")


def test_rows_that_pool_pairs_leave_out_mocks():
    """What a task file wrote does not raise the rate of an orchestrator, a task or a tag."""
    table = trials(*many("a", 5), *many("m", 20, backend="mock", coder="oracle"))
    (row,) = rows_by(table, "orchestrator")
    assert (row["trials"], row["solved"]) == (20, 5)
    assert [(row["coder"], row["mark"]) for row in rows_by(table, "coder")] == [
        ("code", ""),
        ("oracle", "mock"),
    ]
    assert "20 mock trials: in no row with those of models" in tables_of(table).note
    (alone,) = rows_by(trials(*many("m", 20, backend="mock")), "orchestrator")
    assert alone["trials"] == 20


def test_the_best_pair_stands_first():
    """Then the others, mocks, and what was not measured, wherever pairs are listed."""
    rows = [an_infra_row(pair="none"), *many("mock", 20, backend="mock"), *many("poor", 2), *many("good", 9)]
    table = trials(*rows)
    assert [row["pair"] for row in rows_by(table, "pair")] == ["good", "poor", "mock", "none"]


def test_results_of_the_two_servers_never_stand_in_one_row():
    """Rows by pair and orchestrator tell them apart; all others leave out the App Server, and say so."""
    app = {"orchestrator": "orch (App Server)", "letta_version": "App Server 0.34.12 through X"}
    table = trials(*many("a", 5), *many("b", 20, **app))
    assert [row["orchestrator"] for row in rows_by(table, "orchestrator")] == ["orch (App Server)", "orch"]
    for by in ("coder", "tester", "difficulty"):
        (row,) = rows_by(table, by)
        assert (row["trials"], row["solved"]) == (20, 5)
    note = tables_of(table).note
    assert "(App Server): the orchestrator lived in App Server 0.34.12 through X, not in Letta V1" in note
    assert "these 20 trials are in no row that pools orchestrators" in note
    (alone,) = rows_by(trials(*many("b", 20, **app)), "coder")
    assert alone["trials"] == 20
    assert "App Server" not in tables_of(trials(*many("a", 5))).note


def test_a_price_does_not_depend_on_the_server():
    """The label of the server is no part of the model's name."""
    assert PRICES.of("orch (App Server)", date(2026, 1, 1)) == PRICES.of("orch", date(2026, 1, 1))


def test_infra_errors_take_no_part():
    """A task that one side could not measure is left out, and named."""
    (found,) = within_run(trials(*many("a", 2, 4), *many("b", 2, 3), an_infra_row("b", task="t03")), "pair")
    assert (found.tasks, found.left_out) == (3, ("t03",))


def test_tasks_that_changed_between_runs_take_no_part():
    """They are other tasks by the same name."""
    old, new = many("a", 4, 4), many("a", 0, 4)
    new[0]["task_digest"] = "another"
    (found,) = between_runs(trials(*old), trials(*new), ("old", "new"), "pair")
    assert (found.tasks, found.changed, found.difference_pct) == (3, ("t00",), -100)


def test_no_task_in_common():
    """Nothing can be said, and nothing breaks."""
    (found,) = within_run(trials(a_row("a", task="t"), a_row("b", task="u")), "pair")
    assert (found.tasks, found.difference_pct, found.verdict, found.left_out) == (
        0,
        None,
        "not shown",
        ("t", "u"),
    )


def test_orchestrators_are_compared_where_all_else_is_the_same():
    """A trial whose coder only one of the two orchestrators had is left aside."""
    rows = [
        *many("a", 0, 8, orchestrator="x", coder="code", tester="code"),
        *many("b", 8, 8, orchestrator="y", coder="code", tester="code"),
        *many("c", 0, 8, orchestrator="y", coder="other", tester="other"),
    ]
    (found,) = within_run(trials(*rows), "orchestrator")
    assert (found.first, found.second, found.difference_pct) == ("x", "y", 100)
    assert found.pairs == (("a",), ("b",))
    assert took_part([found], "abc", "more than the orchestrator differs") == [
        "pairs compared:",
        "  x: a",
        "  y: b",
        "  in no comparison, as more than the orchestrator differs: c",
    ]
    with pytest.raises(UsageError, match="no two orchestrators that differ in nothing else"):
        within_run(trials(*rows[:8], *rows[16:]), "orchestrator")


def test_what_mocks_wrote_is_compared_apart():
    """In one mean, a task file's code would raise the difference and hide that a stand-in wrote the rest."""
    rows = [
        *many("a", 2, 8, orchestrator="x", backend="local"),
        *many("b", 6, 8, orchestrator="y", backend="local"),
        *many("c", 0, 8, orchestrator="x", backend="mock"),
        *many("d", 8, 8, orchestrator="y", backend="mock"),
    ]
    for found in (
        within_run(trials(*rows), "orchestrator"),
        within_run(trials(*rows), "orchestrator", ("x", "y")),
        between_runs(
            trials(*rows[:8], *rows[16:24]), trials(*rows[:8], *rows[16:24]), ("r", "s"), "orchestrator"
        ),
    ):
        assert [each.marks for each in found] == [("stand-in", "stand-in"), ("mock", "mock")]
    assert [each.difference_pct for each in within_run(trials(*rows), "orchestrator")] == [50, 100]


def test_a_coder_that_tests_its_own_code_changes_with_its_tester():
    """Else no two coders could ever be compared; one tested by somebody else is another matter."""
    rows = [*many("a", 0, 8, coder="x", tester="x"), *many("b", 8, 8, coder="y", tester="y")]
    (found,) = within_run(trials(*rows), "coder")
    assert (found.first, found.second, found.verdict) == ("x", "y", "better")
    with pytest.raises(UsageError, match="differ in nothing else"):
        within_run(trials(*rows[:8], *many("b", 8, 8, coder="y", tester="z")), "coder")


def test_coders_with_one_tester_are_compared_though_it_is_one_of_them():
    """They differ in nothing else."""
    rows = [*many("a", 0, 8, coder="x", tester="y"), *many("b", 8, 8, coder="y", tester="y")]
    for only in (None, ("x", "y")):
        (found,) = within_run(trials(*rows), "coder", only)
        assert (found.first, found.second, found.verdict) == ("x", "y", "better")


def test_cost_and_tokens_are_compared_likewise():
    """A million input tokens a trial for 2 and for 20 dollars; where a price is unknown, so is the cost."""
    rows = [
        *many("a", 4, 8, coder="code", coder_input=1_000_000),
        *many("b", 4, 8, coder="dear", coder_input=1_000_000),
    ]
    (found,) = within_run(trials(*rows), "pair")
    assert (found.cost, found.cost_interval.low, found.tokens) == (pytest.approx(18), pytest.approx(18), 0)
    rows[-1]["coder"] = "no-such-model"
    (found,) = within_run(trials(*rows), "pair")
    assert (found.cost, found.cost_interval) == (None, None)


def test_the_server_is_named_as_a_difference():
    """The same pair in another Letta server says nothing of its models; the same one is not mentioned."""
    app = {"orchestrator": "orch (App Server)", "letta_version": "App Server 0.34.12 through X"}
    v1, other = trials(*(a_row(task=t) for t in "ab")), trials(*(a_row(task=t, **app) for t in "ab"))
    (moved,) = between_runs(v1, other, ("A", "B"), "pair")
    (same,) = between_runs(v1, v1, ("A", "B"), "pair")
    assert moved.server_note == (
        "p in A lived in Letta 0.16.8, p in B in Letta App Server 0.34.12 through X: "
        "the server is part of the difference"
    )
    assert same.server_note == ""


def test_names_that_are_not_there():
    """The message names those that are."""
    with pytest.raises(UsageError, match="no pair 'z'.*use two of: a, b"):
        within_run(trials(*many("a", 1, 2), *many("b", 1, 2)), "pair", ("a", "z"))
    with pytest.raises(UsageError, match="no pair has measured trials in both old and new"):
        between_runs(trials(a_row("a")), trials(a_row("b")), ("old", "new"), "pair")


def test_a_mock_and_a_model_are_no_comparison():
    """A run of one of each has its tables, and nothing that is compared."""
    table = trials(*many("a", 5), *many("m", 20, backend="mock"))
    assert between_pairs(table) == []
    with pytest.raises(UsageError, match="there are no two pairs that can be compared"):
        within_run(table, "pair")
    assert tables_of(table).ranking == Ranking(best=("a",), rate_pct=25.0, mocks=("m (mock)",))


def test_coders_are_compared_where_they_are_asked_alike():
    """Settings are surroundings; a row of an earlier version, which had none, was asked without."""
    high = [many(name, 5, coder=name, tester="t", coder_settings="effort=high") for name in ("a", "b")]
    plain = many("c", 5, coder="c", tester="t")
    for each in plain:
        del each["coder_settings"], each["tester_settings"]
    found = within_run(trials(*high[0], *high[1], *plain, *many("d", 5, coder="d", tester="t")), "coder")
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("c", "d")]


def test_a_local_model_is_a_stand_in_whoever_asks_it():
    """Also where the Claude CLI does: by its name it is no Claude. A mock is one whatever it is called."""
    by_cli = {"backend": "claude-code", "coder": "smollm2-135m-instruct"}
    table = trials(*many("a", 5, **by_cli), *many("b", 4, coder="claude-haiku-5-5"))
    assert [row["mark"] for row in rows_by(table, "pair")] == ["stand-in", ""]
    assert [row["mark"] for row in rows_by(table, "coder")] == ["stand-in", ""]
    (found,) = within_run(table, "pair")
    assert found.names == ("a (stand-in)", "b")
    assert "stand-in: a small local model in place of Claude" in tables_of(table).note
    (mock,) = rows_by(trials(*many("m", 5, backend="mock", coder="smollm2-135m-instruct")), "coder")
    assert mock["mark"] == "mock"


def test_the_note_names_pairs_that_were_not_measured_on_all_tasks():
    """Their percentages are of other tasks, maybe of easier ones."""
    few = [*many("a", 5, 5), *many("b", 5)]
    assert "; 20 tasks, but 5 with a: percentages are of different tasks" in tables_of(trials(*few)).note
    assert "different tasks" not in tables_of(trials(*many("a", 5, 5), *many("b", 5, 5))).note
    more = [row for name in "cde" for row in many(name, 1, 3)]
    assert "5 with a, 3 with c, 3 with d, fewer with 1 more pair:" in tables_of(trials(*few, *more)).note


def test_the_note_names_the_settings_of_a_pair():
    """Two pairs of one model are told apart by how it is asked."""
    found = trials(*many("high", 5, coder_settings="effort=high"), *many("plain", 5))
    note = tables_of(found).note
    assert "high asks its coder with effort=high" in note
    assert "plain asks" not in note


def test_the_note_says_the_same_settings_once():
    """Of several pairs, and of coder and tester."""
    both = {"coder_settings": "max_tokens=9", "tester_settings": "max_tokens=9"}
    alone = many("c", 5, tester_settings="max_tokens=9")
    note = tables_of(trials(*many("a", 5, **both), *many("b", 5, **both), *alone)).note
    assert "a and b ask their coder and tester with max_tokens=9" in note
    assert "c asks its tester with max_tokens=9" in note


def test_a_row_without_a_digest_of_its_conversation_repeats_no_other():
    """Records of earlier versions have none; the task's other rows speak for it."""
    rows = [a_row(epoch=1, trial="p/t/1"), a_row(epoch=2, trial="p/t/2", conversation="c")]
    rows[0].pop("conversation", None)
    assert Side("p", trials(*rows)).by_task["conversation"].tolist() == ["c"]


def test_a_partner_that_one_side_lacks_on_a_task_does_not_count_there():
    """Two orchestrators that do the same with each of two coders do the same, whatever an error hid."""
    rows = [
        *many("a", 20, orchestrator="x", coder="strong"),
        *many("b", 0, orchestrator="x", coder="weak"),
        *many("c", 20, orchestrator="y", coder="strong", epochs=3),
        *many("d", 0, 10, orchestrator="y", coder="weak"),
        *(an_infra_row("d", orchestrator="y", coder="weak", task=f"t{n}") for n in range(10, 20)),
    ]
    (found,) = within_run(trials(*rows), "orchestrator")
    assert (found.tasks, found.difference_pct, found.p, found.flips) == (20, 0, 1, ())
    (found,) = between_runs(trials(*rows[:40]), trials(*rows[:20]), ("r", "s"), "orchestrator")
    assert (found.difference_pct, found.pairs) == (0, (("a",), ("a",)))
    rows = rows[:20] + many("d", 0, 25, orchestrator="y", coder="weak")
    with pytest.raises(UsageError, match="no two orchestrators that differ in nothing else"):
        within_run(trials(*rows), "orchestrator")
