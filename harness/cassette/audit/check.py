"""Find what is wrong with the cassettes of a suite, and which of them can go.

All is decided from files. Not covered: whether a cassette plays, which ``pytest benchmarks`` shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from harness import redact
from harness.cassette import staleness
from harness.cassette.audit.cassette_files import FolderFile, display_path, list_files
from harness.cassette.audit.expected import Catalogue
from harness.cassette.file import FORMAT, MAX_LEAKS, leaks, load, read, unsafe
from harness.errors import CassetteError, EditedCassette, SpecError, StaleCassette, UsageError
from harness.terminal import one_line

PRUNE = "harness cassettes prune --delete"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its name in ``list``, a sentence that begins with the file, what to do."""

    state: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} -> {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True)
class Entry:
    """One cassette.

    Attributes:
        recorded: The facts in it; empty if it is damaged.
        exchanges: How many; None if it is damaged.
        has_trial: Whether the suite has its trial; None if that cannot be told.
    """

    file: FolderFile
    problems: tuple[Problem, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)
    exchanges: int | None = None
    has_trial: bool | None = None

    @property
    def state(self) -> str:
        """``ok``, or the state of the first problem."""
        return self.problems[0].state if self.problems else "ok"

    def row(self) -> dict[str, Any]:
        """Return the entry as plain JSON values, always with the same keys."""
        return {
            "trial": self.file.slug,
            "file": display_path(self.file.path),
            "state": self.state,
            "problems": [str(problem) for problem in self.problems],
            "outcome": self.recorded.get("outcome"),
            "recorded_at": self.recorded.get("at"),
            "bytes": self.file.size,
            "exchanges": self.exchanges,
            "versions": dict(self.recorded.get("versions", {})),
            "format": None if self.exchanges is None else FORMAT,
        }


def inspect(file: FolderFile, suite: Catalogue | None) -> Entry:
    """Find what is wrong with one cassette, without a suite from the file alone."""
    display = display_path(file.path)
    expected = suite.trials.get(file.slug) if suite else None
    record_again = staleness.command(expected, "all") if expected else ""
    try:
        cassette = load(file.path, display, record_with=record_again)
    except CassetteError as error:
        return _unreadable(file, error, suite)
    problems = _secrets(leaks(cassette, file.path), display, record_again)
    trial = suite.trial_of(file.slug, cassette.recorded) if suite else None
    has_trial = True if trial else None
    if trial:
        for change in staleness.changes(cassette, trial):
            state = "misnamed" if change.what == "trial" else f"stale: {change.what} changed"
            problems.append(Problem(state, f"{display}: {one_line(change.text)}", change.remedy))
    elif suite and suite.why_none(file.slug):
        has_trial = False
        problems.append(_orphan(file, suite))
    elif cassette.trial != file.slug:
        text = f"{display}: it holds the trial {one_line(cassette.trial)[:160]!r}"
        problems.append(Problem("misnamed", text, "move it back, or record its trial again"))
    facts, count = cassette.recorded, len(cassette.exchanges)
    return Entry(file, tuple(problems), facts, count, has_trial)


def _unreadable(file: FolderFile, error: CassetteError, suite: Catalogue | None) -> Entry:
    """Judge a cassette that is of no use by its name and its text."""
    state = {EditedCassette: "edited", StaleCassette: "stale: format"}.get(type(error), "damaged")
    problems = [Problem(state, error.message, error.remedy)]
    try:
        text = read(file.path).decode("utf-8", "replace")
    except OSError:
        text = ""
    found = list(islice(redact.leaks(text, os.environ), MAX_LEAKS))
    problems += _secrets(found, display_path(file.path), "")
    if suite and not suite.has_task(file.slug.split("/")[1]) and suite.why_none(file.slug):
        return Entry(file, (_orphan(file, suite), *problems), has_trial=False)
    return Entry(file, tuple(problems), has_trial=True if suite and file.slug in suite.trials else None)


def _orphan(file: FolderFile, suite: Catalogue) -> Problem:
    why = suite.why_none(file.slug)
    text = f"{display_path(file.path)}: an orphan: {why}"
    keep = "raise `epochs` of the pair in pairs.yaml" if why.endswith("epochs only") else "restore that"
    return Problem("orphan", text, f"{keep}, or remove it: {PRUNE}")


def _secrets(found: list[str], display: str, record_again: str) -> list[Problem]:
    if not found:
        return []
    error = unsafe(found, display, record_again)
    return [Problem("secret", error.message, error.remedy)]


@dataclass(frozen=True)
class Report:
    """The result of a check: how many cassettes, and what is wrong."""

    checked: int
    problems: tuple[Problem, ...]


def check(folder: Path, suite: Catalogue, names: Iterable[str] = ()) -> Report:
    """Check a whole folder of cassettes, or those that are named, and report the missing ones.

    Raise UsageError if there is no such folder or name, CassetteError if the folder cannot be read.
    """
    names, files = tuple(names), list_files(folder)
    missing = sorted(suite.trials.keys() - {file.slug for file in files})
    absent = [FolderFile(folder / f"{slug}.json", slug) for slug in missing]
    problems = [] if names else [Problem("unread", line) for line in suite.broken]
    checked = 0
    for file in select([*files, *absent], names, folder):
        display = display_path(file.path)
        if file in absent and file.path.is_dir():
            text = f"{display}: a folder is in the place of the recording"
            problems.append(Problem("damaged", text, "remove it, or move it elsewhere"))
        elif file in absent:
            remedy = f"record it: {staleness.command(suite.trials[file.slug])}"
            problems.append(Problem("missing", f"{display}: nothing recorded", remedy))
        elif not file.slug:
            problems.append(Problem("stray", f"{display}: {file.why}", f"remove it: {PRUNE}"))
        else:
            entry = inspect(file, suite)
            problems += entry.problems
            checked += 1
    return Report(checked, tuple(problems))


def prunable(folder: Path, suite: Catalogue) -> list[tuple[FolderFile, str]]:
    """List the files of a folder that no trial needs, each with the reason.

    Raise SpecError if a task file cannot be read: what looks like an orphan may be its recording.
    """
    if suite.broken:
        raise SpecError(list(suite.broken), remedy="mend it first: its recordings would look like orphans")
    return [
        (file, file.why or suite.why_none(file.slug))
        for file in list_files(folder)
        if file.why or inspect(file, suite).has_trial is False
    ]


def select(files: Iterable[FolderFile], names: Iterable[str], folder: Path) -> list[FolderFile]:
    """Return the files whose name holds one of these parts, or is one of these paths; all without names.

    Raise UsageError if there is none of a name.
    """
    files, names = list(files), list(names)
    chosen: dict[FolderFile, None] = {}
    for name in names:
        part = _slug_part(name, folder)
        matching = [each for each in files if part in (each.slug or display_path(each.path))]
        if not matching:
            known = ", ".join(each.slug for each in files if each.slug) or "none yet"
            text = f"no cassette {one_line(name)!r} in {display_path(folder)}"
            raise UsageError(text, remedy=f"use a part of: {known[:400]}")
        chosen.update(dict.fromkeys(matching))
    return list(chosen) if names else files


def find_one(name: str, folder: Path) -> Path:
    """Return the path of the one cassette of a name: a path, a trial, or a part of the trial's name.

    Raise UsageError if there is none, or more than one.
    """
    if name.endswith(".json") and os.path.lexists(name):
        return Path(name)
    matching = select([each for each in list_files(folder) if each.slug], [name], folder)
    exact = [each for each in matching if each.slug == _slug_part(name, folder)]
    if len(exact or matching) != 1:
        choice = ", ".join(each.slug for each in matching[:8])
        raise UsageError(f"{one_line(name)!r} is the name of several", remedy=f"use one of: {choice}")
    return (exact or matching)[0].path


def _slug_part(name: str, folder: Path) -> str:
    """Return the trial's name if this is a path in the folder, else the name as it is."""
    path = Path(os.path.abspath(name))
    inside = name.endswith(".json") and path.is_relative_to(folder.absolute())
    return path.relative_to(folder.absolute()).as_posix().removesuffix(".json") if inside else name
