"""llama.cpp's own server as the engine: of the package ``xllamacpp``, or the user's ``llama-server``.

It formats a conversation with the template in the model's file, and holds the answer to a JSON schema.

With a seed an answer depends on its request alone. The batches in which tokens are evaluated change the last
bits of the logits, and decoding then drifts at near-ties; neither flash attention nor another layout of the
weights is the only cause. So a prompt with a seed is evaluated afresh, while its model answers nothing else.
Prompts without one, as an orchestrator's, are answered together, twice as fast as one after the other, and
each is evaluated from where it differs from one that is remembered.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.errors import StackError
from harness.local.models.chat import (
    Completion,
    EngineFailure,
    Message,
    PromptTooLong,
    Sampling,
    TextModel,
    UnknownModel,
)
from harness.local.stack.model_server import answers
from harness.local.stack.ports import HOST, OPENER, free_port
from harness.local.stack.processes import Identity, failed, is_alive, spawn, stop, wait_until_ready

CONTEXT = 8192  # tokens of one conversation
SLOTS = 4  # llama.cpp multiplies by the rows of four tokens at once
CACHE_MB = 512  # of evaluated prompts: some ten conversations of a model of 1.5 billion parameters
# One core is left to Letta, the tests and another model. llama.cpp's threads wait for each other: where a
# program takes a core from one of them, all stand still. Its answers do not depend on their number.
THREADS = max(1, (os.cpu_count() or 1) - 1)
LOAD_S = 180.0
# A model that reads its weights from a busy disk, and answers a long prompt on a busy machine.
ANSWER_S = 1800.0
# The file is mapped, and most of its weights are laid out anew beside it; then the cache and buffers.
_TIMES_FILE, _EXTRA_MB = 2.0, 300 + CACHE_MB


class Models(Mapping[str, TextModel]):
    """The models of a server, each loaded when it is first asked."""

    def __init__(self, files: Mapping[str, Path], load: Callable[[str, Path], TextModel]) -> None:
        self._files = dict(files)
        self._load = load
        self._loaded: dict[str, TextModel] = {}
        self._locks = {name: threading.Lock() for name in files}

    def __getitem__(self, name: str) -> TextModel:
        """Return a loaded model, or raise UnknownModel or EngineFailure."""
        if name not in self._files:
            raise UnknownModel(name)
        with self._locks[name]:
            if name not in self._loaded:
                self._loaded[name] = self._load(name, self._files[name])
            return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class LlamaServer:
    """One model behind the HTTP API of llama.cpp's server."""

    def __init__(self, name: str, address: str, keep: object = None) -> None:
        self._name = name
        self._url = f"{address}/v1/chat/completions"
        self._keep = keep  # what serves it, as long as this lives
        self._turn = threading.Lock()
        self._free = threading.Semaphore(SLOTS)

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Continue the conversation, see `harness.local.models.chat.TextModel.complete`."""
        body: dict[str, Any] = {
            "model": self._name,
            "messages": [{"role": message.role, "content": message.text} for message in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": -1 if sampling.seed is None else sampling.seed,
            "cache_prompt": sampling.seed is None,
            "id_slot": -1 if sampling.seed is None else 0,  # -1: the one that has most of the prompt
        }
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
        with self._taken(1 if sampling.seed is None else SLOTS):
            return _completion(self._post(body), sampling)

    @contextmanager
    def _taken(self, slots: int) -> Iterator[None]:
        """Wait until so many slots are free; who wants all is not overtaken."""
        with self._turn:
            for _ in range(slots):
                self._free.acquire()
        try:
            yield
        finally:
            self._free.release(slots)

    def _post(self, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)  # noqa: S310  (loopback)
        try:
            with OPENER.open(request, timeout=ANSWER_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as problem:
            raise _refusal(problem) from None
        except (OSError, ValueError) as problem:
            raise EngineFailure(f"llama.cpp's server for {self._name} does not answer: {problem}") from None


class Restarted:
    """One model behind a process of the user's, which is started again where it has ended."""

    def __init__(self, name: str, log: Path, start: Callable[[], tuple[Identity, LlamaServer]]) -> None:
        self._name = name
        self._log = log
        self._start = start
        self._lock = threading.Lock()
        self._identity, self._server = start()

    def complete(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Continue the conversation, see `harness.local.models.chat.TextModel.complete`."""
        with self._lock:
            if not is_alive(self._identity):
                self._identity, self._server = self._start()
            identity, server = self._identity, self._server
        try:
            return server.complete(messages, sampling, schema)
        except EngineFailure:
            if not _ends(identity):
                raise
            ended = failed(f"llama.cpp's server for {self._name} has ended", self._log)
            raise EngineFailure(ended.message) from None


def _ends(identity: Identity) -> bool:
    """Return True if a process has ended, or does within a second: its connections close before."""
    deadline = time.monotonic() + 1
    while is_alive(identity) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(identity)


def _completion(reply: Any, sampling: Sampling) -> Completion:
    choice, usage = reply["choices"][0], reply["usage"]
    text = choice["message"].get("content") or ""
    finish: Literal["stop", "length"] = "length" if choice["finish_reason"] == "length" else "stop"
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    counts = (usage["prompt_tokens"], cached, usage["completion_tokens"])
    # Cut here, as the server does not say which one it met.
    found = [(text.index(stop), stop) for stop in sampling.stop if stop in text]
    if found:
        at, stop = min(found)
        return Completion(text[:at], *counts, "stop_sequence", stop)
    return Completion(text, *counts, finish)


def _refusal(problem: urllib.error.HTTPError) -> Exception:
    """Return the error of a request that llama.cpp's server refused."""
    try:
        error = json.load(problem)["error"]
    except (ValueError, KeyError, TypeError):
        return EngineFailure(f"llama.cpp's server answered {problem.code}")
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLong(int(error.get("n_prompt_tokens", CONTEXT)), int(error.get("n_ctx", CONTEXT)) - 1)
    return EngineFailure(f"llama.cpp's server: {error.get('message')}")


def require_memory(name: str, path: Path) -> None:
    """Raise EngineFailure if a model would not fit into the memory that is free."""
    import psutil

    needed, free = (
        path.stat().st_size / 1e6 * _TIMES_FILE + _EXTRA_MB,
        psutil.virtual_memory().available / 1e6,
    )
    if free < needed:
        text = f"{name} needs about {needed:.0f} MB of memory, and {free:.0f} MB are free"
        raise EngineFailure(f"{text}: end other programs, or choose a smaller model")


def load_package(name: str, path: Path) -> TextModel:
    """Load a model with the package ``xllamacpp``, which holds llama.cpp's server as a library."""
    import xllamacpp

    require_memory(name, path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT * SLOTS, SLOTS, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.cache_ram_mib = CACHE_MB
    params.use_jinja, params.warmup, params.ui = True, False, False
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as problem:
        raise EngineFailure(f"llama.cpp cannot load {name} ({path}): {problem}") from None
    return LlamaServer(name, str(server.listening_address), server)


def load_binary(binary: Path, logs: Path) -> Callable[[str, Path], TextModel]:
    """Return how to load a model with a ``llama-server`` of the user's, one process for each model."""

    def load(name: str, path: Path) -> TextModel:
        log = logs / f"llama-server-{name}.log"
        return Restarted(name, log, partial(start, name, path, log))

    def start(name: str, path: Path, log: Path) -> tuple[Identity, LlamaServer]:
        require_memory(name, path)
        port = free_port()
        served = [*command(binary, path), "--port", str(port)]
        identity = spawn(served, log=log, env=dict(os.environ), cwd=logs, detached=False)
        try:
            # llama.cpp's server says that it is up as ours does.
            wait_until_ready(identity, partial(answers, port), what=str(binary), log=log, timeout_s=LOAD_S)
        except StackError as problem:
            stop(identity)
            raise EngineFailure(problem.message) from None
        return identity, LlamaServer(name, f"http://{HOST}:{port}")

    return load


def command(binary: Path, model: Path) -> list[str]:
    """Return the command that serves one model as `load_package` does."""
    sizes = {
        "--ctx-size": CONTEXT * SLOTS,
        "--parallel": SLOTS,
        "--threads": THREADS,
        "--cache-ram": CACHE_MB,
    }
    options = [str(part) for pair in sizes.items() for part in pair]
    flags = ["--no-kv-unified", "--jinja", "--no-warmup"]
    return [str(binary), "--model", str(model), "--host", HOST, *options, *flags]
