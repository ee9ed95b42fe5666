""".github/workflows: what its steps do with GitHub's command line, of which a stand-in notes each call."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GH = """#!/bin/sh
echo "$*" >> calls
case "$1 $2" in
  "run list") printf '%s' "$RUN" ;;
  "run download") mkdir -p reports/baseline ;;
  "api COMMENTS") [ -z "$5" ] || echo "$MINE" ;;
esac
"""


@pytest.fixture
def step(tmp_path):
    """Run a step of the workflow by its name; return what gh was called with."""
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    workflow = yaml.safe_load((ROOT / ".github/workflows/replay.yml").read_text())
    steps = {each.get("name"): each for each in workflow["jobs"]["replay"]["steps"]}

    def run(name, **variables):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "COMMENTS": "COMMENTS", **variables}
        command = ["bash", "-e", "-c", steps[name]["run"]]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        calls = tmp_path / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    return run


@pytest.mark.parametrize(
    ("mine", "last"),
    [
        ("URL", "api --method PATCH URL --field body=@reports/latest/summary.md --silent"),
        ("", "api COMMENTS --field body=@reports/latest/summary.md --silent"),
    ],
)
def test_a_pull_request_has_one_comment(step, tmp_path, mine, last):
    """The first run makes it, later ones replace it."""
    (tmp_path / "reports/latest").mkdir(parents=True)
    (tmp_path / "reports/latest/summary.md").write_text("text")
    assert step("comment", MINE=mine)[-1] == last


def test_a_run_without_a_summary_has_no_comment(step):
    """What ended before its first trial has nothing to say."""
    assert step("comment") == []


def test_the_baseline_is_that_of_main(step):
    """It is fetched where there is one; the first pull request has none."""
    name = "the baseline is the last run of the main branch"
    assert step(name, RUN="")[1:] == []
    assert step(name, RUN="7")[-1] == "run download 7 --name baseline --dir reports/baseline"


def test_the_documentation_shows_these_steps():
    """The page that tells how to do the same has their very text."""
    page = (ROOT / "docs/how-to/ci.md").read_text().replace("benchmarks.yml --branch", "replay.yml --branch")
    workflow = (ROOT / ".github/workflows/replay.yml").read_text()
    steps = [
        part for part in workflow.split("      - ") if part.startswith(("name: comment", "name: the base"))
    ]
    assert len(steps) == 2
    assert [part for part in steps if part not in page] == []
