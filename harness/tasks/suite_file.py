"""A file of a suite, read once: a task file, a source file of many tasks, or a course file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from harness.errors import SpecError
from harness.tasks import loader
from harness.tasks.course import CourseFile
from harness.tasks.loader import SourceFile
from harness.tasks.sources import load_tasks
from harness.tasks.surroundings import NO_REPOSITORY, Repository, complete
from harness.tasks.task import Task
from harness.tasks.yaml_lines import Place, YamlFile


@dataclass(eq=False)
class SuiteFile(YamlFile):
    """A task file, a source file of many tasks, or a course file, in a repository."""

    repository: Repository = NO_REPOSITORY

    @cached_property
    def is_source(self) -> bool:
        """Return True if the file, right or wrong, was meant to name a source of tasks."""
        return self.has_key("source")

    @cached_property
    def is_course(self) -> bool:
        """Return True if the file, right or wrong, was meant to be a course."""
        return self.has_key("steps") or self.has_key("control_of")

    @property
    def id(self) -> str:
        """Return the id that a task file gives, or its stem, though the rest may be wrong."""
        try:
            return str(self.document.data.get("id", self.path.stem))
        except SpecError:
            return self.path.stem

    @cached_property
    def source(self) -> SourceFile:
        """Parse a source file, not yet its tasks."""
        return loader.parse(self, SourceFile)

    @cached_property
    def course(self) -> CourseFile:
        """Parse a course file, not yet its tasks."""
        return loader.parse_course(self)

    def refusal(self, place: Place, text: str) -> SpecError:
        """Return the error for something at a place of the file."""
        return SpecError([self.document.problem(place, text).message])

    @cached_property
    def tasks(self) -> list[Task]:
        """Load one task from a task file, all from a source file."""
        if self.is_source:
            tasks = load_tasks(self.source, self.path.parent, self.display)
        else:
            tasks = [loader.parse_task(self)]
        return [complete(task, self.path.parent, self.repository, self._words(task)) for task in tasks]

    def _words(self, task: Task) -> Callable[[Place, str], str]:
        """Return what words a problem of a task: with its line, or with the task's id in a source."""
        if self.is_source:
            return lambda _, text: f"{self.display}: {task.id}: {text}"
        return lambda place, text: self.document.problem(place, text).message
