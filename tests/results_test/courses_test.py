"""Courses in tables: the learning curve, and kinds of memory compared course run by course run."""

from __future__ import annotations

import pytest
from rows import a_course_run, a_row, with_two_memories

from harness.errors import UsageError
from harness.results import aggregate, courses, gates, render
from harness.results.dataframe import frame
from harness.results.page import memory
from harness.results.pricing import Prices
from harness.results.tables import tables_of


def tables(rows):
    return tables_of(aggregate.add_costs(frame(rows), Prices({})))


def test_the_curve_is_the_rate_at_each_step() -> None:
    """Of two runs, one fails the second step: 100 %, 50 %."""
    (row,) = tables([*a_course_run("carried", 1, "ss"), *a_course_run("carried", 2, "sw")]).courses
    assert (row["runs"], row["curve"], row["solved_pct"]) == (2, [100.0, 50.0], 75.0)
    assert dict(render.COURSES)["step by\nstep"](row) == "█▅"


def test_steps_are_in_no_other_table() -> None:
    """The tables of ordinary tasks are those of a run without courses."""
    ordinary = [a_row("p"), a_row("q", "wrong")]
    with_courses, without = tables([*ordinary, *with_two_memories(2)]), tables(ordinary)
    assert with_courses.by == without.by
    assert with_courses.comparisons == without.comparisons
    steps = "; 12 steps of courses besides, in the table of courses alone"
    assert with_courses.note.replace(steps, "") == without.note != with_courses.note
    assert (without.courses, without.memory) == ([], [])


def test_the_sample_is_the_course_run() -> None:
    """Twenty-four steps that all differ the same way are eight samples, and that many show it."""
    (found,) = tables(with_two_memories(8)).memory
    assert (found.first, found.second, found.tasks, found.steps) == ("fresh", "carried", 8, 24)
    assert found.difference_pct == pytest.approx(200 / 3)
    assert (found.p, found.verdict) == (2 / 2**8, "better")


def test_another_system_does_not_change_what_is_shown_of_one() -> None:
    """P values are adjusted within a pair of models: five more pairs, and the eight runs show the same."""
    more = [
        row | {key: f"{number}-{row[key]}" for key in ("pair", "trial")}
        for number in range(5)
        for row in with_two_memories(2, orchestrator=f"openai/other-{number}")
    ]
    memory = tables([*with_two_memories(8), *more]).memory
    assert [each.p_holm for each in memory if each.tasks == 8] == [2 / 2**8]
    told = render.memory_verdicts(memory)
    assert len(told) == 2
    assert "+66.7 points" in told[0]
    assert (
        told[1]
        == "memory: no difference shown in 5 other comparisons (harness compare --by memory lists them)"
    )


def test_kinds_of_memory_of_one_system_are_adjusted_for_their_number() -> None:
    """With a third kind there are three comparisons, and each p value is up to three times as large."""
    third = [row for n in range(1, 9) for row in a_course_run("none", n, "sww")]
    memory = tables([*with_two_memories(8), *third]).memory
    assert sorted(each.p_holm for each in memory) == [3 * 2 / 2**8, 3 * 2 / 2**8, 1]
    assert [text.count("no difference shown") for text in render.memory_verdicts(memory)] == [0, 0, 1]


def test_few_course_runs_show_nothing() -> None:
    """Two runs, however clear: nothing is shown, and could not have been; six can show it."""
    (found,) = tables(with_two_memories(2)).memory
    assert (found.p, found.verdict) == (0.5, "not shown")
    assert "so few can show none, however large" in render.conclusion(found)
    assert "2 tasks can show none, however large" in gates.in_one_line(found)
    assert memory.sentence(found).endswith("; so few can show none, however large")
    assert [tables(with_two_memories(n)).memory[0].is_too_small for n in (1, 5, 6)] == [True, True, False]


def test_one_course_run_is_one_sample() -> None:
    """Its steps do not make its interval shorter than that of two runs; a mixed one has none."""
    (one,) = tables(a_course_run("fresh", 1, "wwwwww")).courses
    (two,) = tables(a_course_run("fresh", 1, "www") + a_course_run("fresh", 2, "www")).courses
    assert one["solved_high_pct"] > two["solved_high_pct"] > 60
    (mixed,) = tables(a_course_run("fresh", 1, "sww")).courses
    assert mixed["solved_low_pct"] is mixed["solved_high_pct"] is None


def test_what_has_nothing_in_common_is_no_comparison() -> None:
    """Another kind of memory on another course changes nothing, and nothing is said of it."""
    elsewhere = [row for n in range(1, 3) for row in a_course_run("none", n, "sss", course="other")]
    memory = tables([*with_two_memories(6), *elsewhere]).memory
    assert [each.verdict for each in memory if each.tasks] == ["better"]
    assert len(render.memory_verdicts(memory)) == 1


def test_a_repeated_conversation_is_no_further_sample() -> None:
    """Epochs that are the same word for word count once."""
    (found,) = tables(with_two_memories(8, conversation="the same")).memory
    assert found.tasks == 1


def test_steps_are_paired_and_a_missing_one_counts_on_neither_side() -> None:
    """A step that ended in an infra error is left out of its run on both sides."""
    rows = with_two_memories(1)
    rows[2] |= {"kind": "infra", "outcome": "api_error"}  # the third step of carried
    (found,) = tables(rows).memory
    assert (found.steps, found.left_out, found.difference_pct) == (2, ("shop.3.t[1]",), 50.0)


def test_the_points_are_the_difference_of_the_percentages() -> None:
    """Of a long and a short course each run counts alike, in all three."""
    rows = [
        *with_two_memories(1, "ssss", "wwww", course="long"),
        *with_two_memories(1, "s", "s", course="short"),
    ]
    (found,) = tables(rows).memory
    assert (found.first_pct, found.second_pct, found.difference_pct) == (50, 100, 50)


def test_a_step_without_a_price_makes_the_cost_unknown() -> None:
    """It is not left out of its course run's mean."""
    rows = with_two_memories(6)
    assert tables(rows).memory[0].cost == 0
    rows[2] |= {"coder_input": 5}
    assert tables(rows).memory[0].cost is None


def test_controls_stand_apart() -> None:
    """A control is a row and a comparison of its own."""
    rows = [*with_two_memories(2), *with_two_memories(2, fresh="sss", course="shop-control", control=True)]
    made = tables(rows)
    assert [(row["pair"], row["control"]) for row in made.courses] == [
        ("fresh", False),
        ("carried", False),
        ("fresh", True),
        ("carried", True),
    ]
    assert [each.second for each in made.memory] == ["carried", "carried (control)"]
    assert made.memory[1].difference_pct == 0


def test_where_systems_are_several_controls_name_theirs_too() -> None:
    """Though one of them alone has a control."""
    control = with_two_memories(2, course="shop-control", control=True)
    made = tables([*with_two_memories(2), *with_two_memories(2, coder="other", course="night"), *control])
    assert [each.second for each in made.memory] == [
        *("carried orch+code", "carried orch+other", "carried orch+code (control)"),
    ]


def test_what_cannot_be_compared_is_said() -> None:
    """No course, one kind of memory, an unknown kind: one line each."""
    known = frame(with_two_memories(1))
    with pytest.raises(UsageError, match="no two kinds of memory"):
        courses.by_memory(frame([a_row()]))
    with pytest.raises(UsageError, match="no course was run with memory 'none'"):
        courses.by_memory(known, ("none", "carried"))
