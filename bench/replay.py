"""What a replay costs: our cassettes against stock vcrpy and against no cassette at all.

    python bench/replay.py

Measured, for synthetic agent conversations of 10 to 100 turns that send their whole history with every
request (a system prompt of 7 kB, two tools, about 4 kB a turn), recorded once by each side from the same
loopback server and played back to a plain ``httpx.Client``:

- ms/request: the mean over a conversation, of building, sending, matching and answering; the fastest run;
- load ms: from the file to the first request that could be answered; the fastest run;
- kB: the file's size;
- diff: lines added + removed in ``git diff --numstat`` after one word of the system prompt changed.

"ours" is ``file.load`` and ``record_replay.replaying``; "stock" is vcrpy's YAML (libyaml where PyYAML has it)
with ``body`` among its matchers; "floor" is httpx with an answer from memory.

Not measured: the SDKs above httpx, streams, recording, saving, memory, misses, and any real model's
conversation; the sizes of turns are invented, and every figure is this machine's. The stock matcher compares
with every stored request, so 60 turns and more are played by it once only.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import vcr
import yaml

from harness.cassette import record_replay
from harness.cassette.file import Cassette, load, save

TURNS = (10, 30, 60, 100)
RUNS = 3
STOCK_ONCE_FROM = 60
MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "body")
WORDS = ("value", "list", "return", "test", "error", "file", "path", "result", "input", "number", "index")
TOOLS = [
    {
        "name": f"run_claude_{role}",
        "description": f"Ask the {role} for one file. " + "Say exactly what the file has to do. " * 12,
        "input_schema": {"type": "object", "properties": {"spec": {"type": "string"}}, "required": ["spec"]},
    }
    for role in ("coder", "tester")
]


def prose(dice: random.Random, lines: int) -> str:
    """Lines of about 60 characters, the same for the same dice."""
    return "\n".join(" ".join(dice.choices(WORDS, k=11)) for _ in range(lines))


def system_prompt(word: str) -> str:
    """About 7 kB in which one word can be changed."""
    return f"You are a {word} programmer.\n{prose(random.Random(1), 110)}"


def answer_to(turn: int) -> dict[str, Any]:
    """Return what the model says in a turn: a tool call with a file in it."""
    call = {"code": prose(random.Random(1000 + turn), 28), "path": f"file_{turn}.py"}
    content = [
        {"type": "text", "text": prose(random.Random(2000 + turn), 2)},
        {"type": "tool_use", "id": f"toolu_{turn:04}", "name": TOOLS[turn % 2]["name"], "input": call},
    ]
    usage = {"input_tokens": 900 * turn + 2000, "output_tokens": 480}
    head = {"id": f"msg_{turn:04}", "type": "message", "role": "assistant", "model": "claude-haiku-5-5"}
    return {**head, "content": content, "stop_reason": "tool_use", "usage": usage}


def converse(client: httpx.Client, url: str, turns: int, word: str = "careful") -> None:
    """Play a conversation, each request with all that went before."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": prose(random.Random(3), 10)}]
    body = {"model": "claude-haiku-5-5", "max_tokens": 4096, "system": system_prompt(word), "tools": TOOLS}
    results = [prose(random.Random(3000 + turn), 24) for turn in range(turns)]
    for turn in range(turns):
        answer = client.post(f"{url}/v1/messages", json={**body, "messages": messages}).json()
        result = {"type": "tool_result", "tool_use_id": answer["content"][1]["id"], "content": results[turn]}
        messages = [
            *messages,
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": [result]},
        ]


# --- recording ------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """The model: answers by the number of messages in the request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece: two would wait 40 ms for each other

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        """Answer with headers as the real service sends them, without a date, so that files compare."""
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        turn = len(sent["messages"]) // 2
        data = json.dumps(answer_to(turn)).encode()
        self.send_response_only(200)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            "request-id": f"req_{turn:020}",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def a_server() -> Iterator[str]:
    """Serve a model; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def record_ours(url: str, path: Path, turns: int, word: str) -> None:
    """Record a cassette of ours, through the same steps as a trial's."""
    with record_replay.recording({url: "anthropic"}) as recording, httpx.Client() as client:
        converse(client, url, turns, word)
    facts = {"at": "2026-11-26"}
    whole = Cassette("bench/bench/1", task="t", prompts="p", recorded=facts, exchanges=recording.exchanges)
    save(whole, path, path.name)


def record_stock(url: str, path: Path, turns: int, word: str) -> None:
    """Record a cassette as vcrpy writes it. What it matches on changes nothing in the file."""
    with vcr.use_cassette(str(path), record_mode="all"), httpx.Client() as client:
        converse(client, url, turns, word)


# --- replaying ------------------------------------------------------------------------------------------


class Memory(httpx.BaseTransport):
    """Answers in order, whatever is asked."""

    def __init__(self, turns: int) -> None:
        self._answers = iter([json.dumps(answer_to(turn)).encode() for turn in range(turns)])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Take the request whole, as a player must, and give the next answer."""
        request.read()
        return httpx.Response(200, headers={"content-type": "application/json"}, content=next(self._answers))


@contextmanager
def ours(path: Path) -> Iterator[None]:
    """Our player over our file."""
    exchanges = load(path, path.name, record_with="").exchanges
    with record_replay.replaying(exchanges) as player:
        yield
    assert not player.misses
    assert not player.unplayed


@contextmanager
def stock(path: Path) -> Iterator[None]:
    """Play the file of stock vcrpy."""
    with vcr.use_cassette(str(path), record_mode="none", match_on=MATCH_ON) as playing:
        yield
    assert playing.all_played


@dataclass(frozen=True)
class Cost:
    """What one side takes. Times in ms, size in bytes, diff in lines added + removed."""

    request: float
    load: float = 0.0
    size: int = 0
    diff: int = 0


def timed(
    play: Callable[[], AbstractContextManager[None]], url: str, turns: int, runs: int
) -> tuple[float, float]:
    """Return the fastest load and the fastest mean request, in ms. The client is made before."""
    loads, requests = [], []
    for _ in range(runs):
        with httpx.Client() as client:
            gc.collect()
            start = time.perf_counter()
            with play():
                ready = time.perf_counter()
                converse(client, url, turns)
                end = time.perf_counter()
        loads.append((ready - start) * 1000)
        requests.append((end - ready) * 1000 / turns)
    return min(loads), min(requests)


def floor(url: str, turns: int) -> Cost:
    """Measure what httpx and the conversation themselves take."""
    means = []
    for _ in range(RUNS):
        with httpx.Client(transport=Memory(turns)) as client:
            start = time.perf_counter()
            converse(client, url, turns)
            means.append((time.perf_counter() - start) * 1000 / turns)
    return Cost(min(means))


def numstat(old: Path, new: Path) -> int:
    """Lines that git shows as added or removed."""
    command = ["git", "diff", "--no-index", "--numstat", str(old), str(new)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return int(told[0]) + int(told[1])


def measure(folder: Path, turns: int) -> tuple[Cost, Cost, Cost]:
    """Record and replay one length of conversation: ours, stock, floor."""
    files = {}
    with a_server() as url:
        for kind, record in (("ours.json", record_ours), ("stock.yaml", record_stock)):
            for word in ("careful", "careless"):
                files[kind, word] = folder / f"{turns}-{word}-{kind}"
                record(url, files[kind, word], turns, word)
    costs = []
    for kind, player, runs in (
        ("ours.json", ours, RUNS),
        ("stock.yaml", stock, 1 if turns >= STOCK_ONCE_FROM else RUNS),
    ):
        old, new = files[kind, "careful"], files[kind, "careless"]
        # Ours knows the service by its name; stock by the address that it recorded.
        asked = "http://anthropic.invalid" if player is ours else url
        load, request = timed(lambda player=player, old=old: player(old), asked, turns, runs)
        costs.append(Cost(request, load, old.stat().st_size, numstat(old, new)))
    return costs[0], costs[1], floor(url, turns)


# --- the table ------------------------------------------------------------------------------------------

HEAD = f"{'turns':>5}  {'side':5}  {'ms/request':>10}  {'load ms':>8}  {'kB':>8}  {'diff':>6}"


def rows(turns: int, our: Cost, their: Cost, least: Cost) -> Iterator[str]:
    """Yield the lines of the table for one length, with how many times more stock takes than ours."""
    for side, cost in (("ours", our), ("stock", their)):
        figures = f"{cost.request:10.2f}  {cost.load:8.1f}  {cost.size / 1000:8.0f}  {cost.diff:6}"
        yield f"{turns:5}  {side:5}  {figures}"
    yield f"{turns:5}  floor  {least.request:10.2f}"
    times, load = their.request / our.request, their.load / our.load
    size, diff = their.size / our.size, their.diff / our.diff
    yield f"       ratio  {times:9.1f}x  {load:7.1f}x  {size:7.1f}x  {diff:5.0f}x"


def verdicts(costs: dict[int, tuple[Cost, Cost, Cost]]) -> Iterator[str]:
    """Whether what we aim at was reached here."""
    our, their, _ = costs[100]
    our_60, their_60, _ = costs[60]
    share = our_60.size / their_60.size
    most = max(each[0].diff for each in costs.values())
    for met, what in (
        (our.request <= 5, f"<= 5 ms/request at 100 turns: {our.request:.2f}"),
        (their.request / our.request >= 20, f">= 20x of stock's: {their.request / our.request:.0f}x"),
        (share <= 0.1, f"<= 10 % of the stock file at 60 turns: {share:.1%}"),
        (most <= 5, f"<= 5 lines of diff for a changed word: {most}"),
    ):
        yield f"{'PASS' if met else 'FAIL'}  {what}"


def main() -> None:
    """Measure every length and print the table."""
    print(f"vcrpy {vcr.__version__}, httpx {httpx.__version__}, libyaml {yaml.__with_libyaml__}")
    print(HEAD)
    costs = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for turns in TURNS:
            costs[turns] = measure(Path(folder), turns)
            for line in rows(turns, *costs[turns]):
                print(line, flush=True)
    for line in verdicts(costs):
        print(line)


if __name__ == "__main__":
    main()
