"""harness/results/dataframe.py: records as a table."""

import pandas as pd
import pytest
from rows import a_row, a_run, an_infra_row, many

import harness
from harness.errors import UsageError
from harness.results import dataframe as framing
from harness.results.columns import MEMORY
from harness.results.dataframe import frame, load
from harness.results.record import row_schema
from harness.results.run_folder import find_run


def test_a_run_is_loaded_in_one_call_with_the_right_types(tmp_path):
    """Names are categories, counts nullable integers, truths nullable booleans, seconds floats."""
    a_run(tmp_path / "reports" / "r1", [a_row(), an_infra_row(task="u")])
    table = harness.load("r1", tmp_path / "reports")
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert kinds["pair"] == kinds["outcome"] == kinds["task"] == "category"
    assert kinds["attempts"] == kinds["coder_input"] == kinds["solved_at"] == "Int64"
    assert kinds["tests_valid"] == "boolean"
    assert kinds["recorded_wall_s"] == kinds["acceptance_fraction"] == "Float64"
    assert table["attempts"].isna().tolist() == [False, True]
    assert list(table["difficulty"].cat.categories) == ["trivial", "easy", "medium", "hard"]


def test_the_columns_are_those_of_the_published_schema():
    """But for the schema's own number, which the file has and the table does not need."""
    assert {"schema", *frame([]).columns} == set(row_schema()["properties"])


def test_a_row_fits_the_published_schema(trial, recording):
    """What a run writes has each of the schema's columns, and no other; those of memory in a course alone."""
    from harness.runner import run_trial

    row = run_trial(trial, recording).record.row()
    assert set(row) == set(row_schema()["required"]) == set(row_schema()["properties"]) - set(MEMORY)


def test_a_trial_that_stands_there_twice_counts_as_it_was_last():
    """A trial that was run again replaces what it was."""
    table = frame([a_row(outcome="wrong"), a_row(task="u"), a_row(outcome="solved")])
    assert table["outcome"].tolist() == ["solved", "solved"]


def test_many_rows_are_read_piece_by_piece(monkeypatch):
    """Pieces with different names make one table, the same as at once."""
    rows = [*many("a", 3, 7), *many("b", 2, 5), an_infra_row("c")]
    whole = frame(rows)
    monkeypatch.setattr(framing, "CHUNK", 4)
    pd.testing.assert_frame_equal(frame(rows), whole)


def test_a_run_is_found_by_name_folder_and_file(tmp_path):
    """A name in reports, a path to the folder, a path to the records."""
    run = a_run(tmp_path / "reports" / "r1", [a_row()])
    assert find_run("r1", tmp_path / "reports") == find_run(run) == find_run(run / "trials.jsonl")


def test_no_such_run(tmp_path):
    """The message names those that are there."""
    a_run(tmp_path / "r1", [a_row()])
    with pytest.raises(UsageError, match="no run 'r2'.* -> use one of: r1"):
        load("r2", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attempts": "many"}, r"jsonl:1: .*\$\.attempts: Input should be"),
        ({"requests": "coder:x"}, r"\$\.requests: "),
        ({"schema": 1}, "schema 4 -> replay"),
    ],
)
def test_what_is_no_record_is_told(change, said, tmp_path):
    """A wrong type, or a record of another version, is one line and no traceback."""
    a_run(tmp_path / "r1", [{**a_row(), **change}])
    with pytest.raises(UsageError, match=said):
        load("r1", tmp_path)


def test_a_loaded_run_has_dollars_by_role(tmp_path):
    """At the prices of the folder's file; what has no price is missing, and so is its sum."""
    prices = "prices:\n  code: {input: 3, output: 3}\n  orch: {input: 1, output: 1}\n"
    (tmp_path / "prices.yaml").write_text(prices)
    rows = [a_row(coder_input=1_000_000, orchestrator_output=500_000), a_row("q", coder="new", coder_input=9)]
    a_run(tmp_path / "r1", rows)
    table = harness.load("r1", tmp_path, benchmarks=tmp_path)
    assert table[["orchestrator_cost", "coder_cost", "tester_cost", "cost"]].iloc[0].tolist() == [
        0.5,
        3,
        0,
        3.5,
    ]
    assert table["cost"].isna().tolist() == [False, True]
