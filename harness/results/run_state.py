"""What a run was begun with, and whether it goes on: three files in its folder.

``run.json`` holds state, options and figures, and is small, so that many runs are listed fast. ``plan.json``
holds its trials, and digests of all that would make them others. ``.alive`` is locked by each process of the
run, for as long as the process lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.agents import prompts
from harness.cassette.encoding import explain
from harness.errors import UsageError
from harness.files import write_whole
from harness.tasks.pair import Pair
from harness.tasks.task import Task, digest
from harness.tasks.trial import Trial

STATE, PLAN, ALIVE = "run.json", "plan.json", ".alive"
Status = Literal["complete", "interrupted", "running"]


class Kept(BaseModel):
    """Base of the two files: strictly typed; what a newer harness adds is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    schema_version: Literal[1] = Field(1, alias="schema")


class Figures(Kept):
    """The figures of a run when it ended; ``finished`` trials are measured or ended in an infra error.

    ``models``: how many of the measured ones are tasks that models worked at, neither mocks' nor steps of
    courses; None of a run from before these were told apart.
    """

    finished: int
    measured: int
    solved: int
    models: int | None = None
    solved_by_models: int | None = None
    cost: float | None = Field(description="US dollars; None where a price is unknown.")


class State(Kept):
    """``run.json``.

    Attributes:
        began, ended: In ISO 8601, UTC; ``ended`` is None while it runs, and after it was killed.
        arguments: Where its trials were collected from, as on the command line.
        options: The harness's options that choose trials, by name.
        planned: How many trials it has.
        broken: A line for each file whose trials are not among them, as it could not be read.
    """

    began: str
    ended: str | None = None
    arguments: list[str]
    options: dict[str, Any]
    pairs: list[str]
    planned: int
    figures: Figures | None = None
    broken: list[str] = []

    def command(self, run: str) -> str:
        """Return the command that goes on with the run of this name."""
        return shlex.join(["pytest", *self.arguments, f"--resume={run}"])


class PlannedTask(BaseModel):
    """A task of a run: its file (of a source: ``file::id``), and a digest of each of its fields."""

    model_config = ConfigDict(strict=True, frozen=True)
    source: str
    fields: dict[str, str]


class Plan(Kept):
    """``plan.json``: a run's trials, and digests of what would make them others."""

    prompts: str
    tasks: dict[str, PlannedTask]
    pairs: dict[str, dict[str, str]]
    trials: list[str]


def plan_of(trials: Iterable[Trial]) -> Plan:
    """Return the plan of a run of these trials."""
    tasks: dict[str, PlannedTask] = {}
    pairs: dict[str, dict[str, str]] = {}
    slugs = []
    for trial in trials:
        name = planned_name(trial)
        if name not in tasks:
            tasks[name] = PlannedTask(source=trial.source, fields=fields_of_task(trial))
        if trial.pair.name not in pairs:
            pairs[trial.pair.name] = fields_of(trial.pair)
        slugs.append(trial.slug)
    return Plan(prompts=prompts.prompts_digest(), tasks=tasks, pairs=pairs, trials=slugs)


def planned_name(trial: Trial) -> str:
    """Return a task's name in a plan: a step of a course is another task in each epoch."""
    return f"{trial.task.id}[{trial.epoch}]" if trial.step else trial.task.id


def fields_of_task(trial: Trial) -> dict[str, str]:
    """Return a digest of each field of a trial's task, and of its place in a course."""
    place = trial.step.model_dump(mode="json", exclude={"number"}) if trial.step else {}
    return fields_of(trial.task) | {name: digest(each)[:8] for name, each in place.items()}


def fields_of(value: Task | Pair) -> dict[str, str]:
    """Return a digest of each field of a task or pair, but for a pair's number of epochs."""
    fields = value.model_dump(mode="json", exclude={"epochs"})
    return {name: digest(each)[:8] for name, each in fields.items()}


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the names of the fields that differ."""
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def write(folder: Path, kept: State | Plan) -> None:
    """Write a run's state or plan into its folder. Raises OSError if that cannot be done."""
    name = STATE if isinstance(kept, State) else PLAN
    write_whole(folder / name, json.dumps(kept.model_dump(mode="json", by_alias=True), indent=1) + "\n")


AnyKept = TypeVar("AnyKept", State, Plan)


def read(folder: Path, kind: type[AnyKept]) -> AnyKept:
    """Read a run's state or plan.

    Raises:
        UsageError: It is missing, damaged, or of another version of the harness.
    """
    path = folder / (STATE if kind is State else PLAN)
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        if any(each["loc"] == ("schema",) for each in error.errors()):
            raise UsageError(f"{path}: written by another version of the harness") from None
        raise UsageError(f"{path}: damaged ({explain(error)})") from None


def incomplete(folder: Path, finished: int) -> str:
    """Return a sentence for the tables of a run with fewer results than trials; else nothing."""
    try:
        planned = read(folder, State).planned
    except UsageError:
        return ""  # of an earlier version, or put together from others
    return f" Not complete: {finished} of {planned} trials." if finished < planned else ""


def status_of(folder: Path, state: State) -> Status:
    """Tell if a run goes on, was interrupted, or has finished all its trials."""
    if is_alive(folder):
        return "running"
    finished = state.figures.finished if state.ended and state.figures else -1
    return "complete" if finished >= state.planned else "interrupted"


class Alive:
    """A sign that a process of the run lives, which ends with the process, however that ends.

    The lock of one byte, at the place that the process's number gives, is not inherited by children. Where
    the disk has no locks, nobody can tell.
    """

    def __init__(self, folder: Path) -> None:
        self._file = -1
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, os.getpid())

    def close(self) -> None:
        """Take the sign away."""
        if self._file >= 0:
            os.close(self._file)


def is_alive(folder: Path) -> bool:
    """Return True if a process of the run lives; not for the run of this very process."""
    try:
        file = os.open(folder / ALIVE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
