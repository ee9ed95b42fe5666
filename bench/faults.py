"""Faults between the harness and both services, and kills: `python bench/faults.py`.

A proxy stands before a stand-in of Letta and one of Claude. It drops, delays, resets, refuses (429, 500,
529), garbles, truncates and mislabels one answer or all from one on, and compresses, dribbles and repeats
others, at places and in an order that the seed chooses. Each fault hits a trial of its own, which is
recorded. Then a run with two workers is killed, worker or controller, when the proxy sees its n-th request,
and the same command is given again until it ends.

Counted are: trials whose outcome is another than the fault demands, records lost, files and lines that hold a
key, agents and processes left. All have to be 0, or the command ends with 1.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from fakes import FakeClaude, FakeLetta, no_wait  # noqa: E402 - found by the path above

from harness.backends.letta import cleanup  # noqa: E402
from harness.backends.letta.client import LABEL, Server  # noqa: E402
from harness.backends.retries import Transport  # noqa: E402
from harness.results.run_folder import RunFolder, report_payload  # noqa: E402
from harness.runner import Result, Setup, run_trial  # noqa: E402
from harness.sandbox.fork_server import ForkServer  # noqa: E402
from harness.tasks.pair import Orchestrator, Pair  # noqa: E402
from harness.tasks.task import Task  # noqa: E402
from harness.tasks.trial import Trial  # noqa: E402
from harness.terminal import printable  # noqa: E402

KEYS = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-" + "Zq7" * 30,
    "LETTA_API_KEY": "sk-let-" + "Yx4" * 30,
}
# Letta: version, agent, three messages, deletion. Claude: coder, tester.
PLACES = {"letta": 6, "claude": 2}
MESSAGES = (2, 3, 4)
HARMLESS = ("delay", "compressed", "slow loris", "twice")
STATUS = ("429", "500", "529")
TRANSPORT = ("drop before", "drop after", "reset", "truncated")
CONTENT = ("malformed", "not compressed", "web page", "wrong label")
KINDS = (*HARMLESS, *STATUS, *TRANSPORT, *CONTENT)


@dataclass(frozen=True)
class Fault:
    """What happens to the n-th request to a service, or (``lasting``) to each from there on."""

    service: str
    place: int
    kind: str
    lasting: bool

    @property
    def expected(self) -> tuple[str, ...]:
        """The outcomes that the trial that it hits may have.

        A passing fault is absorbed where the request may be repeated, which is not so for a message to an
        agent when the server may have acted on it. What cannot be read is never asked for again; but of the
        version, which is not recorded, an answer that cannot be decoded is a connection that failed.
        """
        if self.kind == "twice":  # the second copy may stand where the next answer is looked for
            return ("solved", "api_error")
        at_letta = self.service == "letta"
        is_deletion = at_letta and self.place == PLACES["letta"] - 1
        absorbed = self.kind in HARMLESS
        if not self.lasting:
            repeatable = not (at_letta and self.place in MESSAGES)
            absorbed |= self.kind in STATUS or (self.kind in TRANSPORT and repeatable)
            absorbed |= self.kind == "not compressed" and at_letta and self.place == 0
        absorbed |= self.kind == "wrong label"  # both SDKs read JSON whatever its label says
        absorbed |= self.kind == "web page" and is_deletion  # nobody reads what a deletion says
        return ("solved",) if absorbed else ("api_error",)

    def __str__(self) -> str:
        return f"{self.kind}{' from' if self.lasting else ' at'} {self.service} request {self.place + 1}"


class Proxy(BaseHTTPRequestHandler):
    """Passes a request on and spoils the answer, as ``server.choose`` says."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_: Any) -> None:
        pass

    def go(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        kind = self.server.choose(self)
        if kind == "drop before":
            return self.hang_up()
        if kind in STATUS:  # an endpoint that says too much: it repeats the key that it was sent
            key = self.headers.get("x-api-key") or self.headers.get("authorization")
            said = {"type": "error", "error": {"type": "overloaded_error", "message": f"try later, {key}"}}
            return self.answer(int(kind), json.dumps(said).encode(), {"retry-after": "0"})
        status, data, headers = self.ask(body)
        spoil: Callable[[], None] | None = {
            "drop after": self.hang_up,
            "reset": self.reset,
            "delay": lambda: (time.sleep(0.3), self.answer(status, data, headers))[1],
            "malformed": lambda: self.answer(status, data[: len(data) // 2] + b"}]", headers),
            "truncated": lambda: self.truncate(data),
            "compressed": lambda: self.answer(
                status, gzip.compress(data), {**headers, "content-encoding": "gzip"}
            ),
            "not compressed": lambda: self.answer(status, data, {**headers, "content-encoding": "gzip"}),
            "web page": lambda: self.answer(
                status, b"<html>Please log in</html>", {"content-type": "text/html"}
            ),
            "wrong label": lambda: self.answer(status, data, {"content-type": "text/plain"}),
            "slow loris": lambda: self.answer(status, data, headers, dribble=True),
            "twice": lambda: self.answer(status, data, headers, times=2),
        }.get(kind)
        return spoil() if spoil else self.answer(status, data, headers)

    do_GET = do_POST = do_PUT = do_DELETE = go  # noqa: N815

    def ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Ask the service, on a bare socket: what records a trial patches the process's HTTP libraries."""
        parts = urlsplit(self.server.upstream)
        names = ("host", "connection", "content-length")
        head = [f"{self.command} {self.path} HTTP/1.0", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in self.headers.items() if name.lower() not in names]
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)
            first, data = b"".join(iter(lambda: connection.recv(65536), b"")).split(b"\r\n\r\n", 1)
        return int(first.split()[1]), data, {"content-type": "application/json"}

    def answer(
        self, status: int, data: bytes, headers: dict[str, str], *, dribble: bool = False, times: int = 1
    ) -> None:
        head = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}"]
        head += [
            f"{name}: {value}" for name, value in {"content-type": "application/json", **headers}.items()
        ]
        whole = ("\r\n".join(head) + "\r\n\r\n").encode() + data
        step = max(1, len(whole) // 10) if dribble else len(whole)
        with suppress(OSError):
            for _ in range(times):
                for start in range(0, len(whole), step):
                    self.wfile.write(whole[start : start + step])
                    self.wfile.flush()
                    time.sleep(0.05 if dribble else 0)

    def truncate(self, data: bytes) -> None:
        head = f"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data[: len(data) // 2])
        self.wfile.flush()
        self.hang_up()

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


class Letta(FakeLetta):
    """The stand-in, with the lists that cleaning up needs."""

    def answer(self, method: str, path: str, body: Any) -> Any:
        place = path.partition("?")[0].rstrip("/")
        if method == "GET" and place == "/v1/agents":
            made = "2026-01-01T00:00:00+00:00"
            return 200, [
                {"id": agent, "name": name, "tags": [LABEL], "created_at": made, "blocks": []}
                for agent, name in list(self.agents.items())
                if "after=" not in path  # one page
            ]
        if method == "GET" and place in ("/v1/blocks", "/v1/tools"):
            return 200, []
        return super().answer(method, path, body)


def clean(letta: Letta) -> None:
    """Delete what the harness has left, as ``harness letta clean`` does."""
    if letta.agents:
        server = Server(letta.url, "", Transport(no_wait()))
        cleanup.remove(server, cleanup.find(server, datetime.now(UTC), timedelta(0)), lambda _: None)


@contextmanager
def proxy(upstream: str, choose: Callable[[Proxy], str]) -> Iterator[str]:
    """Serve a proxy before a service; ``choose`` returns the kind of fault for a request, or nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.handle_error = lambda *_: None  # the harness is killed, and hangs up
    server.daemon_threads = True
    server.upstream, server.choose = upstream, choose
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Tally:
    """What went wrong, in words."""

    misjudged: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not any(vars(self).values())


def faults(count: int, seed: int) -> list[Fault]:
    """Return so many faults: each kind at each place once and lasting, before any comes again."""
    every = [
        Fault(service, place, kind, lasting)
        for service, places in PLACES.items()
        for place in range(places)
        for kind in KINDS
        for lasting in (False, True)
    ]
    chance = random.Random(seed)
    drawn: list[Fault] = []
    while len(drawn) < count:
        drawn += chance.sample(every, min(len(every), count - len(drawn)))
    return drawn


class Campaign:
    """Trials, one for each fault, in one process.

    Args:
        root: Where cassettes and reports go.
        sandbox: Where the code runs that the stand-ins write.
    """

    def __init__(self, root: Path, sandbox: Any) -> None:
        self.root, self.sandbox = root, sandbox
        self.tally = Tally()
        self.left = 0  # agents that a trial could not delete
        self.run = RunFolder.new(root / "reports", datetime.now(UTC))

    def go(self, chosen: list[Fault]) -> None:
        """Let each fault hit a trial."""
        with Letta().running() as letta, FakeClaude().running() as claude:
            for number, fault in enumerate(chosen, 1):
                self.hit(number, fault, letta, claude)
        rows = [
            json.loads(line)["trial"] for line in (self.run.path / "trials.jsonl").read_text().splitlines()
        ]
        missing = {f"gpt+haiku/add/{number}" for number in range(1, len(chosen) + 1)} - set(rows)
        self.tally.lost += sorted(missing)
        self.tally.leaked += files_with_keys(self.root)

    def hit(self, number: int, fault: Fault, letta: Letta, claude: FakeClaude) -> None:
        seen: Counter[str] = Counter()
        over = False

        def choose(service: str) -> Callable[[Proxy], str]:
            def of(_: Proxy) -> str:
                place = seen[service]
                seen[service] += 1
                hits = place >= fault.place if fault.lasting else place == fault.place
                return fault.kind if service == fault.service and hits and not over else ""

            return of

        trial = a_trial(number)
        with proxy(letta.url, choose("letta")) as one, proxy(claude.url, choose("claude")) as other:
            environment = {"LETTA_BASE_URL": one, "ANTHROPIC_BASE_URL": other, **KEYS}
            setup = Setup(self.root, self.sandbox, "all", environment, transport=lambda: Transport(no_wait()))
            result = run_trial(trial, setup)
            over = True
        self.judge(trial, fault, result, letta)
        self.run.add(report_payload(result.record.row(), result.transcript, result.files))

    def judge(self, trial: Trial, fault: Fault, result: Result, letta: Letta) -> None:
        outcome, note = result.record.outcome, self.tally.misjudged.append
        if outcome not in fault.expected:
            note(f"{fault}: {outcome}, not {' or '.join(fault.expected)} ({result.record.detail})")
        recorded = (self.root / trial.cassette_path).is_file()
        if recorded != (outcome == "solved"):
            note(f"{fault}: {outcome}, and there is {'a' if recorded else 'no'} cassette")
        if recorded:
            again = run_trial(trial, Setup(self.root, self.sandbox, environment={}))
            if again.record.outcome != outcome:
                note(f"{fault}: its recording replays as {again.record.outcome} ({again.record.detail})")
        said = printable(f"{result.error}")
        self.tally.leaked += [f"{fault}: {name} in its error" for name, key in KEYS.items() if key in said]
        # Where its deletion, or the answer that named it, was lost for good, an agent stays. It has our tag.
        self.left += len(letta.agents)
        clean(letta)
        self.tally.agents += [f"{fault}: {name}" for name in letta.agents.values()]
        letta.agents.clear()


def a_trial(number: int) -> Trial:
    task = Task(
        id="add",
        title="Add",
        spec="Implement add(a, b).",
        code_file="add.py",
        test_file="test_add.py",
        reference="def add(a, b):\n    return a + b\n",
        acceptance="from add import add\n\n\ndef test_sum():\n    assert add(2, 3) == 5\n",
    )
    pair = Pair(
        name="gpt+haiku",
        orchestrator=Orchestrator(model="openai/gpt-5-mini"),
        coder="claude-haiku-5-5",
        epochs=1000,
    )
    return Trial(task=task, pair=pair, epoch=number, source="benchmarks/add.yaml")


def files_with_keys(root: Path) -> list[str]:
    """Return the files that hold a key."""
    return [
        f"{name} in {path.relative_to(root)}"
        for path in root.rglob("*")
        if path.is_file()
        for name, key in KEYS.items()
        if key.encode() in path.read_bytes()
    ]


TASK = """\
title: Add
spec: Implement add(a, b).
code_file: add.py
test_file: test_add.py
reference: |
  def add(a, b):
      return a + b
acceptance: |
  from add import add

  def test_sum():
      assert add(2, 3) == 5
"""
PAIRS = """\
pairs:
  one: {orchestrator: {model: openai/gpt-5-mini}, coder: claude-haiku-5-5, epochs: 2}
"""
PRICES = "prices: {openai/gpt-5-mini: {input: 0, output: 0}, claude-haiku-5-5: {input: 0, output: 0}}\n"
TASKS = ("add", "plus", "sum")
MARK = "HARNESS_FAULTS_RUN"
HOW = ("worker", "controller", "controller, SIGTERM")


class Kills:
    """Runs with two workers that are killed when the proxies have seen so many requests."""

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally

    def go(self, count: int, seed: int) -> None:
        chance = random.Random(seed)
        requests = len(TASKS) * 2 * sum(PLACES.values())
        for number in range(count):
            at, how = chance.randrange(1, requests), HOW[number % len(HOW)]
            self.kill(self.folder / str(number), f"kill of the {how} at request {at}", at, how)

    def kill(self, root: Path, name: str, at: int, how: str) -> None:
        (root / "benchmarks").mkdir(parents=True)
        for task in TASKS:
            (root / f"benchmarks/{task}.yaml").write_text(TASK)
        (root / "benchmarks/pairs.yaml").write_text(PAIRS)
        (root / "benchmarks/prices.yaml").write_text(PRICES)
        seen, lock = 0, threading.Lock()
        process: subprocess.Popen[bytes] | None = None

        def choose(_: Proxy) -> str:
            nonlocal seen
            with lock:
                seen += 1
                if seen == at and process is not None:
                    victim = min(children(process.pid)) if how == "worker" else process.pid
                    os.kill(victim, signal.SIGTERM if "SIGTERM" in how else signal.SIGKILL)
            return ""

        with ExitStack() as stack:
            letta = stack.enter_context(Letta().running())
            claude = stack.enter_context(FakeClaude().running())
            mark = f"{os.getpid()}-{root.name}"
            environment = {
                **os.environ,
                MARK: mark,
                "LETTA_BASE_URL": stack.enter_context(proxy(letta.url, choose)),
                "ANTHROPIC_BASE_URL": stack.enter_context(proxy(claude.url, choose)),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            }
            command = [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider"]
            command += ["-n2", "--record=once", "--no-live-checks"]
            for _ in range(3):
                finished = {path.parent.name + path.stem for path in root.glob("cassettes/*/*/*.json")}
                before = len(letta.requests)
                with (root / "output").open("ab") as output:
                    process = subprocess.Popen(
                        command, cwd=root, env=environment, stdout=output, stderr=output
                    )
                    code = process.wait(timeout=300)
                self.tally.processes += [f"{name}: {left}" for left in processes_with(mark)]
                self.tally.lost += [f"{name}: {path} is no whole file" for path in torn(root)]
                made = [
                    body["name"]
                    for verb, path, body in letta.requests[before:]
                    if path == "/v1/agents/" and body
                ]
                again = [each for each in made if "".join(each.split("_")[1:]) in finished]
                self.tally.lost += [f"{name}: {each} was recorded, and run again" for each in again]
                if code == 0:
                    break
            self.tally.leaked += files_with_keys(root)
            rows = [
                json.loads(line) for line in (root / "reports/latest/trials.jsonl").read_text().splitlines()
            ]
            solved = {row["trial"] for row in rows if row["outcome"] == "solved"}
            wanted = {f"one/{task}/{epoch}" for task in TASKS for epoch in (1, 2)}
            self.tally.lost += [f"{name}: {each}" for each in sorted(wanted - solved)]
            clean(letta)
            self.tally.agents += [f"{name}: {each}" for each in letta.agents.values()]


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def processes_with(mark: str, patience_s: float = 15.0) -> list[str]:
    """Return the processes of a run that has ended, if they do not end either."""
    deadline = time.monotonic() + patience_s
    while True:
        left = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                    left.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120])
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def torn(root: Path) -> list[Path]:
    """Return the JSON files that are not whole."""
    found = []
    for path in [*root.glob("cassettes/**/*.json"), *root.glob("reports/*/*.json")]:
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(path)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--kills", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.update(KEYS)  # redaction knows the values of this process's variables
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tally, left = campaign(folder / "faults", options.faults, options.seed)
        Kills(folder / "kills", tally).go(options.kills, options.seed)
    print(f"{options.faults} faults, {options.kills} kills; seed {options.seed}")
    print(f"agents that a trial could not delete, and cleaning up did: {left}")
    for what, problems in vars(tally).items():
        print(f"{what}: {len(problems)}")
        for line in problems:
            print(f"  {line[:300]}")
    return 0 if tally.is_clean else 1


def campaign(root: Path, count: int, seed: int) -> tuple[Tally, int]:
    """Record a trial for each of so many faults; return what went wrong, and how many agents were left."""
    before = set(children(os.getpid()))
    with ForkServer() as sandbox:
        done = Campaign(root, sandbox)
        done.go(faults(count, seed))
    done.tally.processes += [f"process {pid}" for pid in set(children(os.getpid())) - before]
    return done.tally, done.left


if __name__ == "__main__":
    sys.exit(main())
