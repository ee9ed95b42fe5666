"""Stand-ins for Claude that are no models: they answer with code of the task file, or with a script of it.

    oracle       the reference; as tester the acceptance tests
    obedient     the reference; but of the task's conventions those that the prompt states
    bug[:NAME]   the task's first known bug, or the one of that name
    trivial      a test that is true of any code
    script:NAME  call for call what the task's script of that name says; afterwards as ``oracle``
    fault:KIND@N[,KIND@N]  as ``oracle``, but for the calls with these numbers

Kinds of fault: ``error`` (the service cannot be used: no measurement), ``refused`` (a request is refused for
what is in it: the orchestrator gets an error), ``truncated`` (the answer is cut off in its middle), ``slow``
(it takes ``SLOW_S``, live; a replay does not wait).

They use no tokens. With an oracle a trial measures the orchestrator alone; with a bug, the graders; with
scripts and faults, how both and the harness cope with failures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.agents.messages import Answer, Refused
from harness.agents.python_text import fenced
from harness.agents.transcript import Role, Usage
from harness.errors import ApiError, SpecError
from harness.tasks.task import Step, Task

TRIVIAL = "def test_nothing():\n    assert True\n"
SLOW_S = 2.0


def no_wait(_: float) -> None:
    """Return at once: a replay does not wait."""


class Mock:
    """Claude's two roles for one task and one conversation. SpecError: the task has no such bug or script."""

    def __init__(self, task: Task, wait: Callable[[float], None] = no_wait) -> None:
        self._task = task
        self._wait = wait
        self._calls: dict[Role, int] = {"coder": 0, "tester": 0}

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:  # noqa: ARG002
        """Answer with a file of the task; see ``Claude.ask``."""
        self._calls[role] += 1
        step = self._step(role, model, self._calls[role])
        if step.fault == "error":
            raise ApiError(f"the mock {model} fails on call {self._calls[role]} of the {role}, as told")
        if step.fault == "refused":
            raise Refused(f"400 the mock {model} refuses call {self._calls[role]} of the {role}, as told")
        if step.fault == "slow":
            self._wait(SLOW_S)
        if model == "obedient":
            step = self._unaware(prompt)
        text = step.answer or self._answer(role, model, step)
        cut_off = step.fault == "truncated"
        return Answer(text[: len(text) // 2] if cut_off else text, model, Usage(), cut_off=cut_off)

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Answer in the form of the Messages API; see ``Claude.forward``."""
        answer = self.ask(role, body["model"], body["system"], "", {})
        message = {
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [{"type": "text", "text": answer.text}],
            "stop_reason": "max_tokens" if answer.cut_off else "end_turn",
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return json.dumps(message).encode()

    def _unaware(self, prompt: str) -> Step:
        """Return the step that writes the known bug of the first convention that a prompt does not state."""
        unstated = (bug for bug, phrase in self._task.conventions.items() if phrase not in prompt)
        return Step(bug=next(unstated, ""))

    def _step(self, role: Role, model: str, number: int) -> Step:
        """Return the step for a call, counted from 1 for each role."""
        kind, _, what = model.partition(":")
        if kind == "fault":
            faults = {call: fault for fault, _, call in (each.partition("@") for each in what.split(","))}
            return Step.model_validate({"fault": faults.get(str(number), "none")})
        if kind != "script":
            return Step()
        if what not in self._task.scripts:
            raise self._lacking(role, model, kind, self._task.scripts)
        script = self._task.scripts[what]
        steps = script.coder if role == "coder" else script.tester
        return steps[number - 1] if number <= len(steps) else Step()

    def _answer(self, role: Role, model: str, step: Step) -> str:
        """Return a file in a fence; the coder's among all that it has to write, if these are several."""
        text = fenced(self._file(role, model, step))
        if role != "coder" or not self._task.code_files:
            return text
        others = [f"{path}\n{fenced(code)}" for path, code in self._task.code_files.items()]
        return "\n\n".join([*others, f"{self._task.code_file}\n{text}"])

    def _file(self, role: Role, model: str, step: Step) -> str:
        kind, _, what = model.partition(":")
        if not step.bug and kind != "bug":
            given = self._task.reference if role == "coder" else self._task.acceptance
            return TRIVIAL if model == "trivial" else given
        for bug in self._task.bugs:
            if (step.bug or what) in ("", bug.name):
                return bug.code
        raise self._lacking(role, model, "bug", [bug.name for bug in self._task.bugs])

    def _lacking(self, role: Role, model: str, kind: str, names: Iterable[str]) -> SpecError:
        """Return the error of a pair that asks for a bug or a script that the task does not have."""
        known = ", ".join(map(repr, names)) or "none"
        text = f"the task {self._task.id} has no such {kind}; it has {known}"
        return SpecError([f"the pair's {role} is {model!r}: {text}"])
