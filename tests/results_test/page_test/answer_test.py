"""harness/results/page/answer.py: the sentences of the first screen."""

from rows import an_infra_row, many

from harness.results import aggregate
from harness.results.compare import rank
from harness.results.dataframe import frame
from harness.results.page import answer, overview
from harness.results.pricing import Prices
from harness.results.render import short_count
from harness.results.stats import tasks_to_show
from harness.results.tables import tables_of
from harness.tasks.loader import Price

FREE = Prices({name: Price(input=0, output=0) for name in ("orch", "code")})


def answer_of(*rows, prices=FREE):
    """The answer to these rows."""
    trials = aggregate.add_costs(frame(list(rows)), prices)
    return answer.in_sentences(tables_of(trials), aggregate.rows_of(trials))


def test_one_best_pair_is_named_with_what_its_lead_is_worth():
    """Established over all others, or perhaps chance; never established where nobody compared."""
    assert answer_of(*many("a", 19), *many("b", 2)).verdict == (
        "a is best: it solves 95 %, and its lead over the other pair is established."
    )
    assert answer_of(*many("a", 12), *many("b", 10)).verdict == (
        "a solves most, 60 %, but its lead over b could be chance."
    )
    trials = aggregate.add_costs(frame([*many("a", 19), *many("b", 2)]), FREE)
    pairs = tables_of(trials).pairs
    assert answer.verdict(rank([], pairs, "pair"), pairs, pairs) == (
        "a solves most, 95 %; not all others were compared with it."
    )


def test_ties_are_ties():
    """Nobody is crowned; the tied are counted, and the cheapest named if it is one; else their names."""
    rows = [row for name in "abcde" for row in many(name, 10)]
    assert answer_of(*rows).verdict == "No single best pair: 5 are tied at 50 %: a, b, c and 2 more."
    rows = [
        row
        for name, output in zip("abc", (9, 8, 8), strict=True)
        for row in many(name, 10)
        for row in [{**row, "coder_output": output + (name == "b")}]
    ]
    assert answer_of(*rows).verdict == "No single best pair: 3 are tied at 50 %; fewest tokens: c."
    paid = Prices({"code": Price(input=0, output=100), "orch": Price(input=0, output=0)})
    assert answer_of(*rows, prices=paid).verdict.endswith("; cheapest: c.")


def test_no_mock_is_crowned():
    """However much it solves; alone it is no measurement of a model."""
    mock = many("oracle", 20, backend="mock")
    assert answer_of(*mock, *many("a", 2)).verdict.startswith("a solves 10 %.")
    assert answer_of(*mock).verdict == "Only mocks ran: no model wrote code, so no pair is best."
    assert answer_of(*mock, *many("a", 0), *many("b", 0)).verdict == "No pair solved anything."


def test_stand_ins_are_named_beside_the_verdict():
    """Their figures are not Claude's; where there are none there is no such line."""
    assert answer_of(*many("a", 2, backend="local"), *many("b", 1)).caveat.startswith(
        "1 of 2 pairs of models are stand-ins"
    )
    assert answer_of(*many("a", 2)).caveat == ""


def test_what_would_be_surer_follows_from_the_gap():
    """Four times the tasks halve what can be told; commands name the pairs and what they take."""
    rows = [{**row, "coder_output": 50} for row in (*many("a", 12), *many("b", 10), *many("c", 0))]
    told = answer_of(*rows)
    needed = tasks_to_show([1.0] * 2 + [0.0] * 18, 0.1)
    assert "if it is the only comparison" in dict(told.facts)["What it can tell"]
    assert told.next_steps.purpose == "To tell a and b apart (10 points, could be chance)"
    (epochs, of_epochs), (new, of_new), (tasks, of_tasks) = told.next_steps.commands
    assert epochs == "pytest benchmarks --pair a --pair b --epochs 5 --record=once"
    assert of_epochs.startswith("4 more epochs of the same tasks, 5 in all")
    assert "About 160 trials" in of_epochs
    assert of_epochs.endswith("set “epochs: 5” of both in pairs.yaml.")
    tokens = short_count(160 * overview.tokens_per_trial({**rows[0], "trials": 1}))
    assert f"{tokens} tokens, $0." in of_epochs
    assert new == "harness new task NAME"
    assert f"{needed - 20} more tasks, {needed} in all" in of_new
    assert tasks == epochs.replace("5", "1")
    assert f"About {2 * (needed - 20)} trials" in of_tasks


def test_so_few_tasks_that_they_can_show_nothing_are_said_to():
    """Five that all agree are p = 0.06; beside others they are not counted in, and six are asked for."""
    few = answer_of(*many("a", 5, 5), *many("b", 0, 5))
    assert dict(few.facts)["What it can tell"] == (
        "With 5 tasks a comparison can establish nothing, however large the difference: "
        "it takes 6 at the least."
    )
    assert few.next_steps.commands[1][1].startswith("once for each of 1 more tasks, 6 in all")
    mixed = dict(answer_of(*many("a", 5), *many("b", 3), *many("c", 0, 5)).facts)["What it can tell"]
    assert mixed.startswith("With 20 tasks a true difference of")
    assert mixed.endswith(
        "A comparison of fewer than 6 tasks can establish nothing, however large the difference."
    )


def test_nothing_is_left_to_do_where_the_best_is_established():
    """Nor is there where there is no second pair."""
    assert answer_of(*many("a", 19), *many("b", 2)).next_steps is None
    assert answer_of(*many("a", 19)).next_steps is None


def test_what_it_rests_on_is_counted():
    """Trials, tasks, epochs, days, mocks and infra errors."""
    mock = many("m", 5, 5, 2, backend="mock")
    facts = dict(answer_of(*many("a", 3, 5, 2), *mock, an_infra_row("a", task="t9")).facts)
    assert facts["What it rests on"] == (
        "20 trials: 5 tasks, up to 2 epochs, 2 pairs; recorded 2026-01-01. 1 pair mocked: the task file "
        "wrote the code, not a model. 1 infra error in no percentage."
    )


def test_an_unknown_price_is_unknown_and_not_nothing():
    """The model is named; what is known is told."""
    rows = [*many("a", 10, coder_output=10, coder="x"), *many("b", 5, coder_output=10)]
    prices = Prices({"code": Price(input=0, output=100), "orch": Price(input=0, output=0)})
    told = dict(answer_of(*rows, prices=prices).facts)["At what price"]
    assert "Cheapest: b, $0.004." in told
    assert "No price is known for x" in told


def test_the_lead_has_its_interval_and_its_p_value():
    """Of the best over the next, whichever comes first by name; where several are tied nobody leads."""
    figures = "Against {}: +30 points, 95 % interval +5 to +49, p = 0.031. 1 difference"
    for best, other in ("ab", "ba"):
        (_, sure), *_ = answer_of(*many(best, 16), *many(other, 10)).facts
        assert figures.format(other) in sure
    (_, apart), *_ = answer_of(*many("a", 19), *many("b", 2, 15)).facts
    assert "Against b: +87 points on 15 shared tasks, 95 % interval" in apart
    (_, tied), *_ = answer_of(*many("a", 10), *many("b", 10)).facts
    assert "Against" not in tied


def test_the_interval_says_that_it_rests_on_tasks():
    """Trials of one task are alike; with one epoch there is nothing to say."""
    (_, two), *_ = answer_of(*many("a", 3, 5, 2)).facts
    assert "clustered by its 5 tasks" in two
    (_, one), *_ = answer_of(*many("a", 3, 5)).facts
    assert "clustered" not in one
