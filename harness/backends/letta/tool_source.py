"""The source text of the two tools that is registered in Letta: one file without imports of the harness.

It is made of the modules that execute a call in the harness's own process, too, without their comments and
docstrings.
"""

from __future__ import annotations

import ast
import functools
import inspect

from harness import text
from harness.agents import (
    answer_blocks,
    answer_parts,
    answer_pieces,
    answer_words,
    code_blocks,
    python_text,
    thoughts,
    tool_call,
    workspace,
)
from harness.backends.letta import sandbox_tool
from harness.tasks.task import digest

# In the order of their imports.
MODULES = (
    text,
    workspace,
    python_text,
    answer_blocks,
    answer_words,
    answer_pieces,
    answer_parts,
    thoughts,
    code_blocks,
    tool_call,
    sandbox_tool,
)
# Letta describes a tool to the model by a schema that the harness gives; these are for people who look there.
KEEP_DOCSTRING = ("run_claude_coder", "run_claude_tester")


@functools.cache
def source() -> str:
    """Return the whole text."""
    trees = [ast.parse(inspect.getsource(module)) for module in MODULES]
    body = [node for tree in trees for node in _without_docstrings(tree).body if not _is_ours(node)]
    imports = {ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)}
    rest = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join([*sorted(imports), "", ast.unparse(ast.Module(rest, [])), ""])


def source_digest() -> str:
    """Hash the text, for the recorded facts of a trial."""
    return digest(source())


def _is_ours(node: ast.stmt) -> bool:
    """Return True for an import of what the text holds itself, or does not need."""
    return isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("harness", "__future__")


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or not ast.get_docstring(node):
            continue
        if getattr(node, "name", "") not in KEEP_DOCSTRING:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
