"""Python as text: the name of a file's module, code in a fence, and what compiles.

Letta's tool sandbox runs this module's source, too (``backends/letta/tool_source.py``): import the standard
library and modules of that text only.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from harness.text import well_formed

BUDGET = 1_000_000  # characters that are parsed for one answer at the most
MAX_PARSED = 40_000  # characters: 120 kB of `import a.a.a...` take the parser 3.7 GB
NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)  # what ``compile`` raises for a text


def module_of(path: str) -> str:
    """Return the name by which a file of the workspace is imported: ``pkg/core.py`` -> ``pkg.core``."""
    return ".".join(PurePosixPath(path).with_suffix("").parts)


def fenced(code: str) -> str:
    """Put code into a fence that is longer than any in the code."""
    code = well_formed(code)
    ticks = max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1
    return f"{'`' * ticks}python\n{code.rstrip()}\n{'`' * ticks}"


def compile_code(code: str, path: str = "<answer>", *, flags: int = 0) -> Any:
    """Compile code without running it, and without warnings (such as for an invalid escape).

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It does not compile (``NOT_PYTHON``).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(code, path, "exec", flags, dont_inherit=True)


class Parser:
    """Parses texts, each once, and no more than ``BUDGET``."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module | None] = {}
        self._left = BUDGET

    def tree(self, code: str) -> ast.Module | None:
        """Return the syntax tree of a text, or None if it is no Python, too long, or one too many."""
        if code not in self._trees:
            self._trees[code] = None
            if len(code) <= min(MAX_PARSED, self._left):
                self._left -= len(code)
                with suppress(*NOT_PYTHON):
                    self._trees[code] = compile_code(code, flags=ast.PyCF_ONLY_AST)
        return self._trees[code]
