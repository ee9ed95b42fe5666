"""The folder of a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.pricing import Prices
from harness.record import read_rows
from harness.reports import RunFolder, find, luggage
from harness.run import run_trial
from harness.transcript import Transcript

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def carried(trial, recording) -> dict[str, object]:
    """What a trial's test report carries."""
    result = run_trial(trial, recording)
    return luggage(result.record.row(), result.transcript, result.files)


def test_luggage_is_plain(carried) -> None:
    """What travels between processes is plain JSON."""
    assert json.loads(json.dumps(carried)) == carried


def test_records_can_be_read_while_the_run_goes_on(carried, tmp_path) -> None:
    """Each record is one whole line as soon as it is added; a line being written is left out."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    path = run.path / "trials.jsonl"
    with path.open("a") as file:
        file.write('{"half')
    assert [row["trial"] for row in read_rows(path)] == ["gpt+haiku/add/1"]


def test_damaged_records_are_named(carried, tmp_path) -> None:
    """A line that is no record is named by file and line."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    path = run.path / "trials.jsonl"
    path.write_text(path.read_text() + "nonsense\n")
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: not a record"):
        list(read_rows(path))


def test_runs_do_not_collide(tmp_path) -> None:
    """Two runs of the same second have folders of their own."""
    assert RunFolder(tmp_path, NOON).path != RunFolder(tmp_path, NOON).path


def test_a_run_without_trials_leaves_nothing(tmp_path) -> None:
    """No record, no folder."""
    RunFolder(tmp_path / "reports", NOON)
    assert not (tmp_path / "reports").exists()


def test_the_conversation_comes_back(carried, tmp_path) -> None:
    """A finished trial's transcript, files and row are read back whole."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    run.tables(Prices(), write=True)
    (found,) = find(tmp_path, run.name, "add")
    assert found.row == carried["record"]
    assert luggage(found.row, found.transcript, found.files) == carried


@pytest.mark.parametrize(
    "damage", ["", "{", '{"events": [{"kind": "nonsense"}], "stop": "done", "files": {}}']
)
def test_a_damaged_transcript_is_named(damage, carried, tmp_path) -> None:
    """A transcript that cannot be read is one line, not a traceback."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    path = run.path / "transcripts" / "gpt+haiku/add/1.json"
    path.write_text(damage)
    with pytest.raises(UsageError, match="not a transcript"):
        find(tmp_path, run.name, "add")


def test_no_half_written_files(carried, tmp_path: Path) -> None:
    """A finished run holds no temporary file."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    run.tables(Prices(), write=True)
    names = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert names == {"trials.jsonl", "pairs.csv", "testers.csv", "pairs.md", "1.json"}


def test_no_secret_travels(trial, recording, claude, monkeypatch) -> None:
    """A key that a model wrote, or a server echoed, is in no report: neither row, words nor files."""
    monkeypatch.setenv("MY_TOKEN", "abcdefgh-12345678")
    claude.code = "def add(a, b):\n    raise ValueError('abcdefgh-12345678')\n"
    result = run_trial(trial, recording)
    carried = luggage(result.record.row(), result.transcript, result.files)
    assert "abcdefgh-12345678" not in json.dumps(carried)
    assert "<secret>" in carried["conversation"]["files"]["add.py"]


def test_half_a_surrogate_pair_can_travel() -> None:
    """Whatever a server or model said can be sent from a worker and written."""
    carried = luggage({"detail": "x\ud800"}, Transcript(()), {"a.py": "\udcff"})
    json.dumps(carried, ensure_ascii=False).encode("utf-8")


def test_the_same_trial_counts_once(carried, tmp_path) -> None:
    """A trial that is run again in the same run replaces its row in the table."""
    run = RunFolder(tmp_path, NOON)
    run.add(carried)
    run.add(carried)
    assert run.tables(Prices(), write=False).pairs[0]["trials"] == 1
