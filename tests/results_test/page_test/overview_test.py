"""harness/results/page/overview.py: the tables and orders of the page."""

from rows import a_row, an_infra_row, many

from harness.results import aggregate
from harness.results.dataframe import frame
from harness.results.page import overview
from harness.results.pricing import Prices
from harness.results.tables import tables_of
from harness.tasks.loader import Price

FREE = Prices({name: Price(input=0, output=0) for name in ("orch", "code")})


def test_a_gap_on_shared_tasks_says_so():
    """It need not be the difference of the two percentages."""
    trials = aggregate.add_costs(frame([*many("a", 19), *many("b", 2, 15)]), FREE)
    assert [row["standing"] for row in overview.ranking_rows(tables_of(trials))] == [
        "best",
        "\N{MINUS SIGN}87 on 15 shared tasks, established",
    ]


def test_what_beats_the_highest_rate_is_said_to():
    """On the tasks that both have: the other one owes its rate to easier ones."""
    rows = [*many("a", 0, 10), *many("b", 10, 10)]
    rows += [a_row("a", task=f"easy{n}") for n in range(40)]
    rows += [a_row("b", "wrong", task=f"hard{n}") for n in range(20)]
    made = overview.ranking_rows(tables_of(aggregate.add_costs(frame(rows), FREE)))
    assert [row["standing"] for row in made] == ["highest", "+100 on 10 shared tasks, established"]


def test_a_local_model_is_a_stand_in_by_any_backend():
    """The Claude CLI may lead to it, too."""
    rows = [
        {"pair": "p", "backend": "claude-code", "coder": each} for each in ("smollm2-135m-instruct", "claude")
    ]
    assert overview.pair_names(rows[:1]) == {"p": "p (stand-in)"}
    assert overview.pair_names(rows[1:]) == {"p": "p"}


def test_the_matrix_reads_by_row():
    """Row minus column; both signs of one comparison; established or not by kind; no mock against a model."""
    mocks = [*many("m", 20, backend="mock"), *many("n", 1, backend="mock")]
    rows = [*many("a", 19), *many("b", 2), *mocks]
    made = overview.matrix(tables_of(aggregate.add_costs(frame(rows), FREE)))
    assert made["heads"] == ["a", "b", "m", "n"]
    (_, (none, better, apart, _)), (_, (worse, *_)), *_ = made["rows"]
    assert (none, apart) == (None, None)
    assert (better["kind"], better["text"]) == ("better", "+85")
    assert (worse["kind"], worse["text"]) == ("worse", "−85")
    assert better["id"] == worse["id"]
    assert [line[:2] for line in made["listed"]] == [("a", "b"), ("m (mock)", "n (mock)")]
    assert worse["says"] == "b against a: −85.0 points, p < 0.001, established"


def test_a_minus_is_a_minus():
    """In figures; a hyphen that stands for nothing known, or between the ends of a range, is none."""
    assert [overview.signed(*each) for each in ((-0.3,), (-1.26, 1), (12.6,))] == ["+0", "−1.3", "+13"]
    assert overview.with_minus("-3.2 to +1.0") == "−3.2 to +1.0"
    assert [overview.with_minus(each) for each in ("-", "17.2-48.1", "-$0.02")] == [
        "-",
        "17.2-48.1",
        "−$0.02",
    ]


def test_small_numbers_are_plain():
    """No powers of ten; what is nearly nothing is said to be less than something."""
    assert [overview.plain_p(p) for p in (2.9e-05, 0.0123, 0.07, 0.5, 1.0)] == [
        *("p < 0.001", "p = 0.012", "p = 0.070", "p = 0.50", "p = 1.00"),
    ]


def test_tasks_that_are_solved_most_come_first():
    """Over pairs of models alone; many epochs are a count."""
    rows = [
        *(a_row(task="hard", epoch=n, outcome="wrong") for n in range(1, 6)),
        *(a_row(task="easy", epoch=n) for n in range(1, 3)),
        a_row("m", task="hard", backend="mock"),
    ]
    trials = aggregate.add_costs(frame(rows), FREE)
    made = overview.grid(aggregate.rows_of(trials), tables_of(trials).pairs)
    assert [(line["task"], line["solved"], line["of"]) for line in made["rows"]] == [
        ("easy", 2, 2),
        ("hard", 0, 5),
    ]
    assert (made["never"], made["always"]) == (1, 1)
    assert made["rows"][1]["cells"][0]["text"] == "0/5"


def test_repairs_are_told_apart_and_bars_are_whole():
    """A letter for what was solved after a repair; the parts of a bar make 100 %."""
    rows = [
        a_row(task="a"),
        a_row(task="b", solved_at=2),
        a_row(task="c", outcome="wrong"),
        an_infra_row(task="d"),
    ]
    trials = aggregate.add_costs(frame(rows), FREE)
    (bar,) = overview.outcome_bars(aggregate.rows_of(trials), tables_of(trials).pairs)
    assert [mark.letter for mark, _, _ in bar["parts"]] == ["S", "R", "W", "!"]
    assert sum(share for _, _, share in bar["parts"]) == 100
