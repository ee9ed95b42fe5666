"""One call of a coder or tester tool, from its arguments to the file that it writes.

The harness executes it in its own process; with ``tools: server`` Letta's tool sandbox does, from this source
(``backends/letta/tool_source.py``): import the standard library and modules of that text only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.agents.code_blocks import PYTHON, extract_code
from harness.agents.python_text import fenced, module_of
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
        written: Names of all files that the coder is to write.
        models: By role, as ``systems``, their system prompts.
        options: Fields of a request besides its texts and model, by role: ``max_tokens`` and more.
        words: The templates of ``prompts.py``, by name.
    """

    code_file: str
    test_file: str
    given: Sequence[str]
    written: Sequence[str]
    models: Mapping[str, str]
    systems: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]
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
    path, prompt = _prompt(role, arguments, context, workspace)
    answer, cut_off = ask(prompt)
    code = extract_code(answer, path, cut_off=cut_off)
    if code is None:
        limit = context.options[role]["max_tokens"]
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


def _prompt(
    role: Author, arguments: Mapping[str, Any], context: ToolContext, workspace: Workspace
) -> tuple[str, str]:
    """Return the path to write and the prompt, which quotes the file as it is now and the others given."""
    spec, folder, words = check_spec(arguments), arguments.get("workspace_dir"), context.words
    if role == "coder":
        path = inside(arguments.get("file_name") or context.code_file, folder)
        quoted = {path}
        prompt = words["CODER_TASK"].format(spec=spec, path=path)
    else:
        code_path = inside(arguments.get("code_file") or context.code_file, folder)
        path = inside(arguments.get("file_name") or context.test_file, folder)
        if code_path not in workspace:
            raise ToolError(f"there is no {code_path} to test yet; call {words['CODER_TOOL']} first")
        if path == code_path:
            raise ToolError(f"the tests would overwrite {code_path}; name another file")
        quoted = {path, code_path}
        code, module = fenced(workspace[code_path]), module_of(code_path)
        prompt = words["TESTER_TASK"].format(spec=spec, code=code, path=path, module=module)
    if path in workspace:
        prompt += words["CURRENT_FILE"].format(code=fenced(workspace[path]))
    for other in sorted({*context.given} - quoted):
        prompt += words["OTHER_FILE"].format(path=other, code=fenced(workspace[other]))
    several = context.written if len(context.written) > 1 else ()
    for other in sorted({*several} & {*workspace} - quoted - {*context.given}):
        prompt += words["other_code"].format(path=other, code=fenced(workspace[other]))
    return path, prompt
