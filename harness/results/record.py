"""Make one flat row of each trial, and read the file in which they stand (``trials.jsonl``).

A row holds tokens, not dollars: money is computed when a table is made (``pricing.py``). What was
measured when the trial was recorded and cannot be measured by a replay says so in its name.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, InstanceOf, TypeAdapter
from typing_extensions import TypedDict

from harness.agents import memory
from harness.agents.transcript import ROLES, Spent, Transcript, Usage, to_json
from harness.cassette.encoding import explain
from harness.cassette.file import MAX_COST_USD, MAX_WALL_S, Day
from harness.errors import HarnessError, UsageError
from harness.grading.verdict import Outcome, Verdict
from harness.results.columns import GRADES, KINDS, MEMORY, SETTINGS, TOKENS, first_lines
from harness.tasks.task import Difficulty, digest
from harness.tasks.trial import Trial
from harness.text import shorten

SCHEMA = 4
READABLE = (3, SCHEMA)  # records of schema 3 have no ``requests``
REQUESTS = r"(?:(?:orchestrator|coder|tester):[1-9]\d{0,5}:\d{1,15}(?:,\d{1,15}){4} )*"
ANSWER_CHARS = 200
MAX_TOTAL = 1_000_000_000_000  # the largest count of a trial: sums of millions of trials stay exact
MAX_LINE = 10_000_000  # bytes
Count = Annotated[int | None, Field(ge=0, le=MAX_TOTAL)]


@dataclass(frozen=True)
class Record:
    """A trial's row. Numbers are None where the trial ended before they could be known.

    ``row()`` flattens it; ``row_schema()`` is the JSON Schema of such a row.
    """

    trial: Annotated[str, Field(description="pair/task/epoch")]
    task: Annotated[str, Field(description="The task's id.")]
    task_digest: Annotated[str, Field(description="Hash of what models see of the task, and its limits.")]
    pair: Annotated[str, Field(description="The pair's name.")]
    epoch: Annotated[int, Field(ge=1)]
    difficulty: Difficulty
    tags: Annotated[str, Field(description="Separated by blanks.")]
    orchestrator: Annotated[
        str, Field(description="Letta model handle; with ' (App Server)' if it lives in that server.")
    ]
    coder: Annotated[str, Field(description="The model that writes the code.")]
    tester: Annotated[str, Field(description="The model that writes the tests; none if nobody does.")]
    flow: Annotated[str, Field(description="free or guided.")]
    tools: Annotated[str, Field(description="client or server: who runs the two tools.")]
    backend: Annotated[str, Field(description="How coder and tester were reached.")]
    coder_settings: Annotated[str, Field(description="Such as effort=high; empty for the defaults.")]
    tester_settings: Annotated[str, Field(description="The same of the tester.")]
    mode: Annotated[str, Field(description="replay or record")]
    kind: Annotated[
        Literal["model", "infra"], Field(description="A measurement, or nothing that tells of the models.")
    ]
    outcome: Annotated[str, Field(description="One word; see the page of outcomes.")]
    detail: Annotated[str, Field(description="One line: why it is not solved.")] = ""
    solved_at: Annotated[Count, Field(description="The first attempt whose code passed acceptance.")] = None
    generated_passed: Annotated[
        bool | None, Field(description="The generated tests pass on the generated code.")
    ] = None
    generated_tests: Annotated[
        Count, Field(description="Tests of the tester's file that were collected.")
    ] = None
    tests_valid: Annotated[
        bool | None,
        Field(description="The generated tests pass on the reference; null where there are none."),
    ] = None
    bugs_caught: Annotated[Count, Field(description="Known bugs that valid generated tests fail on.")] = None
    bugs_accepted: Annotated[
        Count, Field(description="Known bugs that the generated tests pass on, valid or not.")
    ] = None
    bugs_total: Annotated[Count, Field(description="Known bugs of the task.")] = None
    mutants_caught: Annotated[
        Count, Field(description="As bugs_caught, of the bugs that --mutants made.")
    ] = None
    mutants_total: Annotated[Count, Field(description="How many of those there were.")] = None
    acceptance_passed: Annotated[Count, Field(description="Hidden tests that passed.")] = None
    acceptance_tests: Annotated[Count, Field(description="Hidden tests that were collected.")] = None
    acceptance_fraction: Annotated[
        float | None, Field(ge=0, le=1, description="Partial credit; it never counts as solved.")
    ] = None
    attempts: Annotated[Count, Field(description="Runs of the orchestrator until it ended its turn.")] = None
    repairs: Annotated[Count, Field(description="Attempts after the first.")] = None
    steps: Annotated[Count, Field(description="Model calls that the orchestrator made inside Letta.")] = None
    tool_calls: Annotated[Count, Field(description="Calls of coder and tester.")] = None
    tool_errors: Annotated[Count, Field(description="Calls that returned an error.")] = None
    transport_retries: Annotated[
        Count, Field(description="HTTP requests repeated, when it was recorded.")
    ] = None
    wasted_calls: Annotated[
        Count, Field(description="Tool calls that returned an error or repeated one that had succeeded.")
    ] = None
    final_answer: Annotated[
        str, Field(description="The orchestrator's last words, in one line, shortened.")
    ] = ""
    conversation: Annotated[
        str, Field(description="Hash of all that was said, called and written; equal in equal conversations.")
    ] = ""
    requests: Annotated[
        str,
        Field(
            description="Tokens of answers: `role:N:input,cache_write,cache_read,output,cache_write_1h `, "
            "where N is the number of requests that the answer took.",
            pattern=f"^{REQUESTS}$",
        ),
    ] = ""
    course: Annotated[str | None, Field(description="The course that the trial is a step of.")] = None
    step: Annotated[Count, Field(description="Its place there, from 1.")] = None
    control: Annotated[
        bool | None, Field(description="The course's specifications restate every convention.")
    ] = None
    memory: Annotated[
        str | None, Field(description="none, fresh, carried; or carried, with the history of earlier steps.")
    ] = None
    memory_calls: Annotated[Count, Field(description="Calls of memory tools, which Letta executed.")] = None
    recalled: Annotated[
        Count,
        Field(description="Coder calls whose specification quotes a line of the memory before the trial."),
    ] = None
    tokens: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the flat row: plain JSON values, always the same keys, but for those of memory."""
        row = {"schema": SCHEMA, **asdict(self)}
        if self.memory is None:
            row = {name: value for name, value in row.items() if name not in MEMORY}
        tokens, recorded = row.pop("tokens"), row.pop("recorded")
        row.update({name: tokens.get(name) for name in TOKENS})
        row["recorded_at"] = recorded.get("at")
        row["recorded_wall_s"] = recorded.get("wall_s")
        row["notional_cost_usd"] = recorded.get("notional_cost_usd")
        row["letta_version"] = recorded.get("versions", {}).get("letta")
        return row


def measured(
    trial: Trial, transcript: Transcript, verdict: Verdict, *, mode: str, recorded: dict[str, Any]
) -> Record:
    """Return the record of a trial that says something about its models."""
    accepted, generated, tester = verdict.acceptance, verdict.generated, verdict.tester
    grades: dict[str, Any] = {name: getattr(tester, name, None) for name in GRADES}
    used = {role: transcript.usage(role) for role in ROLES}
    tests = accepted.collected if accepted else 0
    return Record(
        **_head(trial, mode),
        kind="model",
        outcome=verdict.outcome,
        detail=verdict.detail,
        solved_at=verdict.solved_at,
        generated_passed=bool(generated and generated.passed),
        generated_tests=generated.collected if generated else 0,
        tests_valid=tester.valid if tester else None,
        **grades,
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
        conversation=digest(to_json(transcript.events)),
        memory_calls=transcript.memory_calls if trial.tells_of_memory else None,
        recalled=len(memory.recalled(transcript)) if trial.tells_of_memory else None,
        requests="".join(_request(each) for role in ROLES for each in transcript.spent(role)),
        tokens={f"{role}_{kind}": getattr(used[role], kind) for role in ROLES for kind in KINDS},
        recorded=recorded,
    )


def _request(spent: Spent) -> str:
    if spent.usage == Usage():
        return ""
    return f"{spent.role}:{max(1, spent.steps)}:{','.join(map(str, spent.usage.counts))} "


def requests_of(role: str, requests: str) -> list[tuple[Usage, int]]:
    """Parse a record's ``requests``: the tokens of each answer to a role, and of how many requests they are.

    Raises:
        ValueError: It is not what ``measured`` wrote.
    """
    parts = (each.split(":") for each in requests.split())
    return [
        (Usage(*map(int, counts.split(","))), int(steps)) for name, steps, counts in parts if name == role
    ]


def broken(trial: Trial, error: BaseException, *, mode: str) -> Record:
    """Return the record of a trial that the harness, or a service that it uses, could not complete."""
    outcome: Outcome | str = error.outcome if isinstance(error, HarnessError) else "harness_error"
    detail = " ".join(str(error).split()) or type(error).__name__
    return Record(**_head(trial, mode), kind="infra", outcome=outcome, detail=detail[:500])


def _head(trial: Trial, mode: str) -> dict[str, Any]:
    task, pair = trial.task, trial.pair
    return {
        "trial": trial.slug,
        "task": task.id,
        "task_digest": task.digest,
        "pair": pair.name,
        "epoch": trial.epoch,
        "difficulty": task.difficulty,
        "tags": " ".join(task.tags),
        "orchestrator": pair.orchestrator.label,
        **{name: str(getattr(pair, name)) for name in SETTINGS if name != "orchestrator"},
        "mode": mode,
        **(_memory(trial) if trial.tells_of_memory else {}),
    }


def _memory(trial: Trial) -> dict[str, Any]:
    pair, step = trial.pair, trial.step
    kept = ", with history" if pair.history == "keep" else ""
    place = {"course": step.course, "step": step.number, "control": step.is_control} if step else {}
    return {"memory": f"{pair.memory}{kept}", **place}


def row_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of ``trials.jsonl``."""
    schema = TypeAdapter(Record).json_schema(mode="serialization")
    columns = schema["properties"]
    del columns["tokens"], columns["recorded"]
    count = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_TOTAL}, {"type": "null"}]}
    columns |= {name: {**count, "description": "Tokens."} for name in TOKENS}
    text, number = ({"anyOf": [{"type": kind}, {"type": "null"}]} for kind in ("string", "number"))
    columns["recorded_at"] = {**text, "description": "Day of the recording."}
    columns["recorded_wall_s"] = {**number, "description": "Seconds that the recorded trial took, live."}
    columns["notional_cost_usd"] = {
        **number,
        "description": "What the CLI says that its answers cost; nothing is billed to a subscription.",
    }
    columns["letta_version"] = {**text, "description": "Of the server that the orchestrator lived in."}
    schema["properties"] = {"schema": {"const": SCHEMA}, **columns}
    schema["required"] = [name for name in schema["properties"] if name not in MEMORY]
    schema["additionalProperties"] = False
    return {**schema, "title": "Record", "description": "One trial: a line of trials.jsonl."}


def read_rows(
    path: Path, broken: list[str] | None = None, *, end: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a ``trials.jsonl``, but for a last line that is still being written.

    ``broken`` takes a message for each line that is no record, in place of an error. ``end``: how many bytes
    of the file are read.

    Raises:
        UsageError: There is no such file, or lines of it are no records; after the last line, naming them.
    """
    problems: list[str] = [] if broken is None else broken
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path}: cannot be read: it is no regular file")
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE), b""), start=1):
                if not line.endswith(b"\n") and len(line) < MAX_LINE:
                    break
                row = _row(line, f"{path}:{number}", problems)
                if row is not None:
                    yield row
                elif len(line) == MAX_LINE:
                    break
                if end is not None and file.tell() >= end:
                    break
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if problems and broken is None:
        raise not_records(problems)


def not_records(problems: list[str]) -> UsageError:
    """Return the error for a file with lines that are no records."""
    return UsageError("\n".join(first_lines(problems)), remedy="replay its trials again")


def _row(line: bytes, place: str, problems: list[str]) -> dict[str, Any] | None:
    try:
        if len(line) == MAX_LINE:
            raise ValueError(f"the line is longer than {MAX_LINE} bytes")
        row = json.loads(line.decode("utf-8", "surrogatepass"))
        if isinstance(row, dict) and type(row.get("schema")) is int and row["schema"] not in READABLE:
            problems.append(f"{place}: not a record of schema {SCHEMA}")
            return None
        checked: dict[str, Any] = _validator().validate_python(row)
    except (ValueError, RecursionError) as error:
        problems.append(f"{place}: not a record of schema {SCHEMA} ({explain(error)})")
        return None
    return checked


@cache
def _validator() -> Any:
    """Return what checks a row: every column has its type and bounds; newer columns may be missing."""
    columns = get_type_hints(Record, include_extras=True)
    for name in ("tokens", "recorded"):
        del columns[name]
    columns |= dict.fromkeys(TOKENS, Count)
    columns |= {
        "schema": Literal[READABLE],
        "trial": Annotated[str, AfterValidator(_slug)],
        "epoch": Annotated[int, Field(ge=1, le=MAX_TOTAL)],
        "outcome": Annotated[str, Field(min_length=1)],
        "recorded_at": Day | None,
        "recorded_wall_s": Annotated[float | None, Field(ge=0, le=MAX_WALL_S)],
        "notional_cost_usd": Annotated[float | None, Field(ge=0, le=MAX_COST_USD)],
        "letta_version": InstanceOf[str] | None,
    }
    # Texts may hold halves of surrogate pairs, which pydantic's own type refuses.
    texts = {name: InstanceOf[str] for name, hint in columns.items() if hint is str}
    needed = {"schema", "trial", "task", "pair", "epoch", "kind", "outcome"}
    needed |= {"task_digest", "orchestrator", "coder", "tester", "backend"}
    hints = {**columns, **texts}
    row = TypedDict("row", {n: h if n in needed else NotRequired[h] for n, h in hints.items()})  # type: ignore[misc]
    row.__pydantic_config__ = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)  # type: ignore[attr-defined]
    return TypeAdapter(row).validator


def _slug(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 3 or not text.isprintable() or any(part.strip(".") == "" for part in parts):
        raise ValueError("expected pair/task/epoch")
    return text
