"""Options of pytest and plugins of others, as installed: the same trials run, and each has its row."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import warm
import xdist.looponfail

import harness.plugin

ROOT = Path(__file__).parent.parent.parent
PAIRS = """\
pairs:
  smollm2-guided+oracle:
    orchestrator: {model: local/smollm2-135m-instruct, temperature: 0.3}
    flow: guided
    coder: oracle
    backend: mock
    epochs: 2
"""
SOLVED, MISSING = "solved", "missing_cassette"
ROWS = [("add/1", SOLVED), ("add/2", SOLVED), ("clamp/1", MISSING), ("clamp/2", MISSING)]
ALL_PLUGINS = [
    *("-p", "no:hypothesispytest", "-p", "no:rerunfailures", "-p", "randomly", "-p", "pytest_cov"),
    *("--cov=benchmarks", "--cov-report=", "--timeout=60", "--asyncio-mode=auto", "--count=1"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a recorded task, one that is not recorded, and one that cannot be read."""
    root = tmp_path / "repo"
    (root / "benchmarks").mkdir(parents=True)
    for name in ("add", "clamp"):
        shutil.copy(ROOT / f"benchmarks/functions/{name}.yaml", root / "benchmarks")
    (root / "benchmarks/broken.yaml").write_text("titel: none\n")
    (root / "benchmarks/pairs.yaml").write_text(PAIRS)
    (root / "pytest.ini").write_text("[pytest]\n")
    recorded = "cassettes/smollm2-guided+oracle/add"
    shutil.copytree(ROOT / recorded, root / recorded)
    return root


def run(root: Path, *args: str, autoload: bool = False) -> tuple[int, str, list[tuple[str, str]]]:
    """Run pytest; return its exit code, its output, and the outcome of each trial."""
    unset = {"PYTEST_ADDOPTS"} | ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_PLUGINS"} if autoload else set())
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = warm.run(["benchmarks", *args], root, environment)
    output = done.stdout + done.stderr
    assert "INTERNALERROR" not in output
    path = root / "reports/latest/trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    shutil.rmtree(root / "reports", ignore_errors=True)
    outcomes = sorted((row["trial"].partition("/")[2], row["outcome"]) for row in rows)
    return done.returncode, output, outcomes


@pytest.mark.parametrize(
    ("options", "autoload"),
    [
        (["-p", "no:terminal", "-s"], False),
        (["-p", "no:capture", "-v"], False),
        (["--rootdir", "LINK"], False),
        (["-n", "2", "--dist", "loadfile"], False),
        (["-n", "2", "--dist", "worksteal"], False),
        (["-n", "2", "--dist", "each"], False),
        ([*ALL_PLUGINS, "-n", "2", "--dist", "loadgroup"], True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0] != ALL_PLUGINS[0] else None,
)
@pytest.mark.slow
def test_options_and_plugins_lose_no_trial(options, autoload, repo):
    """Each trial is in the records once, with the outcome that a plain run gives it, and the run fails."""
    (repo.parent / "link").symlink_to(repo)
    options = [str(repo.parent / "link") if word == "LINK" else word for word in options]
    code, _, rows = run(repo, *options, autoload=autoload)
    assert (code, rows) == (1, ROWS)


@pytest.mark.slow
def test_failed_trials_are_found_again(repo):
    """--lf and --ff run what failed, alone or first, beside a broken file and with workers too."""
    assert run(repo)[2] == ROWS
    failed = [row for row in ROWS if row[1] == MISSING]
    code, output, rows = run(repo, "--lf", "-n", "2")
    assert (code, rows) == (1, failed)
    assert "benchmarks/broken.yaml" in output
    _, output, rows = run(repo, "--ff", "-v", "--deselect", "benchmarks/add.yaml::smollm2-guided+oracle[1]")
    assert rows == ROWS[1:]
    last = "::smollm2-guided+oracle[2] "
    assert output.index(f"clamp.yaml{last}") < output.index(f"add.yaml{last}")


@pytest.mark.slow
def test_a_mended_file_is_run_by_last_failed(repo):
    """A file that could not be read counts as failed as a whole: once it is mended, --lf runs its trials."""
    run(repo)
    text = (ROOT / "benchmarks/functions/clamp.yaml").read_text()
    (repo / "benchmarks/broken.yaml").write_text(text.replace("id: clamp\n", ""))
    _, _, rows = run(repo, "--lf")
    assert rows == [("broken/1", MISSING), ("broken/2", MISSING), *ROWS[2:]]


@pytest.mark.slow
def test_stepwise_goes_on_where_it_stopped(repo):
    """--sw stops at the first failure, and begins with it the next time."""
    (repo / "benchmarks/broken.yaml").unlink()
    assert run(repo, "--sw")[2] == ROWS[:3]
    assert run(repo, "--sw")[2] == ROWS[2:3]


def test_looponfail_does_not_watch_the_reports(pytester, monkeypatch):
    """``pytest -f`` runs again after a change of a task, and not because a run wrote its report."""
    for name in ("benchmarks", "reports", "cassettes"):
        pytester.mkdir(name)
    monkeypatch.chdir(pytester.path)
    config = pytester.parseconfig("-f", "benchmarks")
    harness.plugin.pytest_cmdline_main(config)
    watching = xdist.looponfail.StatRecorder([Path(root) for root in config.getini("looponfailroots")])
    (pytester.path / "reports/trials.jsonl").write_text("{}\n")
    assert not watching.check()
    (pytester.path / "benchmarks/add.yaml").write_text("title: Add\n")
    assert watching.check()
