"""A benchmarks folder with one task and one pair of two epochs, and cassettes for them, for tests.

The cassettes are made up: nothing of them is ever committed, and no benchmark sees them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.agents.prompts import prompts_digest
from harness.cassette.audit.expected import Catalogue, catalogue
from harness.cassette.exchange import Exchange
from harness.cassette.file import Cassette, save
from harness.cassette.staleness import pair_digest
from harness.tasks.trial import Trial

TASK = Path(__file__).parent.parent / "benchmarks" / "functions" / "add.yaml"
PAIRS = "pairs: {gpt+haiku: {orchestrator: {model: openai/gpt-5-mini}, coder: claude-haiku-5-5, epochs: 2}}\n"


def exchange(sent: Any, got: Any, url: str = "http://anthropic/v1/messages", **changes: Any) -> Exchange:
    """One exchange of JSON bodies."""
    bodies = [
        each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode()
        for each in (sent, got)
    ]
    fields = {"method": "POST", "url": url, "status": 200, "request_headers": {}, "response_headers": {}}
    return Exchange(**{**fields, **changes}, request_body=bodies[0], response_body=bodies[1])


def asked(prompt: str, answer: str, call: str = "msg_1") -> Exchange:
    """Claude's answer to a prompt."""
    return exchange(
        {
            "model": "m",
            "system": "You write one Python file. " * 4,
            "messages": [{"role": "user", "content": prompt}],
        },
        {
            "id": call,
            "content": [{"type": "text", "text": answer}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 20, "cache_read_input_tokens": 7, "output_tokens": 30},
        },
    )


TALK = (asked("Write add.py.", "def add(a, b): return a + b"), asked("Test it.", "def test(): ...", "msg_2"))


def tape(trial: Trial, *exchanges: Exchange, **changes: Any) -> Cassette:
    """A cassette that fits a trial."""
    recorded = {
        "at": "2026-11-22",
        "outcome": "solved",
        "pair": pair_digest(trial.pair),
        "orchestrator": trial.pair.orchestrator.model,
        "coder": trial.pair.coder,
        "tester": trial.pair.tester,
        "backend": trial.pair.backend,
        "versions": {"letta": "0.16.8"},
    }
    fields = {
        "trial": trial.slug,
        "task": trial.task.digest,
        "prompts": prompts_digest(),
        "recorded": recorded,
    }
    return Cassette(**{**fields, "exchanges": exchanges or TALK, **changes})


COURSE = """
title: A course of one step
epochs: 2
steps:
- {task: add, review: Thank you.}
"""
CARRIED = (
    "pairs: {{gpt+haiku: {{orchestrator: {{model: openai/gpt-5-mini}}, coder: claude-haiku-5-5, epochs: 2}}, "
    "carried: {{orchestrator: {{model: openai/o}}, coder: c, memory: carried, courses: [shop], epochs: 3, "
    "on_request: {on_request}}}}}\n"
)


@dataclass(frozen=True)
class Shelf:
    """A repository with a benchmarks folder and cassettes for both of its trials."""

    root: Path

    @property
    def cassettes(self) -> Path:
        return self.root / "cassettes"

    def suite(self) -> Catalogue:
        return catalogue(self.root / "benchmarks", self.root, {})

    def trial(self, epoch: int = 1) -> Trial:
        return self.suite().trials[f"gpt+haiku/add/{epoch}"]

    def path(self, slug: str = "gpt+haiku/add/1") -> Path:
        return self.cassettes / f"{slug}.json"

    def put(self, kept: Cassette, slug: str = "") -> Path:
        path = self.path(slug or kept.trial)
        save(kept, path, "it")
        return path

    def edit(self, change: Any, slug: str = "gpt+haiku/add/1") -> None:
        """Change a file as somebody with an editor would."""
        data = json.loads(self.path(slug).read_bytes())
        change(data)
        self.path(slug).write_text(json.dumps(data), encoding="utf-8")


def add_course(shelf: Shelf, *, on_request: bool = False) -> list[Trial]:
    """Add a course of one step, and a pair that runs it twice; return these trials."""
    (shelf.root / "benchmarks" / "shop.yaml").write_text(COURSE)
    text = CARRIED.format(on_request=str(on_request).lower())
    (shelf.root / "benchmarks" / "pairs.yaml").write_text(text)
    return list(shelf.suite().steps.values())


def shelf_at(root: Path) -> Shelf:
    """A shelf with nothing wrong on it."""
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "add.yaml").write_text(TASK.read_text())
    (root / "benchmarks" / "pairs.yaml").write_text(PAIRS)
    shelf = Shelf(root)
    for trial in shelf.suite().trials.values():
        shelf.put(tape(trial))
    return shelf
