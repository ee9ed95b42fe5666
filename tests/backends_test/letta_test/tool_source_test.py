"""The source text that is registered in Letta."""

from __future__ import annotations

import ast
from collections import Counter

from harness.agents import prompts
from harness.backends.letta.tool_source import source, source_digest

TREE = ast.parse(source())
TOOLS = {node.name: node for node in TREE.body if isinstance(node, ast.FunctionDef) and "claude" in node.name}


def names() -> list[str]:
    """The names that the text gives to something at its top."""
    given = [node.name for node in TREE.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return given + [
        t.id
        for node in TREE.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    ]


def test_it_needs_nothing_of_the_harness():
    """No import of the harness is left, and none of another package."""
    imported = [node.module for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(TREE) if isinstance(node, ast.Import) for name in node.names]
    known = {
        "ast",
        "bisect",
        "builtins",
        "collections",
        "contextlib",
        "dataclasses",
        "functools",
        "html",
        "itertools",
        "json",
        "os",
        "pathlib",
        "re",
        "sys",
        "textwrap",
        "typing",
        "urllib",
        "warnings",
    }
    assert {str(module).split(".")[0] for module in imported} <= known


def test_it_runs_from_its_first_line_to_its_last():
    """Its annotations are evaluated, unlike those of its modules: each has to name what stands above it."""
    names = {"__name__": "tool"}
    exec(compile(source(), "tool", "exec", dont_inherit=True), names)
    assert callable(names["run_claude_coder"])
    assert names["extract_code"]("```\nx = 1\n```", "add.py") == "x = 1\n"


def test_every_name_is_given_once():
    """The modules that it is made of do not overwrite each other's names."""
    assert [name for name, count in Counter(names()).items() if count > 1] == []


def test_no_name_is_that_of_an_argument():
    """Letta sets a variable for each argument before the text runs: the text must not overwrite it."""
    arguments = {
        key for tool in prompts.definitions(guided=False).values() for key in tool["parameters"]["properties"]
    }
    assert arguments.isdisjoint(names())


def test_the_tools_take_what_the_schema_offers():
    """Every argument that a model is told of is one of the function's, and may be left out."""
    for name, definition in prompts.definitions(guided=False).items():
        arguments = TOOLS[name].args
        assert set(definition["parameters"]["properties"]) <= {each.arg for each in arguments.args}
        assert len(arguments.defaults) == len(arguments.args)


def test_no_argument_is_annotated():
    """Letta reads an annotated text as JSON first: the model's own text would be another."""
    assert [arg.arg for tool in TOOLS.values() for arg in tool.args.args if arg.annotation] == []


def test_it_has_a_digest_of_its_own():
    """What was registered can be told from a recording."""
    assert len(source_digest()) == 16
