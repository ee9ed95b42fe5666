"""The way of one agent to its model: the App Server's request in, the provider's out, and back.

The App Server neither passes on an agent's temperature nor keeps its tools apart from one model call to the
next, and it loops for ever on a tool call id that a model uses twice. So its requests pass here, where

- the temperature of the agent is put in, and parallel tool calls are switched off, as V1 does it;
- the tools are those on offer now. One that was not there when the turn began is unknown to the App
  Server: its calls travel under the name of ``CARRIER``, a tool that no model is shown;
- tool call ids are numbered by agent;
- a tool that takes longer than the App Server waits has its return put in here, in time for the model;
- model calls are counted and bounded, and their tokens added up as the provider reports them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.local.app_server.providers import Provider, ProviderError

CARRIER = "tool_offered_later"
MAX_STEPS = 50  # model calls between two requests of the harness; V1's own default
_NOT_FOR_PROVIDERS = ("stream", "stream_options", "store")


@dataclass
class Spent:
    """Model calls and tokens, cached ones included in ``prompt``, as V1 reports them."""

    steps: int = 0
    prompt: int = 0
    cached: int = 0
    output: int = 0


@dataclass
class LateReturn:
    """The return of a tool call that the App Server no longer waits for."""

    text: str = ""
    there: threading.Event = field(default_factory=threading.Event)


@dataclass
class ModelCalls:
    """The model calls of one agent.

    Attributes:
        offered: The tools on offer now, name -> definition of the harness.
        known: Names of the tools that the App Server knows of in this turn.
        asked: All tool calls of the model: id -> name and arguments as it wrote them.
        late: Returns that the App Server does not know: tool call id -> what the model is to see.
        exhausted: ``MAX_STEPS`` was reached.
        failure: Why the last model call failed; empty if it did not.
    """

    provider: Provider
    model: str
    temperature: float | None = None
    max_steps: int = MAX_STEPS
    offered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    late: dict[str, LateReturn] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    exhausted: bool = False
    failure: str = ""

    def begin(self, offered: Sequence[Mapping[str, Any]]) -> None:
        """Begin to count for the next answer to the harness, which offers these tools."""
        self.offered = {str(tool["name"]): tool for tool in offered}
        self.spent, self.exhausted, self.failure = Spent(), False, ""

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the model; return its answer as the App Server is to see it.

        Raises:
            ProviderError: The provider failed, or no further model call is allowed.
        """
        request = self._request(body)
        if self.spent.steps >= self.max_steps:
            self.exhausted = True
            raise ProviderError(400, f"{self.max_steps} model calls in one turn")
        self.spent.steps += 1
        try:
            answer = self.provider.complete(request)
        except ProviderError as error:
            self.failure = str(error)
            raise
        self.failure = ""
        self._count(answer.get("usage"))
        return self._renamed(answer)

    def _request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        request = {key: value for key, value in body.items() if key not in _NOT_FOR_PROVIDERS}
        # First: it may wait for a tool, and with its return come the tools that are offered then.
        messages = [self._as_the_model_knows_it(each) for each in body.get("messages", ())]
        request |= {"model": self.model, "messages": messages}
        theirs = {tool["function"]["name"]: tool for tool in request.pop("tools", None) or ()}
        tools = [theirs.get(name) or _function(tool) for name, tool in self.offered.items()]
        if tools:
            request |= {"tools": tools, "parallel_tool_calls": False}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        return request

    def _as_the_model_knows_it(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message of the conversation with the model's own tool names and the true returns."""
        late = self.late.get(message.get("tool_call_id", ""))
        if late is not None:
            late.there.wait()
            return {**message, "content": late.text}
        calls = [
            {**call, "function": {**call["function"], "name": self.asked[call["id"]][0]}}
            for call in message.get("tool_calls") or ()
            if call["id"] in self.asked
        ]
        return {**message, "tool_calls": calls} if calls else dict(message)

    def _renamed(self, answer: dict[str, Any]) -> dict[str, Any]:
        message = answer["choices"][0]["message"]
        calls = []
        for call in message.get("tool_calls") or ():
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            call_id = f"call_{len(self.asked) + 1}"
            self.asked[call_id] = (name, arguments)
            carried = name in self.offered and name not in self.known
            function = {"name": CARRIER if carried else name, "arguments": arguments}
            calls.append({"id": call_id, "type": "function", "function": function})
        choice = {**answer["choices"][0], "message": {**message, "tool_calls": calls}}
        return {**answer, "choices": [choice]}

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        self.spent.prompt += usage.get("prompt_tokens") or 0
        self.spent.cached += cached or 0
        self.spent.output += usage.get("completion_tokens") or 0


def carrier() -> dict[str, Any]:
    """Return the definition under which the App Server knows tools that are offered in mid-turn."""
    anything = {"type": "object", "properties": {}, "additionalProperties": True}
    return {"name": CARRIER, "description": "A tool that is offered later.", "parameters": anything}


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    named = {key: tool[key] for key in ("name", "description", "parameters") if tool.get(key) is not None}
    return {"type": "function", "function": named}


def stream(answer: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a whole answer as the server-sent events of a streamed one."""
    head = {"id": answer.get("id", "chatcmpl-1"), "object": "chat.completion.chunk", "created": 0}
    head["model"] = answer.get("model", "")
    choice = answer["choices"][0]
    message = choice["message"]
    delta = {key: message[key] for key in ("content", "reasoning_content") if message.get(key)}
    if calls := message.get("tool_calls"):
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    reason = "tool_calls" if calls else choice.get("finish_reason") or "stop"
    first = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": None}
    last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": reason}
    for chunk in (
        {**head, "choices": [first]},
        {**head, "choices": [last]},
        {**head, "choices": [], "usage": answer.get("usage")},
    ):
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"
