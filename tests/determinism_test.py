"""The same trial gives the same bytes, recorded twice, or replayed in any order, place and environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClaude, FakeLetta

from harness.results.run_folder import report_payload
from harness.runner import Setup, run_trial
from harness.tasks.suite import Selection, Suite
from harness.tasks.trial import Trial

ROOT = Path(__file__).parent.parent
MEASURED = re.compile(rb'"(?:wall_s|digest)": [^,\n]+')  # the digest covers the wall time
TRIALS = (
    "benchmarks/functions/add.yaml::scripted+smollm2[1]",
    "benchmarks/bugfix/moving_average.yaml::smollm2-guided+oracle[1]",
    "benchmarks/functions/is_palindrome.yaml::scripted+smollm2[1]",
)

TELLTALE = """\
def add(a, b):
    raise ValueError(f"{__file__} at {object()} took 0.{id(a) % 1000}s")
"""


# --- recording --------------------------------------------------------------------------------------------


def recorded(trial: Trial, setup: Setup, root: Path) -> bytes:
    """The cassette that fresh stand-ins give for code whose failure is told, less what was measured."""
    with FakeLetta().running() as letta, FakeClaude(TELLTALE).running() as claude:
        urls = {"LETTA_BASE_URL": letta.url, "ANTHROPIC_BASE_URL": claude.url}
        environment = {**setup.environment, **urls}
        result = run_trial(trial, replace(setup, root=root, environment=environment))
    assert result.record.repairs == 1
    return MEASURED.sub(b"", (root / trial.cassette_path).read_bytes())


def test_two_recordings_are_byte_by_byte_the_same(trial: Trial, recording: Setup, tmp_path) -> None:
    """Ids of servers, ports, dates, and folders and addresses that a failing test prints leave no trace."""
    one = recorded(trial, recording, tmp_path / "one")
    other = recorded(trial, recording, tmp_path / "another folder" / "below")
    assert b"ValueError: add.py at <object object at 0x...> took N.NNs" in one
    assert one == other


# --- replaying --------------------------------------------------------------------------------------------


def played(setup: Setup, names: Iterable[str]) -> dict[str, Any]:
    """What this process makes of shipped trials: for each its row, conversation and files."""
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(), {})
    trials = {
        f"{trial.source}::{trial.pair.name}[{trial.epoch}]": trial
        for path in suite.files()
        for trial in suite.trials(path)
    }
    results = [run_trial(trials[name], replace(setup, root=ROOT)) for name in names]
    left = [report_payload(each.record.row(), each.transcript, each.files, each.verdict) for each in results]
    return {each["record"]["trial"]: json.loads(json.dumps(each)) for each in left}


def played_by_pytest(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """What pytest makes of them on a copy in that folder."""
    for name in ("benchmarks", "cassettes"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
    run = folder / "reports/latest"
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_bytes().splitlines()]
    return {
        row["trial"]: {
            "record": row,
            "conversation": json.loads((run / f"transcripts/{row['trial']}.json").read_bytes()),
        }
        for row in rows
    }


@pytest.fixture
def here(replaying: Setup) -> dict[str, Any]:
    """What this process makes of the trials in their order."""
    return played(replaying, TRIALS)


def test_a_replay_is_the_same_in_any_order(here, replaying) -> None:
    """Played again, and backwards, in the same process: nothing is carried from one trial to the next."""
    assert len(here) == len(TRIALS)
    assert {row["record"]["kind"] for row in here.values()} == {"model"}
    assert played(replaying, reversed(TRIALS)) == here


@pytest.mark.slow
def test_a_replay_is_the_same_everywhere(here, tmp_path) -> None:
    """Two workers, another order, folder, user, time zone, language, hash seed and width change nothing."""
    elsewhere = played_by_pytest(
        tmp_path / "ein anderer Ordner",
        "-n2",
        *reversed(TRIALS),
        HOME=str(tmp_path),
        USER="somebody",
        TZ="Pacific/Chatham",
        LC_ALL="POSIX",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONHASHSEED="12345",
        COLUMNS="200",
    )
    assert elsewhere == here
