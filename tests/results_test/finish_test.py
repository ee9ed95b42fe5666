"""What there is to say when a run has ended, and who is told."""

from dataclasses import replace

from rows import a_row, a_run, an_infra_row, many, with_two_memories

from harness.results.dataframe import frame
from harness.results.finish import figures_of, finish
from harness.results.gates import Gates
from harness.results.pricing import Prices
from harness.results.run_summary import workflow_commands


def test_a_baseline_without_a_common_pair_is_a_missed_gate(tmp_path):
    """A gate that cannot be decided is not passed."""
    a_run(tmp_path / "old", [a_row("other")])
    records = frame([a_row("a")])
    summary = finish(tmp_path, records, Prices(), Gates.of(None, "old", tmp_path), write=False)
    assert summary.failures == ["no pair has measured trials in both old and this run"]


def test_the_figures_of_a_run_tell_models_on_tasks_from_all_else(tmp_path):
    """All trials are counted; the share that models solve has neither mocks nor steps of courses in it."""
    rows = [*many("a", 1, 4), *many("m", 4, 4, backend="mock"), *with_two_memories(1), an_infra_row("a")]
    figures = figures_of(finish(tmp_path, frame(rows), Prices(), Gates(), write=False))
    assert (figures.finished, figures.measured, figures.solved) == (15, 14, 9)
    assert (figures.models, figures.solved_by_models) == (4, 1)


def test_a_job_summary_is_appended(tmp_path, monkeypatch):
    """Where GitHub's variable names a file, the tables and the missed gates end up in it."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    records = frame(many("a", 1))
    finish(tmp_path, records, Prices(), Gates(fail_under=50), write=False)
    text = path.read_text()
    assert text.startswith("before\n## Pairs")
    assert "| a | 20 | 5.0 |" in text
    assert "- **gate:** a: 5.0 % solved (1 of 20), below 50 %" in text


def test_what_ci_shows_names_verdict_gates_and_errors(tmp_path, monkeypatch):
    """The same text stands in the run's folder, with the mark by which a workflow finds its comment."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "job.md"))
    monkeypatch.setattr("harness.results.report.write_with", lambda *_: None)
    records = frame([*many("a", 19), *many("b", 2), an_infra_row("a"), an_infra_row("a", epoch=2)])
    finish(tmp_path, records, Prices(), Gates(fail_under=50), write=True)
    text = (tmp_path / "job.md").read_text()
    assert (tmp_path / "summary.md").read_text() == f"<!-- pair-harness -->\n{text}"
    verdict, gates, table = (text.index(part) for part in ("best: a", "- **gate:** b", "| pair |"))
    assert verdict < gates < table
    assert "- **error:** 2 trials: stale cassette (a/t/1 and 1 more)\n" in text


def test_missed_gates_are_annotations_on_github_only(tmp_path):
    """One workflow command a line; nothing in a message can begin another, or end its own."""
    records = frame([*many("a", 1), an_infra_row("a")])
    summary = finish(tmp_path, records, Prices(), Gates(fail_under=50), write=False)
    assert list(workflow_commands(summary, {})) == []
    found = list(workflow_commands(summary, {"GITHUB_ACTIONS": "true"}))
    assert found == [
        "::error title=gate missed::a: 5.0 %25 solved (1 of 20), below 50 %25",
        "::error title=not measured::1 trial: stale cassette (a/t/1)",
    ]
    split = replace(summary, failures=["one\n::error::two"], outcomes=[])
    assert list(workflow_commands(split, {"GITHUB_ACTIONS": "true"})) == [
        "::error title=gate missed::one%0A::error::two"
    ]


def test_a_page_that_cannot_be_made_costs_no_table(tmp_path, monkeypatch):
    """A bug in the page is told, and fails the run; the tables are printed all the same."""
    monkeypatch.setattr("harness.results.report.write_with", lambda *_: 1 / 0)
    records = frame(many("a", 1))
    summary = finish(tmp_path, records, Prices(), Gates(), write=True)
    assert summary.tables.pairs[0]["trials"] == 20
    assert "ZeroDivisionError" in summary.problem
    assert summary.failures == [summary.problem]
