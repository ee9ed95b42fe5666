"""Stand-ins for Claude that are no models: what they write stands in the task file.

As coder: ``oracle`` writes the reference, ``bug`` the task's first known bug, ``bug:NAME`` the one of that
name. As tester: ``oracle`` writes the acceptance tests, ``trivial`` a test that is true of any code. They
use no tokens. With an oracle a trial measures the orchestrator alone; with a bug, the graders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.claude import Answer
from harness.errors import SpecError
from harness.fences import fenced
from harness.transcript import Role, Usage
from harness.trial import Task

TRIVIAL = "def test_nothing():\n    assert True\n"


class Mock:
    """Claude's two roles for one task, without Claude."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def ask(self, role: Role, model: str, system: str, prompt: str, max_tokens: int) -> Answer:  # noqa: ARG002
        """Answer with a file of the task; see ``Claude.ask``.

        Raises:
            SpecError: The task has no such bug.
        """
        code = self._code(model) if role == "coder" else self._tests(model)
        return Answer(fenced(code), model, Usage(), cut_off=False)

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """The same as the Messages API would put it; see ``gateway.Upstream.forward``.

        Raises:
            SpecError: The task has no such bug.
        """
        answer = self.ask(role, body["model"], body["system"], "", body["max_tokens"])
        message = {
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [{"type": "text", "text": answer.text}],
            "stop_reason": "max_tokens" if answer.cut_off else "end_turn",
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return json.dumps(message).encode()

    def _code(self, model: str) -> str:
        if model == "oracle":
            return self._task.reference
        wanted = model.removeprefix("bug").removeprefix(":")
        for bug in self._task.bugs:
            if wanted in ("", bug.name):
                return bug.code
        known = ", ".join(repr(bug.name) for bug in self._task.bugs) or "none"
        raise SpecError([f"the task {self._task.id} has no such bug for the coder {model!r}; it has {known}"])

    def _tests(self, model: str) -> str:
        return self._task.acceptance if model == "oracle" else TRIVIAL
