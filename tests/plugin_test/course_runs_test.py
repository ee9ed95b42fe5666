"""Courses run by pytest: their order, a step alone, Ctrl-C while one is recorded, and going on."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from fakes import FakeClaude, FakeLettaWithMemory, call, remember, say
from in_process import run_here

ROOT = Path(__file__).parents[2]
SHIPPED = "scripted-carried+obedient"
ADD = {
    "title": "Add",
    "spec": "Implement add(a, b).",
    "code_file": "add.py",
    "test_file": "test_add.py",
    "reference": "def add(a, b): return a + b",
    "acceptance": "from add import add\ndef test_sum(): assert add(2, 3) == 5",
}
STEPS = [{"define": {**ADD, "id": f"add_{number}"}, "review": f"review {number}"} for number in (1, 2, 3)]
PAIR = {"orchestrator": {"model": "openai/gpt-5"}, "coder": "claude-haiku-5-5", "tester": "none"}
SCRIPT = (
    call("run_claude_coder", spec="add two numbers", file_name="add.py"),
    say("Written."),
    remember("- keep it short"),
    say("Noted."),
)
RECORD = ("--record=once", "--no-live-checks", "--allow-unknown-price")


def rows(repository: pytest.Pytester) -> dict[str, dict[str, object]]:
    text = (repository.path / "reports/latest/trials.jsonl").read_text()
    return {row["trial"]: row for row in map(json.loads, text.splitlines())}


@pytest.fixture
def shipped(pytester):
    """A shipped course, with the recordings of its first epoch by the scripted policy with memory."""
    courses = pytester.mkdir("benchmarks") / "courses"
    courses.mkdir()
    shutil.copy(ROOT / "benchmarks/courses/night.yaml", courses)
    for recorded in sorted((ROOT / "cassettes" / SHIPPED).glob("night.*")):
        place = pytester.path / "cassettes" / SHIPPED / recorded.name
        place.mkdir(parents=True)
        shutil.copy(recorded / "1.json", place)
    pairs = yaml.safe_load((ROOT / "benchmarks/pairs.yaml").read_text())["pairs"]
    one = {SHIPPED: {**pairs[SHIPPED], "courses": ["night"], "epochs": 1}}
    (courses.parent / "pairs.yaml").write_text(yaml.safe_dump({"pairs": one}))
    pytester.makeini("[pytest]\n")
    return pytester


@pytest.mark.slow
def test_order_and_workers_do_not_matter(shipped):
    """The records are the same in order, by two workers, and of a step that runs alone."""
    assert run_here(shipped, "benchmarks/courses").ret == 0
    in_order = rows(shipped)
    assert len(in_order) == 6
    assert run_here(shipped, "benchmarks/courses", "-n", "2").ret == 0
    assert rows(shipped) == in_order
    run_here(shipped, f"benchmarks/courses/night.yaml::{SHIPPED}[1]::step-4")
    (alone,) = rows(shipped).values()
    assert alone == in_order[alone["trial"]]
    assert alone["task"].startswith("night.4")


class InterruptingLetta(FakeLettaWithMemory):
    """Presses Ctrl-C when it is asked for the second step of a course."""

    def __init__(self) -> None:
        super().__init__(SCRIPT)
        self.is_pressed = False

    def answer(self, method, path, body):
        """Answer; a message that begins the second step is the one after the first review."""
        if path.endswith("/reset-messages") and not self.is_pressed:
            self.is_pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().answer(method, path, body)


@pytest.fixture
def live(pytester, monkeypatch, tmp_path):
    """A course of three steps by one agent, on stand-ins."""
    courses = pytester.mkdir("benchmarks") / "courses"
    courses.mkdir()
    (courses / "c.yaml").write_text(yaml.safe_dump({"title": "A course", "steps": STEPS}))
    pair = {**PAIR, "memory": "carried", "courses": ["c"]}
    (courses.parent / "pairs.yaml").write_text(yaml.safe_dump({"pairs": {"p": pair}}))
    pytester.makeini("[pytest]\n")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    with InterruptingLetta().running() as letta, FakeClaude().running() as claude:
        monkeypatch.setenv("LETTA_BASE_URL", letta.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        yield pytester, letta


@pytest.mark.slow
def test_a_course_goes_on_after_ctrl_c(live):
    """What was recorded is kept; --resume goes on with the same agent and its memory, and deletes it."""
    repository, letta = live
    with pytest.raises(KeyboardInterrupt):  # pytester hands it on
        run_here(repository, "benchmarks", *RECORD)
    assert [row["outcome"] for row in rows(repository).values()] == ["solved"]
    assert len(letta.agents) == 1, "the course's agent waits for the rest"
    resumed = run_here(repository, "benchmarks", "--resume", "--no-live-checks", "--allow-unknown-price")
    assert resumed.ret == 0, resumed.outlines
    assert [row["outcome"] for row in rows(repository).values()] == ["solved"] * 3
    assert sum(path == "/v1/agents/" and method == "POST" for method, path, _ in letta.requests) == 1
    assert not letta.agents
    replayed = run_here(repository, "benchmarks")
    assert replayed.ret == 0, replayed.outlines
    last = json.loads((repository.path / "reports/latest/transcripts/p/c.3.add_3/1.json").read_text())
    assert json.dumps(last).count("keep it short") >= 3, "the memory of the steps before the interruption"
