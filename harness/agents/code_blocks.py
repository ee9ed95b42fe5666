"""Fenced code blocks: write code into a prompt, and find it in an answer.

Fences are those of CommonMark (https://spec.commonmark.org/0.31.2/#fenced-code-blocks), but for their limits
inside of lists and quotes. This module is part of the text that Letta's tool sandbox runs
(``backends/letta/tool_source.py``), so it imports the standard library and ``harness.text`` only.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from harness.text import well_formed

FENCE = re.compile(r"^(?P<indent>[ \t]{0,3})(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE)
FILE_NAME = re.compile(r"[\w./-]*\w\.py\b")
PYTHON = {"python", "py", "python3", "pycon"}
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # what ``compile`` raises for a text


def module_of(path: str) -> str:
    """Return the name by which a file of the workspace is imported: ``pkg/core.py`` -> ``pkg.core``."""
    return ".".join(PurePosixPath(path).with_suffix("").parts)


def fenced(code: str) -> str:
    """Put code into a fence that is longer than any in the code."""
    code = well_formed(code)
    ticks = max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1
    return f"{'`' * ticks}python\n{code.rstrip()}\n{'`' * ticks}"


def extract_code(answer: str, path: str, *, cut_off: bool = False) -> str | None:
    """Return the code that an answer holds for a file, or None.

    Of several fenced blocks the one that names the file wins; then one that names no other; then the
    longest that is Python and compiles; then the longest. Without a fence the whole answer counts if it
    compiles and defines something. A fence without an end holds the rest of the answer, unless the answer
    was cut off.
    """
    answer = answer.replace("\r\n", "\n")
    blocks = [block for block in _blocks(answer) if block.closed or not cut_off]
    if not blocks:
        return _tidy(answer) if not cut_off and _defines(answer) else None
    best = max(blocks, key=lambda block: (*block.fits(path), len(block.code)))
    return _tidy(best.code) if best.code.strip() else None


@dataclass(frozen=True)
class _Block:
    info: str
    before: str
    code: str
    closed: bool

    def fits(self, path: str) -> tuple[bool, bool, bool]:
        """Rank the block: it names the file; it names no file; it is Python and compiles."""
        first = self.code.split("\n", 1)[0]
        comment = first if first.startswith("#") else ""
        named = FILE_NAME.findall(f"{self.info}\n{self.before}\n{comment}")
        is_python = (self.info.split() or ["python"])[0].lower() in PYTHON
        return path in named, not named, is_python and _parse(self.code) is not None


def _blocks(answer: str) -> list[_Block]:
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    for match in FENCE.finditer(answer):
        if opened is None:
            opened = match
        elif match["fence"].startswith(opened["fence"]) and not match["info"].strip():
            blocks.append(_block(answer, opened, match.start(), closed=True))
            opened = None
    if opened is not None:
        blocks.append(_block(answer, opened, len(answer), closed=False))
    return blocks


def _block(answer: str, opened: re.Match[str], end: int, *, closed: bool) -> _Block:
    before = answer[: opened.start()].rstrip("\n").rpartition("\n")[2]
    code = answer[opened.end() : end].lstrip("\n")
    indent = re.compile(rf"^[ \t]{{1,{len(opened['indent'])}}}", re.MULTILINE) if opened["indent"] else None
    return _Block(opened["info"].strip(), before, indent.sub("", code) if indent else code, closed)


def _tidy(code: str) -> str:
    return code.strip("\n").rstrip() + "\n"


def _defines(code: str) -> bool:
    tree = _parse(code)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    return tree is not None and any(isinstance(node, kinds) for node in tree.body)


def _parse(code: str) -> ast.Module | None:
    try:
        tree: ast.Module = compile_code(code, flags=ast.PyCF_ONLY_AST)
    except NOT_PYTHON:
        return None
    return tree


def compile_code(code: str, path: str = "<answer>", *, flags: int = 0) -> Any:
    """Compile code without running it, and without warnings (such as for an invalid escape).

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not compile (``NOT_PYTHON``).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(code, path, "exec", flags, dont_inherit=True)
