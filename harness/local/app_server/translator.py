"""The translator's process: Letta's V1 routes for the harness, OpenAI's for the App Server, on loopback.

    python -m harness.local.app_server.translator --port 8283 --program letta --home FOLDER --log FILE
        --provider local=http://127.0.0.1:8284/v1

The App Server is its child, and ends by itself when this process is gone, however it went.

    GET    /v1/health/                  up, and the App Server too
    GET    /v1/models/                  the models of all providers
    GET    /v1/agents/                  the agents that the harness has made
    POST   /v1/agents/                  make one
    DELETE /v1/agents/ID                delete it, with its files
    POST   /v1/agents/ID/messages       a user message, or the return of a tool call
    GET    /v1/blocks/, /v1/tools/      none: blocks go with their agents, and tools are never registered
    GET    /model/v1/models             one name for each agent that there may be
    POST   /model/v1/chat/completions   see `gateway`
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from harness.local.app_server import gateway, program
from harness.local.app_server.connection import GONE, Connection
from harness.local.app_server.conversation import Conversation
from harness.local.app_server.errors import Refusal
from harness.local.app_server.gateway import ModelCalls
from harness.local.app_server.providers import Provider, ProviderError, Providers
from harness.local.stack.app_server_install import RELEASE
from harness.local.stack.ports import HOST
from harness.local.stack.processes import is_alive, stop
from harness.local.stack.providers import key_variable

MAX_AGENTS = 500
SILENCE_S = 10.0  # after which the App Server is told that its model still works
LABEL = "pair-harness"
_AGENT = re.compile(r"/v1/agents/agent-([0-9a-f-]{36})(/messages)?")


class Translator:
    """All agents of one App Server.

    Args:
        url: WebSocket of the App Server.
        home: Its home folder.
        providers: Where the models are.
        alive: Returns False once the App Server has ended.
    """

    def __init__(self, url: str, home: Path, providers: Providers, alive: Callable[[], bool]) -> None:
        self._url = url
        self._home = home
        self._providers = providers
        self.alive = alive
        self._agents: dict[str, tuple[str, Conversation]] = {}
        self._calls: dict[str, ModelCalls] = {}
        self._used: dict[str, datetime] = {}
        # A git process of the App Server may write into a folder once more after its agent is deleted.
        self._deleted: deque[str] = deque(maxlen=1000)
        self._slots: queue.Queue[str] = queue.Queue()
        self.slots = [f"agent-{number}" for number in range(1, MAX_AGENTS + 1)]
        for slot in self.slots:
            self._slots.put(slot)

    def health(self) -> dict[str, str]:
        """Answer only as long as the App Server does."""
        if not self.alive():
            raise Refusal(503, GONE)
        return {"version": RELEASE, "status": "ok"}

    def models(self) -> list[dict[str, Any]]:
        """List the models of all providers."""
        return [
            {
                "handle": handle,
                "name": handle.partition("/")[2],
                "model": handle.partition("/")[2],
                "model_endpoint_type": "openai",
                "provider_type": "openai",
                "context_window": window or 0,
                "max_context_window": window or 0,
            }
            for handle, window in self._providers.handles().items()
        ]

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an agent; its model is asked through a slot of its own."""
        if body.get("tools") or body.get("secrets"):
            raise Refusal(400, "the App Server runs no tools of the harness: use tools: client")
        provider, model, window = self._providers.find(str(body.get("model")))
        settings = body.get("model_settings") or {}
        try:
            slot = self._slots.get_nowait()
        except queue.Empty:
            text = f"{MAX_AGENTS} agents are in use; remove what was left behind: harness letta clean"
            raise Refusal(424, text) from None
        calls = ModelCalls(provider, model, settings.get("temperature"))
        self._calls[slot] = calls
        known = {"context_window_limit": window} | dict(body)
        folder = self._home / "empty"
        folder.mkdir(exist_ok=True)
        try:
            connection = self._connect()
            conversation = Conversation(connection, calls, f"{program.PROVIDER}/{slot}", known, folder)
        except BaseException:
            self._free(slot)
            raise
        agent = _ours(conversation.runtime["agent_id"])
        self._agents[agent] = (slot, conversation)
        self._used[agent] = datetime.now(UTC)
        return _described(agent, body)

    def message(self, agent: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Pass on a user message or the return of a tool call."""
        if agent not in self._agents:
            raise Refusal(404, f"there is no agent {agent} (any more)")
        _, conversation = self._agents[agent]
        self._used[agent] = datetime.now(UTC)
        first, tools = body["messages"][0], body.get("client_tools") or []
        if first.get("type") == "approval":
            return dict(conversation.answer(first["approvals"], tools))
        return conversation.say(first["content"], tools)

    def delete(self, agent: str) -> dict[str, Any]:
        """Delete an agent with all its files, also in the middle of a turn."""
        slot, conversation = self._agents.pop(agent, ("", None))
        theirs = _theirs(agent)
        if conversation is not None:
            conversation.close()
            self._free(slot)
        elif theirs not in {each["id"] for each in self._listed()}:
            raise Refusal(404, f"there is no agent {agent}")
        connection = self._connect()
        try:
            connection.ask("agent_delete", agent_id=theirs)
        finally:
            connection.close()
        self._used.pop(agent, None)
        self._deleted.append(theirs)
        self.sweep()
        return {"message": f"Agent id={agent} successfully deleted"}

    def sweep(self) -> None:
        """Remove the files of the agents that were deleted: the App Server keeps them."""
        for agent in list(self._deleted):
            for folder in (self._memory(agent), self._home / ".letta" / "transcripts" / agent):
                shutil.rmtree(folder, ignore_errors=True)

    def _memory(self, agent: str) -> Path:
        return self._home / ".letta" / "lc-local-backend" / "memfs" / agent

    def _last_used(self, theirs: str) -> datetime | None:
        """Return when an agent was used, or made before this process began; the App Server does not tell."""
        with suppress(OSError):
            made = datetime.fromtimestamp(self._memory(theirs).stat().st_mtime, UTC)
            return self._used.get(_ours(theirs), made)
        return self._used.get(_ours(theirs))

    def agents(self) -> list[dict[str, Any]]:
        """List the agents that the harness has made, also before this process was started."""
        return [
            {**_described(_ours(each["id"]), each), "updated_at": used.isoformat() if used else None}
            for each in self._listed()
            if LABEL in (each.get("tags") or ())
            for used in [self._last_used(each["id"])]
        ]

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a model call of the App Server; raise ProviderError if that fails."""
        calls = self._calls.get(str(body.get("model")))
        if calls is None:
            raise ProviderError(404, "this agent is deleted")
        return calls.complete(body)

    def _free(self, slot: str) -> None:
        del self._calls[slot]
        self._slots.put(slot)

    def _connect(self) -> Connection:
        if not self.alive():
            raise Refusal(424, GONE)
        return Connection(self._url)

    def _listed(self) -> list[dict[str, Any]]:
        connection = self._connect()
        try:
            return list(connection.ask("agent_list", query={"limit": MAX_AGENTS}).get("agents") or ())
        finally:
            connection.close()


def _described(agent: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an agent as V1 describes one."""
    return {
        "id": agent,
        "name": fields.get("name"),
        "agent_type": "letta_v1_agent",
        "system": fields.get("system"),
        "tags": fields.get("tags") or [],
        "blocks": [],
        "tools": [],
        "sources": [],
    }


def _ours(agent: str) -> str:
    """Return the App Server's id of an agent as V1 writes ids, which recordings replace by numbers."""
    return f"agent-{agent.removeprefix('agent-').removeprefix('local-')}"


def _theirs(agent: str) -> str:
    return f"agent-local-{agent.removeprefix('agent-')}"


class Handler(BaseHTTPRequestHandler):
    """One connection of the harness or of the App Server."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_: Any) -> None:
        """Log nothing: requests hold prompts."""

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, query = urlsplit(self.path).path.rstrip("/"), parse_qs(urlsplit(self.path).query)
        try:
            body = json.loads(raw or b"{}")
            if (self.command, path) == ("POST", "/model/v1/chat/completions"):
                self._complete(body)
                return
            status, answer = 200, self._answer(path, query, body)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body()
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as problem:
            status, answer = 400, {"detail": f"this request cannot be read: {problem!r}"}
        self._send(status, json.dumps(answer).encode())

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815  (names of the standard library)

    def _answer(self, path: str, query: Mapping[str, list[str]], body: Any) -> Any:
        translator = self.server.translator
        agent = _AGENT.fullmatch(path)
        match self.command, path:
            case "GET", "/v1/health":
                return translator.health()
            case "GET", "/v1/models":
                return translator.models()
            case "GET", "/v1/agents":
                return [] if "after" in query or "before" in query else translator.agents()
            case "GET", "/v1/blocks" | "/v1/tools":
                return []
            case "GET", "/model/v1/models":
                return {
                    "object": "list",
                    "data": [{"id": name, "object": "model"} for name in translator.slots],
                }
            case "POST", "/v1/agents":
                return translator.create(body)
            case "POST", _ if agent and agent[2]:
                return translator.message(f"agent-{agent[1]}", body)
            case "DELETE", _ if agent and not agent[2]:
                return translator.delete(f"agent-{agent[1]}")
        raise Refusal(404, f"the translator has no route {self.command} {path[:100]}")

    def _complete(self, body: Any) -> None:
        """Answer as a stream: a model may take longer than the App Server waits for a first byte."""
        done: queue.Queue[dict[str, Any] | ProviderError] = queue.Queue()

        def ask() -> None:
            try:
                done.put(self.server.translator.complete(body))
            except ProviderError as error:
                done.put(error)
            except Exception as problem:  # noqa: BLE001  (else the App Server would wait for ever)
                done.put(ProviderError(400, f"the translator failed: {problem!r}"))

        threading.Thread(target=ask, daemon=True).start()
        begun = False
        while True:
            try:
                answer = done.get(timeout=SILENCE_S)
                break
            except queue.Empty:
                begun = begun or self._begin_stream()
                self.wfile.write(b": the model works\n\n")
                self.wfile.flush()
        if isinstance(answer, dict):
            begun = begun or self._begin_stream()
            self.wfile.writelines(gateway.stream(answer))
        else:
            error = {"error": {"message": str(answer), "type": "provider_error", "code": None}}
            if begun:
                self.wfile.write(f"data: {json.dumps(error)}\n\n".encode())
            else:
                self._send(answer.status, json.dumps(error).encode())

    def _begin_stream(self) -> bool:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        return True

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """The translator's HTTP server: a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, translator: Translator) -> None:
        super().__init__((HOST, port), Handler)
        self.translator = translator


def main() -> None:
    """Start the App Server, then serve until terminated."""
    parser = argparse.ArgumentParser(description="Serve Letta's V1 routes in front of an App Server.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--provider", action="append", default=[])
    options = parser.parse_args()
    named = [text.partition("=")[::2] for text in options.provider]
    providers = [Provider(name, url, os.environ.get(key_variable(name), "").strip()) for name, url in named]
    # As an exception, so that the child is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options.home.mkdir(parents=True, exist_ok=True)
    program.write_home(options.home, options.port)
    identity, port = program.start(options.program, options.home, options.log)
    translator = Translator(
        f"ws://{HOST}:{port}/ws", options.home, Providers(providers), lambda: is_alive(identity)
    )
    try:
        Server(options.port, translator).serve_forever()
    finally:
        stop(identity, grace_s=5.0)
        translator.sweep()


if __name__ == "__main__":
    main()
