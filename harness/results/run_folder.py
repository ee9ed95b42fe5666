"""Read and write the folder of a run below ``reports/``."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from harness.agents.transcript import Stop, Transcript, from_json, to_json
from harness.cassette.encoding import explain
from harness.errors import UsageError
from harness.files import append_line, write_whole
from harness.grading.verdict import Verdict
from harness.redact import redact_json
from harness.results.evidence import Grades, TaskTexts, grades, task_texts
from harness.results.journal import File, Journal
from harness.results.record import read_rows
from harness.results.run_state import STATE, Alive
from harness.tasks.task import Task

TRIALS = "trials.jsonl"
TASKS = "tasks"  # folder of the texts of each task


class TranscriptFile(TypedDict):
    """What the file of a transcript holds."""

    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]

    stop: Stop
    events: list[dict[str, Any]]
    files: dict[str, str]
    grades: NotRequired[Grades]


KEPT = TypeAdapter(TranscriptFile)
TEXTS = TypeAdapter(TaskTexts)


def run_folders(reports: Path) -> list[Path]:
    """Return the folders of all runs, newest first; ``latest``, a link to one, is none of them."""
    found = {path.parent for name in (TRIALS, STATE) for path in reports.glob(f"*/{name}")}
    runs = (each for each in found if not (each.is_symlink() or each.name.startswith(".")))
    return sorted(runs, key=attrgetter("name"), reverse=True)


def find_run(run: str | Path, reports: str | Path = "reports") -> Path:
    """Return the ``trials.jsonl`` of a run.

    Raises:
        UsageError: There is no such run.
    """
    for folder in (Path(run), Path(reports) / run):
        with suppress(OSError):  # a name that is too long, say
            path = folder if folder.is_file() else folder / TRIALS
            if path.is_file():
                return path
    known = sorted((path.parent.name for path in Path(reports).glob(f"*/{TRIALS}")), reverse=True)
    remedy = f"use one of: {', '.join(known[:6])}" if known else "run `pytest benchmarks` first"
    raise UsageError(f"no run {str(run)!r}, neither as a path nor in {reports}", remedy=remedy)


def report_payload(
    row: dict[str, Any],
    transcript: Transcript,
    files: Mapping[str, str],
    verdict: Verdict | None = None,
    task: Task | None = None,
) -> dict[str, Any]:
    """Return what travels with a test report, as plain values without secrets."""
    conversation: dict[str, Any] = {
        "stop": transcript.stop,
        "events": to_json(transcript.events),
        "files": dict(files),
    }
    whole: dict[str, Any] = {"record": row, "conversation": conversation}
    if verdict is not None:
        conversation["grades"] = grades(verdict)
    if task is not None:
        whole["task"] = task_texts(task)
    payload: dict[str, Any] = redact_json(whole, os.environ)
    return payload


class RunFolder:
    """The folder of a run that goes on. Every process of the run adds the trials that it finishes.

    Attributes:
        path: The folder, made when it is first written to.
        unwritten: Rows that this process could not write; they count in its tables all the same.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unwritten: list[dict[str, Any]] = []
        self._alive: Alive | None = None
        self._is_latest = False

    @classmethod
    def new(cls, reports: Path, now: datetime) -> RunFolder:
        """Return a folder that no other run has."""
        return cls(reports / run_name(now))

    def show_alive(self) -> None:
        """Give a sign that this process works on the run, from now on until ``close``."""
        if self._alive is None:
            self._alive = Alive(self.path)

    @cached_property
    def journal(self) -> Journal:
        """The note of this process on the trial that it is recording."""
        return Journal(File(self.path, str(os.getpid())))

    def close(self) -> None:
        """Take the sign of life away."""
        if self._alive is not None:
            self._alive.close()

    def add(self, payload: dict[str, Any]) -> None:
        """Keep a trial: its conversation, then its row, so that who finds the row finds both.

        The row is one whole line of the file. Of a trial that ends twice the last row counts, wherever rows
        are read as a table.

        Raises:
            OSError: It cannot be written.
        """
        row = payload["record"]
        try:
            write_whole(
                self.path / "transcripts" / f"{row['trial']}.json",
                json.dumps(payload["conversation"], ensure_ascii=False, indent=1) + "\n",
            )
            if texts := payload.get("task"):
                self._keep_texts(row["task"], texts)
            append_line(self.path / TRIALS, json.dumps(row, ensure_ascii=False))
        except OSError:
            self.unwritten.append(row)
            raise
        self.journal.end(in_error=row["kind"] == "infra")
        if not self._is_latest:
            self._is_latest = True
            point_latest_at(self.path)

    def _keep_texts(self, task: str, texts: TaskTexts) -> None:
        """Write what a task's author wrote, once for all its trials."""
        path = self.path / TASKS / f"{task}.json"
        if not path.exists():
            write_whole(path, json.dumps(texts, ensure_ascii=False, indent=1) + "\n")

    def drop_repeated(self) -> None:
        """Keep the last row of each trial, when nobody writes any more. Raises OSError."""
        last = {row["trial"]: json.dumps(row, ensure_ascii=False) for row in read_rows(self.path / TRIALS)}
        write_whole(self.path / TRIALS, "".join(f"{line}\n" for line in last.values()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of all processes so far, read from the file."""
        if (self.path / TRIALS).exists():
            yield from read_rows(self.path / TRIALS)
        yield from self.unwritten


def run_name(now: datetime) -> str:
    """Return a name for a new run's folder; names sort by time, also those of one second."""
    part = now.microsecond * 0x10000 // 1_000_000
    return f"{now:%Y%m%d-%H%M%S}-{part:04x}{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Conversation:
    """One trial of a finished run, for reading."""

    row: dict[str, Any]
    transcript: Transcript
    files: dict[str, str]
    grades: Grades | None = None  # none in runs of earlier versions, and of trials without a verdict


def find_conversations(reports: Path, run: str, wanted: str) -> list[Conversation]:
    """Return the trials of a run whose slug or task is ``wanted``, or else whose slug holds it as a part.

    Raises:
        UsageError: There is no such run or trial, its transcript is damaged, or nothing is wanted.
    """
    path = find_run(run, reports)
    rows = list(read_rows(path))
    exact = [row for row in rows if wanted in (row["trial"], row["task"])]
    chosen = exact or [row for row in rows if wanted.strip() and wanted in row["trial"]]
    if not chosen:
        known = sorted(row["trial"] for row in rows)[:8]
        raise UsageError(
            f"no trial {wanted!r} in {path.parent}",
            remedy=f"use one of: {', '.join(known)}; or of another run: --run NAME",
        )
    return [load_conversation(path.parent, row) for row in chosen]


def load_conversation(folder: Path, row: dict[str, Any]) -> Conversation:
    """Return what a trial's models said and did.

    Raises:
        UsageError: Its transcript is missing or damaged.
    """
    path = folder / "transcripts" / f"{row['trial']}.json"
    try:
        kept = KEPT.validate_python(json.loads(path.read_text(encoding="utf-8")))
        return Conversation(
            row, Transcript(from_json(kept["events"]), kept["stop"]), kept["files"], kept.get("grades")
        )
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: not a transcript ({explain(error)})") from None


def load_texts(folder: Path, task: str) -> TaskTexts | None:
    """Return what a task's author wrote, as the run saw it; None where it is not kept, or damaged."""
    path = folder / TASKS / f"{task}.json"
    try:
        return TEXTS.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def point_latest_at(run: Path) -> None:
    """Let ``latest`` point at the newest run, in one step."""
    fresh = run.with_name(f".latest-{run.name}-{os.getpid()}")
    try:
        fresh.symlink_to(run.name)
        os.replace(fresh, run.with_name("latest"))
    except OSError:
        # A platform or disk without links: the folder's name is printed anyway.
        fresh.unlink(missing_ok=True)
