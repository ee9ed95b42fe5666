"""One agent of the App Server, and its conversation as V1 answers.

The App Server executes the calls of one model answer one after the other and asks for each when it is its
turn: so each is a V1 answer of its own. Calls that it refuses itself (unknown tool, arguments that do not
fit) never reach the harness: they come as a tool call with a failed return.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.local.app_server.connection import Connection, Frame
from harness.local.app_server.errors import Refusal
from harness.local.app_server.gateway import LateReturn, ModelCalls, carrier

TURN_S = 590.0  # the harness waits 600 s for an answer
TOOL_MS = 300_000  # the most that the App Server waits for a tool
TOOL_S = 270.0  # after which the model gets the return from the gateway
LATE = "The tool is still running."
# What of V1's body for a new agent the App Server knows by the same name.
_KEPT = ("name", "system", "memory_blocks", "tags", "context_window_limit")


@dataclass
class Turn:
    """What has come of a turn since the harness last heard of it."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    pieces: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append a message; ids and dates are ours."""
        date = datetime.now(UTC).isoformat()
        self.messages.append({"id": f"message-{uuid.uuid4()}", "date": date, "message_type": kind, **fields})
        return self.messages[-1]

    def hear(self, delta: Mapping[str, Any]) -> None:
        """Take a piece of a text, as the model's answer is passed on."""
        kind = delta["message_type"]
        name = "reasoning" if kind == "reasoning_message" else "content"
        key = (f"{delta.get('run_id')}/{delta.get('id')}", kind)
        if key not in self.pieces:
            self.pieces[key] = self.add(kind, **{name: ""})
        self.pieces[key][name] += _text(delta.get(name))


class Conversation:
    """An agent and its only conversation; one request at a time."""

    def __init__(
        self, connection: Connection, calls: ModelCalls, model: str, body: Mapping[str, Any], folder: Path
    ) -> None:
        self.calls = calls
        self._connection = connection
        self._requests: dict[str, str] = {}  # tool calls that wait for their return -> id of the request
        self._requested: set[str] = set()
        self._lock = threading.Lock()
        create = {name: body[name] for name in _KEPT if body.get(name) is not None}
        create |= {"model": model, "include_base_tools": False}
        started = connection.ask(
            "runtime_start",
            create_agent={"body": create, "pin_global": False},
            create_conversation={},
            mode="unrestricted",
            cwd=str(folder),
            skill_sources=[],
        )
        self.runtime: dict[str, str] = started["runtime"]

    def say(self, text: str, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Send a user message; return the V1 answer up to the next tool call or the end of the turn."""
        if self._requests:
            raise Refusal(400, "the agent waits for the return of a tool call")
        self.calls.begin(tools)
        self.calls.known = frozenset(self.calls.offered)
        known = [{**each, "auto_background": False, "timeout_ms": TOOL_MS} for each in (*tools, carrier())]
        update = {"runtimes": [self.runtime], "external_tools": [{"tools": known}]}
        self._connection.ask("runtime_external_tools_update", updates=[update])
        message = {"role": "user", "content": text, "client_message_id": self._connection.new_id("message")}
        payload = {
            "kind": "create_message",
            "messages": [message],
            # Without it the model gets the server's own tools, which act on this machine.
            "client_toolset": {"base": "none"},
            "client_tool_allowlist": [each["name"] for each in known],
        }
        self._connection.ask("input", runtime=self.runtime, payload=payload)
        return self._listen()

    def answer(
        self, approvals: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Send the return of the tool call that the agent waits for; else as ``say``."""
        self.calls.begin(tools)
        for each in approvals:
            call_id, text = str(each["tool_call_id"]), _text(each["tool_return"])
            with self._lock:
                request, late = self._requests.pop(call_id, None), self.calls.late.get(call_id)
            if request is not None:
                self._return(request, text, failed=each["status"] != "success")
            elif late is not None and not late.there.is_set():
                late.text = text
                late.there.set()
            else:
                raise Refusal(400, f"the agent does not wait for the tool call {call_id!r}")
        return self._listen()

    def close(self) -> None:
        """End whatever waits for something of this conversation."""
        self.calls.max_steps = 0
        for late in self.calls.late.values():
            late.there.set()
        self._connection.close()

    def _return(self, request: str, text: str, *, failed: bool) -> None:
        result = {"content": [{"type": "text", "text": text}], "is_error": failed}
        self._connection.send(
            {"type": "external_tool_call_response", "request_id": request, "result": result}
        )

    def _listen(self) -> dict[str, Any]:
        turn, deadline = Turn(), time.monotonic() + TURN_S
        while True:
            frame = self._connection.receive(deadline, "the App Server did not end its turn")
            if frame.get("runtime", self.runtime) != self.runtime:
                continue
            delta = frame.get("delta") or {}
            match frame.get("type"), delta.get("message_type"):
                case "external_tool_call_request", _:
                    return self._pause(turn, frame)
                case "turn_finished", _:
                    return self._finish(turn, frame)
                case _, "assistant_message" | "reasoning_message":
                    turn.hear(delta)
                case _, "tool_return_message" if delta.get("tool_call_id") not in self._requested:
                    self._refused(turn, delta)

    def _pause(self, turn: Turn, frame: Frame) -> dict[str, Any]:
        call_id = str(frame["tool_call_id"])
        name, arguments = self.calls.asked.get(call_id, (frame["tool_name"], "{}"))
        self._requested.add(call_id)
        self._requests[call_id] = frame["request_id"]
        timer = threading.Timer(TOOL_S, self._stop_waiting, [call_id])
        timer.daemon = True
        timer.start()
        call = {"tool_call_id": call_id, "name": name, "arguments": arguments}
        turn.add("approval_request_message", tool_call=call, tool_calls=[call])
        return self._v1(turn, "requires_approval")

    def _stop_waiting(self, call_id: str) -> None:
        """Let the App Server go on before it gives up; the gateway holds its model call back."""
        with self._lock:
            request = self._requests.pop(call_id, None)
            if request is None:
                return
            self.calls.late[call_id] = LateReturn()
        try:
            self._return(request, LATE, failed=False)
        except Refusal:
            return  # whoever answers the call hears of it

    def _refused(self, turn: Turn, delta: Mapping[str, Any]) -> None:
        call_id = str(delta.get("tool_call_id"))
        name, arguments = self.calls.asked.get(call_id, ("", ""))
        call = {"tool_call_id": call_id, "name": name, "arguments": arguments}
        turn.add("tool_call_message", tool_call=call, tool_calls=[call])
        status = "error" if delta.get("status") == "error" else "success"
        told = {"tool_call_id": call_id, "status": status, "tool_return": _text(delta.get("tool_return"))}
        turn.add("tool_return_message", **told, tool_returns=[told | {"type": "tool"}])

    def _finish(self, turn: Turn, frame: Frame) -> dict[str, Any]:
        self._requests.clear()
        stop = str(frame.get("stop_reason"))
        if self.calls.exhausted:
            return self._v1(turn, "max_steps")
        if stop == "end_turn":
            return self._v1(turn, stop)
        if self.calls.failure:
            raise Refusal(424, self.calls.failure, model=True)
        text = " ".join(str(frame.get("error") or "it gives no reason").split())[:300]
        raise Refusal(424, f"the App Server ended the turn with {stop!r}: {text}")

    def _v1(self, turn: Turn, stop: str) -> dict[str, Any]:
        spent = self.calls.spent
        usage = {
            "message_type": "usage_statistics",
            "prompt_tokens": spent.prompt,
            "completion_tokens": spent.output,
            "total_tokens": spent.prompt + spent.output,
            "cached_input_tokens": spent.cached,
            "cache_write_tokens": 0,
            "step_count": spent.steps,
        }
        reason = {"message_type": "stop_reason", "stop_reason": stop}
        return {"messages": turn.messages, "stop_reason": reason, "usage": usage}


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
