"""The two tools that the orchestrator calls: Claude as coder, Claude as tester.

A call that cannot be carried out - a bad name, no code in the answer, a failing API - comes back to
the orchestrator as an error text. It never ends the trial.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from harness import prompts
from harness.claude import Claude, Refused
from harness.errors import ApiError
from harness.letta import ToolCall, ToolReturn
from harness.transcript import Called, Event, Fault, Returned, Said, Spent, Wrote
from harness.trial import Pair, Task, shorten, well_formed
from harness.workspace import Workspace, WorkspaceError, inside

MAX_SPEC_CHARS = 50_000
FENCE = re.compile(r"^(?P<indent>[ \t]{0,3})(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$", re.MULTILINE)
FILE_NAME = re.compile(r"[\w./-]*\w\.py\b")
Author = Literal["coder", "tester"]
PYTHON = {"python", "py", "python3", "pycon"}


class ToolError(Exception):
    """A tool call that cannot be carried out; the message is meant for the orchestrator."""


@dataclass(frozen=True)
class Tools:
    """The coder and the tester of one trial.

    Attributes:
        note: Told of every event as it happens.
    """

    task: Task
    pair: Pair
    claude: Claude
    workspace: Workspace
    note: Callable[[Event], None]

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """Tool name -> what Letta offers to the model."""
        return prompts.definitions(guided=self.pair.flow == "guided")

    def call(self, call: ToolCall, attempt: int) -> ToolReturn:
        """Carry out a tool call, whatever the model put into it."""
        self.note(Called(attempt, call.call_id, call.name, call.arguments))
        try:
            ok, text = True, self._run(call, attempt)
        except (ToolError, WorkspaceError, Refused) as error:
            ok, text = False, f"Error: {error}"
        except ApiError as error:
            # The orchestrator may go on, but the trial can no longer tell anything about the models.
            self.note(Fault(attempt, str(error)))
            ok, text = False, "Error: Claude could not be reached."
        self.note(Returned(attempt, call.call_id, ok, text))
        return ToolReturn(call.call_id, ok, text)

    def _run(self, call: ToolCall, attempt: int) -> str:
        asked = _arguments(call)
        return self._code(attempt, asked) if call.name == prompts.CODER_TOOL else self._test(attempt, asked)

    def _code(self, attempt: int, asked: _Arguments) -> str:
        path = inside(asked.file_name or self.task.code_file, asked.folder)
        prompt = prompts.CODER_TASK.format(spec=asked.spec, path=path)
        prompt += self._current_file(path) + self._given_files(besides={path})
        return self._ask(attempt, "coder", prompt, path)

    def _test(self, attempt: int, asked: _Arguments) -> str:
        code_path = inside(asked.code_file or self.task.code_file, asked.folder)
        path = inside(asked.file_name or self.task.test_file, asked.folder)
        if code_path not in self.workspace:
            raise ToolError(f"there is no {code_path} to test yet; call {prompts.CODER_TOOL} first")
        if path == code_path:
            raise ToolError(f"the tests would overwrite {code_path}; name another file")
        prompt = prompts.TESTER_TASK.format(
            spec=asked.spec, code=fenced(self.workspace[code_path]), path=path, module=module_of(code_path)
        )
        prompt += self._current_file(path) + self._given_files(besides={path, code_path})
        return self._ask(attempt, "tester", prompt, path)

    def _current_file(self, path: str) -> str:
        if path not in self.workspace:
            return ""
        return prompts.CURRENT_FILE.format(code=fenced(self.workspace[path]))

    def _given_files(self, besides: set[str]) -> str:
        given = [path for path in sorted(self.task.files) if path not in besides]
        return "".join(
            prompts.OTHER_FILE.format(path=path, code=fenced(self.workspace[path])) for path in given
        )

    def _ask(self, attempt: int, role: Author, prompt: str, path: str) -> str:
        coder = role == "coder"
        model, system = (self.pair.coder, prompts.CODER) if coder else (self.pair.tester, prompts.TESTER)
        limit = min(self.task.limits.max_tokens, self.pair.max_tokens or self.task.limits.max_tokens)
        answer = self.claude.ask(role, model, system, prompt, limit)
        self.note(Spent(attempt, role, answer.model, answer.usage))
        self.note(Said(attempt, role, answer.text))
        code = extract_code(answer.text, path, cut_off=answer.cut_off)
        if code is None:
            why = f"was cut off at {limit} tokens before it was whole" if answer.cut_off else "held no code"
            raise ToolError(f"Claude's answer {why}; {path} was not written")
        self.workspace.write(path, code)
        self.note(Wrote(attempt, role, path, code))
        count = code.count("\n")
        return f"Wrote {path} ({count} {'line' if count == 1 else 'lines'})."


@dataclass(frozen=True)
class _Arguments:
    spec: str
    file_name: object
    folder: object
    code_file: object


def _arguments(call: ToolCall) -> _Arguments:
    if call.name not in (prompts.CODER_TOOL, prompts.TESTER_TOOL):
        raise ToolError(
            f"there is no tool {shorten(call.name)!r}; use {prompts.CODER_TOOL} or {prompts.TESTER_TOOL}"
        )
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        raise ToolError("the arguments are not valid JSON") from None
    if not isinstance(given, dict):
        raise ToolError("the arguments must be a JSON object")
    spec = given.get("spec")
    if not isinstance(spec, str) or not spec.strip():
        raise ToolError("spec must say, as text, what is to be written")
    if len(spec) > MAX_SPEC_CHARS:
        raise ToolError(f"spec has {len(spec)} characters; at most {MAX_SPEC_CHARS} are accepted")
    language = given.get("language") or "python"
    if not isinstance(language, str) or language.strip().lower() not in PYTHON:
        raise ToolError(f"language {shorten(str(language))!r} is not supported; only python is")
    return _Arguments(
        well_formed(spec.rstrip()), given.get("file_name"), given.get("workspace_dir"), given.get("code_file")
    )


def module_of(path: str) -> str:
    """The module name by which a file of the workspace is imported: ``pkg/core.py`` -> ``pkg.core``."""
    return ".".join(PurePosixPath(path).with_suffix("").parts)


def fenced(code: str) -> str:
    """Code in a fence that is longer than any in it."""
    code = well_formed(code)
    ticks = max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1
    return f"{'`' * ticks}python\n{code.rstrip()}\n{'`' * ticks}"


def extract_code(answer: str, path: str, *, cut_off: bool = False) -> str | None:
    """The file that an answer holds, or None.

    Of several fenced blocks the one that names the file wins; then one that names no other; then the
    longest that is Python and compiles; then the longest. Without a fence the whole answer counts if it
    compiles and defines something. A fence that was never closed holds the rest of the answer, unless
    that was cut off.
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
        named = self._named()
        compiles = self._is_python and _compiles(self.code)
        return path in named, not named, compiles

    @property
    def _is_python(self) -> bool:
        return (self.info.split() or ["python"])[0].lower() in PYTHON

    def _named(self) -> list[str]:
        """The Python files that the fence, the line before it or a comment at its top names."""
        first = self.code.split("\n", 1)[0]
        return FILE_NAME.findall(f"{self.info}\n{self.before}\n{first if first.startswith('#') else ''}")


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


def _compiles(code: str) -> bool:
    return _parsed(code) is not None


def _defines(code: str) -> bool:
    tree = _parsed(code)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    return tree is not None and any(isinstance(node, kinds) for node in tree.body)


def _parsed(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
