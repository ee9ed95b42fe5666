"""harness/results/page/runs.py: the page of all runs."""

import json
import os
import re
import subprocess
import sys

import pytest
from pages import unpacked
from rows import a_run, an_infra_row, many, with_two_memories

from harness.results import aggregate
from harness.results.dataframe import read
from harness.results.page.runs import find_runs, runs_page
from harness.results.pricing import Prices
from harness.results.report import write_report
from harness.results.run_state import State, write
from harness.results.tables import tables_of


def load(path):
    return aggregate.add_costs(read(path), Prices())


@pytest.fixture
def reports(tmp_path):
    """Three runs: one ended, one that goes on, one damaged; and the link to the newest."""
    old = a_run(tmp_path / "20260101-old", [*many("a", 4), *many("m", 20, backend="mock")])
    trials = load(old / "trials.jsonl")
    write_report(old, trials, tables_of(trials))
    a_run(tmp_path / "20260102-new", [*many("a", 18), an_infra_row("a", task="t99")])
    (tmp_path / "20260103-bad").mkdir()
    (tmp_path / "20260103-bad/trials.jsonl").write_text("no record\n")
    (tmp_path / "latest").symlink_to("20260102-new")
    return tmp_path


def state_of(folder, planned):
    began = "2026-01-02T03:04:05+00:00"
    write(folder, State(began=began, arguments=[], options={}, pairs=["a"], planned=planned))


def test_each_run_is_listed_once_newest_first(reports):
    """Without those that cannot be read; no mock is called best; links only to pages that are there."""
    new, old = find_runs(reports, load)
    assert (new.name, new.trials, new.infra_errors) == ("20260102-new", 20, 1)
    assert old.verdict == "a solves 20 %. There is no second pair to hold it against."
    page = runs_page([new, old], reports, load)
    assert re.findall(r'href="([^"]+)"', page) == ["20260101-old/report.html"]
    assert "harness view 20260102-new" in page


def test_steps_of_courses_are_trials_too(tmp_path):
    """Of a run with courses as many are counted as were planned; one without any record yet is listed."""
    ended = a_run(tmp_path / "20260101-a", [*many("p", 3, 4), *with_two_memories(2)])
    state_of(ended, 16)
    (tmp_path / "20260102-b").mkdir()
    state_of(tmp_path / "20260102-b", 5)
    for writes in (False, True):
        if writes:
            trials = load(ended / "trials.jsonl")
            write_report(ended, trials, tables_of(trials))
        none, whole = find_runs(tmp_path, load)
        assert (whole.trials, [row["pair"] for row in whole.pairs]) == (16, ["p"])
        assert whole.pair_count == 3
        assert (none.trials, none.planned, none.verdict) == (0, 5, "Nothing was measured.")
    assert "0 of 5" in runs_page([none, whole], tmp_path, load)


def test_a_run_of_courses_alone_is_measured(tmp_path):
    """It has no best pair, and its line leads to what it has."""
    a_run(tmp_path / "20260101-a", with_two_memories(2))
    (run,) = find_runs(tmp_path, load)
    assert (run.trials, run.pair_count) == (12, 2)
    assert run.verdict == "Courses alone: its page says what memory changes."


def test_two_runs_are_compared_as_on_the_command_line(reports):
    """Paired by task, older against newer, for each pair that both have."""
    page = runs_page(find_runs(reports, load), reports, load)
    panels = unpacked(re.search(r'id="comparisons-data" value="([^"]+)"', page)[1])
    assert list(panels) == ["20260101-old|20260102-new"]
    (panel,) = panels.values()
    (row,) = re.findall(r'<tr><th scope="row">(.*?)</tr>', panel)
    assert re.sub(r"<[^>]*>", " ", row).split()[:4] == ["a", "20.0", "90.0", "+70.0"]
    assert "better" in row
    assert "t04, t05" in row


HOLD = """
import sys
from pathlib import Path
from harness.results.run_state import Alive
alive = Alive(Path(sys.argv[1]))
print("alive", flush=True)
sys.stdin.read()
"""


def test_a_run_that_goes_on_is_followed(reports):
    """By its process's sign of life; the page loads itself anew, and no longer once it ended."""
    folder = reports / "20260102-new"
    state_of(folder, planned=40)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "alive\n"
        runs = find_runs(reports, load)
        page = runs_page(runs, reports, load, refresh_s=5)
        process.stdin.close()
    assert (runs[0].state, runs[0].planned) == ("running", 40)
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "21 of 40" in page
    runs = find_runs(reports, load)
    assert runs[0].state == "interrupted"
    assert "refresh" not in runs_page(runs, reports, load, refresh_s=5)


def test_what_did_not_change_is_not_compared_again(reports):
    """A comparison is kept until one of its runs has another record."""
    runs, known, loaded = find_runs(reports, load), {}, []
    pages = [runs_page(runs, reports, lambda p: loaded.append(p) or load(p), known=known) for _ in range(2)]
    assert pages[0] == pages[1]
    assert len(loaded) == 2
    os.utime(reports / "20260102-new/trials.jsonl", (9, 9))
    runs_page(runs, reports, lambda p: loaded.append(p) or load(p), known=known)
    assert len(loaded) == 4


def test_figures_of_a_finished_run_are_those_that_it_wrote(reports):
    """Not computed again; where records came later, they are."""
    tables = reports / "20260101-old/tables.json"
    kept = json.loads(tables.read_text())
    kept["by"]["pair"][0]["solved_pct"] = 42.0
    kept["ranking"]["rate_pct"] = 42.0
    tables.write_text(json.dumps(kept))
    assert find_runs(reports, load)[1].verdict.startswith("a solves 42 %.")
    os.utime(tables, (1, 1))
    assert find_runs(reports, load)[1].verdict.startswith("a solves 20 %.")
