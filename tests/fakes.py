"""Deterministic stand-ins for Letta and Claude on loopback, for tests that record.

They answer as the real servers do (shapes taken from recordings), and the same every time but for Letta's
ids and dates; they are no part of any benchmark, and nothing of theirs is ever committed as a cassette.
"""

from __future__ import annotations

import abc
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

from harness.backends.limiter import Limiter
from harness.sandbox import Test, TestRun

CODE = "def add(a: int, b: int) -> int:\n    return a + b\n"
TESTS = "from add import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
Answer = tuple[int, Any]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece: two would wait for each other

    def log_message(self, *_: Any) -> None:
        pass

    def _go(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw) if raw else None
        answer = self.server.fake.respond(self.command, self.path, body, dict(self.headers))
        if callable(answer):  # a fault below HTTP
            self.close_connection = True
            answer(self)
        elif answer[0] == 0:  # drop the connection without an answer
            self.close_connection = True
            self.connection.close()
        else:
            self._send(*answer)

    def _send(self, status: int, answer: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        fake = self.server.fake
        data = fake.encode(json.dumps(answer).encode())
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if fake.chunked:
            self.send_header("transfer-encoding", "chunked")
            parts = [data[:7], data[7:], b""]
            data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        else:
            self.send_header("content-length", str(len(data)))
        for name, value in {**fake.label, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _go  # noqa: N815


def reset(handler: Handler) -> None:
    """A fault: the connection is reset, as by a server that died."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())  # at once, before socketserver says a polite goodbye


def acted(method: str, fake: Fake) -> Callable[[Handler], None]:
    """A fault: the server did what it was asked, and its answer is lost."""

    def go(handler: Handler) -> None:
        fake.answer(method, handler.path, None)
        reset(handler)

    return go


def half_a_body(handler: Handler) -> None:
    """A fault: fewer bytes than the answer's head promised."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "msg_1", "content": [{"type": "te')


def half_a_stream(handler: Handler) -> None:
    """A fault: a chunked answer without its last chunks."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'9\r\n{"id": "m\r\n9\r\nsg_1", ')


class Never:
    """A fault: no answer for as long as the test runs. ``over`` ends the wait.

    ``expired``: the test took so long that the wait ended by itself, not by the client's timeout.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self.expired = False

    def __call__(self, _: Handler) -> None:
        self.expired = not self.over.wait(60)


class Fake(abc.ABC):
    """A loopback server. ``faults`` answers the next requests in place of the real thing.

    A fault is a pair: how the path ends, and an answer, or a function that does worse to the connection, or
    None for one right answer in between. ``encode`` and ``label``: how bodies are compressed, and the headers
    that say so.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[tuple[str, Any]] = []
        self.url = ""
        self.encode: Callable[[bytes], bytes] = bytes
        self.label: Mapping[str, str] = {}
        self.chunked = False

    def respond(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        """What to answer, after the request was noted."""
        self.requests.append((method, path, body))
        self.headers.append(headers)
        if self.faults and path.endswith(self.faults[0][0]):
            fault = self.faults.pop(0)[1]
            if fault is not None:
                return fault
        return self.answer(method, path, body)

    @abc.abstractmethod
    def answer(self, method: str, path: str, body: Any) -> Any:
        """Status and JSON body, and perhaps headers."""

    @contextmanager
    def running(self) -> Iterator[Any]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.fake = self
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def now() -> str:
    """A date as Letta writes it."""
    return datetime.now(UTC).isoformat()


def call(tool: str, **arguments: Any) -> tuple[str, str, str]:
    """A step of FakeLetta: the orchestrator calls a tool."""
    return "call", tool, json.dumps(arguments)


def say(text: str, stop: str = "end_turn") -> tuple[str, str, str]:
    """A step of FakeLetta: the orchestrator speaks and ends its turn."""
    return "say", text, stop


CODER_THEN_TESTER = (
    call("run_claude_coder", spec="add two numbers", file_name="add.py"),
    call("run_claude_tester", spec="add two numbers", code_file="add.py", file_name="test_add.py"),
    say("Both files are written."),
)


class FakeLetta(Fake):
    """Plays a script: each message takes the next step; after the last it starts again."""

    def __init__(self, steps: tuple[tuple[str, str, str], ...] = CODER_THEN_TESTER) -> None:
        super().__init__()
        self.agents: dict[str, str] = {}
        self.handles = ["local/scripted", "openai/gpt-5", "openai/gpt-5-mini"]
        self._script: Callable[[], Iterator[Any]] = lambda: itertools.cycle(steps)
        self._playing: dict[str, Iterator[Any]] = {}
        self._calls = itertools.count()

    def answer(self, method: str, path: str, body: Any) -> Any:
        if path == "/v1/health/":
            return 200, {"version": "0.16.8", "status": "ok"}
        if path == "/v1/models/":
            return 200, [self._model(handle) for handle in self.handles]
        if path == "/v1/agents/" and method == "POST":
            return 200, self._create(body)
        agent = path.split("/")[3]
        if method == "DELETE":
            if self.agents.pop(agent, None) is None:
                return 404, {"detail": "NOT_FOUND"}
            return 200, {"message": f"Agent id={agent} successfully deleted"}
        return 200, self._step(agent)

    @staticmethod
    def _model(handle: str) -> Any:
        return {
            "handle": handle,
            "name": handle,
            "model": handle,
            "model_endpoint_type": "openai",
            "provider_type": "openai",
            "context_window": 30000,
            "max_context_window": 30000,
        }

    def _create(self, body: Any) -> Any:
        agent = f"agent-{uuid.uuid4()}"
        self.agents[agent] = body["name"]
        self._playing[agent] = self._script()
        secrets = [{"key": key, "value": value} for key, value in (body.get("secrets") or {}).items()]
        return {
            "id": agent,
            "name": body["name"],
            "agent_type": "letta_v1_agent",
            "system": body["system"],
            "created_at": now(),
            "blocks": [],
            "llm_config": {"model": "m", "model_endpoint_type": "openai", "context_window": 30000},
            "memory": {"blocks": []},
            "sources": [],
            "tags": body["tags"],
            "tools": [],
            "secrets": secrets,
        }

    def _step(self, agent: str) -> Any:
        kind, what, rest = next(self._playing[agent])
        message: dict[str, Any] = {"id": f"message-{uuid.uuid4()}", "date": now()}
        if kind == "call":
            asked = {"name": what, "arguments": rest, "tool_call_id": f"call_{next(self._calls):08x}"}
            message |= {"message_type": "approval_request_message", "tool_call": asked, "tool_calls": [asked]}
        else:
            message |= {"message_type": "assistant_message", "content": what}
        return {
            "messages": [message],
            "stop_reason": {
                "message_type": "stop_reason",
                "stop_reason": "requires_approval" if kind == "call" else rest,
            },
            "usage": {
                "message_type": "usage_statistics",
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "cached_input_tokens": 40,
                "cache_write_tokens": None,
                "step_count": 1,
            },
        }


def no_wait() -> Limiter:
    """A limiter that never lets anybody wait, and gives nothing up."""
    return Limiter(gives_up=False, longest_wait_s=0.0)


class FakeSandbox:
    """Every test passes: for tests in which it is not the matter what code does."""

    def seeing(self, _: Any) -> FakeSandbox:
        return self

    def run(self, _files: Any, _test_path: str, _limits: Any, **_: Any) -> TestRun:
        return TestRun("passed", (Test("test_it", "passed"),))


class FakeClaude(Fake):
    """Answers the coder with ``code`` and the tester with ``tests``, each in a fence."""

    def __init__(self, code: str = CODE, tests: str = TESTS) -> None:
        super().__init__()
        self.code = code
        self.tests = tests
        self.stop_reason = "end_turn"
        self.retires = {"claude-haiku-5-5": "2030-01-01T00:00:00Z"}

    def answer(self, method: str, path: str, body: Any) -> Any:
        if (method, path.partition("?")[0]) == ("GET", "/v1/models"):
            models = [{"type": "model", "id": name, "retires_at": end} for name, end in self.retires.items()]
            return 200, {"data": models, "has_more": False, "first_id": None, "last_id": None}
        assert (method, path) == ("POST", "/v1/messages"), (method, path)
        text = self.tests if "pytest" in body.get("system", "") else self.code
        return 200, {
            "id": f"msg_{len(self.requests):032x}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": f"```python\n{text}```"}],
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 20,
                "cache_creation_input_tokens": 5,
                "cache_read_input_tokens": 7,
                "output_tokens": 30,
            },
        }


def claude_error(status: int, kind: str, message: str) -> Answer:
    """An error body of the Messages API."""
    return status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


CHILD = """\
{source}
import sys as _sys, json as _json
print({tool}(**_json.load(_sys.stdin)), end="")
"""


class FakeLettaThatRunsTools(FakeLetta):
    """Runs the registered tools itself, as 0.16.8 does: each in a child process with the agent's secrets.

    The child is a bare Python: what is registered has nothing but the standard library there.
    """

    def __init__(self, steps: tuple[tuple[str, str, str], ...] = CODER_THEN_TESTER) -> None:
        super().__init__(steps)
        self.tools: dict[str, dict[str, Any]] = {}
        self.children: list[dict[str, str]] = []
        self.returned: Callable[[str, Any], Any] = lambda _, told: told
        self._secrets: dict[str, dict[str, str]] = {}

    def answer(self, method: str, path: str, body: Any) -> Any:
        if (method, path) == ("PUT", "/v1/tools/"):
            name = body["json_schema"]["name"]
            known = self.tools.get(name, {"id": f"tool-{uuid.uuid4()}", "name": name, "tool_type": "custom"})
            self.tools[name] = {**known, **body}
            return 200, self.tools[name]
        return super().answer(method, path, body)

    def _create(self, body: Any) -> Any:
        made = super()._create(body)
        self._secrets[made["id"]] = body.get("secrets") or {}
        echoed = [{"key": k, "value": v, "value_enc": v} for k, v in self._secrets[made["id"]].items()]
        tools = [self.tools[name] for name in body.get("tools", ())]
        return {**made, "tools": tools, "secrets": echoed}

    def _step(self, agent: str) -> Any:
        steps_left = self.requests[-1][2]["max_steps"]
        messages: list[dict[str, Any]] = []
        stop, steps = "max_steps", 0
        while steps < steps_left and stop == "max_steps":
            steps += 1
            one = super()._step(agent)
            said = one["messages"][0]
            if said["message_type"] == "assistant_message":
                messages, stop = [*messages, said], one["stop_reason"]["stop_reason"]
                continue
            asked = {**said, "message_type": "tool_call_message"}
            told = self._ran(agent, said["tool_call"])
            messages += [
                asked,
                {**told, "id": f"message-{uuid.uuid4()}", "date": now(), "tool_returns": [told]},
            ]
        counts = {key: steps * value for key, value in one["usage"].items() if isinstance(value, int)}
        usage = {**one["usage"], **counts}
        return {
            "messages": messages,
            "stop_reason": {"message_type": "stop_reason", "stop_reason": stop},
            "usage": usage,
        }

    def _ran(self, agent: str, asked: dict[str, str]) -> dict[str, Any]:
        name, secrets = asked["name"], self._secrets[agent]
        ok, text = self._child(name, json.loads(asked["arguments"]), secrets)
        ok, text = self.returned(name, (ok, text))
        return {
            "message_type": "tool_return_message",
            "type": "tool",
            "tool_call_id": asked["tool_call_id"],
            "status": "success" if ok else "error",
            "tool_return": text,
            "stdout": [],
            "stderr": [],
        }

    def _child(self, name: str, given: dict[str, Any], secrets: dict[str, str]) -> tuple[bool, str]:
        if name not in self.tools:
            return False, f"[ToolConstraintError] Cannot call {name}"
        extra = set(given) - set(self.tools[name]["json_schema"]["parameters"]["properties"])
        if extra:
            return False, f"Error executing function {name}: NameError: name {min(extra)!r} is not defined"
        self.children.append(secrets)
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                CHILD.format(source=self.tools[name]["source_code"], tool=name),
            ],
            input=json.dumps(given),
            env=secrets,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return True, done.stdout
        return False, f"Error executing function {name}: {done.stderr.strip().splitlines()[-1]}"[:1000]


def remember(text: str) -> tuple[str, str, str]:
    """A step of FakeLettaWithMemory: the orchestrator notes something, and goes on in the same turn."""
    return "remember", "memory_insert", text


class FakeLettaWithMemory(FakeLetta):
    """Agents with blocks that they can write; a message after the last step of the script begins it anew."""

    def __init__(self, steps: tuple[tuple[str, str, str], ...]) -> None:
        super().__init__(steps)
        self.blocks: dict[str, dict[str, Any]] = {}  # by id, also of agents that are gone
        self.cut: list[str] = []  # agents whose messages were cut
        self.stopped: list[str] = []  # agents whose turn was cancelled

    def answer(self, method: str, path: str, body: Any) -> Any:
        parts = path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["v1", "blocks"]:
            del self.blocks[parts[2]]
            return 200, {}
        if parts[:2] != ["v1", "agents"] or len(parts) < 3:
            return super().answer(method, path, body)
        agent, what = parts[2], parts[3:]
        if agent not in self.agents:
            return 404, {"detail": f"Agent {agent} not found"}
        if what == ["core-memory", "blocks"]:
            return 200, [] if "after=" in path else [
                block for block in self.blocks.values() if block["agent"] == agent
            ]
        if what[:2] == ["core-memory", "blocks"]:
            self.notes(agent)["value"] = body["value"]
            return 200, self.notes(agent)
        if what == ["reset-messages"]:
            self.cut.append(agent)
            return 200, {"id": agent}
        if what == ["messages", "cancel"]:
            self.stopped.append(agent)
            return 409, {"detail": f"CONFLICT: No active runs to cancel for agent {agent}"}
        if what == ["export"]:
            return 200, json.dumps({"agents": [self.notes(agent)["value"]]})
        if not what and method == "GET":
            return 200, {"id": agent, "name": self.agents[agent]}
        return super().answer(method, path, body)

    def notes(self, agent: str) -> dict[str, Any]:
        return next(b for b in self.blocks.values() if (b["agent"], b["label"]) == (agent, "notes"))

    def _create(self, body: Any) -> Any:
        created = super()._create(body)
        for given in body["memory_blocks"]:
            block_id = f"block-{uuid.uuid4()}"
            self.blocks[block_id] = {**given, "id": block_id, "agent": created["id"]}
        return created

    def _step(self, agent: str) -> Any:
        messages = []
        answer = super()._step(agent) if (noted := self._note(agent)) is None else None
        while answer is None:
            messages += noted
            noted = self._note(agent)
            answer = super()._step(agent) if noted is None else None
        return {**answer, "messages": [*messages, *answer["messages"]]}

    def _note(self, agent: str) -> list[Any] | None:
        """Carry out the next step if it is a call of a memory tool; return its messages."""
        kind, tool, text = step = next(self._playing[agent])
        if kind != "remember":
            self._playing[agent] = itertools.chain([step], self._playing[agent])
            return None
        block = self.notes(agent)
        block["value"] = f"{block['value']}\n{text}"
        asked = {"name": tool, "arguments": json.dumps({"label": "notes", "new_string": text})}
        asked["tool_call_id"] = f"call_{next(self._calls):08x}"
        shared = {"id": f"message-{uuid.uuid4()}", "date": now()}
        returned = {"tool_return": block["value"], "status": "success", "tool_call_id": asked["tool_call_id"]}
        return [
            {**shared, "message_type": "tool_call_message", "tool_call": asked, "tool_calls": [asked]},
            {**shared, "message_type": "tool_return_message", **returned, "tool_returns": [returned]},
        ]
