"""One call of a coder or tester tool, from its arguments to the file that it writes.

The harness executes it in its own process; with ``tools: server`` Letta's tool sandbox does. This module is
part of the text that runs there (``backends/letta/tool_source.py``), so it imports the standard library and
modules of that text only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.agents.code_blocks import PYTHON, extract_code, fenced, module_of
from harness.agents.workspace import Workspace, inside
from harness.text import shorten, well_formed

MAX_SPEC_CHARS = 50_000
Author = Literal["coder", "tester"]


class ToolError(Exception):
    """A tool call that cannot be executed; the message is meant for the orchestrator."""


@dataclass(frozen=True)
class ToolContext:
    """A trial as its tools see it, in values that JSON can carry.

    Attributes:
        code_file: Where the coder writes, unless the call names another file; ``test_file`` likewise.
        given: Names of the files that were there before the trial.
        models: By role, as ``systems``, their system prompts.
        max_tokens: Output tokens of one answer.
        words: The templates of ``prompts.py``, by name.
    """

    code_file: str
    test_file: str
    given: Sequence[str]
    models: Mapping[str, str]
    systems: Mapping[str, str]
    max_tokens: int
    words: Mapping[str, str]


@dataclass(frozen=True)
class ToolResult:
    """The file that a call wrote, and the text that is returned to the orchestrator."""

    path: str
    code: str
    text: str


def execute(
    role: Author,
    arguments: Mapping[str, Any],
    context: ToolContext,
    workspace: Workspace,
    ask: Callable[[str], tuple[str, bool]],
) -> ToolResult:
    """Let Claude write one file into the workspace.

    ``ask`` sends a prompt to Claude; it returns the answer, and True if that was cut off.

    Raises:
        ToolError, WorkspaceError: It cannot be done; the message is meant for the orchestrator.
    """
    write_prompt = _coder_prompt if role == "coder" else _tester_prompt
    path, prompt = write_prompt(check_spec(arguments), arguments, context, workspace)
    answer, cut_off = ask(prompt)
    code = extract_code(answer, path, cut_off=cut_off)
    if code is None:
        limit = context.max_tokens
        why = f"was cut off at {limit} tokens before it was whole" if cut_off else "held no code"
        raise ToolError(f"Claude's answer {why}; {path} was not written")
    workspace.write(path, code)
    count = code.count("\n")
    return ToolResult(path, code, f"Wrote {path} ({count} {'line' if count == 1 else 'lines'}).")


def check_spec(arguments: Mapping[str, Any]) -> str:
    """Return the specification of a call.

    Raises:
        ToolError: It is none or too long, or the call asks for another language.
    """
    given = arguments.get("spec")
    if not isinstance(given, str) or not given.strip():
        raise ToolError("spec must say, as text, what is to be written")
    if len(given) > MAX_SPEC_CHARS:
        raise ToolError(f"spec has {len(given)} characters; at most {MAX_SPEC_CHARS} are accepted")
    wanted = arguments.get("language") or "python"
    if not isinstance(wanted, str) or wanted.strip().lower() not in PYTHON:
        raise ToolError(f"language {shorten(str(wanted))!r} is not supported; only python is")
    return well_formed(given.rstrip())


def _coder_prompt(
    task: str, arguments: Mapping[str, Any], context: ToolContext, workspace: Workspace
) -> tuple[str, str]:
    path = inside(arguments.get("file_name") or context.code_file, arguments.get("workspace_dir"))
    prompt = context.words["CODER_TASK"].format(spec=task, path=path)
    return path, prompt + _files(context, workspace, path, besides={path})


def _tester_prompt(
    task: str, arguments: Mapping[str, Any], context: ToolContext, workspace: Workspace
) -> tuple[str, str]:
    folder = arguments.get("workspace_dir")
    code_path = inside(arguments.get("code_file") or context.code_file, folder)
    path = inside(arguments.get("file_name") or context.test_file, folder)
    if code_path not in workspace:
        raise ToolError(f"there is no {code_path} to test yet; call {context.words['CODER_TOOL']} first")
    if path == code_path:
        raise ToolError(f"the tests would overwrite {code_path}; name another file")
    prompt = context.words["TESTER_TASK"].format(
        spec=task, code=fenced(workspace[code_path]), path=path, module=module_of(code_path)
    )
    return path, prompt + _files(context, workspace, path, besides={path, code_path})


def _files(context: ToolContext, workspace: Workspace, path: str, besides: set[str]) -> str:
    """Quote the file as it is now, and the others that the task gives."""
    now = context.words["CURRENT_FILE"].format(code=fenced(workspace[path])) if path in workspace else ""
    return now + "".join(
        context.words["OTHER_FILE"].format(path=other, code=fenced(workspace[other]))
        for other in sorted(context.given)
        if other not in besides
    )
