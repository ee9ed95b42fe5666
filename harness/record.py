"""One flat row for each trial, and the file in which they stand (``trials.jsonl``).

A row holds tokens, not dollars: money is computed when a table is made (``pricing.py``). What was
measured when the trial was recorded and cannot be measured by a replay says so in its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.transcript import ROLES, Transcript
from harness.trial import Trial, shorten
from harness.verdict import MODEL_OUTCOMES, Outcome, Verdict

SCHEMA = 1
ANSWER_CHARS = 200


@dataclass(frozen=True)
class Record:
    """A trial's row. Numbers are None where the trial ended before they could be known.

    Attributes:
        kind: ``model`` (a measurement) or ``infra`` (says nothing about the models).
        mode: ``replay`` or ``record``.
        detail: One line: why it is not solved.
        solved_at: The first attempt whose code passed acceptance.
        generated_passed: The generated tests pass on the generated code.
        tests_valid: The generated tests pass on the reference; None where there are none.
        bugs_caught: Known bugs that valid generated tests fail on.
        bugs_accepted: Known bugs that the generated tests pass on, valid or not.
        acceptance_fraction: Share of the acceptance tests that passed, 0 to 1: partial credit, which
            never counts as solved.
        wasted_calls: Tool calls that returned an error or repeated one that had succeeded.
        final_answer: The orchestrator's last words, in one line, shortened.
        recorded: Facts of the recording: ``at``, ``wall_s``, ``versions``.
        tokens: ``<role>_<input|cache_write|cache_read|output>`` -> tokens.
    """

    trial: str
    task: str
    pair: str
    epoch: int
    difficulty: str
    tags: str
    orchestrator: str
    coder: str
    tester: str
    flow: str
    tools: str
    backend: str
    mode: str
    kind: str
    outcome: str
    detail: str = ""
    solved_at: int | None = None
    generated_passed: bool | None = None
    generated_tests: int | None = None
    tests_valid: bool | None = None
    bugs_caught: int | None = None
    bugs_accepted: int | None = None
    bugs_total: int | None = None
    mutants_caught: int | None = None
    mutants_total: int | None = None
    acceptance_passed: int | None = None
    acceptance_tests: int | None = None
    acceptance_fraction: float | None = None
    attempts: int | None = None
    repairs: int | None = None
    steps: int | None = None
    tool_calls: int | None = None
    tool_errors: int | None = None
    transport_retries: int | None = None
    wasted_calls: int | None = None
    final_answer: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, Any] = field(default_factory=dict)

    @property
    def is_infra(self) -> bool:
        """Whether it is no measurement."""
        return self.kind == "infra"

    def row(self) -> dict[str, Any]:
        """The flat row: plain JSON values, always the same keys."""
        row = {"schema": SCHEMA, **asdict(self)}
        tokens, recorded = row.pop("tokens"), row.pop("recorded")
        for role in ROLES:
            for kind in ("input", "cache_write", "cache_read", "output"):
                row[f"{role}_{kind}"] = tokens.get(f"{role}_{kind}")
        row["recorded_at"] = recorded.get("at")
        row["recorded_wall_s"] = recorded.get("wall_s")
        versions = recorded.get("versions", {})
        row["letta_version"] = versions.get("letta")
        return row


def measured(
    trial: Trial, transcript: Transcript, verdict: Verdict, *, mode: str, recorded: dict[str, Any]
) -> Record:
    """The record of a trial that says something about its models."""
    accepted, generated, tester = verdict.acceptance, verdict.generated, verdict.tester
    tests = max(accepted.collected, len(accepted.tests)) if accepted else 0
    return Record(
        **_head(trial, mode),
        kind="model",
        outcome=verdict.outcome,
        detail=verdict.detail,
        solved_at=verdict.solved_at,
        generated_passed=bool(generated and generated.passed),
        generated_tests=len(generated.tests) if generated else 0,
        tests_valid=tester.valid if tester else None,
        bugs_caught=tester.bugs_caught if tester else None,
        bugs_accepted=tester.bugs_accepted if tester else None,
        bugs_total=tester.bugs_total if tester else None,
        mutants_caught=tester.mutants_caught if tester else None,
        mutants_total=tester.mutants_total if tester else None,
        acceptance_passed=accepted.passes if accepted else 0,
        acceptance_tests=tests if accepted else None,
        acceptance_fraction=round(accepted.passes / tests, 4) if accepted and tests else 0.0,
        attempts=transcript.attempts,
        repairs=max(0, transcript.attempts - 1),
        steps=transcript.steps,
        tool_calls=transcript.tool_calls,
        tool_errors=transcript.tool_errors,
        transport_retries=sum(recorded.get("transport_retries", {}).values()),
        wasted_calls=transcript.wasted_calls,
        final_answer=shorten(" ".join(transcript.final_answer.split()), ANSWER_CHARS),
        tokens={
            f"{role}_{kind}": count
            for role in ROLES
            for kind, count in asdict(transcript.usage(role)).items()
        },
        recorded=recorded,
    )


def broken(trial: Trial, error: BaseException, *, mode: str) -> Record:
    """The record of a trial that the harness, or what it stands on, could not carry out."""
    outcome: Outcome | str = error.outcome if isinstance(error, HarnessError) else "harness_error"
    detail = " ".join(str(error).split()) or type(error).__name__
    return Record(**_head(trial, mode), kind="infra", outcome=outcome, detail=detail[:500])


def _head(trial: Trial, mode: str) -> dict[str, Any]:
    task, pair = trial.task, trial.pair
    return {
        "trial": trial.slug,
        "task": task.id,
        "pair": pair.name,
        "epoch": trial.epoch,
        "difficulty": task.difficulty,
        "tags": " ".join(task.tags),
        "orchestrator": pair.orchestrator.model,
        "coder": pair.coder,
        "tester": pair.tester,
        "flow": pair.flow,
        "tools": pair.tools,
        "backend": pair.backend,
        "mode": mode,
    }


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a ``trials.jsonl``. A last line that is still being written is left out.

    Raises:
        UsageError: There is no such file, or a line of it is no record.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a file of records: it is no UTF-8 text") from None
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            row = json.loads(line)
            known = row["outcome"] and row["schema"] == SCHEMA
        except (ValueError, KeyError, TypeError, RecursionError):
            known = False
        if not known:
            raise UsageError(f"{path}:{number}: not a record of schema {SCHEMA}")
        yield row


def is_measurement(row: dict[str, Any]) -> bool:
    """Whether a row counts in rates."""
    return row["outcome"] in MODEL_OUTCOMES
