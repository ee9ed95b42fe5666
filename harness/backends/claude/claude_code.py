"""Claude as coder and tester through the Claude CLI, with the user's own login or any endpoint: opt-in.

The unmodified CLI is a program of its own, with requests of its own, and where it logs in by itself nothing
may stand between it and its service. So what is recorded is not its HTTP, but one exchange for each
question, with a service called ``claude-code``: what the harness asked and gave, and the tool calls, texts,
tokens and costs that the CLI told of. A replay carries the recorded ``Write`` calls out again; it needs
neither CLI nor login.

    recording   question -> CLI in a folder with the trial's files -> what it told; its calls, carried out
                again, have to leave what the folder holds
    replaying   question -> the recorded exchange -> its calls carried out again
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.agents.code_blocks import fenced
from harness.agents.messages import Answer, Refused
from harness.agents.transcript import Role, Usage
from harness.backends.claude.messages_api import CONTENT
from harness.errors import ApiError
from harness.text import is_safe_path, well_formed

ADDRESS = "http://claude-code/ask"
LIMITS = ("error_max_turns", "error_max_budget_usd")


class Channel(Protocol):
    """Where questions are recorded or played: ``recorder.Recording`` and ``recorder.Player``."""

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:
        """The answer to a question: from ``live`` and kept, or the recorded one."""


Runner = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class ClaudeCode:
    """Claude behind the CLI.

    Attributes:
        files: The trial's files, as they are when a question is asked.
        channel: Records or plays.
        run: Asks the CLI; see ``claude_cli.Cli.run``.
    """

    files: Callable[[], Mapping[str, str]]
    channel: Channel
    run: Runner

    def ask(self, role: Role, model: str, system: str, prompt: str, max_tokens: int) -> Answer:
        """Ask once; see ``Claude.ask``. The answer holds each written file, in a fence that names it."""
        question = {
            "role": role,
            "model": model,
            "system": system,
            "prompt": prompt,
            "max_tokens": max_tokens,
            "files": dict(self.files()),
        }
        told = self.channel.exchange(ADDRESS, question, lambda: self.run(question))
        try:
            return _answer(told, model)
        except (AttributeError, KeyError, TypeError) as error:
            raise ApiError(f"the Claude CLI told something else than expected: {error!r}") from None

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Not possible: the CLI is no endpoint. A pair with it has client tools."""
        raise ApiError(f"the Claude CLI cannot answer for the {role} in Letta's sandbox: {sorted(body)}")


def _answer(told: Mapping[str, Any], model: str) -> Answer:
    result = told["result"]
    status, text = result["api_error_status"], well_formed(str(result["text"] or ""))
    if result["is_error"] and result["subtype"] not in LIMITS:
        if status in (400, 413, 422) and CONTENT.search(text):
            raise Refused(text)
        raise ApiError(
            f"Claude Code ({model}): {status or ''} {text or result['subtype']}", remedy=_remedy(text)
        )
    # Quoted: code that it only talks of is not written.
    text = "\n".join(f"> {line}" for line in text.splitlines())
    blocks = [f"{path}\n{fenced(code)}" for path, code in written(told["messages"]).items()]
    return Answer(
        text="\n\n".join([text, *blocks] if text else blocks),
        model=model,
        # The CLI reports none when it failed before its first answer.
        usage=Usage.from_messages(result["usage"]) if result["usage"] else Usage(),
        # Out of turns, money or tokens: what was written counts all the same, as its fence is closed.
        cut_off=result["subtype"] in LIMITS or result["stop_reason"] == "max_tokens",
    )


def written(messages: list[Mapping[str, Any]]) -> dict[str, str]:
    """The files that the told calls wrote: path -> text. Calls that the CLI refused wrote nothing."""
    failed = {each["id"] for each in messages if each["kind"] == "returned" and each["is_error"]}
    done = {each["id"] for each in messages if each["kind"] == "returned"} - failed
    files: dict[str, str] = {}
    for each in messages:
        if each["kind"] == "called" and each["tool"] == "Write" and each["id"] in done:
            path = str(each["input"]["file_path"]).removeprefix("./")
            if is_safe_path(path):
                files.pop(path, None)
                files[path] = well_formed(str(each["input"]["content"]))
    return files


def _remedy(text: str) -> str:
    if "login" in text.lower() or "api key" in text.lower() or "token" in text.lower():
        return "log in with `claude`, or set CLAUDE_CODE_OAUTH_TOKEN (from `claude setup-token`)"
    return "check the login of the Claude CLI, its limits and the model's name"
