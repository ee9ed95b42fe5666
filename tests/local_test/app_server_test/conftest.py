"""A deterministic App Server that speaks its frames, a scripted model, and the translator between them."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakes import Fake, no_wait

from harness.backends.letta.client import Server as LettaServer
from harness.backends.retries import Transport
from harness.local.app_server import translator as translator_module
from harness.local.app_server.providers import Provider, Providers
from harness.local.app_server.translator import Translator

CODER = {
    "name": "run_claude_coder",
    "description": "writes code",
    "parameters": {"type": "object", "properties": {"spec": {"type": "string"}}, "required": ["spec"]},
}
TESTER = CODER | {"name": "run_claude_tester"}


def calls(*named: tuple[str, str], call_id: str = "same") -> dict[str, Any]:
    """A model's answer that calls tools, each with the same id, as careless models do."""
    return {
        "content": None,
        "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in named
        ],
    }


class FakeModel(Fake):
    """An OpenAI-compatible provider: each chat completion takes the next message of ``script``."""

    def __init__(self) -> None:
        super().__init__()
        self.script: Iterator[dict[str, Any]] = iter(())

    def answer(self, method: str, path: str, body: Any) -> Any:
        if path.endswith("/models"):
            return 200, {"data": [{"id": "m", "max_model_len": 8192}, {"id": "deep/m"}]}
        message = {"role": "assistant", **next(self.script)}
        usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}}
        return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the chat completion requests."""
        return [body for _, path, body in self.requests if path.endswith("/chat/completions")]


class FakeAppServer:
    """Speaks the frames of App Server 0.34.12, as far as the translator uses them."""

    def __init__(self) -> None:
        from websockets.sync.server import serve

        self.gateway = ""
        self.agents: dict[str, dict[str, Any]] = {}
        self.deaf: set[str] = set()  # commands that get no answer
        self.dies_at: str = ""  # a frame at which all connections are lost
        self.frames: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/ws"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()

    def _serve(self, socket: Any) -> None:
        returns: queue.Queue[dict[str, Any]] = queue.Queue()
        tools: dict[str, dict[str, Any]] = {}
        for raw in socket:
            frame = json.loads(raw)
            self.frames.append(frame)
            kind = frame["type"]
            if kind == self.dies_at:
                socket.close()
                return
            if kind in self.deaf:
                continue
            if kind == "external_tool_call_response":
                returns.put(frame)
                continue
            answer: dict[str, Any] = {"type": f"{kind}_response", "request_id": frame["request_id"]}
            if kind == "runtime_start":
                answer |= self._start(frame["create_agent"]["body"])
            elif kind == "runtime_external_tools_update":
                (group,) = frame["updates"][0]["external_tools"]
                tools = {each["name"]: each for each in group["tools"]}
            elif kind == "agent_list":
                answer |= {"agents": list(self.agents.values())}
            elif kind == "agent_delete":
                del self.agents[frame["agent_id"]]
            socket.send(json.dumps(answer | {"success": True}))
            if kind == "input":
                text = frame["payload"]["messages"][0]["content"]
                work = (socket, frame["runtime"], text, tools, returns)
                threading.Thread(target=self._turn, args=work, daemon=True).start()

    def _start(self, body: dict[str, Any]) -> dict[str, Any]:
        agent = f"agent-local-00000000-0000-4000-8000-{next(self._numbers):012d}"
        self.agents[agent] = {**body, "id": agent, "messages": []}
        return {"runtime": {"agent_id": agent, "conversation_id": "local-conv-1"}}

    def _turn(self, socket: Any, runtime: Any, text: str, tools: Any, returns: Any) -> None:
        agent = self.agents[runtime["agent_id"]]
        messages = agent["messages"]
        messages.append({"role": "user", "content": text})

        def send(kind: str, **fields: Any) -> None:
            with suppress(Exception):  # the other side may have gone
                socket.send(json.dumps({"type": kind, "runtime": runtime, **fields}))

        def delta(kind: str, **fields: Any) -> None:
            send("stream_delta", delta={"message_type": kind, "run_id": "r", "id": len(messages), **fields})

        send("update_loop_status", loop_status={})
        while True:
            try:
                message = self._ask(agent, tools)
            except OSError:
                send("turn_finished", stop_reason="error", error='{"error": "llm"}')
                return
            messages.append(message)
            for piece in message.get("content") or "":
                delta("assistant_message", content=[{"type": "text", "text": piece}])
            if not message.get("tool_calls"):
                send("turn_finished", stop_reason="end_turn")
                return
            for call in message["tool_calls"]:
                result = self._execute(call, tools, send, delta, returns)
                if result is None:  # whoever was asked has gone
                    return
                messages.append(result)

    def _execute(self, call: Any, tools: Any, send: Any, delta: Any, returns: Any) -> dict[str, Any] | None:
        name, call_id = call["function"]["name"], call["id"]
        result = {"role": "tool", "tool_call_id": call_id}
        try:
            given = json.loads(call["function"]["arguments"])
            missing = [each for each in tools[name]["parameters"].get("required", ()) if each not in given]
            problem = f"missing required parameter: {missing[0]}" if missing else ""
        except KeyError:
            problem = f"Error: Tool {name} not found"
        except ValueError:
            problem = "invalid JSON"
        if problem:
            delta("tool_return_message", tool_call_id=call_id, status="error", tool_return=problem)
            return result | {"content": problem}
        request = f"tool-{next(self._numbers)}"
        send(
            "external_tool_call_request",
            request_id=request,
            tool_call_id=call_id,
            tool_name=name,
            input=given,
        )
        try:
            answer = returns.get(timeout=30)
        except queue.Empty:
            return None
        assert answer["request_id"] == request
        text, failed = answer["result"]["content"][0]["text"], answer["result"]["is_error"]
        delta("tool_return_message", tool_call_id=call_id, status="error" if failed else "success")
        return result | {"content": text}

    def _ask(self, agent: dict[str, Any], tools: Any) -> dict[str, Any]:
        offered = [{"type": "function", "function": tool} for tool in tools.values()]
        system = {"role": "system", "content": agent["system"]}
        body = {"messages": [system, *agent["messages"]], "stream": True, "store": False, "tools": offered}
        body["model"] = agent["model"].partition("/")[2]
        request = urllib.request.Request(f"{self.gateway}/chat/completions", json.dumps(body).encode())
        message: dict[str, Any] = {"role": "assistant"}
        with urllib.request.urlopen(request, timeout=30) as response:
            for line in response:
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:]).get("choices")
                    if choices is None:
                        raise OSError("an error in the stream")
                    for choice in choices:
                        message |= choice["delta"]
        return message


class Stage:
    """All three, running."""

    def __init__(self, app: FakeAppServer, model: FakeModel, translator: Translator, url: str) -> None:
        self.app = app
        self.model = model
        self.translator = translator
        self.url = url
        self.transport = Transport(no_wait())
        self.letta = LettaServer(url, "", self.transport)
        self.alive = True

    def plays(self, *script: dict[str, Any]) -> None:
        """Let the model answer with these messages, one after another."""
        self.model.script = iter(script)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A translator on loopback, with the harness's own Letta client in front of it."""
    pytest.importorskip("websockets", reason="the App Server needs the extra `live` or `app-server`")
    app, model = FakeAppServer(), FakeModel()
    with model.running():
        providers = Providers([Provider("local", model.url)])
        translator = Translator(app.url, tmp_path, providers, lambda: stage.alive)
        server = translator_module.Server(0, translator)
        url = f"http://127.0.0.1:{server.server_port}"
        app.gateway = f"{url}/model/v1"
        stage = Stage(app, model, translator, url)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield stage
        finally:
            server.shutdown()
            server.server_close()
            app.close()


def wait_for(truth: Callable[[], bool]) -> None:
    """Wait until something is true; fail after ten seconds."""
    deadline = time.monotonic() + 10
    while not truth():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
