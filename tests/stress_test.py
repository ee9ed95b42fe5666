"""Recording while everything goes wrong: faults of servers and networks, Ctrl-C, a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fakes import FakeSandbox, Handler, Never, claude_error, half_a_body, half_a_stream, reset

from harness.backends.claude import messages_api
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.runner import Setup, run_trial
from harness.tasks.trial import Trial

RATE = claude_error(429, "rate_limit_error", "Too fast")
PASSING = {
    "429": (*RATE, {"retry-after": "0"}),
    "500": claude_error(500, "api_error", "Internal"),
    "529": claude_error(529, "overloaded_error", "Overloaded"),
}
BROKEN: dict[str, Callable[[Handler], None]] = {
    "reset": reset,
    "half a body": half_a_body,
    "half a stream": half_a_stream,
}
TIMEOUT_S = 0.5


@pytest.fixture
def recording(recording: Setup) -> Setup:
    """A setup that records on the stand-ins, without running code."""
    return replace(recording, sandbox=FakeSandbox())


@pytest.fixture
def replaying(recording: Setup) -> Setup:
    """A setup that replays what ``recording`` wrote."""
    return replace(recording, mode="none", environment={})


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Iterator[Never]:
    """A fault that does not answer, and clients with a short timeout."""
    monkeypatch.setattr(messages_api, "TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr("harness.backends.connect.Server", partial(Server, timeout_s=TIMEOUT_S))
    fault = Never()
    yield fault
    fault.over.set()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every sleep that this process takes; none really passes."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def check(trial: Trial, recording: Setup, replaying: Setup, retries: dict[str, int]) -> None:
    """Record, then replay: solved both times, with this ledger, and with no trace of the fault."""
    live, replay = run_trial(trial, recording), run_trial(trial, replaying)
    assert live.error is None
    kept = json.loads((recording.root / trial.cassette_path).read_text())
    assert kept["recorded"]["transport_retries"] == {"orchestrator": 0, "coder": 0, "tester": 0} | retries
    assert {each["response"]["status"] for each in kept["exchanges"]} == {200}
    assert replay.record.row() | {"mode": ""} == live.record.row() | {"mode": ""}
    assert (replay.record.outcome, replay.record.transport_retries) == ("solved", sum(retries.values()))


# --- faults that pass -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*PASSING.values(), *BROKEN.values()], ids=[*PASSING, *BROKEN])
def test_claude_is_asked_again_and_the_ledger_says_so(fault, trial, recording, replaying, claude) -> None:
    """A fault of any kind is retried and counted; what is recorded is as if it had not been."""
    claude.faults = [("/messages", fault), ("/messages", fault)]
    check(trial, recording, replaying, {"coder": 2})
    assert len(claude.requests) == 4


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_letta_is_asked_again_after_an_answered_failure(fault, trial, recording, replaying, letta) -> None:
    """What Letta answers with a failure it has rolled back: the message is sent again."""
    letta.faults = [("/messages", fault)]
    check(trial, recording, replaying, {"orchestrator": 1})


def test_an_answer_that_takes_too_long(trial, recording, replaying, claude, never) -> None:
    """After the client's timeout the request is sent again."""
    claude.faults = [("/messages", never)]
    check(trial, recording, replaying, {"coder": 1})
    assert not never.expired


def test_many_faults_of_all_roles_are_told_apart(trial, recording, replaying, letta, claude) -> None:
    """Each retry is counted for the role on whose behalf it was sent."""
    letta.faults = [("/v1/agents/", PASSING["500"]), ("/messages", PASSING["529"])]
    claude.faults = [
        *[("/messages", fault) for fault in (reset, PASSING["429"])],
        *[("/messages", None)],
        *[("/messages", fault) for fault in (half_a_body, half_a_stream, PASSING["529"])],
    ]
    check(trial, recording, replaying, {"orchestrator": 2, "coder": 2, "tester": 3})


# --- faults that do not -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*BROKEN.values(), "never"], ids=[*BROKEN, "never"])
def test_a_message_that_letta_may_have_acted_on(fault, trial, recording, letta, never) -> None:
    """A lost answer of Letta ends the trial: it is not sent twice, not recorded, and the agent is gone."""
    letta.faults = [("/messages", never if fault == "never" else fault)]
    result = run_trial(trial, recording)
    assert result.record.outcome == "api_error"
    assert sum(path.endswith("/messages") for _, path, _ in letta.requests) == 1
    assert letta.agents == {}
    assert not list(recording.root.rglob("*.json*"))
    assert not never.expired


@pytest.mark.parametrize("fault", [PASSING["529"], reset, half_a_body], ids=["529", "reset", "half a body"])
def test_a_fault_that_lasts_leaves_the_old_recording(fault, trial, recording, claude) -> None:
    """When retries run out nothing is written, and the cassette of before is as it was, byte by byte."""
    run_trial(trial, recording)
    path = recording.root / trial.cassette_path
    before = path.read_bytes()
    claude.faults = [("/messages", fault)] * 50
    assert run_trial(trial, recording).record.outcome == "api_error"
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


# --- waiting ----------------------------------------------------------------------------------------------


def test_a_replay_never_waits(trial, recording, replaying, claude, slept) -> None:
    """The recording waits as long as the server asks; its replay does not wait at all."""
    claude.faults = [("/messages", (*RATE, {"retry-after": "0.5"})), ("/messages", reset)]
    live = run_trial(trial, replace(recording, transport=Transport))
    assert live.record.transport_retries == 2
    assert 0.4 < slept[0] <= 0.5
    slept.clear()
    assert run_trial(trial, replaying).record.transport_retries == 2
    assert slept == []


# --- interrupted ------------------------------------------------------------------------------------------

TASK = """\
title: Add two numbers
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: "def add(a, b): return a + b"
acceptance: "def test_sum(): pass"
"""
PAIRS = "pairs:\n  p:\n    orchestrator: {model: openai/gpt-5-mini}\n    coder: claude-haiku-5-5\n"
BEFORE = b"the recording of before\n"


class Signalled:
    """A fault: in place of an answer, a signal to the process that asked."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        self.process: Future[int] = Future()

    def __call__(self, _: Handler) -> None:
        os.kill(self.process.result(60), self.number)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one trial, which was recorded before."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "benchmarks/add.yaml").write_text(TASK)
    (tmp_path / "benchmarks/pairs.yaml").write_text(PAIRS)
    (tmp_path / "cassettes/p/add").mkdir(parents=True)
    (tmp_path / "cassettes/p/add/1.json").write_bytes(BEFORE)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_a_recording_that_is_stopped_changes_nothing(number, repo, letta, claude) -> None:
    """Ctrl-C or a kill amid the second call of Claude: the cassette of before, and no other file."""
    fault = Signalled(number)
    claude.faults = [("/messages", None), ("/messages", fault)]
    options = ("--record=all", "--no-live-checks", "-p", "no:cacheprovider")
    urls = {"LETTA_BASE_URL": letta.url, "ANTHROPIC_BASE_URL": claude.url, "ANTHROPIC_API_KEY": "a-test-key"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "benchmarks", *options],
        cwd=repo,
        env={**os.environ, **urls},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    fault.process.set_result(process.pid)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == (2 if number == signal.SIGINT else -signal.SIGKILL), said.decode()
    assert len(claude.requests) == 2
    assert (repo / "cassettes/p/add/1.json").read_bytes() == BEFORE
    assert os.listdir(repo / "cassettes/p/add") == ["1.json"]
    assert number == signal.SIGKILL or letta.agents == {}


WRITE = """\
import os, pathlib, signal, sys
from harness.files import write_whole
place = pathlib.Path(sys.argv[1])
if len(sys.argv) > 2:
    os.replace = lambda *_: os.kill(os.getpid(), int(sys.argv[2]))
write_whole(place, "the new recording")
"""


def write(path: Path, *arguments: str) -> int:
    """Write in a process of its own, which perhaps signals itself when all but the last step is done."""
    command = [sys.executable, "-c", WRITE, str(path), *arguments]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def test_ctrl_c_amid_writing_leaves_the_old_file(repo) -> None:
    """When all is written and only the last step is left, Ctrl-C takes everything back."""
    path = repo / "cassettes/p/add/1.json"
    assert write(path, str(int(signal.SIGINT))) != 0
    assert path.read_bytes() == BEFORE
    assert os.listdir(path.parent) == ["1.json"]


def test_a_kill_amid_writing_leaves_one_file_that_can_be_told(repo) -> None:
    """A killed write leaves the old file, and a temporary one that no run takes for a cassette."""
    path = repo / "cassettes/p/add/1.json"
    assert write(path, str(int(signal.SIGKILL))) == -signal.SIGKILL
    assert path.read_bytes() == BEFORE
    assert list(path.parent.glob("*.json")) == [path]
    (left,) = set(path.parent.iterdir()) - {path}
    assert left.match(".1.json.*")  # `harness cassettes prune` knows it by this
