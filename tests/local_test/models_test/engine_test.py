"""llama.cpp's server as the engine: a fake of its HTTP API; where it is installed, the real one too."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.local.models import engine
from harness.local.models.chat import (
    EngineFailure,
    Message,
    PromptTooLong,
    Sampling,
    TextModel,
    Tool,
    UnknownModel,
)
from harness.local.models.engine import LlamaServer, Models, load_binary, load_package
from harness.local.models.tool_calls import answer_schema
from harness.local.stack.catalogue import DEFAULT
from harness.local.stack.ports import free_port
from harness.local.stack.processes import Identity, is_alive, spawn, stop, wait_until_ready

HELLO = [Message("user", "Hello")]
GREEDY = Sampling(max_tokens=8)
CODER = Tool("run_claude_coder", "", {"properties": {"spec": {"type": "string"}}, "required": ["spec"]})
Reply = tuple[int, Any]


def text(content: str, finish: str = "stop") -> Reply:
    """An answer as llama.cpp's server gives it."""
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
    return 200, {"choices": [{"message": {"content": content}, "finish_reason": finish}], "usage": usage}


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """The bodies that the fake server was sent."""
    return []


@pytest.fixture
def serve(asked: list[dict[str, Any]]) -> Iterator[Callable[[Reply], LlamaServer]]:
    """Start a fake of llama.cpp's server that gives one answer."""
    servers = []

    def start(reply: Reply) -> LlamaServer:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                body = json.dumps(reply[1]).encode()
                self.send_response(reply[0])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return LlamaServer("m", f"http://127.0.0.1:{server.server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_text_usage_and_end_are_taken_over(serve, asked) -> None:
    """The request holds all that decides the answer; the answer comes back with the counts of the server."""
    made = serve(text("hi", "length")).complete(HELLO, Sampling(7, 0.2, 0.9, 3), {"type": "object"})
    assert (made.text, made.finish) == ("hi", "length")
    assert (made.prompt_tokens, made.cached_tokens, made.completion_tokens) == (9, 5, 4)
    body = asked[0]
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == (7, 0.2, 0.9, 3)
    assert (body["cache_prompt"], body["id_slot"]) == (False, 0)
    assert body["response_format"]["json_schema"] == {"schema": {"type": "object"}}


def test_a_text_ends_before_the_first_stop_sequence(serve) -> None:
    """Whichever comes first in the text is named."""
    made = serve(text("one two three")).complete(HELLO, Sampling(7, stop=("three", "two")))
    assert (made.text, made.finish, made.stop_sequence) == ("one ", "stop_sequence", "two")


def test_a_prompt_beyond_the_context_is_refused(serve) -> None:
    """The server's own error becomes ours, with both numbers."""
    error = {"type": "exceed_context_size_error", "message": "x", "n_prompt_tokens": 9000, "n_ctx": 8192}
    with pytest.raises(PromptTooLong, match="9000 tokens > 8191 maximum"):
        serve((400, {"error": error})).complete(HELLO, GREEDY)


@pytest.mark.parametrize("body", [{"error": {"type": "server_error", "message": "no slot"}}, ["odd"]])
def test_any_other_refusal_is_the_engine_s_failure(serve, body: Any) -> None:
    """It is no measurement of a model."""
    with pytest.raises(EngineFailure, match=r"no slot|answered 500"):
        serve((500, body)).complete(HELLO, GREEDY)


def test_a_server_that_has_ended_is_the_engine_s_failure() -> None:
    """Nobody listens: told in one line."""
    with pytest.raises(EngineFailure, match="for m does not answer"):
        LlamaServer("m", f"http://127.0.0.1:{free_port()}").complete(HELLO, GREEDY)


def test_a_model_is_loaded_once_and_when_it_is_asked() -> None:
    """Listing loads nothing; several threads that ask at once share one load; no other name is served."""
    loads: list[str] = []

    def load(name: str, path: Path) -> TextModel:
        loads.append(name)
        return LlamaServer(name, str(path))

    models = Models({"a": Path("a"), "b": Path("b")}, load)
    assert (list(models), len(models), loads) == (["a", "b"], 2, [])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: models["a"], range(4)))
    assert (len(set(map(id, found))), loads) == (1, ["a"])
    with pytest.raises(UnknownModel):
        models["c"]


class Counting(LlamaServer):
    """Notes which answers are being made when one begins: True for one with a seed."""

    def __init__(self, until_together: int) -> None:
        super().__init__("m", "http://127.0.0.1:9")
        self.barrier = threading.Barrier(until_together)
        self.under_way: list[bool] = []
        self.begun: list[tuple[bool, ...]] = []  # it, and those beside it

    def _post(self, body: Mapping[str, Any]) -> Any:
        has_seed = body["seed"] != -1
        self.begun.append((has_seed, *self.under_way))
        self.under_way.append(has_seed)
        if has_seed:
            time.sleep(0.005)
        else:
            self.barrier.wait(timeout=60)
        self.under_way.remove(has_seed)
        return text("Hi")[1]


def complete_at_once(model: LlamaServer, seeds: Sequence[int | None]) -> None:
    with ThreadPoolExecutor(len(seeds)) as pool:
        for each in [pool.submit(model.complete, HELLO, Sampling(8, 0.8, seed=seed)) for seed in seeds]:
            each.result()


def test_prompts_without_a_seed_are_answered_together() -> None:
    """The orchestrators of four workers do not wait for each other."""
    complete_at_once(Counting(until_together=4), [None] * 4)


def test_a_prompt_with_a_seed_is_answered_alone() -> None:
    """Whatever else is asked for at the same time."""
    model = Counting(until_together=1)
    complete_at_once(model, [None, 1, None, 2, None, None, 3, None] * 4)
    assert [each for each in model.begun if any(each)] == [(True,)] * 12


def test_a_model_that_does_not_fit_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much is needed and how much is free, instead of being killed half way."""
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("M", (), {"available": 100e6}))
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineFailure, match="m needs about 812 MB of memory, and 100 MB are free"):
        engine.require_memory("m", tmp_path / "m.gguf")


FAKE_BINARY = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
options = dict(zip(sys.argv, sys.argv[1:]))
class Handler(BaseHTTPRequestHandler):
    def answer(self):
        choice = {{"message": {{"content": options["--model"]}}, "finish_reason": "stop"}}
        reply = {{"choices": [choice], "usage": {{"prompt_tokens": 1, "completion_tokens": 1}}}}
        body = json.dumps({{"status": "ok"}} if self.path == "/health" else reply).encode()
        if b"die" in self.rfile.read(int(self.headers.get("Content-Length", 0))):
            print("out of memory", file=sys.stderr, flush=True); os._exit(1)
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
print("serving", file=sys.stderr, flush=True)
HTTPServer(("127.0.0.1", int(options["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    return path


def test_a_llama_server_of_the_user_s_serves(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started for a model that is asked, in this process's group, so that it ends with it.

    Where it has ended, it is started again; while it answers, the end of its log is in the error.
    """
    pytest.importorskip("psutil")
    binary = tmp_path / "llama-server"
    binary.write_text(FAKE_BINARY.format(python=sys.executable))
    binary.chmod(0o755)
    started: list[Identity] = []

    def remember(*args: Any, **kwargs: Any) -> Identity:
        assert kwargs["detached"] is False
        started.append(spawn(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(engine, "spawn", remember)
    model = load_binary(binary, tmp_path)("m", model_file)
    try:
        assert model.complete(HELLO, GREEDY).text == str(model_file)
        os.kill(started[0].pid, signal.SIGKILL)
        wait_until_ready(started[0], lambda: not is_alive(started[0]), what="it", log=tmp_path, timeout_s=20)
        assert model.complete(HELLO, GREEDY).text == str(model_file)
        assert len(started) == 2
        with pytest.raises(EngineFailure, match=r"(?s)server for m has ended\n    serving\n.*out of memory"):
            model.complete([Message("user", "die")], GREEDY)
    finally:
        for each in started:
            stop(each)


def test_a_program_that_is_no_llama_server_is_shown_with_its_last_words(
    tmp_path: Path, model_file: Path
) -> None:
    """The end of its log is in the error."""
    pytest.importorskip("psutil")
    binary = tmp_path / "llama-server"
    binary.write_text("#!/bin/sh\necho unknown argument --cache-ram\nsleep 0.2\nexit 1\n")
    binary.chmod(0o755)
    with pytest.raises(EngineFailure, match=r"ended while starting\n    unknown argument --cache-ram"):
        load_binary(binary, tmp_path)("m", model_file)


def test_a_program_that_never_answers_is_stopped(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request would start another, each with a model in memory."""
    pytest.importorskip("psutil")
    binary = tmp_path / "llama-server"
    binary.write_text("#!/bin/sh\nexec sleep 60\n")
    binary.chmod(0o755)
    started: list[Identity] = []
    monkeypatch.setattr(engine, "spawn", lambda *a, **k: started.append(spawn(*a, **k)) or started[-1])
    monkeypatch.setattr(engine, "LOAD_S", 0.2)
    with pytest.raises(EngineFailure, match="did not answer"):
        load_binary(binary, tmp_path)("m", model_file)
    assert not is_alive(started[0])


@pytest.fixture(scope="module")
def real() -> TextModel:
    """SmolLM2 on the real engine, where both are installed (`make live`, `harness up`)."""
    pytest.importorskip("xllamacpp", reason="the engine comes with the extra `live`")
    from harness.local.stack.home import find_home
    from harness.local.stack.weights import fetched

    path = fetched(find_home()).get(DEFAULT.name)
    if path is None:
        pytest.skip(f"{DEFAULT.name} was not fetched: harness up")
    # One thread: two of them spin, and only the stack starts a process that is told not to.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "THREADS", 1)
        return load_package(DEFAULT.name, path)


def conversation(user: str) -> list[Message]:
    return [Message("system", "You write short Python functions. " * 20), Message("user", user)]


def test_a_seeded_answer_depends_on_its_request_alone(real: TextModel) -> None:
    """Whatever was asked before, and is asked at the same time: the text is the same, evaluated afresh."""
    how = Sampling(max_tokens=16, temperature=0.8, seed=5)
    fresh = real.complete(conversation("Add two integers."), how)
    users = ["Sort.", "Add two integers."]
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(lambda user: real.complete(conversation(user), how), users))
    assert beside[1] == fresh
    assert fresh.cached_tokens == 0


def test_without_a_seed_the_last_prefix_is_kept(real: TextModel) -> None:
    """An orchestrator's next step costs only what is new in it."""
    how = Sampling(max_tokens=2, temperature=0.8)
    real.complete(conversation("Add two integers."), how)
    assert real.complete(conversation("Add three integers."), how).cached_tokens > 100


def test_conversations_that_take_turns_keep_their_prefixes(real: TextModel) -> None:
    """Two workers ask one model in turn: each is evaluated from where its own conversation went on."""
    talks = [[*conversation(f"Write {what}. " * 40)] for what in ("a stack", "a queue")]
    cached: list[list[int]] = [[], []]
    for _ in range(2):
        for talk, counts in zip(talks, cached, strict=True):
            answer = real.complete(talk, Sampling(max_tokens=4))
            counts.append(answer.cached_tokens)
            talk += [Message("assistant", answer.text), Message("user", "Go on.")]
    assert all(second > first + 100 for first, second in cached), cached


def test_a_seed_makes_sampling_reproducible(real: TextModel) -> None:
    """The same seed gives the same text, another seed another."""
    one, same, other = (real.complete(HELLO, Sampling(12, 1.0, seed=seed)).text for seed in (1, 1, 2))
    assert one == same != other


def test_a_schema_is_kept(real: TextModel) -> None:
    """With the schema of a required call the text is that call, without blanks that never end."""
    schema = answer_schema([CODER], text_allowed=False)
    answer = json.loads(real.complete(HELLO, Sampling(400), schema).text)
    assert (answer["tool"], set(answer["arguments"])) == ("run_claude_coder", {"spec"})


def test_the_real_engine_refuses_what_is_too_long(real: TextModel) -> None:
    """Before any work."""
    with pytest.raises(PromptTooLong):
        real.complete([Message("user", "hello world " * engine.CONTEXT)], GREEDY)
