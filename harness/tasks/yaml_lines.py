"""YAML into plain data that remembers its lines. PyYAML is imported here only.

Not covered: tags (``!!python/...``) are refused, and so are aliases, which can hide a bomb.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data, and the line (from 1) on which each path in it stands.

    Attributes:
        problems: Path -> what is wrong there; the data hold None in its place.
    """

    file: str
    data: dict[str, Any]
    lines: dict[Place, int]
    problems: list[tuple[Place, str]]

    def line(self, path: Place) -> int:
        """The line of a path, or of its nearest ancestor that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(path: Path, shown: str) -> Document:
    """Parse a file whose top level is a mapping.

    Args:
        path: The file.
        shown: What to call it in messages, such as ``benchmarks/add.yaml``.

    Raises:
        SpecError: It cannot be read or parsed, is empty, or too large.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise SpecError([f"{shown}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SpecError([f"{shown}:{line}: expected UTF-8 text"]) from None
    if len(raw) > MAX_BYTES:
        raise SpecError([f"{shown}: {len(raw)} bytes; at most {MAX_BYTES} are read"])
    try:
        return _Reader(text, shown).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError([f"{shown}:{line}: not valid YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise SpecError([f"{shown}:1: not valid YAML: {' '.join(str(error).split())}"]) from None


def field(name: str, value: Any) -> str:
    """A line or lines of YAML that say this: a text of several lines as a block, where YAML allows that."""
    return str(yaml.dump({name: value}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000))


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT
        super().increase_indent(flow, False)


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # A block that keeps blank lines at its end would end the document, too.
    block = "\n" in text and text.strip() and not text.endswith("\n\n")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


_Dumper.add_representer(str, _represented)


class _Reader:
    """Builds the data from the parser's events, whose depth it watches: a composer would recurse."""

    def __init__(self, text: str, shown: str) -> None:
        self.shown = shown
        self.lines: dict[Place, int] = {}
        self.problems: list[tuple[Place, str]] = []
        self._events = yaml.parse(text, Loader=Loader)
        self._scalars = Loader("")

    def document(self) -> Document:
        """All of it."""
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise SpecError([f"{self.shown}:1: the file is empty"])
        first = next(self._events)
        if isinstance(first, yaml.ScalarEvent) and not first.value and first.implicit[0]:
            raise SpecError([f"{self.shown}:1: the file is empty"])
        if not isinstance(first, yaml.MappingStartEvent):
            raise SpecError([f"{self.shown}:1: expected 'key: value' lines at the top, got {_kind(first)}"])
        data = self._value(first, ())
        next(self._events)  # the document's end
        after: Any = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            line = after.start_mark.line + 1
            raise SpecError([f"{self.shown}:{line}: expected one document in the file"])
        return Document(self.shown, data, self.lines, self.problems)

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, path: Place) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            return self._wrong(path, line, "aliases are not supported; write the value out")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path, line)
        if len(path) >= MAX_DEPTH:
            # Nothing after it can be told any more without following it down.
            raise SpecError([f"{self.shown}:{line}: deep nesting is not supported"])
        if event.tag is not None:
            self._wrong(path, line, f"the tag {event.tag} is not supported")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Place) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                self._wrong(path, line, f"expected a word as key, got {_kind(event)}")
                self._value(event, (*path, f"line {line}"))
                self._value(self._next(), (*path, f"line {line}"))
                continue
            key = str(event.value)
            if key in result:
                first = self.lines[(*path, key)]
                name = ".".join(str(part) for part in (*path, key))
                self.problems.append((path, f"{self.shown}:{line}: {name}: already given on line {first}"))
                self._value(self._next(), (*path, key))
                continue
            self.lines[(*path, key)] = line
            result[key] = self._value(self._next(), (*path, key))
        return result

    def _scalar(self, event: Any, path: Place, line: int) -> Any:
        if event.tag is not None and not any(event.implicit):
            return self._wrong(path, line, f"the tag {event.tag} is not supported")
        tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        try:
            return self._scalars.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
        except (yaml.YAMLError, ValueError, ArithmeticError, KeyError, AttributeError) as error:
            what = getattr(error, "problem", None) or str(error)
            return self._wrong(path, line, f"cannot be read as a value: {what}")

    def _wrong(self, path: Place, line: int, text: str) -> None:
        self.problems.append((path, f"{self.shown}:{line}: {text}"))


def _kind(event: Any) -> str:
    if isinstance(event, yaml.SequenceStartEvent):
        return "a list"
    return "a mapping" if isinstance(event, yaml.MappingStartEvent) else "a single value"
