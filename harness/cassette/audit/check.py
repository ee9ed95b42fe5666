"""All cassettes of a suite: what each is, what is wrong with it, and which of them can go.

Everything here is decided from files, without running a trial. That a cassette also *plays* is shown by
playing it: ``pytest benchmarks``.
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
from harness.cassette.audit import folder as cassettes
from harness.cassette.audit.expected import Catalogue
from harness.cassette.audit.folder import Found, found
from harness.cassette.file import FORMAT, MAX_LEAKS, Cassette, leaks, load, read
from harness.errors import CassetteError, EditedCassette, SpecError, StaleCassette, UsageError
from harness.tasks.trial import Trial
from harness.terminal import one_line

PRUNE = "harness cassettes prune --delete"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        state: What ``list`` calls it: a word or two.
        says: What is wrong, beginning with the file.
        remedy: What to do, as an instruction.
    """

    state: str
    says: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.says} -> {self.remedy}" if self.remedy else self.says


@dataclass(frozen=True)
class Entry:
    """One cassette.

    Attributes:
        file: Where it is.
        problems: What is wrong with it; nothing if it is ok.
        recorded: The facts in it; empty if it is damaged.
        exchanges: How many; None if it is damaged.
        has_digest: Whether an edit of it would be noticed.
        has_trial: Whether the suite has its trial; None if that cannot be told.
    """

    file: Found
    problems: tuple[Problem, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)
    exchanges: int | None = None
    has_digest: bool = False
    has_trial: bool | None = None

    @property
    def state(self) -> str:
        """``ok``, or the first problem in a word or two."""
        return self.problems[0].state if self.problems else "ok"

    def row(self) -> dict[str, Any]:
        """The entry as plain JSON values, always the same keys."""
        return {
            "trial": self.file.slug,
            "file": cassettes.shown(self.file.path),
            "state": self.state,
            "problems": [str(problem) for problem in self.problems],
            "outcome": self.recorded.get("outcome"),
            "recorded_at": self.recorded.get("at"),
            "bytes": self.file.size,
            "exchanges": self.exchanges,
            "versions": dict(self.recorded.get("versions", {})),
            "format": None if self.exchanges is None else FORMAT,
            "digest": self.has_digest,
        }


def entry(file: Found, suite: Catalogue | None) -> Entry:
    """Look into one cassette.

    Args:
        file: The file.
        suite: The trials that there are; None to look at the file alone.
    """
    shown = cassettes.shown(file.path)
    trial = suite.trials.get(file.slug) if suite else None
    again_with = staleness.command(trial, "all") if trial else ""
    try:
        tape = load(file.path, shown, record_with=again_with)
    except CassetteError as error:
        return _unread(file, error, suite)
    problems = _unsafe(leaks(tape), shown, again_with)
    trial = suite.trial_of(file.slug, tape.recorded) if suite else None
    if trial is not None:
        problems += _changed(tape, trial, shown)
    elif suite is not None and suite.why_none(file.slug):
        problems += [_orphan(file, suite)]
    elif tape.trial != file.slug:
        says = f"{shown}: it holds the trial {one_line(tape.trial)[:160]!r}"
        problems.append(Problem("misnamed", says, "move it back, or record its trial again"))
    return Entry(
        file,
        tuple(problems),
        tape.recorded,
        len(tape.exchanges),
        tape.has_digest,
        _has_trial(file, trial, suite),
    )


def _has_trial(file: Found, trial: Trial | None, suite: Catalogue | None) -> bool | None:
    if trial is not None:
        return True
    return False if suite is not None and suite.why_none(file.slug) else None


def _unread(file: Found, error: CassetteError, suite: Catalogue | None) -> Entry:
    """A cassette that is of no use. Whether its trial exists can be told by its name, if that is a task's."""
    state = {EditedCassette: "edited", StaleCassette: "stale: format"}.get(type(error), "damaged")
    problems = [Problem(state, error.message, error.remedy)]
    shown = cassettes.shown(file.path)
    try:
        text = read(file.path).decode("utf-8", "replace")
    except OSError:
        text = ""
    problems += _unsafe(list(islice(redact.leaks(text, os.environ), MAX_LEAKS)), shown, "")
    lost = suite is not None and file.slug.split("/")[1] not in suite.tasks and suite.why_none(file.slug)
    if suite is not None and lost:
        return Entry(file, (_orphan(file, suite), *problems), has_trial=False)
    known = suite is not None and file.slug in suite.trials
    return Entry(file, tuple(problems), has_trial=True if known else None)


def _orphan(file: Found, suite: Catalogue) -> Problem:
    says = f"{cassettes.shown(file.path)}: an orphan: {suite.why_none(file.slug)}"
    return Problem("orphan", says, f"restore that, or remove it: {PRUNE}")


def _unsafe(leaks: list[str], shown: str, again_with: str) -> list[Problem]:
    if not leaks:
        return []
    more = f" and {len(leaks) - 3} more" if len(leaks) > 3 else ""
    places = "; ".join(one_line(leak)[-200:] for leak in leaks[:3])
    again = f"record it again: {again_with}" if again_with else "record its trial again"
    remedy = f"if that is a secret, have it replaced where it is valid, and {again}"
    return [Problem("secret", f"{shown}: it holds {places}{more}", remedy)]


def _changed(tape: Cassette, trial: Trial, shown: str) -> list[Problem]:
    return [
        Problem(
            "misnamed" if change.what == "trial" else f"stale: {change.what} changed",
            f"{shown}: {one_line(change.says)}",
            change.remedy,
        )
        for change in staleness.changes(tape, trial)
    ]


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        checked: Cassettes looked into.
        problems: What is wrong.
        notes: What is worth knowing and no problem.
    """

    checked: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def check(folder: Path, suite: Catalogue, names: Iterable[str] = ()) -> Report:
    """Look into a whole folder of cassettes, or those that are named, and for those that are not there.

    Raises:
        UsageError: There is no such folder, or nothing of such a name.
        CassetteError: The folder cannot be read.
    """
    names, files = tuple(names), found(folder)
    absent = dict.fromkeys(Found(folder / f"{slug}.json", slug) for slug in _missing(suite, files))
    problems = [] if names else [Problem("unread", line) for line in suite.broken]
    checked = undated = 0
    for file in named([*files, *absent], names, folder):
        if file in absent:
            problems.append(_absent(file, suite))
        elif not file.slug:
            problems.append(_stray(file))
        else:
            looked = entry(file, suite)
            problems += looked.problems
            checked += 1
            undated += looked.exchanges is not None and not looked.has_digest
    return Report(checked, tuple(problems), (_undated(undated),) if undated else ())


def _undated(count: int) -> str:
    which = "1 cassette carries" if count == 1 else f"{count} cassettes carry"
    return f"note: {which} no digest (recorded before it existed): an edit there would not be noticed"


def _missing(suite: Catalogue, files: Iterable[Found]) -> list[str]:
    there = {file.slug for file in files}
    return sorted(slug for slug in suite.trials if slug not in there)


def _absent(file: Found, suite: Catalogue) -> Problem:
    remedy = f"record it: {staleness.command(suite.trials[file.slug])}"
    return Problem("missing", f"{cassettes.shown(file.path)}: nothing recorded", remedy)


def _stray(file: Found) -> Problem:
    return Problem("stray", f"{cassettes.shown(file.path)}: {file.why}", f"remove it: {PRUNE}")


def prunable(folder: Path, suite: Catalogue) -> list[tuple[Found, str]]:
    """The files of a folder that no trial needs, each with the reason.

    Raises:
        UsageError: There is no such folder.
        SpecError: A task file cannot be read: what looks like an orphan may be its recording.
    """
    if suite.broken:
        raise SpecError(list(suite.broken), remedy="mend it first: its recordings would look like orphans")
    files: list[tuple[Found, str]] = []
    for file in found(folder):
        if not file.slug:
            files.append((file, file.why))
        elif entry(file, suite).has_trial is False:
            files.append((file, suite.why_none(file.slug)))
    return files


def named(files: Iterable[Found], names: Iterable[str], folder: Path) -> list[Found]:
    """The files whose name holds one of these parts, or is one of these paths; all if none is given.

    Raises:
        UsageError: There is none of a name.
    """
    files, names = list(files), list(names)
    chosen: list[Found] = []
    for name in names:
        part = _part(name, folder)
        matching = [each for each in files if part in (each.slug or cassettes.shown(each.path))]
        if not matching:
            known = ", ".join(each.slug for each in files if each.slug) or "none yet"
            raise UsageError(
                f"no cassette {one_line(name)!r} in {cassettes.shown(folder)}",
                remedy=f"use a part of: {known[:400]}",
            )
        chosen += [each for each in matching if each not in chosen]
    return chosen if names else files


def one(name: str, folder: Path) -> Path:
    """The path of the one cassette that a name means: a path, a trial, or a part of the trial's name.

    Raises:
        UsageError: There is none, or more than one.
    """
    if name.endswith(".json") and os.path.lexists(name):
        return Path(name)
    cassettes = [each for each in found(folder) if each.slug]
    matching = named(cassettes, [name], folder)
    exact = [each for each in matching if each.slug == _part(name, folder)]
    if len(exact or matching) != 1:
        choice = ", ".join(each.slug for each in matching[:8])
        raise UsageError(f"{one_line(name)!r} is the name of several", remedy=f"use one of: {choice}")
    return (exact or matching)[0].path


def _part(name: str, folder: Path) -> str:
    """What to look for: the trial's name, of a path."""
    path = Path(os.path.abspath(name))
    inside = name.endswith(".json") and path.is_relative_to(folder.absolute())
    return path.relative_to(folder.absolute()).as_posix().removesuffix(".json") if inside else name
