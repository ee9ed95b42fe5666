"""harness/results/record.py: one flat row for each trial, and the file in which they stand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.agents.transcript import Called, Returned, Said, Spent, Transcript, Usage
from harness.errors import ApiError, MissingCassette, SandboxError, SpecError, StaleCassette, UsageError
from harness.grading.verdict import INFRA_OUTCOMES, Grade, Verdict
from harness.results import record
from harness.sandbox import Test, TestRun
from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.task import Task
from harness.tasks.trial import Trial

RECORDED = {
    "at": "2026-01-02",
    "wall_s": 12.5,
    "transport_retries": {"orchestrator": 1, "coder": 2, "tester": 0},
    "versions": {"letta": "0.16.8"},
}


def a_trial():
    task = Task(
        id="add",
        title="Add",
        spec="s",
        code_file="add.py",
        test_file="test_add.py",
        reference="r",
        acceptance="a",
        tags=("one", "two"),
        difficulty="hard",
    )
    pair = Pair(name="p", orchestrator=Orchestrator(model="openai/x"), coder="claude-c", tester="claude-t")
    return Trial(task=task, pair=pair, epoch=2)


TRANSCRIPT = Transcript(
    (
        Said(1, "user", "do"),
        Spent(1, "orchestrator", "openai/x", Usage(10, 1, 2, 3), 2),
        Called(1, "c", "t", "{}"),
        Spent(1, "coder", "claude-c", Usage(100, 0, 50, 20)),
        Returned(1, "c", False, "no"),
        Said(2, "user", "again"),
    )
)
VERDICT = Verdict(
    "wrong",
    "why",
    None,
    TestRun("failed", (Test("a", "passed"), Test("b", "failed")), collected=2),
    TestRun("passed", (Test("c", "passed"),), collected=1),
    Grade(True, bugs_caught=2, bugs_accepted=1, bugs_total=3, mutants_caught=4, mutants_total=5),
)


def a_row(**changes):
    row = record.measured(a_trial(), TRANSCRIPT, VERDICT, mode="replay", recorded=RECORDED).row()
    return {**row, **changes}


def test_the_row_of_a_measured_trial():
    """Each figure is taken from the trial, its transcript, its verdict or its recording."""
    row = a_row()
    expected = {
        "schema": 4,
        "trial": "p/add/2",
        "task": "add",
        "pair": "p",
        "epoch": 2,
        "difficulty": "hard",
        "tags": "one two",
        "orchestrator": "openai/x",
        "coder": "claude-c",
        "tester": "claude-t",
        "mode": "replay",
        "kind": "model",
        "outcome": "wrong",
        "detail": "why",
        "solved_at": None,
        "generated_passed": True,
        "generated_tests": 1,
        "tests_valid": True,
        "bugs_caught": 2,
        "bugs_accepted": 1,
        "bugs_total": 3,
        "mutants_caught": 4,
        "mutants_total": 5,
        "acceptance_passed": 1,
        "acceptance_tests": 2,
        "acceptance_fraction": 0.5,
        "attempts": 2,
        "repairs": 1,
        "steps": 2,
        "tool_calls": 1,
        "tool_errors": 1,
        "transport_retries": 3,
        "orchestrator_input": 10,
        "orchestrator_cache_write": 1,
        "coder_cache_read": 50,
        "coder_output": 20,
        "tester_input": 0,
        "requests": "orchestrator:2:10,1,2,3,0 coder:1:100,0,50,20,0 ",
        "recorded_at": "2026-01-02",
        "recorded_wall_s": 12.5,
        "letta_version": "0.16.8",
    }
    assert {key: row[key] for key in expected} == expected


def test_a_row_holds_plain_values_only():
    """It is one line of JSON, without anything inside anything."""
    assert {type(value) for value in a_row().values()} <= {str, int, float, bool, type(None)}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (MissingCassette("m"), "missing_cassette"),
        (StaleCassette("m"), "stale_cassette"),
        (ApiError("m"), "api_error"),
        (SandboxError("m"), "sandbox_error"),
        (SpecError(["m"]), "spec_error"),
        (ValueError("m"), "harness_error"),
        (KeyboardInterrupt(), "harness_error"),
    ],
)
def test_a_broken_trial_is_never_a_measurement(error, outcome):
    """Its outcome names what broke, and its figures are unknown, not zero."""
    row = record.broken(a_trial(), error, mode="record").row()
    assert (row["outcome"], row["kind"]) == (outcome, "infra")
    assert outcome in INFRA_OUTCOMES
    assert row["detail"]
    figures = (
        "attempts",
        "tool_calls",
        "transport_retries",
        "generated_passed",
        "coder_input",
        "recorded_at",
    )
    assert {row[key] for key in figures} == {None}


def test_the_rows_of_measured_and_broken_trials_have_the_same_keys():
    """A table needs no special case."""
    assert list(a_row()) == list(record.broken(a_trial(), ApiError("x"), mode="replay").row())


def test_a_long_error_becomes_one_short_line():
    """Line breaks and length do not reach the row."""
    row = record.broken(a_trial(), SpecError(["a", "b", "c " * 1000]), mode="replay").row()
    assert row["detail"].startswith("a b c c")
    assert len(row["detail"]) <= 500


@pytest.mark.parametrize(
    ("run", "passed", "tests", "fraction"),
    [
        (TestRun("passed", (Test("a", "passed"),) * 3, collected=3), 3, 3, 1.0),
        (TestRun("timeout", (Test("a", "passed"),), "late", collected=4), 1, 4, 0.25),
        (TestRun("crashed", (), "signal 9", collected=4), 0, 4, 0.0),
        (TestRun("failed", (Test("a", "passed"), Test("b", "skipped")), collected=3), 1, 3, 0.3333),
        (TestRun("failed", (Test("acceptance", "error", "ImportError"),)), 0, 0, 0.0),
        (TestRun("crashed"), 0, 0, 0.0),
    ],
)
def test_partial_credit_is_the_share_of_all_tests_that_were_found(run, passed, tests, fraction):
    """A run that was cut short counts what passed, out of what there was to pass; it is never solved."""
    row = record.measured(
        a_trial(), TRANSCRIPT, replace(VERDICT, acceptance=run), mode="replay", recorded={}
    ).row()
    found = (row["acceptance_passed"], row["acceptance_tests"], row["acceptance_fraction"])
    assert found == (passed, tests, fraction)
    assert row["outcome"] == VERDICT.outcome


def test_without_generated_tests_the_tester_has_no_grade():
    """Nobody knows whether tests that were not written are valid."""
    row = record.measured(
        a_trial(), TRANSCRIPT, replace(VERDICT, tester=None), mode="replay", recorded={}
    ).row()
    assert {row[key] for key in ("tests_valid", "bugs_caught", "bugs_accepted", "bugs_total")} == {None}


def test_nothing_could_be_run_is_no_tests_known():
    """Without an acceptance run the number of its tests is unknown."""
    row = record.measured(
        a_trial(), TRANSCRIPT, Verdict("no_code", "d", None, None, None, None), mode="replay", recorded={}
    ).row()
    assert (row["acceptance_passed"], row["acceptance_tests"]) == (0, None)
    assert (row["generated_passed"], row["generated_tests"]) == (False, 0)
    assert (row["transport_retries"], row["recorded_at"]) == (0, None)


# --- the file ---------------------------------------------------------------------------------------


def written(tmp_path, *rows, end="\n"):
    """A trials.jsonl as a run writes it."""
    path = tmp_path / "trials.jsonl"
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + end
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize(
    "detail",
    ["plain", "é 漢 😀", "two\nlines", "a\u2028b", "a\u2029b", "a\x85b", "a\x0bb\x0cc\x1cd", "lone \ud800"],
    ids=ascii,
)
def test_rows_read_back_as_they_were_written(tmp_path, detail):
    """Whatever a detail holds, a line of the file is a row."""
    rows = [a_row(detail=detail), a_row(epoch=3)]
    assert list(record.read_rows(written(tmp_path, *rows))) == rows


def test_a_last_line_that_is_still_being_written_is_left_out(tmp_path):
    """A run can be read while it goes on."""
    path = written(tmp_path, a_row(), a_row(epoch=3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert [row["epoch"] for row in record.read_rows(path)] == [2]
    path.write_bytes(whole[:-1])
    assert [row["epoch"] for row in record.read_rows(path)] == [2]
    path.write_bytes(b"")
    assert list(record.read_rows(path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "5",
        "null",
        "{}",
        '{"outcome": "solved"}',
        '{"outcome": "solved", "schema": 1}',
        '"text"',
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    """The error holds the file, the line and what was expected."""
    path = written(tmp_path, a_row())
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: not a record of schema 4"):
        list(record.read_rows(path))


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe\n", b"\x00\n", b"[" * 100_000 + b"\n"], ids=["bytes", "nul", "deep"]
)
def test_a_file_that_is_no_text_is_an_error_of_the_user(tmp_path, raw):
    """Whatever was passed for a run, the answer is one line."""
    path = tmp_path / "trials.jsonl"
    path.write_bytes(raw)
    with pytest.raises(UsageError):
        list(record.read_rows(path))


def test_a_missing_file_is_an_error_of_the_user(tmp_path):
    """A run that does not exist is named."""
    with pytest.raises(UsageError, match="cannot be read"):
        list(record.read_rows(tmp_path / "none.jsonl"))


def test_how_an_orchestrator_ended_is_in_the_row():
    """Wasted calls and the last words stand in the row: one line, shortened, whatever a model wrote."""
    words = "Gave up:\n\trun_claude_coder failed " + "very " * 100 + "often."
    told = Transcript((*TRANSCRIPT.events, Said(2, "orchestrator", words)))
    row = record.measured(a_trial(), told, VERDICT, mode="replay", recorded=RECORDED).row()
    assert row["wasted_calls"] == 1
    assert row["final_answer"].startswith("Gave up: run_claude_coder failed very very")
    assert (len(row["final_answer"]), row["final_answer"][-1]) == (200, "…")


def test_what_each_request_used_can_be_read_again():
    """A record holds the tokens of each answer, with the part of the cache that is kept for an hour."""
    hour = Usage(1, 5, 3, 4, cache_write_1h=2)
    transcript = Transcript(
        (Spent(1, "coder", "c", hour), Spent(1, "coder", "c", Usage()), *TRANSCRIPT.events)
    )
    row = record.measured(a_trial(), transcript, VERDICT, mode="replay", recorded=RECORDED).row()
    assert record.requests_of("coder", row["requests"]) == [(hour, 1), (Usage(100, 0, 50, 20), 1)]
    assert record.requests_of("orchestrator", row["requests"]) == [(Usage(10, 1, 2, 3), 2)]


def test_a_record_of_the_schema_before_is_read(tmp_path):
    """Runs of before are still there; their records lack the requests alone."""
    old = {key: value for key, value in a_row(schema=3).items() if key != "requests"}
    assert list(record.read_rows(written(tmp_path, old))) == [old]


VALUES = {
    "orchestrator_input": [-1, 10**400, 10**19, 1.5, True, "7", float("nan")],
    "attempts": [-1, 10**19],
    "recorded_wall_s": [1e308, -1, float("inf"), float("nan"), "5", 10**400],
    "notional_cost_usd": ["0.1", -0.5, float("inf"), 1e300],
    "recorded_at": ["", "yesterday", "2026-13-45", "20261122", "2026-W01-1", "0001-01-01", 20261122],
    "epoch": [0, -1, None, 10**19],
    "acceptance_fraction": [1.5, -0.1, float("nan")],
    "trial": ["", "../../etc/passwd", "a/../b", "p/t", "p/t/1\x1b[2J", None],
    "kind": ["other", None],
    "outcome": ["", None],
    "pair": [None, 5],
}


@pytest.mark.parametrize("column", VALUES)
def test_values_are_checked_and_not_only_types(tmp_path, column):
    """A bad value is one error with file, line and column; the other rows are read all the same."""
    bad = [a_row(**{column: value}) for value in VALUES[column]]
    path = written(tmp_path, a_row(), *bad, a_row(epoch=3))
    broken = []
    assert [row["epoch"] for row in record.read_rows(path, broken)] == [a_row()["epoch"], 3]
    assert [each.partition(": ")[0] for each in broken] == [f"{path}:{n + 2}" for n in range(len(bad))]
    assert all(f"($.{column}" in each for each in broken)


def test_all_broken_lines_are_told_in_one_error(tmp_path):
    """The first ten of them, and how many more."""
    path = written(tmp_path, *[a_row(attempts=-1)] * 12)
    with pytest.raises(UsageError, match=r"(?s)jsonl:1: .*jsonl:10: .*\nand 2 more") as caught:
        list(record.read_rows(path))
    assert "jsonl:11" not in str(caught.value)


def test_a_file_without_lines_ends_soon(tmp_path, monkeypatch):
    """A large file that is no text, a device or a pipe costs neither memory nor time."""
    monkeypatch.setattr(record, "MAX_LINE", 1000)
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(UsageError, match="jsonl:1: not a record .*longer than 1000 bytes"):
        list(record.read_rows(path))
    with pytest.raises(UsageError, match="no regular file"):
        list(record.read_rows(Path("/dev/zero")))
