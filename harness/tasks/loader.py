"""Parse task, source, pair and price files into typed values; name every problem by file, line and field.

A problem reads ``benchmarks/add.yaml:7: limits.timeout_s: expected a number, got text 'ten'``. Not covered:
whether a task is *right*, that is, its reference passes and its bugs fail (``grading/validate.py``).
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from harness.errors import SpecError
from harness.tasks.course import CourseFile
from harness.tasks.pair import DIRECT, Pair
from harness.tasks.task import Limits, Name, Task, Text, Value
from harness.tasks.yaml_lines import YamlFile
from harness.text import shorten

PAIRS_FILE = "pairs.yaml"
PRICES_FILE = "prices.yaml"
MAX_USD = 1_000_000
M = TypeVar("M", bound=BaseModel)

EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_too_short": "some text",
    "string_pattern_mismatch": "letters, digits and ._+~%- (a letter or digit first)",
}


class PairSpec(Pair):
    """One entry of pairs.yaml: a pair without its name, which is the entry's key."""

    name: str = Field("", exclude=True, max_length=0, description="Not written: the key is the name.")


class PairsFile(Value):
    """benchmarks/pairs.yaml."""

    pairs: dict[Name, PairSpec] = Field(min_length=1, description="Pair name -> pair.")


def _may_lack_caches(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if not name.startswith("cache_")]


class Rates(Value):
    """US dollars per million tokens."""

    model_config = ConfigDict(json_schema_extra=_may_lack_caches)

    input: float = Field(ge=0, le=MAX_USD)
    output: float = Field(ge=0, le=MAX_USD)
    cache_write: float = Field(ge=0, le=MAX_USD, description="Default: the input price.")
    cache_write_1h: float = Field(ge=0, le=MAX_USD, description="Kept for an hour. Default: `cache_write`.")
    cache_read: float = Field(ge=0, le=MAX_USD, description="Default: the input price.")

    @model_validator(mode="before")
    @classmethod
    def _cached_tokens_are_input(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data

        def price(name: str) -> float:
            given = data.get(name)  # what is wrong there is told there alone
            return given if isinstance(given, int | float) and 0 <= given <= MAX_USD else 0.0

        data = {"cache_write": price("input"), "cache_read": price("input"), **data}
        return {"cache_write_1h": price("cache_write"), **data}


class Tier(Rates):
    """US dollars per million tokens of a request with a long prompt."""

    above: int = Field(ge=0, description="Tokens of the prompt, cached ones included, that it has more of.")


class Price(Rates):
    """US dollars per million tokens, and per request."""

    request: float = Field(0, ge=0, le=MAX_USD, description="US dollars for each request.")
    tiers: tuple[Tier, ...] = Field((), description="Prices of long prompts.")

    @field_validator("tiers")
    @classmethod
    def _ascending(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        starts = [tier.above for tier in tiers]
        if twice := sorted({start for start in starts if starts.count(start) > 1}):
            raise ValueError(f"expected one tier for each number of tokens, not two above {twice[0]}")
        return tuple(sorted(tiers, key=lambda tier: tier.above))


class PricesFile(Value):
    """benchmarks/prices.yaml: prices that the price library does not know."""

    prices: dict[str, Price] = Field(description="Model name -> price.")


class TaskFile(Task):
    """A task file. ``id`` may be left out: the file's stem is the default."""

    model_config = ConfigDict(title="Task")
    id: Name = Field("", validate_default=False, description="Unique in the suite. Default: the file's stem.")


class SourceFile(Value):
    """A source file: many tasks from somewhere else, such as an installed data set (``sources.py``)."""

    model_config = ConfigDict(title="Source")
    source: Text = Field(
        description="Where the tasks come from: `humaneval`, a JSONL file such as `ours.jsonl`, or a Python "
        "function such as `ours.py:tasks` or `package.module:function`. Files are relative to this one."
    )
    collect: Literal["named", "always"] = Field(
        "named",
        description="named: only when this file is named, as in `pytest benchmarks/this.yaml`. "
        "always: with the task files of its folder, too.",
    )
    only: tuple[Name, ...] = Field((), description="Ids of the tasks to take. Default: all.")
    tags: tuple[Name, ...] = Field((), description="Further tags for each task.")
    limits: Limits = Field(Limits(), description="What one trial may use, in place of the task's own.")


def is_task_file(path: Path) -> bool:
    """Return True if the name is that of a task or source file; editors and disks leave hidden ones."""
    return (
        path.suffix in {".yaml", ".yml"}
        and path.name not in {PAIRS_FILE, PRICES_FILE}
        and not path.name.startswith(".")
    )


def parse(file: YamlFile, model: type[M]) -> M:
    """Parse a file of one of the kinds above; raise a ``SpecError`` with every problem that it has."""
    document = file.document
    problems = list(document.problems)
    unreadable = {problem.path for problem in problems if problem.path}
    try:
        parsed = model.model_validate(_tupled(document.data))
    except ValidationError as error:
        found = [
            (_path(each), _problem(model, each, document.written)) for each in error.errors(include_url=False)
        ]
        problems += [document.problem(path, text) for path, text in found if path not in unreadable]
    if problems:
        raise SpecError([problem.message for problem in sorted(problems, key=lambda each: each.line)])
    return parsed


def parse_task(file: YamlFile) -> Task:
    """Parse a task file; its id may be left out. See ``parse``."""
    file.document.data.setdefault("id", file.path.stem)
    return parse(file, Task)


def parse_course(file: YamlFile) -> CourseFile:
    """Parse a course file; its id may be left out. See ``parse``."""
    file.document.data.setdefault("id", file.path.stem)
    return parse(file, CourseFile)


def load_task(path: Path, display: str) -> Task:
    """Read a task file, called ``display`` in messages. See ``parse``."""
    return parse_task(YamlFile(path, display))


def load_pairs(path: Path, display: str) -> dict[str, Pair]:
    """Read a pairs file. See ``parse_pairs``."""
    return parse_pairs(YamlFile(path, display))


def parse_pairs(file: YamlFile) -> dict[str, Pair]:
    """Parse a pairs file: name -> pair, in the file's order. See ``parse``."""
    parsed = parse(file, PairsFile)
    folders: dict[str, str] = {}  # of their cassettes, on a disk that ignores case
    for name in parsed.pairs:
        if (other := folders.setdefault(name.lower(), name)) != name:
            text = f"pairs.{name}: expected a name that differs from {other!r} in more than case"
            raise SpecError([file.document.problem(("pairs", name), text).message])
    return {name: Pair(**{**dict(spec), "name": name}) for name, spec in parsed.pairs.items()}


def load_prices(path: Path, display: str) -> dict[str, Price]:
    """Read a price file; return nothing where there is none. See ``parse``."""
    return parse(YamlFile(path, display), PricesFile).prices if os.path.lexists(path) else {}


def task_of(fields: object, where: str) -> Task:
    """Make a task of fields that did not come from a YAML file; their ``id`` is required.

    Raises:
        SpecError: Every problem that the fields have, each beginning with ``where``.
    """
    if not isinstance(fields, Mapping):
        raise SpecError([f"{where}: expected a mapping of task fields, got {type(fields).__name__}"])
    try:
        return Task.model_validate(_tupled(dict(fields)))
    except ValidationError as error:
        raise SpecError(
            [f"{where}: {_problem(Task, each)}" for each in error.errors(include_url=False)]
        ) from None
    except RecursionError:
        raise SpecError([f"{where}: nested beyond what can be read"]) from None


def near(word: str, known: Iterable[str]) -> str:
    """Return the end of a message: the known word that was probably meant, if there is one."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def doubt_handle(model: str) -> str:
    """Return why an orchestrator's model can hardly be meant; nothing if it may be."""
    if model == DIRECT or "/" in model:
        return ""
    return f"{model!r} is no Letta handle (PROVIDER/MODEL){near(model, [DIRECT])}"


def _tupled(value: Any) -> Any:
    """Turn lists into tuples: the values are frozen, and strict parsing does not convert."""
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    return {key: _tupled(item) for key, item in value.items()} if isinstance(value, dict) else value


def _path(details: Any) -> tuple[str | int, ...]:
    return tuple(part for part in details["loc"] if part != "[key]")


def _problem(
    model: type[BaseModel], details: Any, written: Mapping[tuple[str | int, ...], str] | None = None
) -> str:
    path = _path(details)
    field = shorten(".".join(str(part) for part in path), 200)
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return f"{field + ': ' if field else ''}{context['error']}"
    if kind == "extra_forbidden":
        known = [name for name, info in _fields_at(model, path[:-1]).items() if not info.exclude]
        hint = near(str(path[-1]), known) or f"; known: {', '.join(known)}"
        return f"{field}: unknown key{hint}"
    if kind == "missing":
        field_info = _fields_at(model, path[:-1]).get(str(path[-1]))
        text = (field_info and field_info.description) or "a value"
        return f"{field}: missing; expected {text[:1].lower()}{text[1:].rstrip('.')}"
    if expected := EXPECTED.get(kind) or context.get("expected"):
        rule = f"expected {expected}"
    else:
        rule = (details["msg"][:1].lower() + details["msg"][1:]).replace("input should", "it should")
    quoted = (
        f"; write it in quotes: {written[path]!r}"
        if kind == "string_type" and written and written.get(path)
        else ""
    )
    return f"{field}: {rule}, got {_display(details['input'])}{quoted}"


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> Mapping[str, FieldInfo]:
    """Return the fields of the mapping at a path of the file."""
    kind: Any = model
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            info = kind.model_fields.get(str(part))
            kind = _bare(info.annotation if info else None)
        else:  # a list or a mapping of models
            inner = [each for each in typing.get_args(kind) if each is not Ellipsis]
            kind = _bare(inner[-1]) if inner else None
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def _bare(kind: Any) -> Any:
    """Return a type without its annotations, and of one or None that one."""
    while typing.get_origin(kind) in (typing.Annotated, typing.Union, types.UnionType):
        kind = next(each for each in typing.get_args(kind) if each is not types.NoneType)
    return kind


def _display(value: object) -> str:
    """Return the type of a value in words, and the beginning of a single one."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    kind = {str: "text", bool: "true/false", int: "number", float: "number"}.get(type(value))
    try:
        text = repr(value)
    except ValueError:  # Python does not write out a number of more than 4300 digits
        text = "too large to show"
    return f"{kind or type(value).__name__} {shorten(text, 60)}"
