"""Put the runs of several machines together: their records and conversations, as one run.

Two passes over the files, with a few words for each trial in between: a million records are merged in the
memory that their names need.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.results.columns import SETTINGS, first_lines
from harness.results.record import read_rows
from harness.results.run_folder import TASKS, TRIALS
from harness.results.run_state import Figures, Plan, State, read, write
from harness.tasks.task import digest


@dataclass(frozen=True)
class KeptRecord:
    """The record that a trial keeps: in which run, and what it says."""

    run: int
    kind: str
    digest: str


def merge(runs: Sequence[Path], folder: Path) -> Counter[Path]:
    """Write the records and conversations of runs (their ``trials.jsonl``) into a new folder.

    A trial that several runs have counts once: measured rather than ended by an infra error, and of several
    infra errors the last.

    Returns:
        How many records each run gave.

    Raises:
        UsageError: A run cannot be read, or two runs differ in a task, a pair or a measured trial.
    """
    kept = choose(runs)
    given: Counter[Path] = Counter()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merge-", dir=folder.parent) as name:
        unfinished = Path(name, folder.name)
        unfinished.mkdir()
        with (unfinished / TRIALS).open("wb") as file:
            for number, path in enumerate(runs):
                for row in _last_rows(path):
                    if kept[row["trial"]].run == number:
                        given[path] += 1
                        line = json.dumps({"schema": row["schema"], **row}, ensure_ascii=False) + "\n"
                        file.write(line.encode("utf-8", "surrogatepass"))
                        _copy(Path("transcripts", f"{row['trial']}.json"), path.parent, unfinished)
                        texts = Path(TASKS, f"{row['task']}.json")
                        if (path.parent / texts).is_file():
                            _copy(texts, path.parent, unfinished)
        unfinished.rename(folder)
    return given


def merge_plans(runs: Sequence[Path], folder: Path, figures: Figures | None) -> None:
    """Write what merged runs consist of, so that ``--resume`` goes on with what none of them has.

    Nothing is written where one of the runs has no plan, as one of an earlier version, or was begun with
    other options: no command would collect the trials of both.
    """
    try:
        states = [read(path.parent, State) for path in runs]
        plans = [read(path.parent, Plan) for path in runs]
    except UsageError:
        return
    if any(state.options != states[0].options for state in states):
        return
    trials = dict.fromkeys(slug for plan in plans for slug in plan.trials)
    tasks = {name: task for plan in plans for name, task in plan.tasks.items()}
    pairs = {name: pair for plan in plans for name, pair in plan.pairs.items()}
    write(folder, Plan(prompts=plans[0].prompts, tasks=tasks, pairs=pairs, trials=list(trials)))
    ended = [state.ended for state in states if state.ended]
    whole = {
        "began": min(state.began for state in states),
        "ended": max(ended) if len(ended) == len(states) else None,
        "arguments": list(dict.fromkeys(each for state in states for each in state.arguments)),
        "pairs": list(dict.fromkeys(name for state in states for name in state.pairs)),
        "planned": len(trials),
        "figures": figures,
        "broken": broken_in(runs),
    }
    write(folder, states[0].model_copy(update=whole))


def broken_in(runs: Sequence[Path]) -> list[str]:
    """Return a line for each file that could not be read in any of these runs, as far as they tell."""
    found: dict[str, None] = {}
    for path in runs:
        with suppress(UsageError):
            found |= dict.fromkeys(read(path.parent, State).broken)
    return list(found)


def _copy(name: Path, source: Path, target: Path) -> None:
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / name, target / name)
    except FileNotFoundError:
        raise UsageError(f"{source / name}: not there", remedy="copy the whole folder of the run") from None


def choose(runs: Sequence[Path]) -> dict[str, KeptRecord]:
    """Return for each trial the record that it keeps.

    Raises:
        UsageError: See ``merge``.
    """
    kept: dict[str, KeptRecord] = {}
    defined: dict[tuple[str, str], tuple[str, int]] = {}  # a task's or a pair's definition, and whose it is
    problems: dict[str, None] = {}

    def differ(what: str, one: int, other: int) -> None:
        problems[f"{what} in {runs[one].parent} and {runs[other].parent}"] = None

    for number, path in enumerate(runs):
        for row in read_rows(path):
            for key, definition in (
                (("task", _task_of(row)), str(row.get("task_digest"))),
                (("pair", row["pair"]), digest([row.get(name) for name in SETTINGS])),
            ):
                first, owner = defined.setdefault(key, (definition, number))
                if first != definition:
                    differ(f"{key[0]} {key[1]}: another", owner, number)
            new = KeptRecord(number, row["kind"], digest({**row, "schema": 0, "mode": ""}))
            old = kept.get(row["trial"])
            if old is None or old.kind == "infra" or old.run == number:
                kept[row["trial"]] = new
            elif new.kind == "model" and new.digest != old.digest:
                differ(f"{row['trial']}: another result", old.run, number)
    if problems:
        raise UsageError(
            "\n".join(first_lines(list(problems))),
            remedy="merge runs of one state of the repository, each trial once",
        )
    return kept


def _task_of(row: dict[str, Any]) -> str:
    """Return what names the definition of a row's task: the values of a course differ by epoch."""
    return f"{row['task']}[{row['epoch']}]" if row.get("course") else str(row["task"])


def _last_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run, of a trial that was run again in it only the last."""
    last = {row["trial"]: number for number, row in enumerate(read_rows(path))}
    for number, row in enumerate(read_rows(path)):
        if last[row["trial"]] == number:
            yield row
