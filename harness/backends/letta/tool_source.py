"""The text of the two tools that is registered in Letta: one file without imports of the harness.

It is made of the modules that carry out a call in the harness's own process too, so that both ways are one.
Comments and docstrings stay here.
"""

from __future__ import annotations

import ast
import functools
import inspect

from harness import text
from harness.agents import code_blocks, tool_call, workspace
from harness.backends.letta import sandbox_tool
from harness.tasks.task import digest

# Each after what it needs.
MODULES = (text, workspace, code_blocks, tool_call, sandbox_tool)
# Letta describes a tool to the model by a schema that the harness gives; these are for people who look there.
KEEP_DOCSTRING = ("run_claude_coder", "run_claude_tester")


@functools.cache
def source() -> str:
    """The whole text."""
    trees = [ast.parse(inspect.getsource(module)) for module in MODULES]
    body = [node for tree in trees for node in _plain(tree).body if not _is_ours(node)]
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    lines = sorted({ast.unparse(node) for node in imports})
    return "\n".join([*lines, "", ast.unparse(ast.Module(rest, [])), ""])


def source_digest() -> str:
    """Hash of it, for the recorded facts of a trial."""
    return digest(source())


def _is_ours(node: ast.stmt) -> bool:
    """Whether a statement imports what the text holds itself, or can do without."""
    return isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("harness", "__future__")


def _plain(tree: ast.Module) -> ast.Module:
    """The tree without docstrings."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or not ast.get_docstring(node):
            continue
        if getattr(node, "name", "") not in KEEP_DOCSTRING:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
