"""harness/cli/reports.py: harness report and compare."""

import json

import pytest
from click.testing import CliRunner
from rows import a_row, a_run, an_infra_row, many

from harness.cli.main import main


def harness(*words):
    return CliRunner().invoke(main, words)


def test_report_prints_the_tables_and_writes_nothing(runs):
    """From the records alone; the page is named where there is one."""
    before = sorted(runs.rglob("*"))
    result = harness("report", "old")
    assert result.exit_code == 0, result.output
    assert ["a", "100.0", "83.9-100.0"] in [line.split()[:3] for line in result.output.splitlines()]
    assert sorted(runs.rglob("*")) == before
    (runs / "reports/old/report.html").write_text("")
    assert "report: reports/old/report.html" in harness("report", "old").output


@pytest.mark.parametrize("by", ["task", "difficulty", "tag", "coder"])
@pytest.mark.slow
def test_report_by_something_else(by, runs):
    """One table, in the terminal, as CSV, Markdown or JSON, with the same figures."""
    as_json = json.loads(harness("report", "old", "--by", by, "--format", "json").output)
    lines = harness("report", "old", "--by", by, "--format", "csv").output.splitlines()
    assert [line.split(",")[0] for line in lines] == [by, *(row[by] for row in as_json)]
    first = as_json[0]
    row = next(
        line.split(" | ")
        for line in harness("report", "old", "--by", by, "--format", "md").output.splitlines()
        if line.startswith(f"| {first[by]} |")
    )
    assert f"{first['solved_pct']:.1f}" in row[1:3]
    assert f"{first['solved_pct']:.1f}" in harness("report", "old", "--by", by).output


def test_repricing(runs):
    """Stored tokens, the prices of another day; the note says which."""
    model = "claude-haiku-4-5"
    rows = [a_row(coder=model, tester=model, coder_input=1_000_000, recorded_at="2026-01-01")]
    a_run(runs / "reports" / "priced", rows)
    (runs / "benchmarks" / "prices.yaml").write_text(
        f"prices:\n  {model}: {{input: 7, output: 7}}\n  orch: {{input: 0, output: 0}}\n"
    )
    result = harness("report", "priced", "--prices", "2026-06-01")
    assert "$7.00" in result.output
    assert "Prices of 2026-06-01." in result.output
    assert harness("report", "priced", "--prices", "soon").exit_code == 2


def test_comparing_two_runs(runs):
    """Each pair against itself; the p values are adjusted for both."""
    result = harness("compare", "old", "new")
    assert result.exit_code == 0, result.output
    *_, first, second = " ".join(result.output.split()).split("verdict: ")
    assert first.startswith("a in new is worse than a in old: -80.0 points")
    assert second.startswith("no difference shown between b in new and b in old: +5.0 points")
    said = "16 tasks solved more or less often in at least one of these comparisons: --details"
    assert said in result.output  # not 17: a task that differs in both is one task
    assert "p is adjusted for the comparisons made at once (Holm), the intervals are not" in result.output
    assert "harness show" not in result.output


def test_comparing_two_pairs_names_the_tasks_that_differ(runs):
    """On demand, with the commands that show their conversations; the verdict stands last."""
    result = harness("compare", "b", "a", "--run", "new", "--details")
    assert "t04: 100 % -> 0 %" in result.output
    assert "harness show a/t04/1 --run reports/new" in result.output
    assert "verdict: " in result.output.splitlines()[-3:][0] + result.output.splitlines()[-2]
    shown = harness("show", "a/t04/1", "--run", "reports/new")
    assert "I am done." in shown.output


def test_comparing_all_of_a_run(runs):
    """The best, and what is not shown to be worse."""
    for words, lines in (
        (["old"], ["best: a", "shown to be worse: b"]),
        (["--run", "new"], ["highest: b", "not shown to be worse: a"]),
    ):
        said = harness("compare", *words).output.splitlines()[-len(lines) - 1 :]
        assert [line for line in lines if any(each.startswith(line) for each in said)] == lines


def test_comparing_orchestrators_names_the_pairs_behind_them(runs):
    """Those that take part, and those that do not, in which more differs."""
    rows = [
        *many("a", 2, orchestrator="x"),
        *many("b", 9, orchestrator="y"),
        *many("c", 9, orchestrator="y", flow="guided"),
    ]
    a_run(runs / "reports/orch", rows)
    output = harness("compare", "orch", "--by", "orchestrator").output
    assert "pairs compared:\n  x: a\n  y: b\n" in output
    assert "  in no comparison, as more than the orchestrator differs: c\n" in output
    table = harness("compare", "orch", "--by", "orchestrator", "--format", "csv").output.splitlines()
    row = dict(zip(*(line.split(",") for line in table), strict=True))
    assert (row["first_pairs"], row["second_pairs"]) == ("a", "b")


def test_one_pair_alone_is_no_comparison(runs):
    """A pair without a second one is called what it is; nor is it offered as two."""
    assert (
        "a is no run, but the pair of one: a second pair is missing"
        in harness("compare", "a", "--run", "old").output
    )
    for name, rows, remedy in (
        ("single", many("a", 1), "this run has a alone: record another pair"),
        ("empty", [an_infra_row("a")], "nothing was measured in this run"),
    ):
        a_run(runs / "reports" / name, rows)
        said = harness("compare", "a", "z", "--run", name).output
        assert f"has measured trials -> {remedy}\n" in said


@pytest.mark.parametrize("output_format", ["json", "csv", "md"])
def test_a_comparison_for_programs(output_format, runs):
    """The same figures, with the bounds of the interval, as JSON, CSV or Markdown."""
    text = harness("compare", "old", "new", "--format", output_format).output
    if output_format == "json":
        first = json.loads(text)[0]
        assert (first["first"], first["verdict"], first["tasks"]) == ("a in old", "worse", 20)
        assert first["interval_pct"]["low"] < first["difference_pct"] == -80.0
        assert [flip["task"] for flip in first["flips"]][:1] == ["t04"]
    elif output_format == "csv":
        titles, first, *_ = (line.split(",") for line in text.splitlines())
        row = dict(zip(titles, first, strict=True))
        assert float(row["interval_pct_low"]) < float(row["difference_pct"]) == -80.0
        assert row["flips"].startswith("t04 t05")
    else:
        assert "| a in old | a in new | -80.0 |" in text


def test_the_trials_that_a_pair_fails_and_why(runs, monkeypatch):
    """One line each, whole in a pipe or a log, shortened on a screen; the next command shows one trial."""
    a_run(
        runs / "reports/why", [*many("a", 2, tasks=3, detail="x" * 200), a_row("b", "timeout", detail="10 s")]
    )
    output = harness("report", "why", "--pair", "a", "--failed").output
    assert output.splitlines()[0] == "a: 1 wrong"
    assert f"t02/1  wrong  {'x' * 200}\n" in output
    assert "--wide" not in output
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    output = harness("report", "why", "--pair", "a", "--failed").output
    assert max(map(len, output.splitlines())) <= 80
    assert "t02/1  wrong  xxx" in output
    assert "reasons are shortened: --wide shows them whole\n" in output
    assert "1 trial; one of them whole: harness show a/t02/1 --run reports/why" in output
    assert "x" * 200 in harness("report", "why", "--failed", "--wide").output
    assert "t/1  timeout  10 s" in harness("report", "why", "--outcome", "timeout").output
    (row,) = json.loads(harness("report", "why", "--outcome", "timeout", "--format", "json").output)
    assert row["trial"] == "b/t/1"
    assert "| b/t/1 | timeout | 10 s |" in harness("report", "why", "--failed", "--format", "md").output
    assert harness("report", "why", "--pair", "b", "--outcome", "wrong").output == "no trial\n"


def test_a_run_that_measured_nothing_has_no_tables(runs):
    """Empty tables say nothing, and what failed live was not replayed."""
    a_run(runs / "reports" / "failed", [an_infra_row(outcome="api_error")])
    for words in (["report", "failed"], ["report", "failed", "--wide"]):
        assert harness(*words).output == "no trial was measured; 1 infra error, in no percentage.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "old", "--pair", "z"], "no trial of this run has the pair 'z' -> use one of: a, b"),
        (["report", "old", "--failed", "--by", "task"], "--by is of tables"),
        (["compare", "a", "b", "c"], "expected two names at the most, got 3"),
        (["compare", "a", "z", "--run", "old"], "no pair 'z' has measured trials -> use two of: a, b"),
        (
            ["compare", "nothing"],
            "no run 'nothing', neither as a path nor in reports -> use one of: old, new",
        ),
        (
            ["compare", "old", "typo"],
            "no run 'typo', neither as a path nor in reports -> use one of: old, new",
        ),
        (["report", "x" * 300], f"no run '{'x' * 300}'"),
        (["view", "--serve", "--port", "99999"], "99999 is not in the range 0<=x<=65535"),
        (["compare", "a", "a"], "a: the same is named twice -> name two runs, or two pairs of one run"),
        (["compare", "old", "old"], "old: the same is named twice"),
        (["compare", "old", "reports/old"], "old and reports/old: the same is named twice"),
        (["report", "nothing"], "no run 'nothing'"),
        (["show", "", "--run", "old"], "no trial '' in reports/old -> use one of: a/t00/1, "),
        (["view", "nothing"], "no run 'nothing'"),
        (["compare", "old", "--by", "coder"], "there are no two coders that differ in nothing else"),
    ],
)
def test_wrong_input(words, said, runs):
    """One line, exit code 2."""
    result = harness(*words)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output
