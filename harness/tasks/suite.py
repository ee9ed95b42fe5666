"""The suite as pytest options and files select it: which tasks, which pairs, which trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import HarnessError, SpecError, UsageError
from harness.tasks import loader, sources
from harness.tasks.task import Task
from harness.tasks.trial import CLAUDE_MODEL, ORCH_MODEL, Pair, Trial, default_models


@dataclass(frozen=True)
class Selection:
    """What the command line chose.

    Attributes:
        pairs: Names from the pairs file; empty for all.
        orchestrators, coders: Models to cross in place of the pairs file.
        epochs: In place of each pair's own number.
        sources: Source files that it names.
    """

    pairs: tuple[str, ...] = ()
    orchestrators: tuple[str, ...] = ()
    coders: tuple[str, ...] = ()
    epochs: int | None = None
    sources: frozenset[Path] = frozenset()


class Suite:
    """The tasks and pairs of one benchmarks folder.

    Args:
        folder: The benchmarks folder.
        root: What paths in messages are relative to.
        selection: What the command line chose.
        environment: For ORCH_MODEL and CLAUDE_MODEL.
    """

    def __init__(
        self, folder: Path, root: Path, selection: Selection, environment: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self._root = root
        self._selection = selection
        self._environment = environment
        self._tasks: dict[Path, list[Task]] = {}
        self._are_sources: dict[Path, bool] = {}

    def shown(self, path: Path) -> str:
        """A path as messages name it."""
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)

    def holds(self, path: Path) -> bool:
        """Whether a path is a task or source file of this suite."""
        return path.is_relative_to(self.folder) and loader.is_task_file(path)

    def is_source(self, path: Path) -> bool:
        """Whether a path is a source file."""
        if path not in self._are_sources:
            self._are_sources[path] = loader.is_source_file(path)
        return self._are_sources[path]

    def files(self) -> list[Path]:
        """All task files, sorted; source files are none of them."""
        return [path for path in self._found if not self.is_source(path)]

    def sources(self) -> list[Path]:
        """All source files, sorted."""
        return [path for path in self._found if self.is_source(path)]

    def collects(self, path: Path) -> bool:
        """Whether the tasks of a file take part: those of a source file do if it is named, or says so.

        One that cannot be read takes part, so that what is wrong with it is told.
        """
        if path in self._selection.sources or not self.is_source(path):
            return True
        try:
            return loader.load_source(path, self.shown(path)).collect == "always"
        except SpecError:
            return True

    @cached_property
    def pairs(self) -> list[Pair]:
        """The chosen pairs.

        Raises:
            SpecError: The pairs file is wrong.
            UsageError: A chosen pair does not exist, or nothing says which models to use.
        """
        chosen = self._selection
        if chosen.epochs is not None and chosen.epochs < 1:
            raise UsageError(f"--epochs {chosen.epochs}: expected 1 or more")
        pairs = self._crossed() or self._from_file()
        if chosen.epochs is None:
            return pairs
        return [pair.model_copy(update={"epochs": chosen.epochs}) for pair in pairs]

    @cached_property
    def named_pairs(self) -> dict[str, Pair]:
        """All pairs of the pairs file, by name; none where there is no such file.

        Raises:
            SpecError: The pairs file is wrong.
        """
        path = self.folder / loader.PAIRS_FILE
        return loader.load_pairs(path, self.shown(path)) if path.is_file() else {}

    def task(self, path: Path) -> Task:
        """The task of a task file; see ``tasks``."""
        (task,) = self.tasks(path)
        return task

    def tasks(self, path: Path) -> list[Task]:
        """The tasks of a file: one of a task file, all of a source file.

        Raises:
            SpecError: The file or one of its tasks is wrong, or an id is taken by another file.
            UsageError: A source is not installed.
        """
        tasks = self._load(path)
        taken = [task.id for task in tasks if self._first_with_id.get(task.id, path) != path]
        if taken:
            more = f" and {len(taken) - 1} more are" if len(taken) > 1 else " is"
            first = self.shown(self._first_with_id[taken[0]])
            remedy = "name one of the two files only" if self.is_source(path) else "give it another"
            raise SpecError(
                [f"{self.shown(path)}:1: id: {taken[0]!r}{more} already used by {first}; {remedy}"]
            )
        return tasks

    def trials(self, path: Path) -> list[Trial]:
        """The trials of a file, task by task and pair by pair.

        Raises:
            SpecError: The file or one of its tasks is wrong, or an id is taken by another file.
            UsageError: A source is not installed.
        """
        return [
            Trial(task=task, pair=pair, epoch=epoch, source=self.named(path, task))
            for task in self.tasks(path)
            for pair in self.pairs
            if pair.takes(task)
            for epoch in range(1, pair.epochs + 1)
        ]

    def named(self, path: Path, task: Task) -> str:
        """What messages and commands call a task: its file, or ``file::id`` if the file has many."""
        return f"{self.shown(path)}::{task.id}" if self.is_source(path) else self.shown(path)

    @cached_property
    def _found(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*.y*ml") if self.holds(path) and path.is_file())

    @cached_property
    def _first_with_id(self) -> dict[str, Path]:
        """Task id -> the first file that has it; task files come before source files."""
        first: dict[str, Path] = {}
        for path in (*self.files(), *filter(self.collects, self.sources())):
            try:
                for task in self._load(path):
                    first.setdefault(task.id, path)
            except HarnessError:
                continue  # told of where that file is asked for
        return first

    def _load(self, path: Path) -> list[Task]:
        if path not in self._tasks:
            shown = self.shown(path)
            self._tasks[path] = (
                sources.load(path, shown) if self.is_source(path) else [loader.load_task(path, shown)]
            )
        return self._tasks[path]

    def _crossed(self) -> list[Pair]:
        chosen = self._selection
        named = default_models(self._environment)
        if not (chosen.orchestrators or chosen.coders):
            if chosen.pairs or named is None:
                return []
            return [Pair.of_models(*named)]
        if chosen.pairs:
            raise UsageError("--pair and --orchestrator/--coder exclude each other")
        orchestrator, coder = named or (ORCH_MODEL, CLAUDE_MODEL)
        return [
            Pair.of_models(one, other)
            for one in dict.fromkeys(chosen.orchestrators or (orchestrator,))
            for other in dict.fromkeys(chosen.coders or (coder,))
        ]

    def _from_file(self) -> list[Pair]:
        path = self.folder / loader.PAIRS_FILE
        if not path.is_file():
            raise UsageError(
                f"there is no {self.shown(path)}", remedy="write one, or pass --orchestrator and --coder"
            )
        return loader.choose_pairs(self.named_pairs, list(self._selection.pairs), self.shown(path))
