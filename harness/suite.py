"""The suite as pytest options and files select it: which tasks, which pairs, which trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness import endpoints, spec
from harness.errors import SpecError, UsageError
from harness.trial import Pair, Task, Trial


@dataclass(frozen=True)
class Selection:
    """What the command line chose.

    Attributes:
        pairs: Names from the pairs file; empty for all.
        orchestrators, coders: Models to cross in place of the pairs file.
        epochs: In place of each pair's own number.
    """

    pairs: tuple[str, ...] = ()
    orchestrators: tuple[str, ...] = ()
    coders: tuple[str, ...] = ()
    epochs: int | None = None


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
        self._tasks: dict[Path, Task] = {}

    def shown(self, path: Path) -> str:
        """A path as messages name it."""
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)

    def holds(self, path: Path) -> bool:
        """Whether a path is a task file of this suite."""
        return path.is_relative_to(self.folder) and spec.is_task_file(path)

    def files(self) -> list[Path]:
        """All task files, sorted."""
        return sorted(path for path in self.folder.rglob("*.y*ml") if self.holds(path) and path.is_file())

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

    def task(self, path: Path) -> Task:
        """The task of a file.

        Raises:
            SpecError: The file is wrong, or its id is taken by another.
        """
        task = self._load(path)
        first = self._first_with_id.get(task.id, path)
        if first != path:
            taken = f"{task.id!r} is already used by {self.shown(first)}"
            raise SpecError([f"{self.shown(path)}:1: id: {taken}; give it another"])
        return task

    def trials(self, path: Path) -> list[Trial]:
        """The trials of a task file, pair by pair.

        Raises:
            SpecError: The file is wrong, or its id is taken by another.
        """
        task = self.task(path)
        return [
            Trial(task=task, pair=pair, epoch=epoch, source=self.shown(path))
            for pair in self.pairs
            for epoch in range(1, pair.epochs + 1)
        ]

    @cached_property
    def _first_with_id(self) -> dict[str, Path]:
        """Task id -> the first file that has it."""
        first: dict[str, Path] = {}
        for path in self.files():
            try:
                first.setdefault(self._load(path).id, path)
            except SpecError:
                continue  # told of where that file is asked for
        return first

    def _load(self, path: Path) -> Task:
        if path not in self._tasks:
            self._tasks[path] = spec.load_task(path, self.shown(path))
        return self._tasks[path]

    def _crossed(self) -> list[Pair]:
        chosen = self._selection
        named = endpoints.default_models(self._environment)
        if not (chosen.orchestrators or chosen.coders):
            if chosen.pairs or named is None:
                return []
            return [Pair.of_models(*named)]
        if chosen.pairs:
            raise UsageError("--pair and --orchestrator/--coder exclude each other")
        orchestrator, coder = named or (endpoints.ORCH_MODEL, endpoints.CLAUDE_MODEL)
        return [
            Pair.of_models(one, other)
            for one in dict.fromkeys(chosen.orchestrators or (orchestrator,))
            for other in dict.fromkeys(chosen.coders or (coder,))
        ]

    def _from_file(self) -> list[Pair]:
        path = self.folder / spec.PAIRS_FILE
        if not path.is_file():
            raise UsageError(
                f"there is no {self.shown(path)}", remedy="write one, or pass --orchestrator and --coder"
            )
        return spec.choose_pairs(
            spec.load_pairs(path, self.shown(path)), list(self._selection.pairs), self.shown(path)
        )
