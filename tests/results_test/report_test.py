"""The folder of a run."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import claude_error
from rich.console import Console
from rows import a_run, an_infra_row, many

from harness.agents.transcript import Transcript
from harness.errors import UsageError
from harness.results import aggregate, render, terminal_tables
from harness.results.dataframe import frame, read
from harness.results.pricing import Prices
from harness.results.record import read_rows
from harness.results.report import write_report
from harness.results.run_folder import RunFolder, find_conversations, report_payload
from harness.results.tables import Tables, tables_of
from harness.runner import run_trial
from harness.tasks.loader import Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def written(run: RunFolder) -> Tables:
    """The tables of a run, and its report in its folder."""
    trials = aggregate.add_costs(frame(run.rows()), Prices())
    tables = tables_of(trials)
    write_report(run.path, trials, tables)
    return tables


@pytest.fixture
def carried(trial, recording) -> dict[str, object]:
    """What a trial's test report carries."""
    result = run_trial(trial, recording)
    return report_payload(result.record.row(), result.transcript, result.files)


def test_luggage_is_plain(carried) -> None:
    """What travels between processes is plain JSON."""
    assert json.loads(json.dumps(carried)) == carried


def test_records_can_be_read_while_the_run_goes_on(carried, tmp_path) -> None:
    """Each record is one whole line as soon as it is added; a line being written is left out."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    path = run.path / "trials.jsonl"
    with path.open("a") as file:
        file.write('{"half')
    assert [row["trial"] for row in read_rows(path)] == ["gpt+haiku/add/1"]


def test_damaged_records_are_named(carried, tmp_path) -> None:
    """A line that is no record is named by file and line."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    path = run.path / "trials.jsonl"
    path.write_text(path.read_text() + "nonsense\n")
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: not a record"):
        list(read_rows(path))


def test_runs_do_not_collide(tmp_path) -> None:
    """Two runs of the same second have folders of their own."""
    assert RunFolder.new(tmp_path, NOON).path != RunFolder.new(tmp_path, NOON).path


def test_the_names_of_runs_sort_by_time(tmp_path) -> None:
    """Also those of one second: `--resume` takes the last."""
    moments = [NOON + timedelta(milliseconds=n) for n in range(0, 2000, 40)]
    names = [RunFolder.new(tmp_path, moment).path.name for moment in moments]
    assert names == sorted(names)


def test_a_run_without_trials_leaves_nothing(tmp_path) -> None:
    """No record, no folder."""
    RunFolder.new(tmp_path / "reports", NOON)
    assert not (tmp_path / "reports").exists()


def test_the_conversation_comes_back(carried, tmp_path) -> None:
    """A finished trial's transcript, files and row are read back whole."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    written(run)
    (found,) = find_conversations(tmp_path, run.path.name, "add")
    assert found.row == carried["record"]
    assert report_payload(found.row, found.transcript, found.files) == carried


def test_a_page_of_a_trial_that_an_error_ended_on_its_way(trial, recording, letta, tmp_path) -> None:
    """It has answers, and no day on which they were recorded."""
    letta.faults = [("/messages", None), ("/messages", claude_error(400, "invalid_request_error", "no"))]
    result = run_trial(trial, recording)
    assert (result.record.kind, len(result.transcript.spent("orchestrator"))) == ("infra", 1)
    run = RunFolder.new(tmp_path, NOON)
    run.add(report_payload(result.record.row(), result.transcript, result.files))
    trials = aggregate.add_costs(frame(run.rows()), Prices())
    write_report(run.path, trials, tables_of(trials), Prices())
    assert (run.path / "report.html").is_file()


@pytest.mark.parametrize(
    "damage", ["", "{", '{"events": [{"kind": "nonsense"}], "stop": "done", "files": {}}']
)
def test_a_damaged_transcript_is_named(damage, carried, tmp_path) -> None:
    """A transcript that cannot be read is one line, not a traceback."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    path = run.path / "transcripts" / "gpt+haiku/add/1.json"
    path.write_text(damage)
    with pytest.raises(UsageError, match="not a transcript"):
        find_conversations(tmp_path, run.path.name, "add")


def test_no_half_written_files(carried, tmp_path: Path) -> None:
    """A finished run holds no temporary file."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    written(run)
    names = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert names == {
        *("trials.jsonl", "pairs.csv", "testers.csv", "pairs.md", "tables.json"),
        *("report.html", "1.json"),
    }


def test_no_secret_travels(trial, recording, claude, monkeypatch) -> None:
    """A key that a model wrote, or a server echoed, is in no report: neither row, words nor files."""
    monkeypatch.setenv("MY_TOKEN", "abcdefgh-12345678")
    claude.code = "def add(a, b):\n    raise ValueError('abcdefgh-12345678')\n"
    result = run_trial(trial, recording)
    carried = report_payload(result.record.row(), result.transcript, result.files)
    assert "abcdefgh-12345678" not in json.dumps(carried)
    assert "<secret>" in carried["conversation"]["files"]["add.py"]


def test_half_a_surrogate_pair_can_travel() -> None:
    """Whatever a server or model said can be sent from a worker and written."""
    carried = report_payload({"detail": "x\ud800"}, Transcript(()), {"a.py": "\udcff"})
    json.dumps(carried, ensure_ascii=False).encode("utf-8")


def test_the_same_trial_counts_once(carried, tmp_path) -> None:
    """A trial that is run again in the same run replaces its row in the table."""
    run = RunFolder.new(tmp_path, NOON)
    run.add(carried)
    run.add(carried)
    assert written(run).pairs[0]["trials"] == 1


def test_every_figure_is_the_same_everywhere(tmp_path) -> None:
    """Terminal, CSV, JSON, Markdown and page agree, and with a count of the records by hand."""
    rows = [
        *many("a", 7, 10, 2, coder_input=100, coder_output=7, repairs=1, tool_errors=2),
        *many("b", 3, 10, 2, tester_output=11, transport_retries=1),
        an_infra_row("b", task="t99"),
    ]
    folder = a_run(tmp_path / "r", rows)
    prices = Prices(
        {
            "code": Price(input=1, output=1),
            "orch": Price(input=0, output=0),
        }
    )
    trials = aggregate.add_costs(read(folder / "trials.jsonl"), prices)
    tables = tables_of(trials)
    write_report(folder, trials, tables)
    stream = io.StringIO()
    terminal_tables.print_tables(tables, Console(file=stream, width=100))
    shown = next(line.split() for line in stream.getvalue().splitlines() if line.startswith("a "))
    in_csv = next(iter(csv.DictReader(io.StringIO((folder / "pairs.csv").read_text()))))
    in_json = json.loads((folder / "tables.json").read_text())["by"]["pair"][0]
    counted = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    own = [row for row in counted if row["pair"] == "a"]
    by_hand = {
        "trials": len(own),
        "solved": sum(row["outcome"] == "solved" for row in own),
        "solved_pct": 100 * sum(row["outcome"] == "solved" for row in own) / len(own),
        "repairs": sum(row["repairs"] for row in own),
        "tool_errors": sum(row["tool_errors"] for row in own),
        "transport_retries": sum(row["transport_retries"] for row in own),
        "coder_input": sum(row["coder_input"] for row in own),
        "coder_output": sum(row["coder_output"] for row in own),
        "cost": sum(row["coder_input"] + row["coder_output"] for row in own) / 1e6,
    }
    for name, figure in by_hand.items():
        assert in_json[name] == pytest.approx(figure), name
        assert float(in_csv[name]) == pytest.approx(figure), name
    for name, value in in_json.items():
        assert in_csv[name] == ("" if value is None else str(value)), name
    assert shown[1:3] == ["70.0", f"{in_json['solved_low_pct']:.1f}-{in_json['solved_high_pct']:.1f}"]
    page = " ".join((folder / "report.html").read_text().split())
    whole = [cell(tables.pairs[0]) for _, cell in render.results("pair")]
    rest = iter(whole)
    assert all(cell in rest for cell in shown), "the terminal leaves out columns, and nothing else"
    cells = "".join(f'<td class="n">{cell}</td>' for cell in whole[1:])
    assert f'<th scope="row">a</th>{cells}' in page
    assert "| " + " | ".join(shown) + " |" in (folder / "pairs.md").read_text()
