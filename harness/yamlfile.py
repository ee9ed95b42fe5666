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
Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data, and the line (from 1) on which each path in it stands."""

    file: str
    data: Any
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int:
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
        SpecError: It cannot be read or parsed, is empty, too large, or repeats a key.
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
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError([f"{shown}:{line}: not valid YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise SpecError([f"{shown}:1: not valid YAML: {' '.join(str(error).split())}"]) from None
    if node is None:
        raise SpecError([f"{shown}:1: the file is empty"])
    if not isinstance(node, yaml.MappingNode):
        raise SpecError([f"{shown}:1: expected 'key: value' lines at the top, got {_kind(node)}"])
    builder = _Builder(shown)
    data = builder.build(node, ())
    if builder.problems:
        raise SpecError(builder.problems)
    return Document(shown, data, builder.lines)


class _Builder:
    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.lines: dict[Path_, int] = {}
        self.problems: list[str] = []
        self._seen: set[int] = set()
        self._scalars = Loader("")

    def build(self, node: Any, path: Path_) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        if id(node) in self._seen or len(path) > MAX_DEPTH:
            self._problem(line, "aliases and deep nesting are not supported; write the value out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _mapping(self, node: Any, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(line, f"expected a word as key, got {_kind(key_node)}")
                continue
            key = str(key_node.value)
            if key in result:
                first = self.lines[(*path, key)]
                self._problem(line, f"{'.'.join(map(str, (*path, key)))}: already given on line {first}")
                continue
            self.lines[(*path, key)] = line
            result[key] = self.build(value_node, (*path, key))
        return result

    def _scalar(self, node: Any, line: int) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = getattr(error, "problem", None) or str(error)
            self._problem(line, f"cannot be read as a value: {what}")
            return None

    def _problem(self, line: int, text: str) -> None:
        self.problems.append(f"{self.shown}:{line}: {text}")


def _kind(node: Any) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a single value"
