"""Look at Python source without running it."""

from __future__ import annotations

import ast
import re

from harness.agents.python_text import NOT_PYTHON, compile_code, module_of
from harness.tasks.task import Task


def emptied(code: str) -> str:
    """Return the code with ``pass`` for the body of each function; nothing if it has no function."""
    tree = ast.parse(code)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        function.body = [ast.Pass()]
    return ast.unparse(tree) if functions else ""


def _unannounced(task: Task) -> list[str]:
    """Names of the code under test that acceptance uses, and nobody who only reads the spec could know."""
    told = "\n".join([task.spec, *task.files.values()])
    words = set(re.findall(r"\w+", told))
    return sorted(name for name in _used(task) if name not in words)


def _used(task: Task) -> set[str]:
    """Return what acceptance imports from the code file's module, or takes from it as an attribute."""
    module = module_of(task.code_file)
    try:
        tree = ast.parse(task.acceptance)
    except SyntaxError:
        return set()  # the run tells
    used, aliases = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            used |= {alias.name for alias in node.names if alias.name != "*"}
        elif isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name for alias in node.names if alias.name == module}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in aliases:
            used.add(node.attr)
    return used


def syntax_problem(code: str, path: str) -> str:
    """Why a file does not compile, in one line; empty if it does."""
    try:
        compile_code(code, path)
    except SyntaxError as error:
        return f"{path}:{error.lineno or 1}: {error.msg}"
    except NOT_PYTHON as error:
        return f"{path}: {type(error).__name__}"
    return ""
