"""Read YAML files into plain data that remembers its lines. PyYAML is imported here only.

Not covered: tags (``!!python/...``) and aliases, which can hide a bomb, are refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.errors import SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Place = tuple[str | int, ...]
# YAML 1.1 reads 010 as 8, 1:30 as 90 and 1_0 as 10; later versions do not, and nobody expects it.
SURPRISING = re.compile(r"[-+]?(0[0-7_]+|0b.*|.*[_:].*)")


class Problem(NamedTuple):
    """One mistake in a file; ``message`` begins with file and line, the data hold None at ``path``."""

    line: int
    path: Place
    message: str


@dataclass(eq=False)
class YamlFile:
    """A file that is read once and parsed once; ``display`` is its name in messages."""

    path: Path
    display: str

    def has_key(self, key: str) -> bool:
        """Return True if a line begins with the key, valid YAML or not; nested keys are indented."""
        try:
            return any(line.startswith(f"{key}:".encode()) for line in self._raw[:MAX_BYTES].splitlines())
        except SpecError:
            return False

    @cached_property
    def document(self) -> Document:
        """Parse the file, whose top level is a mapping.

        Raises:
            SpecError: It cannot be read or parsed, is empty, or too large.
        """
        raw = self._raw
        del self._raw  # the text is in the document now
        try:
            return Document(raw.decode(), self.display)
        except UnicodeDecodeError as error:
            line, text = raw[: error.start].count(b"\n") + 1, "expected UTF-8 text"
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            text = f"not valid YAML: {error.problem or error.context}"
        except yaml.reader.ReaderError as error:
            line = raw.decode()[: error.position].count("\n") + 1
            code = error.character if isinstance(error.character, int) else ord(error.character)
            text = f"not valid YAML: unacceptable character #x{code:04x}"
        except yaml.YAMLError as error:
            line, text = 1, f"not valid YAML: {' '.join(str(error).split())}"
        raise SpecError([f"{self.display}:{line}: {text}"])

    @cached_property
    def _raw(self) -> bytes:
        return read_whole(self.path, self.display, MAX_BYTES)


def read_whole(path: Path, display: str, most: int) -> bytes:
    """Read a regular file of at most so many bytes: a pipe would wait, a sparse file fill the memory.

    Raises:
        SpecError: It is none, is larger, or cannot be read; the message begins with ``display``.
    """
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= most:
            return path.read_bytes()
    except OSError as error:
        raise SpecError([f"{display}: cannot be read: {error.strerror}"]) from None
    if stat.S_ISREG(status.st_mode):
        raise SpecError([f"{display}: {status.st_size} bytes; at most {most} are read"])
    raise SpecError([f"{display}: cannot be read: not a regular file"])


def field(name: str, value: Any) -> str:
    """Return ``name: value`` as YAML; a text of several lines becomes a block where YAML allows it."""
    return str(yaml.dump({name: value}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000))


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT
        super().increase_indent(flow, False)


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # A block that keeps blank lines at its end would end the document, too.
    block = "\n" in text and text.strip() and not text.endswith("\n\n")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


_Dumper.add_representer(str, _represented)


class _Scalars(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """What a loader knows of single values, without its parser, which holds 150 kB."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


class Document:
    """Plain data, the line (from 1) on which each path in it stands, and the problems found.

    Built from the parser's events, whose depth it watches: a composer would recurse.
    """

    def __init__(self, text: str, display: str) -> None:
        self.lines: dict[Place, int] = {}
        self.written: dict[Place, str] = {}  # scalars that are not read as text
        self.problems: list[Problem] = []
        self._display = display
        self._events: Iterator[Any] = yaml.parse(text, Loader=Loader)
        self._scalars: Any = _Scalars()
        self.data: dict[str, Any] = self._document()
        del self._events, self._scalars  # a parser is far larger than what it has read

    def problem(self, path: Place, text: str, line: int = 0) -> Problem:
        """Return a problem on a line; by default on that of the path, or of its nearest ancestor."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = line or self.lines.get(known, 1)
        return Problem(line, path, f"{self._display}:{line}: {text}")

    def _document(self) -> dict[str, Any]:
        next(self._events)  # the stream's start
        first = next(self._events)
        if isinstance(first, yaml.DocumentStartEvent):
            first = next(self._events)
        is_empty = isinstance(first, yaml.ScalarEvent) and not first.value and first.implicit[0]
        if is_empty or isinstance(first, yaml.StreamEndEvent):
            raise self._refusal(1, "the file is empty")
        if not isinstance(first, yaml.MappingStartEvent):
            raise self._refusal(1, f"expected 'key: value' lines at the top, got {_kind(first)}")
        data: dict[str, Any] = self._value(first, ())
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refusal(after.start_mark.line + 1, "expected one document in the file")
        return data

    def _value(self, event: Any, path: Place) -> Any:
        line = event.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            return self._report(path, line, "aliases are not supported; write the value out")
        if event.anchor is not None:
            self._report(path, line, f"anchors are not supported; leave out &{event.anchor}")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path, line)
        if len(path) >= MAX_DEPTH:
            # To report anything after it, the reader would have to follow it down.
            raise self._refusal(line, "deep nesting is not supported")
        if event.tag is not None:
            self._report(path, line, f"the tag {event.tag} is not supported")
        return self._sequence(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)

    def _sequence(self, path: Place) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                self._report(path, line, f"expected a word as key, got {_kind(event)}")
                self._value(event, (*path, f"line {line}"))
                self._value(next(self._events), (*path, f"line {line}"))
                continue
            key = str(event.value)
            place = (*path, key)
            if key in result:
                name = ".".join(map(str, place))
                self._report(path, line, f"{name}: already given on line {self.lines[place]}")
                self._value(next(self._events), place)
                continue
            self.lines[place] = line
            result[key] = self._value(next(self._events), place)
        return result

    def _scalar(self, event: Any, path: Place, line: int) -> Any:
        if event.tag is not None and not any(event.implicit):
            return self._report(path, line, f"the tag {event.tag} is not supported")
        tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if not tag.endswith(":str"):
            self.written[path] = event.value
        if tag.endswith((":int", ":float")) and SURPRISING.fullmatch(event.value):
            name = ".".join(map(str, path))
            return self._report(path, line, f"{name}: write {event.value} as a plain number, or in quotes")
        try:
            return self._scalars.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
        except (yaml.YAMLError, ValueError, ArithmeticError, KeyError, AttributeError) as error:
            reason = getattr(error, "problem", None) or str(error)
            name = ".".join(map(str, path))
            return self._report(path, line, f"{name}: cannot be read as a value: {reason}")

    def _report(self, path: Place, line: int, text: str) -> None:
        self.problems.append(self.problem(path, text, line))

    def _refusal(self, line: int, text: str) -> SpecError:
        return SpecError([self.problem((), text, line).message])


def _kind(event: Any) -> str:
    kinds = {yaml.SequenceStartEvent: "a list", yaml.MappingStartEvent: "a mapping"}
    return kinds.get(type(event), "a single value")
