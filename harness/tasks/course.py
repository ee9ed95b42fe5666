"""Courses: ordered tasks that one agent works through, and what its team tells it after each.

A convention is stated once, in an early specification or review; later tasks test it without saying it. The
control of a course restates all conventions in every specification: what is possible without memory.
Frozen values, no I/O; ``suite.py`` reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from harness.errors import SpecError
from harness.tasks.task import Name, Task, Text, Value

PLACEHOLDER = re.compile(r"<<(\w+)>>")
CONTROL = """

Conventions of this code base:
{}"""


class Convention(Value):
    """What later tasks of a course rely on."""

    name: Name = Field(description="Its tests are called test_NAME...; a known bug of that name ignores it.")
    phrase: Text = Field(
        description="A text that holds this phrase states the convention; `coder: obedient` follows it then."
    )
    text: Text = Field(description="The convention in full, as the control's specifications restate it.")


class Lesson(Value):
    """One step of a course file: a task, and what the orchestrator is told when it has ended."""

    task: Name = Field("", description="The id of a task of the suite; or `define` one here.")
    define: Task | None = Field(None, description="A task of this course alone, with the fields of a task.")
    review: Text = Field(description="What the orchestrator is told after the step, whatever happened in it.")
    checks: tuple[Name, ...] = Field(
        (), description="Conventions that its hidden tests check and its specification does not state."
    )

    @model_validator(mode="after")
    def _is_one_task(self) -> Lesson:
        if bool(self.task) == (self.define is not None):
            raise ValueError("expected either task, the id of a task of the suite, or define")
        return self


class CourseFile(Value):
    """A course: an ordered list of tasks for one agent."""

    id: Name = Field("", validate_default=False, description="Unique. Default: the file's stem.")
    title: Text = Field(description="One line for people.")
    control_of: str = Field(
        "", description="A course file beside this one, whose steps it has, with every convention restated."
    )
    values: dict[Name, Annotated[tuple[Text, ...], Field(min_length=1)]] = Field(
        {},
        description="Name -> texts: <<name>> stands for the first of them in epoch 1, for the second in "
        "epoch 2, and so on from the start again: no model can know a convention beforehand.",
    )
    conventions: tuple[Convention, ...] = Field((), description="What later steps rely on.")
    steps: tuple[Lesson, ...] = Field((), description="In the order in which they are worked on.")
    epochs: int | None = Field(None, ge=1, description="So many epochs of a pair at most.")

    @field_validator("steps")
    @classmethod
    def _checks_are_conventions(cls, steps: tuple[Lesson, ...], others: ValidationInfo) -> tuple[Lesson, ...]:
        known = {each.name for each in others.data.get("conventions", ())}
        for number, step in enumerate(steps, start=1):
            if unknown := sorted({*step.checks} - known):
                raise ValueError(f"expected conventions of the course in checks of step {number}: {unknown}")
        return steps

    @model_validator(mode="after")
    def _has_steps(self) -> CourseFile:
        if bool(self.control_of) == bool(self.steps):
            raise ValueError("expected either steps, or control_of and the steps of that course")
        if self.control_of and (self.values or self.conventions):
            raise ValueError("expected values and conventions in the course that control_of names")
        return self


class CourseStep(Value):
    """A trial's place in its course."""

    course: Name
    number: int = Field(ge=1)
    tasks: tuple[Name, ...] = Field(description="The ids of all tasks of the course, in order.")
    review: str
    checks: tuple[str, ...] = ()
    is_control: bool = False

    @property
    def of(self) -> int:
        """The number of steps of the course."""
        return len(self.tasks)


@dataclass(frozen=True)
class Course:
    """A course whose tasks have been found.

    Attributes:
        lessons: Each step of the file with its task, before values are put in.
        epochs: Most epochs of a pair; None for no limit.
        is_control: Every specification restates all conventions.
    """

    id: str
    title: str
    values: Mapping[str, tuple[str, ...]]
    conventions: tuple[Convention, ...]
    lessons: tuple[tuple[Lesson, Task], ...]
    epochs: int | None
    is_control: bool = False

    def steps(self, epoch: int) -> Iterator[tuple[Task, CourseStep]]:
        """Yield the tasks of an epoch in order, each with its place in the course."""
        fill = self._filler(epoch)
        ids = tuple(f"{self.id}.{n}.{task.id}" for n, (_, task) in enumerate(self.lessons, start=1))
        for number, (lesson, task) in enumerate(self.lessons, start=1):
            filled = _rewritten(task.model_dump(), fill)
            filled["id"] = ids[number - 1]
            filled["conventions"] = {
                each.name: fill(each.phrase) for each in self.conventions if each.name in lesson.checks
            }
            if self.is_control:
                lines = "\n".join(f"- {fill(each.text).strip()}" for each in self.conventions)
                filled["spec"] = filled["spec"].rstrip() + CONTROL.format(lines) + "\n"
            try:
                filled_task = Task.model_validate(filled)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                field, text = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
                where = f"values: step {number}, with those of epoch {epoch}"
                raise SpecError([f"{where}: {field}: {text}"]) from None
            yield (
                filled_task,
                CourseStep(
                    course=self.id,
                    number=number,
                    tasks=ids,
                    review=fill(lesson.review).strip(),
                    checks=lesson.checks,
                    is_control=self.is_control,
                ),
            )

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the course as a whole: one line each, beginning with the step.

        Not here: whether a step's own tests are right (``grading/proofs.py``).
        """
        for name in sorted({name for text in self._texts() for name in PLACEHOLDER.findall(text)}):
            if name not in self.values:
                yield f"<<{name}>> stands for nothing; values: {', '.join(self.values) or 'none'}"
        for lesson, task in self.lessons:
            if lesson.define is not None and task.conventions:
                yield f"define.conventions of {task.id!r}: write checks; the course has the phrases"
        try:
            filled = list(self.steps(1))
        except SpecError as error:
            yield from error.problems
            return
        fill = self._filler(1)
        said = ""
        for number, (task, step) in enumerate(filled, start=1):
            for each in self.conventions:
                if each.name not in step.checks:
                    continue
                where, phrase = f"step {number} checks {each.name!r}", fill(each.phrase)
                shown = "\n".join([task.spec, task.title, *task.files.values(), *task.files])
                if not self.is_control and phrase in shown:
                    yield f"{where}, but its own spec or files state it: they hold {phrase!r}"
                if not self.is_control and phrase not in said:
                    yield f"{where}, but nothing before it states it: no spec or review holds {phrase!r}"
            said += f"\n{task.spec}\n{step.review}"
        for each in self.conventions:
            if fill(each.phrase) not in fill(each.text):
                yield f"conventions: the text of {each.name!r} does not hold its phrase"

    def _texts(self) -> Iterator[str]:
        for lesson, task in self.lessons:
            yield from (lesson.review, task.model_dump_json())
        for each in self.conventions:
            yield from (each.phrase, each.text)

    def _filler(self, epoch: int) -> Callable[[str], str]:
        """Return what puts an epoch's values into a text."""
        chosen = {name: texts[(epoch - 1) % len(texts)] for name, texts in self.values.items()}

        def fill(text: str) -> str:
            return PLACEHOLDER.sub(lambda match: chosen.get(match[1], match[0]), text)

        return fill


def _rewritten(value: Any, fill: Callable[[str], str]) -> Any:
    """Return a value with all texts in it rewritten, but for keys."""
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, dict):
        return {key: _rewritten(each, fill) for key, each in value.items()}
    return tuple(_rewritten(each, fill) for each in value) if isinstance(value, tuple) else value
