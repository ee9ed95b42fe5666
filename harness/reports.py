"""The folder of one run: ``reports/<run-id>/`` with its records, tables and transcripts.

Only the controlling process writes here; xdist workers send what they have with their test reports.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import compare, layout, spec, table
from harness.atomic import write_whole
from harness.errors import UsageError
from harness.frame import find_run
from harness.layout import Tables
from harness.pricing import Prices
from harness.record import read_rows
from harness.scrub import redact_json
from harness.transcript import Transcript, from_json, to_json

if TYPE_CHECKING:
    from harness.frame import Table

TRIALS = "trials.jsonl"
PAGE = "report.html"
LATEST = "latest"


def luggage(row: dict[str, Any], transcript: Transcript, files: Mapping[str, str]) -> dict[str, Any]:
    """What travels with a test report, as plain values: the row and the conversation, without secrets."""
    conversation = {"stop": transcript.stop, "events": to_json(transcript.events), "files": dict(files)}
    carried: dict[str, Any] = redact_json({"record": row, "conversation": conversation}, os.environ)
    return carried


class RunFolder:
    """Written as the run goes on; made when the first record arrives."""

    def __init__(self, reports: Path, now: datetime) -> None:
        self.reports = reports
        self.name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.rows: list[dict[str, Any]] = []

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.reports / self.name

    def add(self, luggage: dict[str, Any]) -> None:
        """Append a record, as one whole line, and keep its conversation.

        Raises:
            OSError: It cannot be written; it counts in the tables all the same.
        """
        row, is_first = luggage["record"], not self.rows
        self.rows = [*(each for each in self.rows if each["trial"] != row["trial"]), row]
        if is_first:
            self.path.mkdir(parents=True)
            _point(self.reports / LATEST, self.name)
        write_whole(
            self.path / "transcripts" / f"{row['trial']}.json",
            json.dumps(luggage["conversation"], ensure_ascii=False, indent=1) + "\n",
        )
        line = json.dumps(row, ensure_ascii=False) + "\n"
        handle = os.open(self.path / TRIALS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode("utf-8", "surrogatepass"))
        finally:
            os.close(handle)


def tables_of(trials: Table, further: str = "") -> Tables:
    """All tables of a run.

    Args:
        trials: From ``table.priced``.
        further: What the note has to say besides.
    """
    by = {name: table.rows_of(table.summary(trials, name)) for name in table.BY}
    rates = {row["pair"]: row["solved_pct"] for row in by["pair"] if row["trials"]}
    comparisons = compare.within_run(trials, "pair") if len(rates) > 1 else []
    return Tables(
        by=by,
        testers=table.rows_of(table.by_tester(trials)),
        comparisons=comparisons,
        best=compare.best(comparisons, rates),
        note=note(table.rows_of(trials), by["pair"]) + further,
    )


def write_report(folder: Path, trials: Table, tables: Tables) -> None:
    """Write all that a run's folder holds besides its records and transcripts.

    Args:
        folder: The run's folder, with ``transcripts/``.
        trials: From ``table.priced``.
        tables: From ``tables_of``.

    Raises:
        OSError: It cannot be written.
        UsageError: A transcript is damaged.
    """
    from harness.page.compose import page

    write_whole(folder / "pairs.csv", table.rows_to_csv(tables.pairs))
    write_whole(folder / "testers.csv", table.rows_to_csv(tables.testers))
    write_whole(folder / "pairs.md", layout.markdown(tables))
    write_whole(folder / "tables.json", json.dumps(asdict(tables), ensure_ascii=False, indent=1) + "\n")
    made = page(f"Run {folder.name}", tables, table.rows_of(trials), lambda row: conversation(folder, row))
    write_whole(folder / PAGE, made.html)
    for name, html in made.trials.items():
        write_whole(folder / name, html)


def note(rows: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> str:
    """A line on what the figures are: replayed or live, of how many epochs, and what stands in for what.

    Args:
        rows: Of the trials.
        pairs: Of the pair table.
    """
    measured = [row for row in rows if row["kind"] == "model"]
    days = sorted({row["recorded_at"] for row in measured if row["recorded_at"]})
    replayed = sum(row["mode"] == "replay" for row in measured)
    parts = [f"{len(measured)} trials measured, {replayed} of them replayed"]
    if len(rows) > len(measured):
        parts.append(f"{len(rows) - len(measured)} infra errors, in no percentage")
    if days:
        parts.append(f"recorded {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else ""))
    epochs = sorted({row["k"] for row in pairs if row["k"] > 1})
    if epochs:
        parts.append(f"k of pass@k and pass^k is {', '.join(map(str, epochs))}")
    if any(row["backend"] == "local" for row in rows):
        parts.append("backend local: a small local model stands in for Claude")
    if any(row["backend"] == "mock" for row in rows):
        parts.append("backend mock: no model wrote code or tests, but the task file did")
    return "; ".join(parts) + "."


def load_prices(benchmarks: Path, shown: str) -> Prices:
    """The library's prices and the user's own.

    Raises:
        SpecError: The price file is wrong.
    """
    return Prices(spec.load_prices(benchmarks / spec.PRICES_FILE, shown))


@dataclass(frozen=True)
class Conversation:
    """One trial of a finished run, for reading."""

    row: dict[str, Any]
    transcript: Transcript
    files: dict[str, str]


def find(reports: Path, run: str, wanted: str) -> list[Conversation]:
    """The trials of a run whose slug is ``wanted``, or whose task is, or that hold it as a part.

    Raises:
        UsageError: There is no such run or trial, or its transcript is damaged.
    """
    path = find_run(run, reports)
    folder = path.parent
    rows = list(read_rows(path))
    slugs = [row["trial"] for row in rows]
    exact = [row for row in rows if wanted in (row["trial"], row["task"])]
    chosen = exact or [row for row in rows if wanted in row["trial"]]
    if not chosen:
        raise UsageError(
            f"no trial {wanted!r} in {folder}", remedy=f"use one of: {', '.join(sorted(slugs)[:8])}"
        )
    return [conversation(folder, row) for row in chosen]


def conversation(folder: Path, row: dict[str, Any]) -> Conversation:
    """What a trial's models said and did.

    Raises:
        UsageError: Its transcript is missing or damaged.
    """
    path = folder / "transcripts" / f"{row['trial']}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Conversation(row, Transcript(from_json(kept["events"]), kept["stop"]), kept["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a transcript ({type(error).__name__}: {error})") from None


def _point(link: Path, target: str) -> None:
    """Let ``latest`` point at the newest run, in one step."""
    fresh = link.with_name(f".{LATEST}-{target}")
    try:
        fresh.symlink_to(target)
        os.replace(fresh, link)
    except OSError:
        # A platform or disk without links: the folder's name is printed anyway.
        fresh.unlink(missing_ok=True)
