"""The budget, its estimate and its question, by running pytest against a stand-in for the Messages API."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re

import pytest
import warm
from fakes import claude_error
from in_process import run_apart, run_here
from shelves import TASK

PAIRS = "pairs: {one: {orchestrator: {model: direct}, coder: stand-in, epochs: 8}}\n"
# So that each call of the stand-in (20 + 5 + 7 tokens read, 30 written) costs a dime.
PRICES = "prices: {stand-in: {input: 0, cache_write: 0, cache_read: 0, output: 3333.333333}}\n"
CALL = 0.1
LIVE = ("--record=once", "--no-live-checks")


@pytest.fixture
def repo(pytester, monkeypatch, claude):
    """A repository with one task and a pair of eight epochs, each of two calls."""
    for name in ("ORCH_MODEL", "CLAUDE_MODEL", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    folder = pytester.mkdir("benchmarks")
    (folder / "add.yaml").write_text(TASK.read_text())
    (folder / "pairs.yaml").write_text(PAIRS)
    (folder / "prices.yaml").write_text(PRICES)
    pytester.makeini("[pytest]\n")
    return pytester


def run(repo, *args):
    return run_here(repo, "benchmarks", *LIVE, *args)


def outcomes(result) -> dict[str, int]:
    found = result.parseoutcomes()
    found.pop("warnings", None)  # of modules that a worker had imported before
    return found


def spent(result) -> float:
    return float(re.search(r"spent: \$([\d.]+)", result.stdout.str())[1])


@pytest.mark.slow
def test_half_a_budget_and_the_other_half(repo, claude) -> None:
    """Two workers share it, and exceed it by a call each at most; what it cut goes on with the rest."""
    first = run(repo, "-n", "2", "--max-cost", "0.8")
    assert outcomes(first) == {"solved": 4, "cut": 4}
    assert first.ret == 1
    assert 0.8 <= len(claude.requests) * CALL + 1e-9 <= 0.8 + 2 * CALL
    assert spent(first) == pytest.approx(len(claude.requests) * CALL, abs=0.006)
    first.stdout.fnmatch_lines(["budget: $0.80 (--max-cost)*", "budget: * cut or not begun; *"])
    assert len(list((repo.path / "cassettes").rglob("*.json"))) == 4
    second = run_here(repo, "benchmarks", "--no-live-checks", "-n", "2", "--max-cost", "0.8", "--resume")
    assert outcomes(second) == {"solved": 4}
    (folder,) = [path for path in (repo.path / "reports").glob("2*") if path.is_dir()]
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert sorted(row["epoch"] for row in rows if row["outcome"] == "solved") == list(range(1, 9))
    assert json.loads((folder / "spent.json").read_text())["calls"] == len(claude.requests) == 16
    second.stdout.fnmatch_lines(
        [
            "spent before, in this run: $0.80, 496 tokens, 8 calls",
            "estimate: *(as earlier trials of these models used)",
        ]
    )
    before = len(claude.requests)
    replayed = run_here(repo, "benchmarks", "--max-cost", "0.01")
    assert replayed.parseoutcomes() == {"solved": 8}
    assert len(claude.requests) == before
    assert "estimate" not in replayed.stdout.str()


@pytest.mark.slow
def test_a_cluster_shares_the_budget(repo, claude) -> None:
    """Its workers ask the process that controls the run, as those of xdist do."""
    if importlib.util.find_spec("distributed") is None:  # imported, it is in the way of the runs below
        pytest.skip("Dask is not installed")
    result = run_apart(repo, "benchmarks", *LIVE, "--cluster", "local:2", "--max-cost", "0.5")
    assert outcomes(result) == {"solved": 2, "cut": 6}, result.outlines
    assert len(claude.requests) == 4
    assert spent(result) == pytest.approx(0.4, abs=0.006)


def test_a_trial_that_gets_too_dear_is_no_measurement(repo, claude) -> None:
    """It ends before its next call; the others go on; nothing of it is recorded."""
    result = run(repo, "--max-trial-cost", "0.05", "--epochs", "2")
    assert result.parseoutcomes() == {"cut": 2}
    assert len(claude.requests) == 2
    assert not list((repo.path / "cassettes").rglob("*.json"))


def test_tokens_are_a_budget_too(repo, claude) -> None:
    """62 tokens a call: what the first trial leaves will not do for another."""
    result = run(repo, "--max-tokens", "150")
    assert len(claude.requests) == 2
    assert result.parseoutcomes() == {"solved": 1, "cut": 7}


def test_an_unknown_price_stops_the_run_before_the_first_call(repo, claude) -> None:
    """It names the models, and where a price goes; --allow-unknown-price counts them as nothing."""
    (repo.path / "benchmarks/prices.yaml").unlink()
    result = run(repo)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: no price is known of stand-in: nothing was begun",
            "*put it into benchmarks/prices.yaml, in US dollars per million tokens*",
            '*prices: {"stand-in": {input: 1.0, output: 5.0}}',
            "*--allow-unknown-price",
        ]
    )
    assert claude.requests == []
    result = run(repo, "--allow-unknown-price", "--epochs", "1")
    assert result.parseoutcomes() == {"solved": 1}
    result.stdout.fnmatch_lines(["spent: $0, 124 tokens, 2 calls; in dollars without stand-in"])


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--max-cost=free", "US dollars"),
        ("--max-cost=0", "US dollars"),
        ("--max-tokens=1e6", "a number of tokens"),
    ],
)
def test_what_is_no_amount_is_refused(repo, option, expected) -> None:
    """A budget that is not understood is none."""
    result = run(repo, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"expected {expected}" in "".join(result.stderr.str() + result.stdout.str())


@pytest.mark.parametrize(("answer", "calls", "code"), [(b"\n", 0, 2), (b"y\n", 2, 0)])
def test_in_a_terminal_the_price_is_asked_for(repo, claude, answer, calls, code) -> None:
    """Only a yes begins what costs money; elsewhere the estimate is printed."""
    arguments = ["benchmarks", *LIVE, "--epochs=1", "-p", "no:cacheprovider"]
    ours, theirs = pty.openpty()
    process = warm.Pytest(arguments, repo.path, os.environ, (theirs, theirs, theirs))
    os.close(theirs)
    shown, answered = b"", False
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        shown += part
        if b"go on? [y/N]" in shown and not answered:
            answered = True
            os.write(ours, answer)
        if not part:
            break
    os.close(ours)
    assert answered, shown
    assert (process.wait(), len(claude.requests)) == (code, calls), shown


@pytest.mark.slow
def test_a_service_that_is_gone_ends_the_run_with_one_message(repo, claude, monkeypatch) -> None:
    """All workers wait for it together, and give it up together, however many trials there are."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    patch = "from harness.backends import limiter\nlimiter.LONGEST_BACKOFF_S = 0.05\n"
    (repo.path / "conftest.py").write_text(patch)
    result = run(repo, "-n", "2", "--max-cost", "5")
    assert result.ret != 0
    said = result.stdout.str()
    assert said.count("stopping: Claude (stand-in at http://127.0.0.1:9): 6 failures in a row") == 1
    assert not list((repo.path / "cassettes").rglob("*.json"))


def test_a_service_without_credit_is_told_once(repo, claude) -> None:
    """A refusal is not tried again, and six trials are not spoiled by it one by one with an error each."""
    claude.faults = [("/messages", claude_error(401, "authentication_error", "invalid x-api-key"))] * 99
    result = run(repo, "--max-cost", "5")
    assert result.ret == 1
    assert len(claude.requests) <= 6
    assert result.stdout.str().count("stopping: ") == 1
