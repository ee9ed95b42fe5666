"""Task, source and pair files into typed values, with every problem named by file, line and field.

A problem reads ``benchmarks/add.yaml:7: limits.timeout_s: expected a number, got text 'ten'``.
Whether a task is *right* (its reference passes, its bugs fail) is ``validate.py``'s question.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import SpecError, UsageError
from harness.tasks import yaml_lines
from harness.tasks.task import Limits, Name, Task, Text, Value
from harness.tasks.trial import Pair
from harness.tasks.yaml_lines import MAX_BYTES
from harness.text import shorten

PAIRS_FILE = "pairs.yaml"
PRICES_FILE = "prices.yaml"
M = TypeVar("M", bound=BaseModel)

EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_too_short": "some text",
}


class PairSpec(Pair):
    """One entry of pairs.yaml: a pair without its name, which is the entry's key."""

    name: str = Field("", exclude=True, max_length=0, description="Not written: the key is the name.")


class PairsFile(Value):
    """benchmarks/pairs.yaml."""

    pairs: dict[Name, PairSpec] = Field(min_length=1, description="Pair name -> pair.")


class Price(Value):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_write: float = Field(ge=0, description="Default: the input price.")
    cache_read: float = Field(ge=0, description="Default: the input price.")

    @model_validator(mode="before")
    @classmethod
    def _cached_tokens_are_input(cls, data: object) -> object:
        if isinstance(data, dict) and "input" in data:
            return {"cache_write": data["input"], "cache_read": data["input"], **data}
        return data


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
    """Whether a file in the benchmarks folder holds tasks: one, or the source of many."""
    return path.suffix in {".yaml", ".yml"} and path.name not in {PAIRS_FILE, PRICES_FILE}


def looks_like_a_task(path: Path) -> bool:
    """Whether a YAML file, right or wrong, was meant to be a task: it has hidden acceptance tests."""
    return _has_key(path, b"acceptance:")


def is_source_file(path: Path) -> bool:
    """Whether a YAML file, right or wrong, was meant to name a source of tasks."""
    return _has_key(path, b"source:")


def load_task(path: Path, shown: str) -> Task:
    """Read a task file.

    Raises:
        SpecError: Every problem that the file has.
    """
    document = yaml_lines.read(path, shown)
    document.data.setdefault("id", path.stem)
    return _parse(document, Task)


def load_source(path: Path, shown: str) -> SourceFile:
    """Read a source file, not yet its tasks.

    Raises:
        SpecError: Every problem that the file has.
    """
    return _parse(yaml_lines.read(path, shown), SourceFile)


def task_of(fields: Mapping[str, Any], where: str) -> Task:
    """The task of fields that did not come from a YAML file.

    Args:
        fields: Those of a task file, ``id`` included; lists or tuples alike.
        where: What each problem begins with.

    Raises:
        SpecError: Every problem that the fields have.
    """
    try:
        return Task.model_validate(_tupled(dict(fields)), strict=True)
    except ValidationError as error:
        problems = [f"{where}: {_problem(Task, each)}" for each in error.errors(include_url=False)]
        raise SpecError(problems) from None


def load_pairs(path: Path, shown: str) -> dict[str, Pair]:
    """Read a pairs file: name -> pair, in the file's order.

    Raises:
        SpecError: Every problem that the file has.
    """
    parsed = _parse(yaml_lines.read(path, shown), PairsFile)
    return {name: Pair(**{**dict(spec), "name": name}) for name, spec in parsed.pairs.items()}


def load_prices(path: Path, shown: str) -> dict[str, Price]:
    """Read a price file, or nothing where there is none.

    Raises:
        SpecError: Every problem that the file has.
    """
    return _parse(yaml_lines.read(path, shown), PricesFile).prices if path.is_file() else {}


def choose_pairs(pairs: dict[str, Pair], names: list[str], shown: str) -> list[Pair]:
    """The pairs of these names, or all but those that run on request only.

    Raises:
        UsageError: There is no pair of that name, or none was named and all run on request only.
    """
    for name in names:
        if name not in pairs:
            raise UsageError(
                f"no pair {name!r} in {shown}{near(name, list(pairs))}",
                remedy=f"use one of: {', '.join(pairs)}" if pairs else "add it there",
            )
    if names:
        return [pairs[name] for name in dict.fromkeys(names)]
    usual = [pair for pair in pairs.values() if not pair.on_request]
    if pairs and not usual:
        raise UsageError(
            f"all pairs of {shown} run on request only", remedy=f"name one: --pair {next(iter(pairs))}"
        )
    return usual


def near(word: str, known: list[str]) -> str:
    """The end of a message: the known word that was probably meant, if there is one."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _has_key(path: Path, key: bytes) -> bool:
    """Whether a line of the file begins with the key: YAML indents what is not at the top."""
    try:
        return any(line.startswith(key) for line in path.read_bytes()[:MAX_BYTES].splitlines())
    except OSError:
        return False


def _parse(document: yaml_lines.Document, model: type[M]) -> M:
    """The value of a document, or all its problems: those of YAML, then those of the fields."""
    already = {path for path, _ in document.problems if path}
    problems = [(document_line, text) for document_line, text in _numbered(document)]
    try:
        parsed = model.model_validate(_tupled(document.data), strict=True)
    except ValidationError as error:
        problems.extend(
            (line := document.line(_path(each)), f"{document.file}:{line}: {_problem(model, each)}")
            for each in error.errors(include_url=False)
            if _path(each) not in already
        )
    if problems:
        raise SpecError([text for _, text in sorted(problems, key=lambda problem: problem[0])])
    return parsed


def _numbered(document: yaml_lines.Document) -> list[tuple[int, str]]:
    return [
        (int(text.removeprefix(f"{document.file}:").split(":", 1)[0]), text) for _, text in document.problems
    ]


def _tupled(value: Any) -> Any:
    """Lists as tuples: the values are frozen, and strict parsing does not convert."""
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    return {key: _tupled(item) for key, item in value.items()} if isinstance(value, dict) else value


def _path(details: Any) -> tuple[str | int, ...]:
    return tuple(part for part in details["loc"] if part != "[key]")


def _problem(model: type[BaseModel], details: Any) -> str:
    path = _path(details)
    field = ".".join(str(part) for part in path)
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        parent = _model_at(model, path[:-1])
        known = [name for name, info in parent.model_fields.items() if not info.exclude] if parent else []
        hint = near(str(path[-1]), known) or f"; known: {', '.join(known)}"
        return f"{field}: unknown key{hint}"
    if kind == "missing":
        return f"{field}: missing; expected {_described(model, path)}"
    if kind == "literal_error":
        return f"{field}: expected {context['expected']}, got {_shown(details['input'])}"
    if kind == "value_error":
        return f"{field + ': ' if field else ''}{context['error']}"
    if kind in EXPECTED:
        return f"{field}: expected {EXPECTED[kind]}, got {_shown(details['input'])}"
    if kind == "string_pattern_mismatch":
        rule = "letters, digits and ._+~%- (a letter or digit first)"
        return f"{field}: expected {rule}, got {_shown(details['input'])}"
    rule = details["msg"][:1].lower() + details["msg"][1:]
    return f"{field}: {rule.replace('input should', 'it should')}, got {_shown(details['input'])}"


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel] | None:
    """The model that describes the mapping at a path of the file."""
    kind: Any = model
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            arguments = [a for a in typing.get_args(kind) if a is not Ellipsis and a is not types.NoneType]
            kind = arguments[-1] if arguments else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _described(model: type[BaseModel], path: tuple[Any, ...]) -> str:
    parent = _model_at(model, path[:-1])
    info = parent.model_fields.get(str(path[-1])) if parent else None
    description = (info.description or "a value") if info else "a value"
    return f"{description[:1].lower()}{description[1:].rstrip('.')}"


def _shown(value: object) -> str:
    names = {str: "text", bool: "true/false", int: "number", float: "number", dict: "a mapping"}
    if value is None:
        return "nothing"
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    try:
        text = repr(value)
    except ValueError:  # Python does not write out a number of more than 4300 digits
        text = "too large to show"
    return f"{names.get(type(value), type(value).__name__)} {shorten(text, 60)}"
