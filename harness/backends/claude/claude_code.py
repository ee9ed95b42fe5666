"""Claude as coder and tester through the Claude CLI, with the user's own login or any endpoint: opt-in.

The unmodified CLI is a program of its own, with requests of its own, and where it logs in by itself nothing
may stand between it and its service. So what is recorded is not its HTTP, but one exchange for each
question, with a service called ``claude-code``: what the harness asked and gave, and the CLI's report of tool
calls, texts, tokens and costs. A replay executes the reported ``Write`` calls again, without CLI or login.

    recording   question -> CLI in a folder with the trial's files -> report; its calls, executed again, have
                to leave what the folder holds
    replaying   question -> the recorded report -> its calls executed again
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.agents.messages import Answer, Refused
from harness.agents.python_text import fenced
from harness.agents.transcript import Role, Usage, count
from harness.backends.claude.messages_api import WHOLE, is_for_content
from harness.backends.retries import unusable
from harness.errors import ApiError
from harness.text import is_safe_path, well_formed

ADDRESS = "http://claude-code/ask"
FENCES, ESCAPED = re.compile(r"`{3,}|~{3,}"), r"\\\g<0>"
MAX_COST_USD = 1_000_000
LIMITS = ("error_max_turns", "error_max_budget_usd")


class Channel(Protocol):
    """Records or plays questions: ``record_replay.Recording`` and ``record_replay.Player``."""

    def exchange(self, url: str, asked: Any, live: Callable[[], Any]) -> Any:
        """Return the answer to a question: from ``live``, and kept, or the recorded one."""


@dataclass(frozen=True)
class ClaudeCode:
    """Claude behind the CLI, which ``run`` asks. ``files``: returns the trial's files as they are now."""

    files: Callable[[], Mapping[str, str]]
    channel: Channel
    run: Callable[[Mapping[str, Any]], dict[str, Any]]

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:
        """Send one prompt (``Claude.ask``); the answer holds each written file in a fence that names it."""
        asked = {"role": role, "model": model, "system": system, "prompt": prompt, **options}
        question = {**asked, "files": dict(self.files())}
        report = self.channel.exchange(ADDRESS, question, lambda: self.run(question))
        try:
            return _answer(report, model)
        except (AttributeError, KeyError, TypeError) as error:
            what = "the Claude CLI reported something else than expected"
            raise unusable("claude", what, error, "update the harness and claude-agent-sdk") from None

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Refuse: the CLI is no endpoint. A pair with it has client tools."""
        raise ApiError(f"the Claude CLI cannot answer for the {role} in Letta's sandbox: {sorted(body)}")


def _answer(report: Mapping[str, Any], model: str) -> Answer:
    result = report["result"]
    cost = result.get("notional_cost_usd")
    if cost is not None and not (type(cost) in (int, float) and 0 <= cost <= MAX_COST_USD):
        raise TypeError(f"expected a cost in US dollars, got {str(cost)[:40]!r}")
    status, text = result["api_error_status"], well_formed(str(result["text"] or ""))
    if result["is_error"] and result["subtype"] not in LIMITS:
        if is_for_content(status, text):
            raise Refused(text)
        remedy = "check the login of the Claude CLI, its limits and the model's name"
        if any(word in text.lower() for word in ("login", "api key", "token")):
            remedy = "log in with `claude`, or set CLAUDE_CODE_OAUTH_TOKEN (from `claude setup-token`)"
        raise ApiError(f"Claude Code ({model}): {status or ''} {text or result['subtype']}", remedy=remedy)
    # Quoted, and its fences escaped: code that it only talks of is not written.
    text = "\n".join(f"> {FENCES.sub(ESCAPED, line)}" for line in text.splitlines())
    blocks = [f"{path}\n{fenced(code)}" for path, code in written(report["messages"]).items()]
    return Answer(
        text="\n\n".join([text, *blocks] if text else blocks),
        model=model,
        # The CLI reports none when it failed before its first answer.
        usage=Usage.from_messages(result["usage"]) if result["usage"] else Usage(),
        # Out of turns, money or tokens: what was written counts all the same, as its fence has an end.
        cut_off=result["subtype"] in LIMITS or result["stop_reason"] not in WHOLE,
        steps=max(1, count(result.get("num_turns"))),
    )


def written(messages: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the files that may be part of a workspace, among those of ``reported``."""
    return {path: text for path, text in reported(messages).items() if is_safe_path(path)}


def reported(messages: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the files that the reported calls wrote into the folder: path -> text.

    Calls that the CLI refused wrote none.
    """
    returns = [each for each in messages if each["kind"] == "returned"]
    done = {each["id"] for each in returns} - {each["id"] for each in returns if each["is_error"]}
    files: dict[str, str] = {}
    for each in messages:
        if each["kind"] == "called" and each["tool"] == "Write" and each["id"] in done:
            path = str(each["input"]["file_path"]).removeprefix("./")
            if not path.startswith("/") and ".." not in path.split("/"):
                files.pop(path, None)
                files[path] = well_formed(str(each["input"]["content"]))
    return files
