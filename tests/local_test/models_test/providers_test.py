"""Model servers of the user's as orchestrators, each with the dialect of one that people run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("starlette", reason="the model server needs the extra `live`")
from starlette.testclient import TestClient

from harness.cli.main import main
from harness.local.models.engine import Models
from harness.local.models.providers import Providers
from harness.local.models.server import build_app
from harness.local.stack.ports import free_port

# What each lists: vLLM alone says in OpenAI's list how long a prompt may be, in the field that Letta reads.
VLLM = {"id": "Qwen/Qwen2.5", "object": "model", "max_model_len": 4096}
LLAMA_SERVER = {"id": "qwen.gguf", "object": "model", "meta": {"n_ctx_train": 32768}}
LM_STUDIO = {"id": "qwen2.5", "object": "model", "owned_by": "organization_owner"}
OLLAMA = {"id": "qwen2.5-coder:7b", "object": "model", "created": 1, "owned_by": "library"}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}


@pytest.fixture
def requests() -> list[Any]:
    """The bodies that a server was sent."""
    return []


@pytest.fixture
def serve(requests: list[Any]) -> Iterator[Callable[..., str]]:
    """Start a server of the user's that lists models and answers chats; return its address."""
    servers = []

    def start(listed: Any, status: int = 200, answer: Any = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(200 if self.path == "/v1/models" else 404, listed)

            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                requests.append({**body, "authorization": self.headers["Authorization"]})
                self.reply(status, answer or {"choices": [CHOICE], "usage": {"total_tokens": 3}})

            def reply(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def client(**urls: str) -> TestClient:
    """A client of a model server with these servers of the user's behind it."""
    return TestClient(build_app(Models({}, lambda *_: pytest.fail("no model")), Providers(urls, {})))


@pytest.mark.parametrize(
    ("model", "length"), [(VLLM, 4096), (LLAMA_SERVER, 32768), (LM_STUDIO, 8192), (OLLAMA, 8192)]
)
def test_its_models_are_offered_to_letta(serve, model: dict[str, Any], length: int) -> None:
    """Under the server's name, each with the field that Letta demands."""
    listed = client(mine=serve({"object": "list", "data": [model]})).get("/v1/models").json()["data"]
    assert [each["id"] for each in listed] == ["scripted", "scripted-memory", f"mine/{model['id']}"]
    assert listed[-1]["max_model_len"] == length


def test_requests_and_answers_pass_through(serve, requests: list[Any]) -> None:
    """With the model's own name, and tools, choice and all fields of others as they are."""
    body = {"model": "mine/a/b:7b", "messages": [], "tools": [{}], "tool_choice": "auto", "odd": 1}
    answer = client(mine=serve({"data": [OLLAMA]}) + "/v1/").post("/v1/chat/completions", json=body)
    assert answer.json() == {"choices": [CHOICE], "usage": {"total_tokens": 3}}
    assert requests == [{**body, "model": "a/b:7b", "authorization": None}]


def test_its_refusal_is_passed_on(serve) -> None:
    """Status and words are the server's, in OpenAI's format."""
    answer = client(mine=serve({"data": []}, 404, {"error": "model not found"})).post(
        "/v1/chat/completions", json={"model": "mine/x", "messages": []}
    )
    assert answer.status_code == 404
    assert "mine: " in answer.json()["error"]["message"]
    assert "model not found" in answer.json()["error"]["message"]


def test_one_that_ended_is_told_and_hides_no_other(serve) -> None:
    """Its models are gone from the list, and asking one is a 503 that names it."""
    gone, there = f"http://127.0.0.1:{free_port()}", serve({"data": [OLLAMA]})
    both = client(gone=gone, there=there)
    assert [each["id"] for each in both.get("/v1/models").json()["data"]] == [
        "scripted",
        "scripted-memory",
        f"there/{OLLAMA['id']}",
    ]
    answer = both.post("/v1/chat/completions", json={"model": "gone/x", "messages": []})
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert f"gone at {gone} does not answer" in answer.json()["error"]["message"]


def test_a_key_goes_to_the_server_that_it_is_for(serve, requests: list[Any]) -> None:
    """And to no other; without one no header is sent."""
    one, two = serve({"data": [OLLAMA]}), serve({"data": [VLLM]})
    app = build_app(
        Models({}, lambda *_: pytest.fail("no model")), Providers({"a": one, "b": two}, {"a": "k1"})
    )
    for name in ("a", "b"):
        TestClient(app).post("/v1/chat/completions", json={"model": f"{name}/m", "messages": []})
    assert [body["authorization"] for body in requests] == ["Bearer k1", None]


@pytest.mark.parametrize("listed", [{"data": []}, {"models": []}, [], {"data": [{"name": "x"}]}])
def test_a_server_without_models_is_refused_before_anything_starts(serve, listed: Any) -> None:
    """Whatever it answers instead of a list: one line."""
    result = CliRunner().invoke(main, ["up", "--provider", f"mine={serve(listed)}"])
    assert (result.exit_code, "--provider mine:" in result.output, "lists no models" in result.output) == (
        2,
        True,
        True,
    )
