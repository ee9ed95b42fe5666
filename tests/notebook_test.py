"""Trials from Python: ``harness.evaluate``."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pandas as pd
import pytest

import harness
from harness.errors import HarnessError
from harness.tasks.pair import Orchestrator, Pair

ROOT = Path(__file__).parents[1]
DIRECT = Pair(name="demo", orchestrator=Orchestrator(model="direct"), coder="oracle", backend="mock")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the shipped task ``add``, its pairs and its recordings by one of them."""
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/functions/add.yaml", tmp_path / "benchmarks")
    shutil.copy(ROOT / "benchmarks/prices.yaml", tmp_path / "benchmarks")
    every_task, _, _ = (ROOT / "benchmarks/pairs.yaml").read_text().partition("  # --- ")
    (tmp_path / "benchmarks/pairs.yaml").write_text(every_task)
    recorded = "cassettes/smollm2-guided+oracle/add"
    shutil.copytree(ROOT / recorded, tmp_path / recorded)
    return tmp_path


@pytest.mark.slow
def test_a_shipped_recording_gives_the_table_of_a_pytest_run(repository, pytester, monkeypatch):
    """The same rows, columns and types as `harness.load` of a run of pytest, and the same kind of folder."""
    monkeypatch.chdir(repository)
    told = []
    table = harness.evaluate(["benchmarks/add.yaml"], ["smollm2-guided+oracle"], progress=told.append)
    assert [line.split(":")[0] for line in told[:-1]] == [
        "1/2 smollm2-guided+oracle/add/1",
        "2/2 smollm2-guided+oracle/add/2",
    ]
    assert set(table["kind"]) == {"model"}
    page = Path(told[-1].removeprefix("report: "))
    assert page.is_file()
    pd.testing.assert_frame_equal(table, harness.load("latest"))
    command = ("benchmarks", "--pair=smollm2-guided+oracle", f"--rootdir={repository}")
    pytester.runpytest_inprocess(*command, "-p", "no:rerunfailures")
    assert (repository / "reports" / "latest").resolve() != page.parent
    pd.testing.assert_frame_equal(table, harness.load("latest"))


def test_a_task_and_a_pair_made_in_python_are_recorded_and_replayed(task, tmp_path, capsys):
    """Within a running event loop, as in a notebook; no file is needed; what is missing is an outcome."""
    missing = harness.evaluate([task], [DIRECT], root=tmp_path)
    assert missing["outcome"].tolist() == ["missing_cassette"]
    assert "-> record='once'" in capsys.readouterr().out

    async def cell():
        return harness.evaluate([task], [DIRECT], epochs=2, record="once", root=tmp_path)

    recorded = asyncio.run(cell())
    replayed = harness.evaluate([task], [DIRECT], epochs=2, root=tmp_path)
    assert recorded["outcome"].tolist() == replayed["outcome"].tolist() == ["solved", "solved"]
    assert (set(recorded["mode"]), set(replayed["mode"])) == ({"record"}, {"replay"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tasks": "benchmarks"}, "tasks='benchmarks': expected a list, each of it str or Path or Task"),
        ({"tasks": [7]}, r"tasks=\[7\]: expected a list"),
        ({"tasks": None}, "tasks=None: expected a list"),
        ({"tasks": []}, "no trial: name a task, and a pair that takes it"),
        ({"tasks": ["benchmarks/no.yaml"]}, "'benchmarks/no.yaml': no task file of "),
        ({"tasks": ["benchmarks", "benchmarks/add.yaml"]}, "demo/add/1 is there 2 times"),
        ({"pairs": "demo"}, "pairs='demo': expected a list, each of it str or Pair"),
        ({"pairs": ["scripted+orcale"]}, "no pair 'scripted.orcale' in benchmarks/pairs.yaml"),
        ({"epochs": 0}, "epochs=0: expected 1 to "),
        ({"record": "twice"}, "record='twice': expected one of none, once, all"),
    ],
)
def test_a_wrong_argument_is_one_error_and_no_run(changed, said, repository):
    """It names the argument; nothing is written."""
    arguments = {"tasks": ["benchmarks/add.yaml"], "pairs": [DIRECT], "root": repository} | changed
    with pytest.raises(HarnessError, match=said):
        harness.evaluate(**arguments)
    assert not (repository / "reports").exists()


def test_a_recording_that_lacks_a_key_is_not_begun(repository, monkeypatch):
    """The check before the first live trial is the plugin's."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    pair = DIRECT.model_copy(update={"backend": "anthropic", "coder": "claude-haiku-5-5"})
    with pytest.raises(HarnessError, match="ANTHROPIC_API_KEY"):
        harness.evaluate(["benchmarks/add.yaml"], [pair], record="once", root=repository)
    assert not (repository / "reports").exists()


def test_reports_that_cannot_be_written_are_one_error(task, tmp_path):
    """A file in the place of the folder is named."""
    (tmp_path / "reports").touch()
    with pytest.raises(HarnessError, match="not written to .*reports"):
        harness.evaluate([task], [DIRECT], root=tmp_path)
