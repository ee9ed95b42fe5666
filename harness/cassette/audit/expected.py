"""List the trials of a suite, to compare cassettes with, without a pytest run and without its options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cassette.audit import cassette_files
from harness.errors import SpecError, UsageError
from harness.tasks import loader
from harness.tasks.pair import Pair
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Task
from harness.tasks.trial import Trial


@dataclass(frozen=True)
class Catalogue:
    """The trials of a suite, to compare cassettes with.

    Attributes:
        trials: By slug: those that a plain ``pytest benchmarks`` runs.
        tasks: By id, each as messages name it; also those of sources that a plain run leaves out.
        steps: By slug: those of courses, also by pairs that run on request only.
        step_tasks: The tasks of all courses, whether a pair runs them or not.
        pairs: By name: those of the pairs file, also those that run on request only.
        broken: What is wrong with task files that could not be read, one line each.
        unknown: Sources whose tasks cannot be known here: not installed, or wrong.
        has_pairs_file: Without one, any pair may have been in it.
    """

    trials: Mapping[str, Trial]
    tasks: Mapping[str, tuple[Task, str]]
    pairs: Mapping[str, Pair]
    steps: Mapping[str, Trial] = field(default_factory=dict)
    step_tasks: frozenset[str] = frozenset()
    broken: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    has_pairs_file: bool = True

    def trial_of(self, slug: str, recorded: Mapping[str, Any]) -> Trial | None:
        """Return the trial of a cassette, also that of a source or a pair that a plain run leaves out."""
        pair_name, task_id, epoch = slug.split("/")
        known = self.trials.get(slug) or self.steps.get(slug)
        if known or task_id not in self.tasks:
            return known
        pair, models = (
            self.pairs.get(pair_name),
            [recorded.get(role, "") for role in ("orchestrator", "coder")],
        )
        if pair is None and all(models):  # made by --orchestrator and --coder
            pair = Pair.of_models(*models)
        task, source = self.tasks[task_id]
        if pair is None or pair.name != pair_name or not pair.takes(task):
            return None
        if pair_name in self.pairs and int(epoch) > pair.epochs:
            return None
        return Trial(task=task, pair=pair, epoch=int(epoch), source=source)

    def has_task(self, task_id: str) -> bool:
        """Return True if there is such a task, or such a step of a course."""
        return task_id in self.tasks or task_id in self.step_tasks

    def why_none(self, slug: str) -> str:
        """Say why a cassette has no trial; empty if a file that is missing or cannot be read may have it."""
        pair_name, task_id, _ = slug.split("/")
        if not self.has_task(task_id):
            return "" if self.broken or self.unknown else f"the suite has no task {task_id!r}"
        if pair_name not in self.pairs:
            return f"the suite has no pair {pair_name!r}" if self.has_pairs_file else ""
        pair = self.pairs[pair_name]
        runs = Counter(trial.pair.name for trial in self.steps.values() if trial.task.id == task_id)
        if task_id in self.tasks and pair.takes(self.tasks[task_id][0]):
            runs[pair_name] = pair.epochs
        if not runs[pair_name]:
            return f"the pair {pair_name} is not run for the task {task_id}"
        return f"the pair {pair_name} has {runs[pair_name]} epochs only"


def catalogue(benchmarks: Path, root: Path, environment: Mapping[str, str]) -> Catalogue:
    """List the trials of a benchmarks folder. A pairs file comes before what the environment names.

    Raise UsageError if there is no such folder or no task in it, SpecError if the pairs file is wrong.
    """
    display, remedy = cassette_files.display_path(benchmarks), "name it: --benchmarks FOLDER"
    if not benchmarks.is_dir():
        raise UsageError(f"{display}: no such folder", remedy=remedy)
    named = {} if (benchmarks / loader.PAIRS_FILE).is_file() else environment
    suite = Suite(benchmarks.resolve(), root, Selection(), named)
    try:
        pairs = suite.pairs
    except UsageError:
        pairs = []  # all trials are made by options
    files = [*suite.files(), *suite.sources()]
    if not any(map(suite.collects, [*files, *suite.courses()])):
        raise UsageError(f"no task files in {display}", remedy=remedy)
    trials: list[Trial] = []
    steps: list[Trial] = []
    tasks: dict[str, tuple[Task, str]] = {}
    broken: list[str] = []
    unknown: list[str] = []
    for path in files:
        problems = broken if suite.collects(path) else unknown
        try:
            tasks.update({task.id: (task, suite.named(path, task)) for task in suite.tasks(path)})
        except SpecError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(str(error))
        else:
            trials += suite.trials(path) if pairs and suite.collects(path) else []
    step_tasks: set[str] = set()
    for path in suite.courses():
        try:
            step_tasks |= {task.id for task in suite.tasks(path)}
            steps += suite.trials(path, suite.named_pairs.values())
            trials += suite.trials(path) if pairs else []
        except SpecError as error:
            broken += error.problems
    return Catalogue(
        trials={trial.slug: trial for trial in trials},
        tasks=tasks,
        pairs={**{pair.name: pair for pair in pairs}, **suite.named_pairs},
        steps={trial.slug: trial for trial in steps},
        step_tasks=frozenset(step_tasks),
        broken=tuple(dict.fromkeys(broken)),
        unknown=tuple(unknown),
        has_pairs_file=bool(suite.named_pairs),
    )
