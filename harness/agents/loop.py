"""The trial's loop: task, tool calls, check, repair.

The orchestrator gets the task, its tool calls are executed, and if the generated tests fail it gets their
output and may repair. Without a tester there is nothing to tell it: one attempt.

    attempt 1: task -> [tool calls -> returns]* -> end of turn -> check
    attempt n: output of the tests -> [tool calls -> returns]* -> end of turn -> check

With server tools Letta goes through the bracket by itself and reports it at the end of the turn; its calls
are then executed again (``tool_replay.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.agents import prompts
from harness.agents.messages import ExecutedCall, ToolCall, Turn
from harness.agents.tools import Tools
from harness.agents.transcript import Called, Event, Fault, Remembered, Returned, Said, Spent, Stop, Tested
from harness.errors import ApiError
from harness.tasks.trial import Trial

MEMORY_TOOLS = ("memory_insert", "memory_replace")  # of Letta's own
MODEL_FAULTS = {"invalid_llm_response", "invalid_tool_call", "no_tool_call"}
LIMITS: dict[str, Stop] = {
    "max_steps": "step_limit",
    "max_tokens_exceeded": "token_limit",
    "context_window_overflow_in_system_prompt": "token_limit",
}


class Agent(Protocol):
    """The orchestrator's side of the conversation. ApiError: Letta, or the model behind it, failed."""

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        """Send a user message."""

    def work(self, text: str, max_steps: int) -> Turn:
        """Send a user message; the agent works with its server tools for at most so many model calls."""

    def answer(self, returns: Sequence[Returned], tools: Sequence[dict[str, Any]]) -> Turn:
        """Send the returns of the tool calls that the agent waits for."""

    def blocks(self) -> dict[str, str]:
        """Return its memory, label -> text."""

    @property
    def id(self) -> str:
        """Its id in Letta; empty if it lives nowhere."""


@dataclass(frozen=True)
class Check:
    """The result of the generated tests; ``output`` is cleaned, the same on every machine."""

    passed: bool
    summary: str
    output: str


@dataclass
class Loop:
    """One trial's conversation, to be run once.

    Attributes:
        note: Called with every event as it happens.
        replay: Executes again what Letta executed; None with client tools.
    """

    trial: Trial
    agent: Agent
    tools: Tools
    check: Callable[[], Check]
    note: Callable[[Event], None]
    replay: Callable[[Sequence[ExecutedCall], int], None] | None = None
    _waiting: tuple[ToolCall, ...] = ()

    def run(self) -> Stop:
        """Work until the tests pass, the repairs are used up, or a limit is reached.

        Raises:
            ApiError: Letta, or the model behind it, failed.
        """
        task = self.trial.task
        self._calls_left = task.limits.max_tool_calls
        names = {"code_file": task.code_file, "test_file": task.test_file, "spec": task.spec.rstrip()}
        has_tester = self.trial.pair.has_tester
        message = (prompts.TASK if has_tester else prompts.coder_only["task"]).format(**names)
        message = prompts.listing(message, task.written)
        for attempt in range(1, task.limits.max_repairs + 2):
            self.note(Said(attempt, "user", message))
            stop = self._attempt(attempt, message)
            check = self.check()
            if not has_tester:
                return stop
            self.note(Tested(attempt, check.passed, check.output))
            if check.passed or stop != "done":
                return stop
            message = prompts.REPAIR.format(summary=check.summary, output=check.output, **names)
            message = prompts.listing(message, task.written)
        return "done"

    def _attempt(self, attempt: int, message: str) -> Stop:
        if self.replay is not None:
            return self._in_letta(attempt, message)
        done: list[str] = []
        turn = self.listen(attempt, self.agent.say(message, self._offered(done)))
        while turn.calls:
            returns = []
            for call in turn.calls:
                if not self._calls_left:
                    return "tool_call_limit"
                self._calls_left -= 1
                returns.append(self.tools.call(call, attempt))
                if returns[-1].ok:
                    done.append(call.name)
            turn = self.listen(attempt, self.agent.answer(returns, self._offered(done)))
        return LIMITS.get(turn.stop, "done")

    def _in_letta(self, attempt: int, message: str) -> Stop:
        """Make an attempt with server tools, of as many steps as there are tool calls left.

        So an orchestrator that uses up its tool calls is stopped before its final message.
        """
        if not self._calls_left:
            return "tool_call_limit"
        turn = self.listen(attempt, self.agent.work(message, self._calls_left))
        self._calls_left = max(0, self._calls_left - len(turn.ran))
        stop = LIMITS.get(turn.stop, "done")
        return "tool_call_limit" if stop == "step_limit" else stop

    def _offered(self, done: list[str]) -> list[dict[str, Any]]:
        """Choose the tools on offer. Guided: the coder until it wrote, the tester until it wrote, none."""
        tools = self.tools.definitions
        if self.trial.pair.flow == "guided":
            calls = {prompts.CODER_TOOL: len(self.trial.task.written), prompts.TESTER_TOOL: 1}
            following = [name for name in tools if done.count(name) < calls[name]][:1]
            return [tools[name] for name in following]
        return list(tools.values())

    def end_turn(self, attempt: int) -> None:
        """Refuse the calls that still wait for a return: until then Letta takes no other message."""
        if self._waiting:
            why = prompts.memory["stopped"]
            refused = [Returned(attempt, each.call_id, ok=False, text=why) for each in self._waiting]
            self.listen(attempt, self.agent.answer(refused, []))

    def listen(self, attempt: int, turn: Turn) -> Turn:
        """Note a turn: its tokens, texts and server tools, in order.

        Raises:
            ApiError: Letta ended it for a reason that is no model's doing.
        """
        model = self.trial.pair.orchestrator.model
        self._waiting = turn.calls
        self.note(Spent(attempt, "orchestrator", model, turn.usage, turn.steps))
        remembered = [each for each in turn.ran if each.call.name in MEMORY_TOOLS]
        if self.replay is None:
            self._note_refused(attempt, [each for each in turn.ran if each not in remembered])
        last = len(turn.texts)
        for number in range(last + 1):
            if self.replay is not None:
                self.replay([each for each in turn.ran if min(each.before, last) == number], attempt)
            for each in remembered:
                if min(each.before, last) == number:
                    called = each.call
                    self.note(
                        Remembered(attempt, called.call_id, called.name, called.arguments, each.ok, each.text)
                    )
            for thinking, text in turn.texts[number : number + 1]:
                self.note(Said(attempt, "orchestrator", text, thinking))
        known = turn.calls or turn.stop in LIMITS or turn.stop in MODEL_FAULTS
        if not known and turn.stop not in ("end_turn", "tool_rule"):
            error = ApiError(
                f"Letta ended the turn with {turn.stop!r}",
                remedy="see the Letta server's log",
                service="letta",
            )
            self.note(Fault(attempt, str(error)))
            raise error
        return turn

    def _note_refused(self, attempt: int, refused: Sequence[ExecutedCall]) -> None:
        """Note the client tool calls that the server itself refused; they count as any other."""
        for each in refused:
            self._calls_left = max(0, self._calls_left - 1)
            self.note(Called(attempt, each.call.call_id, each.call.name, each.call.arguments))
            self.note(Returned(attempt, each.call.call_id, each.ok, each.text))
