"""harness/results/render.py and terminal_tables.py: the tables for people."""

import io

import pytest
from _pytest._io import TerminalWriter

from harness.results import render, terminal_tables
from harness.results.compare import Comparison, Ranking
from harness.results.stats import Interval
from harness.results.tables import Tables

KINDS = ("input", "cache_write", "cache_read", "output")
ROLES = ("orchestrator", "coder", "tester")


def a_row(**changes):
    """A row of the pair table."""
    row = {
        "pair": "p",
        "orchestrator": "openai/x",
        "coder": "claude-x",
        "tester": "claude-y",
        "trials": 4,
        "infra_errors": 1,
        "solved": 2,
        "solved_pct": 50.0,
        "solved_low_pct": 15.0,
        "solved_high_pct": 85.0,
        "solved_at_1_pct": 25.0,
        "pass_at_k_pct": 33.3,
        "pass_hat_k_pct": None,
        "attempts": 6,
        "repairs": 2,
        "tool_errors": 1,
        "forged": 0,
        "mark": "",
        "transport_retries": 3,
        "cost": 1.23456,
        "cost_per_trial": 0.30864,
        "cost_per_solved": 0.61728,
        "wall_p50_s": 12.0,
        "wall_p95_s": 34.5,
    }
    for number, role in enumerate(ROLES, start=1):
        row.update({f"{role}_{kind}": number * 1000 for kind in KINDS})
        row[f"{role}_cost"] = 0.25 * number
    return {**row, **changes}


def cells(text):
    """The cells of each line of a Markdown table."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]


def a_tester(**changes):
    """A row of the testers' table."""
    row = {
        "tester": "claude-y",
        "mark": "",
        "test_files": 4,
        "generated_passed_pct": 75.0,
        "tests_valid": 3,
        "false_alarm_pct": 25.0,
        "false_pass_pct": 12.5,
        "bugs_caught": 6,
        "bugs_accepted": 1,
        "bugs_total": 8,
        "mutants_caught": 0,
        "mutants_total": 0,
    }
    return {**row, **changes}


def tables(pairs, testers=(), note="n", comparisons=(), ranking=None):
    """All that a run shows."""
    return Tables({"pair": pairs}, list(testers), list(comparisons), ranking or Ranking(), note)


def in_markdown(pairs, testers=(), *, note="n"):
    """What stands in pairs.md."""
    return render.markdown(tables(pairs, testers, note))


def printed(rows, testers=(), *, note="n", width=80):
    """What appears in a terminal without colours."""
    stream = io.StringIO()
    writer = TerminalWriter(stream)
    writer.fullwidth = width
    terminal_tables.print_tables(tables(rows, testers, note), terminal_tables.pytest_console(writer))
    return stream.getvalue()


def test_the_markdown_holds_both_tables_and_the_note():
    """Results first, then tokens and cost of each pair, then a line on what the figures are."""
    lines = cells(in_markdown([a_row()], note="4 trials, replayed."))
    assert lines[2] == ["p", "4", "50.0", "15.0-85.0", "25.0", "33.3", "2", "1", "3", "1"]
    assert lines[5] == ["p", "12 k", "6 k", "6 k", "$1.23", "$0.31", "$0.62", "12.0", "34.5"]
    assert in_markdown([a_row()], note="4 trials, replayed.").endswith("\n\n4 trials, replayed.\n")


def test_testers_have_a_table_of_their_own():
    """False alarms and false passes stand side by side, bugs and mutants apart; without testers, no table."""
    text = in_markdown([a_row()], [a_tester(mutants_caught=2, mutants_total=5)])
    assert ["claude-y", "4", "75.0", "25.0", "12.5", "6 of 8", "2 of 5"] in cells(text)
    assert "false alarm" not in in_markdown([a_row()])
    (shown,) = [line for line in printed([a_row()], [a_tester()]).splitlines() if line[:8] == "claude-y"]
    assert "6 of 8" in shown
    assert "mutants" not in printed([a_row()], [a_tester()])


def test_every_line_of_a_markdown_table_has_as_many_cells():
    """A renderer sees a table, whatever the rows hold."""
    rows = [a_row(), a_row(pair="q", coder="a|b")]
    for table in in_markdown(rows, [a_tester(tester="a|b")]).split("\n\n")[:3]:
        counts = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(counts) == 1


@pytest.mark.parametrize(
    ("change", "cost", "per_solved"),
    [
        ({"cost": None, "cost_per_solved": None}, "unknown", "unknown"),
        ({"cost": 0.0, "cost_per_solved": 0.0}, "$0", "$0"),
        ({"solved": 0, "cost_per_solved": None}, "$1.23", "-"),
        ({"cost": None, "cost_per_solved": None, "solved": 0}, "unknown", "-"),
        ({"cost": 1234.5, "cost_per_solved": 1.0}, "$1,234.50", "$1.00"),
        ({"cost": 0.0123, "cost_per_solved": 0.00123}, "$0.012", "$0.0012"),
    ],
)
def test_money_is_shown_as_known_unknown_or_not_applicable(change, cost, per_solved):
    """Nothing is not unknown, and unknown is not nothing."""
    (text,) = in_markdown([a_row(**change)], note="n").split("\n\n")[1:2]
    titles, _, row = cells(text)
    shown = dict(zip(titles, row, strict=True))
    assert [shown["cost"], shown.get("cost per solved", "-")] == [cost, per_solved]


@pytest.mark.parametrize("cost", [0.00004, 1e-9])
def test_a_small_cost_does_not_look_like_none(cost):
    """What cost something is not shown as zero dollars."""
    shown = cells(in_markdown([a_row(cost=cost)], note="n"))[-1][4]
    assert shown.startswith("$")
    assert any(digit in shown for digit in "123456789")


def test_a_pair_without_measurements_has_no_percentages():
    """There is no rate of nothing."""
    none = ("solved_pct", "solved_low_pct", "solved_high_pct", "solved_at_1_pct", "pass_at_k_pct")
    row = a_row(trials=0, solved=0, **dict.fromkeys(none))
    titles, _, shown = cells(in_markdown([row], note="n"))[:3]
    assert titles[1:3] == ["solved %", "95 % interval"]
    assert shown[1:3] == ["-", "-"]
    assert "1st try %" not in titles


def test_the_rows_of_the_spending_table_add_up():
    """The last row of a pair sums its roles; its money is the pair's own."""
    rows = render.spending_rows([a_row()])
    assert [row["role"] for row in rows] == [*ROLES, "all"]
    for kind in KINDS:
        assert rows[-1][kind] == sum(row[kind] for row in rows[:-1]) == 6000
    assert rows[-1]["cost"] == 1.23456


def test_the_terminal_shows_the_same_figures():
    """Each figure of the results stands in the terminal's table, and so does the note."""
    text = printed([a_row()], note="4 trials, replayed.")
    for part in ("50.0", "25.0", "33.3", "12 k", "$0.62", "$1.23", "4 trials, replayed."):
        assert part in text


def test_a_name_is_text_and_no_markup():
    """Brackets in names and notes are shown as they are, and nothing is coloured by them."""
    text = printed([a_row(pair="[red]x[/red]")], note="[bold]note[/bold] [/]", width=200)
    assert "[red]x[/red]" in text
    assert "[bold]note[/bold] [/]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [1, 20, 80, 300])
def test_a_long_name_is_shown_whole_in_any_terminal(width):
    """A narrow terminal folds a name; it loses nothing of it."""
    name = "".join(f"pair{number:02d}" for number in range(20))
    text = printed([a_row(pair=name)], width=width)
    first_column = "".join(line.split()[0] for line in text.splitlines() if line.strip())
    assert name in first_column


def test_no_rows_are_two_empty_tables():
    """Nothing was run, and nothing breaks."""
    assert len(cells(in_markdown([], note="n"))) == 4
    assert "n" in printed([])


LARGE = {
    "trials": 1000,
    "solved_low_pct": 99.1,
    "solved_high_pct": 100.0,
    "forged": 12,
    "pass_hat_k_pct": 100.0,
}


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_tables_fit_the_screen(width):
    """With figures as large as they get, one line for each row, and no row cut: columns give way, by name."""
    rows = [
        a_row(
            pair=f"smollm2-guided+claude-sonnet-4-{n}",
            mark="stand-in",
            **LARGE | dict.fromkeys(("repairs", "tool_errors", "forged", "transport_retries"), n),
            solved_at_1_pct=10.0 * n,
        )
        for n in (5, 6)
    ]
    text = printed(rows, [a_tester(tester="claude-sonnet-4-6", mark="mock", mutants_total=3)], width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "99.1-100.0" in text
    assert "$0.62" in text
    left_out = " ".join(text.split()).partition("no room for: ")[2]
    assert ("http retries" in left_out) == (width < 100)
    if width >= 80:
        name = "smollm2-guided+claude-sonnet-4-5 (stand-in)"
        assert sum(line.startswith(name) for line in text.splitlines()) == 2
        assert "forged" not in left_out


def test_a_single_row_has_the_columns_without_room_below_itself():
    """Nothing of it is left out, and nothing is said of a wider screen."""
    row = a_row(pair="smollm2-guided+claude-sonnet-4-5", mark="stand-in", **LARGE)
    text = " ".join(printed([row]).split())
    assert "besides: 1st try % 25.0, " in text
    assert "repairs 2, tool errors 1, " in text
    assert "no room for" not in text


def test_a_column_that_says_nothing_is_left_out():
    """What is zero or unknown in all rows is no column; what is the same in all is said once."""
    text = printed([a_row(pair=name, repairs=0, tool_errors=0, solved_pct=50.0) for name in "pq"], width=200)
    assert "repairs" not in text
    assert "in every row: trials 4," in text
    assert [line.split()[1] for line in text.splitlines()[3:5] if line[:1] in "pq"][:2] == ["50.0", "50.0"]


def test_a_title_is_on_one_line_above_a_narrow_table():
    """Where all costs are the same, the names of pairs are all of their table."""
    assert "\ntokens and cost\n" in printed([a_row(pair=name) for name in "pq"])


def test_wide_shows_every_column_and_role():
    """Lines may be longer than the screen: nothing is folded or cut."""
    console = terminal_tables.stdout_console(wide=True)
    console.file = io.StringIO()
    row = a_row(
        pair="smollm2-guided+claude-sonnet-4-5", forged=0, **{k: v for k, v in LARGE.items() if k != "forged"}
    )
    terminal_tables.print_tables(tables([row]), console, wide=True)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) > 110
    (shown,) = [line.split() for line in lines if line.startswith("smollm2") and "99.1-100.0" in line]
    assert len(shown) == len(render.results("pair"))
    assert [line.split()[0] for line in lines if line.lstrip().startswith(("coder", "tester "))] == [
        "coder",
        "tester",
    ]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1 k"),
        (12_345, "12.3 k"),
        (999_600, "1 M"),
        (-1234, "-1.23 k"),
        (2e10, "20.000 G"),
    ],
)
def test_a_count_has_three_digits_and_a_unit(number, shown):
    """Also where rounding reaches the next unit."""
    assert render.short_count(number) == shown


def test_a_comparison_says_what_it_shows():
    """Points with their interval, the adjusted p, and what so many tasks could have shown."""
    compared = Comparison(
        "a",
        "b",
        30,
        (),
        (),
        first_pct=40.0,
        second_pct=52.5,
        difference_pct=12.5,
        interval_pct=Interval(-1.0, 26.0),
        p_holm=0.0712,
        smallest_pct=19.5,
        cost=0.5,
        cost_interval=Interval(-0.1, 1.5),
        tokens=-1234.4,
        tokens_interval=Interval(-2000.0, 10.0),
    )
    shown = [text(compared) for _, text in render.DIFFERENCES]
    assert shown == ["a", "b", "30", "+12.5", "-1.0 to +26.0", "0.071", "not shown", "19.5", "0"]
    saved = [text(compared) for _, text in render.SAVINGS]
    assert saved[2:] == ["+$0.50", "-$0.10 to +$1.50", "-1.23 k", "-2 k to +10"]
    empty = Comparison("a", "b", 0, (), ())
    assert {text(empty) for _, text in render.SAVINGS[2:]} == {"-"}
