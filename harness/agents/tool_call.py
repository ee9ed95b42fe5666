"""One call of a tool, from its arguments to the file that it writes, whoever carries it out.

The harness does so in its own process; with ``tools: server`` Letta's tool sandbox does, and this module's
text is a part of what runs there (``letta_source.py``): the standard library only.
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
    """A tool call that cannot be carried out; the message is meant for the orchestrator."""


@dataclass(frozen=True)
class ToolContext:
    """What the tools know of their trial, in values that JSON carries.

    Attributes:
        code_file: Where the coder writes, unless it is told otherwise.
        test_file: Where the tester writes.
        given: Names of the files that were there before the trial.
        models: Who answers: ``coder`` and ``tester``.
        systems: What each of them is told about its part.
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
class Done:
    """What a call came to. ``text`` is what the orchestrator hears of it."""

    path: str
    code: str
    text: str


@dataclass(frozen=True)
class Arguments:
    """What a call asks for, as far as it was checked."""

    spec: str
    file_name: object
    folder: object
    code_file: object


def execute(
    role: Author,
    given: Mapping[str, Any],
    brief: ToolContext,
    workspace: Workspace,
    ask: Callable[[str], tuple[str, bool]],
) -> Done:
    """Let Claude write one file into the workspace.

    Args:
        role: Whose tool was called.
        given: Its arguments, as the model wrote them.
        brief: What is known of the trial.
        workspace: The trial's files.
        ask: Puts a prompt to Claude; gives the answer, and whether it was cut off.

    Raises:
        ToolError, WorkspaceError: It cannot be done; the message is meant for the orchestrator.
    """
    asked = checked(given)
    path, prompt = (_code if role == "coder" else _test)(asked, brief, workspace)
    answer, cut_off = ask(prompt)
    code = extract_code(answer, path, cut_off=cut_off)
    if code is None:
        limit = brief.max_tokens
        why = f"was cut off at {limit} tokens before it was whole" if cut_off else "held no code"
        raise ToolError(f"Claude's answer {why}; {path} was not written")
    workspace.write(path, code)
    count = code.count("\n")
    return Done(path, code, f"Wrote {path} ({count} {'line' if count == 1 else 'lines'}).")


def checked(given: Mapping[str, Any]) -> Arguments:
    """The arguments of a call.

    Raises:
        ToolError: They make no sense.
    """
    spec = given.get("spec")
    if not isinstance(spec, str) or not spec.strip():
        raise ToolError("spec must say, as text, what is to be written")
    if len(spec) > MAX_SPEC_CHARS:
        raise ToolError(f"spec has {len(spec)} characters; at most {MAX_SPEC_CHARS} are accepted")
    language = given.get("language") or "python"
    if not isinstance(language, str) or language.strip().lower() not in PYTHON:
        raise ToolError(f"language {shorten(str(language))!r} is not supported; only python is")
    return Arguments(
        well_formed(spec.rstrip()), given.get("file_name"), given.get("workspace_dir"), given.get("code_file")
    )


def _code(asked: Arguments, brief: ToolContext, workspace: Workspace) -> tuple[str, str]:
    path = inside(asked.file_name or brief.code_file, asked.folder)
    prompt = brief.words["CODER_TASK"].format(spec=asked.spec, path=path)
    return path, prompt + _files(brief, workspace, path, besides={path})


def _test(asked: Arguments, brief: ToolContext, workspace: Workspace) -> tuple[str, str]:
    code_path = inside(asked.code_file or brief.code_file, asked.folder)
    path = inside(asked.file_name or brief.test_file, asked.folder)
    if code_path not in workspace:
        raise ToolError(f"there is no {code_path} to test yet; call {brief.words['CODER_TOOL']} first")
    if path == code_path:
        raise ToolError(f"the tests would overwrite {code_path}; name another file")
    prompt = brief.words["TESTER_TASK"].format(
        spec=asked.spec, code=fenced(workspace[code_path]), path=path, module=module_of(code_path)
    )
    return path, prompt + _files(brief, workspace, path, besides={path, code_path})


def _files(brief: ToolContext, workspace: Workspace, path: str, besides: set[str]) -> str:
    """The file as it is now, and those that the task gives."""
    now = brief.words["CURRENT_FILE"].format(code=fenced(workspace[path])) if path in workspace else ""
    return now + "".join(
        brief.words["OTHER_FILE"].format(path=other, code=fenced(workspace[other]))
        for other in sorted(brief.given)
        if other not in besides
    )
