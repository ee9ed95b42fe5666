"""Fenced code blocks: write code into a prompt, and find it in an answer.

Fences are those of CommonMark (https://spec.commonmark.org/0.31.2/#fenced-code-blocks), but for their limits
inside of lists and quotes. Letta's tool sandbox runs this module's source, too
(``backends/letta/tool_source.py``): import the standard library and ``harness.text`` only.
"""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import PurePosixPath
from typing import Any, cast

from harness.text import well_formed

BLOCK = re.compile(
    r"^(?P<indent>[ \t]{0,3})(?P<fence>(?P<mark>[`~])(?P=mark){2,})[ \t]*(?P<info>[^`\n]*)$\n*"
    r"(?P<code>.*?)(?P<end>^[ \t]{0,3}(?P=fence)(?P=mark)*[^\S\n]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
FILE_NAME = re.compile(r"[\w./-]*\w\.py\b")
PYTHON = {"python", "py", "python3", "pycon"}
# Longer blocks are taken as they are, unparsed: 120 kB of `import a.a.a...` take the parser 3.7 GB.
MAX_PARSED = 40_000
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
    blocks = [block for block in BLOCK.finditer(answer) if block["end"] or not cut_off]
    if not blocks:
        return _tidy(answer) if not cut_off and _defines(answer) else None
    code = _code(max(blocks, key=lambda block: _fit(block, path)))
    return _tidy(code) if code.strip() else None


def _code(block: re.Match[str]) -> str:
    """Return the code of a block, without the indent of its fence."""
    return re.sub(rf"(?m)^[ \t]{{0,{len(block['indent'])}}}", "", block["code"])


def _fit(block: re.Match[str], path: str) -> tuple[bool, bool, bool, int]:
    """Rank a block: it names the file; it names no file; it is Python and compiles; its length."""
    code = _code(block)
    before = block.string[: block.start()].rstrip("\n").rpartition("\n")[2]
    comment = code.split("\n", 1)[0] if code.startswith("#") else ""
    named = FILE_NAME.findall(f"{block['info']}\n{before}\n{comment}")
    is_python = (block["info"].split() or ["python"])[0].lower() in PYTHON
    return path in named, not named, is_python and _parse(code) is not None, len(code)


def _tidy(code: str) -> str:
    return code.strip("\n").rstrip() + "\n"


def _defines(code: str) -> bool:
    tree = _parse(code)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    return tree is not None and any(isinstance(node, kinds) for node in tree.body)


def _parse(code: str) -> ast.Module | None:
    try:
        if len(code) > MAX_PARSED:
            return None
        return cast("ast.Module", compile_code(code, flags=ast.PyCF_ONLY_AST))
    except NOT_PYTHON:
        return None


def compile_code(code: str, path: str = "<answer>", *, flags: int = 0) -> Any:
    """Compile code without running it, and without warnings (such as for an invalid escape).

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not compile (``NOT_PYTHON``).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(code, path, "exec", flags, dont_inherit=True)
