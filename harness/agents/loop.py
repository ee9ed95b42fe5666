"""The trial's loop: task, tool calls, check, repair.

The orchestrator is given the task, its tool calls are carried out, and if the generated tests fail it is
told so and may repair.

    attempt 1: task -> [tool calls -> returns]* -> end of turn -> check
    attempt n: what the check showed -> [tool calls -> returns]* -> end of turn -> check

With server tools Letta goes through the bracket by itself and tells of it at the end of the turn; each call
is then carried out again, on the answers that Claude gave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.agents import prompts
from harness.agents.messages import ExecutedCall, ToolCall, ToolReturn, Turn
from harness.agents.transcript import Event, Fault, Said, Spent, Stop, Tested
from harness.errors import ApiError
from harness.tasks.trial import Trial

MODEL_FAULTS = {"invalid_llm_response", "invalid_tool_call", "no_tool_call"}
LIMITS: dict[str, Stop] = {
    "max_steps": "step_limit",
    "max_tokens_exceeded": "token_limit",
    "context_window_overflow_in_system_prompt": "token_limit",
}


class Agent(Protocol):
    """The orchestrator's side of the conversation."""

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        """Give it a user message."""

    def work(self, text: str, max_steps: int) -> Turn:
        """Give it a user message, and let it work with its server tools."""

    def answer(self, returns: Sequence[ToolReturn], tools: Sequence[dict[str, Any]]) -> Turn:
        """Give it the returns of the tool calls that it waits for."""


class Toolbox(Protocol):
    """The tools, as the loop needs them."""

    @property
    def definitions(self) -> dict[str, dict[str, Any]]:
        """Tool name -> what is offered to the model."""

    def call(self, call: ToolCall, attempt: int) -> ToolReturn:
        """Carry out a call; never raises for what a model did."""

    def again(self, ran: Sequence[ExecutedCall], attempt: int) -> None:
        """Carry out again what Letta carried out."""


@dataclass(frozen=True)
class Check:
    """What the orchestrator may know of its work.

    Attributes:
        passed: The generated tests pass on the generated code.
        summary: One line.
        output: Cleaned test output, the same on every machine.
    """

    passed: bool
    summary: str
    output: str


class Loop:
    """One trial's conversation. Built for one ``run``."""

    def __init__(
        self,
        trial: Trial,
        agent: Agent,
        tools: Toolbox,
        check: Callable[[], Check],
        note: Callable[[Event], None],
    ) -> None:
        self._trial = trial
        self._agent = agent
        self._tools = tools
        self._check = check
        self._note = note
        self._calls_left = trial.task.limits.max_tool_calls

    def run(self) -> Stop:
        """Work until the tests pass, the repairs are used up, or a limit is reached.

        Raises:
            ApiError: Letta, or the model behind it, failed.
        """
        task = self._trial.task
        names = {"code_file": task.code_file, "test_file": task.test_file, "spec": task.spec.rstrip()}
        message = prompts.TASK.format(**names)
        for attempt in range(1, task.limits.max_repairs + 2):
            stop = self._attempt(attempt, message)
            check = self._check()
            self._note(Tested(attempt, check.passed, check.output))
            if check.passed or stop != "done":
                return stop
            message = prompts.REPAIR.format(summary=check.summary, output=check.output, **names)
        return "done"

    def _attempt(self, attempt: int, message: str) -> Stop:
        self._note(Said(attempt, "user", message))
        if self._trial.pair.tools == "server":
            return self._worked(attempt, message)
        done: list[str] = []
        turn = self._heard(attempt, self._agent.say(message, self._offered(done)))
        while turn.calls:
            returns = []
            for call in turn.calls:
                if not self._calls_left:
                    return "tool_call_limit"
                self._calls_left -= 1
                returns.append(self._tools.call(call, attempt))
                if returns[-1].ok:
                    done.append(call.name)
            turn = self._heard(attempt, self._agent.answer(returns, self._offered(done)))
        return LIMITS.get(turn.stop, "done")

    def _worked(self, attempt: int, message: str) -> Stop:
        """An attempt with server tools: as many steps as there are tool calls left.

        So an orchestrator that uses up its tool calls does not get to speak its last word.
        """
        if not self._calls_left:
            return "tool_call_limit"
        turn = self._agent.work(message, self._calls_left)
        self._heard(attempt, turn)
        self._calls_left = max(0, self._calls_left - len(turn.ran))
        stop = LIMITS.get(turn.stop, "done")
        return "tool_call_limit" if stop == "step_limit" else stop

    def _carried_out(self, ran: Sequence[ExecutedCall], attempt: int) -> None:
        if self._trial.pair.tools == "server":
            self._tools.again(ran, attempt)

    def _offered(self, done: list[str]) -> list[dict[str, Any]]:
        """The tools on offer. Guided: the coder until it wrote, the tester until it wrote, none."""
        tools = self._tools.definitions
        if self._trial.pair.flow == "guided":
            following = [name for name in (prompts.CODER_TOOL, prompts.TESTER_TOOL) if name not in done][:1]
            return [tools[name] for name in following]
        return list(tools.values())

    def _heard(self, attempt: int, turn: Turn) -> Turn:
        self._note(
            Spent(attempt, "orchestrator", self._trial.pair.orchestrator.model, turn.usage, turn.steps)
        )
        for number, (thinking, text) in enumerate(turn.texts):
            self._carried_out([each for each in turn.ran if each.before == number], attempt)
            self._note(Said(attempt, "orchestrator", text, thinking))
        self._carried_out([each for each in turn.ran if each.before >= len(turn.texts)], attempt)
        known = turn.calls or turn.stop in LIMITS or turn.stop in MODEL_FAULTS
        if not known and turn.stop not in ("end_turn", "tool_rule"):
            error = ApiError(f"Letta ended the turn with {turn.stop!r}", remedy="see the Letta server's log")
            self._note(Fault(attempt, str(error)))
            raise error
        return turn
