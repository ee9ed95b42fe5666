"""Runs that are killed at seeded moments and resumed, against stand-ins that count what was paid for.

The stand-ins live in this process; the run that is killed is another, with workers of its own.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import warm
from fakes import FakeClaude, FakeLetta

from harness.cassette.file import load
from harness.results.journal import LIVE

TASK = """\
title: Add two numbers
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
  one: {orchestrator: {model: openai/gpt-5-mini}, coder: claude-haiku-5-5, epochs: 3}
  two: {orchestrator: {model: openai/gpt-5}, coder: claude-haiku-5-5, epochs: 3}
"""
KINDS = ("SIGINT", "SIGTERM", "SIGKILL", "SIGINT to all", "SIGTERM to all", "SIGKILL of a worker")
TIMED = {"recorded_wall_s", "conversation"}  # of a row: measured, or with the ids that a server gave
REQUESTS = 7 * 12  # of a whole run
LONGEST_S = 900  # on a machine that does much else


class Letta(FakeLetta):
    """Counts which trial was begun how often; lists agents, and knows which are gone; answers in its time."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Counter[str] = Counter()
        self.made: dict[str, Any] = {}
        self.clock = Clock()

    def answer(self, method: str, path: str, body: Any) -> Any:
        self.clock.tick()
        url = urlsplit(path)
        if method == "POST" and body is None:  # of a client that was killed
            return 400, {}
        if (method, url.path) == ("GET", "/v1/agents/"):
            wanted = parse_qs(url.query)["name"]
            found = [self.made[each] for each, name in self.agents.items() if name in wanted]
            return 200, [] if "after" in url.query else found
        if method == "DELETE" and path.split("/")[3] not in self.agents:
            return 404, {"detail": "gone"}
        return super().answer(method, path, body)

    def _create(self, body: Any) -> Any:
        self.begun[body["name"]] += 1
        made = super()._create(body)
        self.made[made["id"]] = made
        return made


class Claude(FakeClaude):
    """Answers in its time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def answer(self, method: str, path: str, body: Any) -> Any:
        self.clock.tick()
        return super().answer(method, path, body) if body is not None else (400, {})


class Clock:
    """Counts requests to all stand-ins, and tells when the one has come after which a run is killed."""

    def __init__(self) -> None:
        self._count = 0
        self._wanted = sys.maxsize
        self._lock = threading.Lock()
        self.is_time = threading.Event()

    def tick(self) -> None:
        with self._lock:
            self._count += 1
            if self._count >= self._wanted:
                self.is_time.set()
        time.sleep(0.02)

    def set(self, requests: int) -> None:
        """Tell after so many more requests."""
        with self._lock:
            self.is_time.clear()
            self._wanted = self._count + requests


@dataclass
class Tally:
    """What the campaign has seen.

    Attributes:
        kills: How many runs were killed, by how.
        lost: Trials that were finished before a kill, and had no record after it.
        twice: Trials that were finished, and begun again.
        problems: All else that should not be.
    """

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    twice: int = 0
    problems: list[str] = field(default_factory=list)


class Repository:
    """A repository with 12 trials, and the stand-ins that record them."""

    def __init__(self, root: Path, letta: Letta, claude: Claude) -> None:
        self.root, self.letta = root, letta
        (root / "benchmarks").mkdir(parents=True)
        for name in ("add", "sum"):
            (root / f"benchmarks/{name}.yaml").write_text(TASK)
        (root / "benchmarks/pairs.yaml").write_text(PAIRS)
        (root / "pytest.ini").write_text("[pytest]\n")
        (root / "tmp").mkdir()
        inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        self.environment = inherited | {
            "LETTA_BASE_URL": letta.url,
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": "a-key-for-tests",
            "HARNESS_HOME": str(root / "home"),
            "TMPDIR": str(root / "tmp"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "xdist.plugin,harness.plugin",
        }

    def start(self, *args: str) -> warm.Pytest:
        """Start pytest in a process group of its own."""
        arguments = ["benchmarks", "--no-live-checks", "-p", "no:cacheprovider", *args]
        with (self.root / "output").open("ab") as output, open(os.devnull) as nothing:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            return warm.Pytest(arguments, self.root, self.environment, streams, session=True)

    @property
    def run(self) -> Path:
        """The folder of the only run."""
        (found,) = {
            path.parent for path in (self.root / "reports").glob("*/run.json") if not path.parent.is_symlink()
        }
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """The last row of each trial."""
        with suppress(FileNotFoundError, ValueError):
            lines = (self.run / "trials.jsonl").read_text().splitlines(keepends=True)
            found = [json.loads(line) for line in lines if line.endswith("\n")]
            return {row["trial"]: row for row in found}
        return {}

    def finished(self) -> set[str]:
        """Trials that have a measured row, or a cassette of the run's."""
        cassettes = {path.relative_to(self.root / "cassettes").with_suffix("") for path in self.cassettes()}
        return {name for name, row in self.rows().items() if row["kind"] == "model"} | set(
            map(str, cassettes)
        )

    def cassettes(self) -> list[Path]:
        """All cassettes, without what is being written."""
        return [path for path in (self.root / "cassettes").rglob("*.json") if not path.name.startswith(".")]

    def temporary(self) -> set[str]:
        """What stands in its folder for temporary files, besides pytest's own."""
        return {path.name for path in (self.root / "tmp").iterdir()} - {f"pytest-of-{getpass.getuser()}"}

    def processes(self) -> list[psutil.Process]:
        """Processes that work in this repository, wherever they hang."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # a worker's environment is overwritten by its title
                here = process.environ().get("TMPDIR") == str(self.root / "tmp")
                if (here or process.cwd() == str(self.root)) and process.status() != "zombie":
                    found.append(process)
        return found


def kill(repository: Repository, process: warm.Pytest, kind: str, choose: random.Random) -> bool:
    """Kill a run in one of the ways; return False if it was too late."""
    if process.poll() is not None:
        return False
    name, _, target = kind.partition(" ")
    number = getattr(signal, name)
    if target == "to all":
        os.killpg(process.pid, number)
    elif target == "of a worker":
        workers = workers_of(process.pid)
        if not workers:
            return False
        choose.choice(workers).send_signal(number)
    else:
        process.send_signal(number)
    return True


def workers_of(controller: int) -> list[psutil.Process]:
    """The workers of a run: forks of a process that is a fork of the controlling one, or xdist's own."""
    process = psutil.Process(controller)
    children = process.children()
    for child in children:
        if child.cmdline() == process.cmdline():
            return child.children()
    return [each for each in children if "execnet" in " ".join(each.cmdline())]


def wait(process: warm.Pytest) -> int:
    """Wait for the end of a run."""
    return process.wait(timeout=LONGEST_S)


def campaign(folder: Path, kills: int, seed: int, say: Any = print, per_run: int = 4) -> Tally:
    """Kill runs until ``kills`` are killed, each run some times; compare each with one that was not."""
    choose, tally = random.Random(seed), Tally()
    with stand_ins() as (letta, claude):
        reference = Repository(folder / "reference", letta, claude)
        if wait(reference.start("--record=all", "-n", "2")):
            raise SystemExit((reference.root / "output").read_text())
        number = 0
        while tally.kills.total() < kills:
            number += 1
            repository = Repository(folder / f"run{number}", letta, claude)
            most = min(per_run, kills - tally.kills.total())
            one(repository, tally, choose, most)
            compare(reference, repository, tally)
            say(f"{tally.kills.total()} kills: lost {tally.lost}, twice {tally.twice}, {tally.problems}")
            if not tally.problems:
                shutil.rmtree(repository.root)
    return tally


@contextmanager
def stand_ins() -> Iterator[tuple[Letta, Claude]]:
    """A Letta and a Claude, with one clock."""
    letta = Letta()
    claude = Claude(letta.clock)
    with letta.running(), claude.running():
        yield letta, claude


def one(repository: Repository, tally: Tally, choose: random.Random, most: int) -> None:
    """Begin a run, kill it some times, resume it each time, and let it end."""
    letta, clock = repository.letta, repository.letta.clock
    letta.begun.clear()
    mode = choose.choice(["--record=all", "--record=once"])
    arguments = [mode]
    for _ in range(most):
        kind = choose.choice(KINDS)
        workers = ["-n", "2"] if "worker" in kind or choose.random() < 0.7 else []
        clock.set(choose.randint(2, REQUESTS // most))
        before, begun = repository.finished(), Counter(letta.begun)
        process = repository.start(*arguments, *workers)
        while not clock.is_time.wait(0.1) and process.poll() is None:
            pass
        time.sleep(choose.random() * 0.1)
        killed = kill(repository, process, kind, choose)
        tally.kills[kind] += killed
        if kind != "SIGKILL":  # of the controller: its workers end by themselves, and the next run waits
            wait(process)
        else:
            process.wait()
        check(repository, tally, before, begun)
        arguments = ["--resume"]
        if not killed and process.poll() == 0:  # too late: all is done
            break
    before, begun = repository.finished(), Counter(letta.begun)
    for _ in range(3):
        code = wait(repository.start("--resume", "-n", "2"))
        if code == 0:
            break
    check(repository, tally, before, begun)


def check(repository: Repository, tally: Tally, before: set[str], begun: Counter[str]) -> None:
    """Count what was finished before, and is not, or was begun again."""
    again = [
        name
        for name in before
        if repository.letta.begun[name.replace("/", "_")] > begun[name.replace("/", "_")]
    ]
    tally.twice += len(again)
    tally.lost += len(before - repository.finished())


def compare(reference: Repository, repository: Repository, tally: Tally) -> None:
    """Compare a run that was killed with one that was not; look for what was left behind."""

    def comparable(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {name: {k: v for k, v in row.items() if k not in TIMED} for name, row in rows.items()}

    def problem(text: str) -> None:
        tally.problems.append(f"{repository.root.name}: {text}")

    ours, theirs = comparable(repository.rows()), comparable(reference.rows())
    if ours != theirs:
        differ = [name for name in theirs if ours.get(name) != theirs[name]]
        problem(f"other rows: {differ}")
    for path in repository.cassettes():
        load(path, str(path))  # raises what is wrong with it
    if len(repository.cassettes()) != len(theirs):
        problem("other cassettes")
    halves = [path for path in repository.root.rglob(".*.json*") if path.is_file()]
    halves += list(repository.root.glob(f"reports/*/{LIVE}/*"))
    if halves:
        problem(f"left behind: {halves}")
    if repository.letta.agents:
        problem(f"agents left: {list(repository.letta.agents.values())}")
        repository.letta.agents.clear()
    ends = time.monotonic() + 15  # who has lost a killed parent looks every five seconds
    while (repository.processes() or repository.temporary()) and time.monotonic() < ends:
        time.sleep(0.2)
    if left := repository.processes():
        problem(f"processes left: {[' '.join(each.cmdline())[:80] for each in left]}")
    if temporary := repository.temporary():
        problem(f"temporary files left: {temporary}")
