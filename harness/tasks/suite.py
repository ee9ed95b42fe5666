"""Select tasks, pairs and trials of a benchmarks folder, as options and files say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path

from pydantic import ValidationError

from harness.errors import HarnessError, SpecError, UsageError
from harness.redact import redact
from harness.tasks import loader
from harness.tasks.course import Course, CourseStep, Lesson
from harness.tasks.loader import near
from harness.tasks.pair import CLAUDE_MODEL, MAX_EPOCHS, MOCK_CODER, ORCH_MODEL, REAL, Pair, default_models
from harness.tasks.suite_file import SuiteFile
from harness.tasks.surroundings import Repository, complete
from harness.tasks.task import Task
from harness.tasks.trial import Trial
from harness.tasks.yaml_lines import Place, YamlFile


@dataclass(frozen=True)
class Selection:
    """Options and arguments that choose trials: pairs by name, or models to cross in their place."""

    pairs: tuple[str, ...] = ()
    orchestrators: tuple[str, ...] = ()
    coders: tuple[str, ...] = ()
    epochs: int | None = None
    paths: frozenset[Path] = frozenset()


@dataclass(eq=False)
class Suite:
    """The tasks and pairs of one benchmarks folder; messages name paths relative to ``root``."""

    folder: Path
    root: Path
    selection: Selection
    environment: Mapping[str, str]
    _files: dict[Path, SuiteFile] = field(default_factory=dict, init=False)

    def display(self, path: Path) -> str:
        """Return a path as messages name it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def holds(self, path: Path) -> bool:
        """Return True if a path is a task or source file of this suite."""
        return path.is_relative_to(self.folder) and loader.is_task_file(path)

    def file(self, path: Path) -> SuiteFile:
        """Return a task or source file, which is read once."""
        if path not in self._files:
            self._files[path] = SuiteFile(path, self.display(path), Repository(self.root, self.folder))
        return self._files[path]

    def files(self) -> list[Path]:
        """Return all task files, sorted; source and course files are none of them."""
        return [p for p in self._found if not (self.file(p).is_source or self.file(p).is_course)]

    def courses(self) -> list[Path]:
        """Return all course files, sorted."""
        return [path for path in self._found if self.file(path).is_course]

    def sources(self) -> list[Path]:
        """Return all source files, sorted."""
        return [path for path in self._found if self.file(path).is_source]

    def collects(self, path: Path) -> bool:
        """Return True if the tasks of a file take part: of a source file, if it is named or says so.

        A source file that cannot be read takes part, so that what is wrong with it is reported.
        """
        file = self.file(path)
        if path in self.selection.paths or not file.is_source:
            return True
        try:
            return file.source.collect == "always"
        except SpecError:
            return True

    @cached_property
    def pairs(self) -> list[Pair]:
        """Choose the pairs: those that are named, all combinations of the models, or those of the file.

        Raises:
            SpecError: The pairs file is wrong.
            UsageError: A chosen pair does not exist, or nothing says which models to use.
        """
        chosen = self.selection
        crosses_models = chosen.orchestrators or chosen.coders
        if chosen.epochs is not None and not 1 <= chosen.epochs <= MAX_EPOCHS:
            raise UsageError(f"--epochs {chosen.epochs}: expected 1 to {MAX_EPOCHS}")
        if crosses_models and chosen.pairs:
            raise UsageError("--pair and --orchestrator/--coder exclude each other")
        default = default_models(self.environment)
        if crosses_models or (default and not chosen.pairs):
            orchestrator, coder = default or (ORCH_MODEL, CLAUDE_MODEL)
            pairs = [
                _pair_of(one, other)
                for one in dict.fromkeys(chosen.orchestrators or (orchestrator,))
                for other in dict.fromkeys(chosen.coders or (coder,))
            ]
        else:
            pairs = self._pairs_from_file()
        for pair in pairs:
            if pair.backend != "mock" and MOCK_CODER.fullmatch(pair.coder):
                raise UsageError(
                    f"the coder {pair.coder} is a mock, and the pair {pair.name} has backend {pair.backend}",
                    remedy="run a pair of pairs.yaml with backend: mock",
                )
        return [pair.model_copy(update={"epochs": chosen.epochs or pair.epochs}) for pair in pairs]

    def check_mix(self) -> None:
        """Raise a ``UsageError`` if one table would show mocks and models whose figures people compare."""
        backends: dict[str, str] = {pair.backend: pair.name for pair in self.pairs}
        real = sorted(REAL & set(backends))
        if "mock" in backends and real:
            raise UsageError(
                f"the pair {backends['mock']} is a mock, and {backends[real[0]]} is not: "
                "one table would show both",
                remedy="run them apart, or say --mix-mocks",
            )

    @cached_property
    def named_pairs(self) -> dict[str, Pair]:
        """Load all pairs of the pairs file, by name; none where there is no such file.

        Raises:
            SpecError: The file is wrong, or a pair in it names a task that is none of the suite.
        """
        path = self.folder / loader.PAIRS_FILE
        if not os.path.lexists(path):
            return {}
        file = YamlFile(path, self.display(path))
        pairs = loader.parse_pairs(file)
        problems = [
            file.document.problem(
                ("pairs", name, "tasks", number), f"pairs.{name}.tasks: no task {task!r}{near(task, known)}"
            ).message
            for name, pair in pairs.items()
            for number, task in enumerate(pair.tasks)
            if (known := self._known_ids(task))
        ]
        courses = {self.file(path).id for path in self.courses()}
        problems += [
            file.document.problem(
                ("pairs", name, "courses", number),
                f"pairs.{name}.courses: no course {course!r}{near(course, courses)}",
            ).message
            for name, pair in pairs.items()
            for number, course in enumerate(pair.courses)
            if course not in courses
        ]
        if problems:
            raise SpecError(problems)
        return pairs

    def tasks(self, path: Path) -> list[Task]:
        """Load the tasks of a file: one of a task file, all of a source file, a course's of the first epoch.

        Raises:
            SpecError: The file or one of its tasks is wrong, or an id is taken by another file.
            UsageError: A source is not installed.
        """
        if self.file(path).is_course:
            return [task for task, _ in self._steps(path, self.course(path), 1)]
        tasks = self.file(path).tasks
        taken = [task.id for task in tasks if self._first_with_id.get(task.id.lower(), path) != path]
        if taken:
            more = f" and {len(taken) - 1} more are" if len(taken) > 1 else " is"
            first = self.display(self._first_with_id[taken[0].lower()])
            remedy = "name one of the two files only" if self.file(path).is_source else "give it another"
            raise SpecError(
                [f"{self.display(path)}:1: id: {taken[0]!r}{more} already used by {first}; {remedy}"]
            )
        return tasks

    def trials(self, path: Path, pairs: Iterable[Pair] | None = None) -> list[Trial]:
        """List the trials of a file, task by task and pair by pair; see ``tasks`` and ``pairs``.

        Of a course, pair by pair and epoch by epoch, and its steps in order.
        """
        pairs = self.pairs if pairs is None else list(pairs)
        if self.file(path).is_course:
            course = self.course(path)
            steps_of = cache(partial(self._steps, path, course))  # the same for all pairs
            return [
                Trial(task=task, pair=pair, epoch=epoch, source=self.display(path), step=step)
                for pair in pairs
                if course.id in pair.courses
                for epoch in range(1, min(pair.epochs, course.epochs or pair.epochs) + 1)
                for task, step in steps_of(epoch)
            ]
        return [
            Trial(task=task, pair=pair, epoch=epoch, source=self.named(path, task))
            for task in self.tasks(path)
            for pair in pairs
            if pair.takes(task)
            for epoch in range(1, pair.epochs + 1)
        ]

    def _steps(self, path: Path, course: Course, epoch: int) -> list[tuple[Task, CourseStep]]:
        """List a course's steps in an epoch, in which its values may make a task wrong."""
        try:
            return list(course.steps(epoch))
        except SpecError as error:
            raise self.file(path).refusal(("values",), error.problems[0]) from None

    def takers(self, path: Path) -> list[str]:
        """Name the pairs of the pairs file that take anything of a file."""
        if self.file(path).is_course:
            return [pair.name for pair in self.named_pairs.values() if self.file(path).id in pair.courses]
        tasks = self.tasks(path)
        return [pair.name for pair in self.named_pairs.values() if any(map(pair.takes, tasks))]

    def course(self, path: Path) -> Course:
        """Load a course and find its tasks.

        Raises:
            SpecError: The file or one of its tasks is wrong, or its id is taken.
        """
        file = self.file(path)
        own = file.course
        taken = next((p for p in self.courses() if self.file(p).id.lower() == own.id.lower()), path)
        if taken != path:
            raise file.refusal(("id",), f"id: {own.id!r} is already used by {self.display(taken)}")
        if not own.control_of:
            lessons = tuple((each, self._task_of(file, n, each)) for n, each in enumerate(own.steps))
            ids = [task.id for _, task in lessons]
            for number, task_id in enumerate(ids):
                if task_id in ids[:number]:
                    place: Place = ("steps", number)
                    raise file.refusal(place, f"steps.{number}: the task {task_id!r} stands there twice")
            for number, (lesson, task) in enumerate(lessons):
                if unknown := sorted({*lesson.checks} - {bug.name for bug in task.bugs}):
                    place = ("steps", number, "checks")
                    expected = "expected a known bug of that name, right but for the convention"
                    raise file.refusal(place, f"steps.{number}.checks: {unknown[0]!r}: {expected}")
            return Course(own.id, own.title, own.values, own.conventions, lessons, own.epochs)
        place = ("control_of",)
        other = path.parent / own.control_of
        if not (self.holds(other) and other.is_file() and self.file(other).is_course):
            raise file.refusal(place, f"control_of: no course file {own.control_of!r} beside this one")
        if self.file(other).course.control_of:
            raise file.refusal(place, f"control_of: {own.control_of!r} is a control itself")
        whole = self.course(other)
        return replace(whole, id=own.id, title=own.title, epochs=own.epochs, is_control=True)

    def _task_of(self, file: SuiteFile, number: int, lesson: Lesson) -> Task:
        """Return the task of a step of a course."""
        if lesson.define is None:
            place = ("steps", number, "task")
            path = self._first_with_id.get(lesson.task.lower())
            found = self.file(path).tasks if path else []
            task = next((each for each in found if each.id == lesson.task), None)
            if task is None:
                hint = near(lesson.task, self._first_with_id)
                raise file.refusal(place, f"steps.{number}.task: no task {lesson.task!r}{hint}")
            return task

        def words(place: Place, text: str) -> str:
            return file.document.problem(("steps", number, "define", *place), text).message

        return complete(lesson.define, file.path.parent, file.repository, words)

    def named(self, path: Path, task: Task) -> str:
        """Return the name of a task in messages and commands: its file; of many in it, ``file::id``."""
        several = self.file(path).is_source or self.file(path).is_course
        return self.display(path) + (f"::{task.id}" if several else "")

    @cached_property
    def _found(self) -> list[Path]:
        return sorted(path for path in self._files_below() if path.is_file())

    def unreadable(self) -> list[Path]:
        """Return what has a task file's name and is no file: a pipe, a link to nowhere."""
        own = (self.folder / name for name in (loader.PAIRS_FILE, loader.PRICES_FILE))
        named = (*self._files_below(), *filter(os.path.lexists, own))
        return sorted(path for path in named if not path.is_file())

    def _files_below(self) -> Iterator[Path]:
        """Yield what has a task file's name, in folders that are not hidden; a loop of links has an end."""
        for folder, below, names in os.walk(self.folder, followlinks=True):
            below[:] = [
                each for each in below if not each.startswith(".") and not is_loop(Path(folder, each))
            ]
            yield from filter(self.holds, (Path(folder, name) for name in names))

    def _known_ids(self, task: str) -> set[str]:
        """Return the ids of all tasks if a task is surely none of them, else nothing."""
        known = {each.id for path in self._first_with_id.values() for each in self.file(path).tasks}
        if task in known:
            return set()
        for path in self._found:
            try:
                ids = {each.id for each in self.file(path).tasks}
            except HarnessError:
                if self.file(path).is_source or task == self.file(path).id:
                    return set()  # it may well be in there
            else:
                known |= ids
        return set() if task in known else known or {""}

    @cached_property
    def _first_with_id(self) -> dict[str, Path]:
        """Task id in small letters (some disks ignore case) -> the first file that has it.

        Task files come before source files.
        """
        first: dict[str, Path] = {}
        for path in (*self.files(), *filter(self.collects, self.sources())):
            try:
                for task in self.file(path).tasks:
                    first.setdefault(task.id.lower(), path)
            except HarnessError:
                continue  # reported where that file is asked for
        return first

    def _pairs_from_file(self) -> list[Pair]:
        names, pairs = self.selection.pairs, self.named_pairs
        display = self.display(self.folder / loader.PAIRS_FILE)
        if not pairs:
            or_models = "" if names else ", or pass --orchestrator and --coder"
            raise UsageError(f"there is no {display}", remedy=f"`harness init` writes one{or_models}")
        for name in names:
            if name not in pairs:
                raise UsageError(
                    f"no pair {name!r} in {display}{near(name, pairs)}",
                    remedy=f"use one of: {', '.join(pairs)}",
                )
        chosen = [pairs[name] for name in dict.fromkeys(names)]
        chosen = chosen or [pair for pair in pairs.values() if not pair.on_request]
        if not chosen:
            raise UsageError(
                f"all pairs of {display} run on request only", remedy=f"name one: --pair {next(iter(pairs))}"
            )
        return chosen


def is_loop(path: Path) -> bool:
    """Return True if a folder is a link to one that it lies in, by any of the names on the way to it."""
    if not (path.is_symlink() and path.is_dir()):
        return False
    target = os.path.realpath(path)
    return any(os.path.realpath(parent) == target for parent in path.parents)


def _pair_of(orchestrator: str, coder: str) -> Pair:
    try:
        return Pair.of_models(orchestrator, coder)
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        text = redact(f"--orchestrator {orchestrator} --coder {coder}: {why}", os.environ)
        raise UsageError(text, remedy="name models, such as --coder claude-haiku-5-5") from None
