"""What many trials cost: `python bench/scale.py [--trials 10000]`. Prints ratios from this one run.

The trials are the shipped recordings of the scripted pair under other ids, ten epochs of each task; the files
stand in a folder that ends with this run. Test runs are remembered from a first replay of 300 trials: what is
measured is the harness, not the sandbox.

- *collection*: CPU of ``--collect-only`` against plain pytest's with as many files and items, and memory;
- *memory*: the peaks of controller and worker with all trials, against those with a tenth of them;
- *speed*: trials per second at ``-n 1, 2, 4``, of a tenth of the trials; CPU for each against the floor, the
  same replays one after the other in one process without pytest, records, tables or page;
- *the end of the run*: CPU for tables and page (``harness view``), and disk for each trial.

``--ways`` instead replays the shipped suite under xdist, in three shards that are merged, and on a Dask
cluster of two processes of which one is killed, and compares all records.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from harness.backends.letta.client import NOT_IN_NAMES
from harness.cassette import file as cassettes
from harness.cassette.exchange import normalise
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home, probe
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.tasks.suite import Selection, Suite

ROOT = Path(__file__).parent.parent
PAIR = "scripted+oracle"
EPOCHS = 10
HARNESS = (sys.executable, "-c", "from harness.cli.main import main; main()")
PLAIN = "import pytest\n\n\n@pytest.mark.parametrize('n', range({}))\ndef test_{}(n):\n    assert n >= 0\n"


@dataclass(frozen=True)
class Cost:
    """What a command cost: wall and CPU seconds, and the peaks of its own and of its children's memory."""

    wall_s: float
    cpu_s: float
    own_mb: float
    worker_mb: float
    said: str


def measure(command: list[str], folder: Path, **environment: str) -> Cost:
    """Run a command, watching the memory of its processes."""
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile("w+") as output:
        env = {**os.environ, **environment}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        own, workers, seconds = 0.0, {}, {}
        while process.poll() is None:
            own = max(own, peak(process.pid))
            for pid in children(process.pid):
                workers[pid] = max(workers.get(pid, 0.0), peak(pid))
            for pid in (process.pid, *workers):
                seconds[pid] = max(seconds.get(pid, 0.0), cpu_s(pid))
            time.sleep(0.3)
        output.seek(0)
        said = output.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode in (0, 1), said[-3000:]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cpu = max(cpu, sum(seconds.values()))  # workers are forks of another process, for which nobody waits
    return Cost(time.monotonic() - began, cpu, own, max(workers.values(), default=0.0), said)


def peak(pid: int) -> float:
    """Return the peak of a process's resident memory in MB."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def children(pid: int) -> list[int]:
    """Return what a process has started, and what that has: xdist's workers, for a controller."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def copy_suite(root: Path, trials: int) -> None:
    """Write a repository of so many trials: tasks under other ids, and their recordings under other slugs."""
    benchmarks = root / "benchmarks"
    benchmarks.mkdir(parents=True)
    pairs = (ROOT / "benchmarks/pairs.yaml").read_text()
    own = re.search(rf"^  {re.escape(PAIR)}:\n(?:    .*\n|\n)+", pairs, re.MULTILINE)[0]
    own = re.sub(r"epochs: \d+", f"epochs: {EPOCHS}", own)
    own += "" if "epochs:" in own else f"    epochs: {EPOCHS}\n"
    (benchmarks / "pairs.yaml").write_text(f"pairs:\n{own}")
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(pairs=(PAIR,)), {})
    sources = [(path, suite.tasks(path)[0].id) for path in suite.files()]
    sources = [
        (path, name) for path, name in sources if (ROOT / "cassettes" / PAIR / name / "1.json").is_file()
    ]
    for number in range(trials // EPOCHS):
        path, name = sources[number % len(sources)]
        new = f"{name}-{number // len(sources)}"
        text = path.read_text()
        text = re.sub(r"^id: .*\n", "", text, flags=re.MULTILINE)
        (benchmarks / f"{new}.yaml").write_text(f"id: {new}\n{text}")
        recording = Template.of(ROOT / "cassettes" / PAIR / name / "1.json")
        for epoch in range(1, EPOCHS + 1):
            recording.write(root / "cassettes", f"{PAIR}/{new}/{epoch}")


@dataclass(frozen=True)
class Template:
    """A recording to be copied: the agent's name is all that tells it from one of another trial."""

    cassette: cassettes.Cassette
    text: str

    @classmethod
    @cache
    def of(cls, path: Path) -> Template:
        cassette = replace(cassettes.load(path, str(path)), rows=())
        cassette = replace(cassette, exchanges=tuple(normalise(cassette.exchanges)))
        return cls(cassette, cassettes.dumps(cassette))

    def write(self, folder: Path, slug: str) -> None:
        old = self.cassette
        before, after = (NOT_IN_NAMES.sub("_", each) for each in (old.trial, slug))

        def renamed(body: bytes) -> bytes:
            return body.replace(before.encode(), after.encode())

        exchanges = tuple(
            replace(each, request_body=renamed(each.request_body), response_body=renamed(each.response_body))
            for each in old.exchanges
        )
        digest = cassettes.digest_of(replace(old, trial=slug, exchanges=exchanges))
        text = self.text.replace(cassettes.digest_of(old), digest)
        path = folder / f"{slug}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(f'"{old.trial}"', f'"{slug}"').replace(before, after))


def plain_suite(root: Path, trials: int) -> None:
    """Write as many test files with as many tests for plain pytest."""
    root.mkdir()
    for number in range(trials // EPOCHS):
        (root / f"test_{number}.py").write_text(PLAIN.format(EPOCHS, number))


def pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def collection(mine: Path, plain: Path) -> None:
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ours = measure(pytest("benchmarks", "--collect-only", "-qq", "-p", "harness.plugin"), mine, **quiet)
    theirs = measure(pytest("--collect-only", "-qq"), plain, **quiet)
    print(f"collection: {ours.cpu_s:.1f} s of CPU and {ours.own_mb:.0f} MB; plain pytest ", end="")
    print(f"{theirs.cpu_s:.1f} s and {theirs.own_mb:.0f} MB: {ours.cpu_s / theirs.cpu_s:.2f} times the CPU")


def floor(root: Path, folder: Path, trials: int) -> float:
    """Return the CPU of a replay without pytest, records, tables and page; warms the run cache as well."""
    from harness.runner import Setup, run_trial

    suite = Suite(root / "benchmarks", root, Selection(paths=frozenset({root / "benchmarks"})), {})
    chosen = [trial for path in suite.files() for trial in suite.trials(path)][:trials]
    with ForkServer(sight=Sight(root, (root, *home(), folder))) as server:
        setup = Setup(root, CachedSandbox(server, RunCache(folder), probe()))
        for trial in chosen:  # the first of each task executes its test runs
            assert run_trial(trial, setup).error is None
        began = time.process_time()
        for trial in chosen:
            run_trial(trial, setup)
        return (time.process_time() - began) / len(chosen)


def run(root: Path, folder: Path, workers: int, trials: int) -> Cost:
    cost = measure(pytest("benchmarks", f"-n{workers}"), root, XDG_CACHE_HOME=str(folder))
    ended = re.search(r"(\d+) solved", cost.said)
    assert ended is not None, cost.said[-2000:]
    assert int(ended[1]) == trials, cost.said[-2000:]
    return cost


def scale(trials: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = max(trials // 10, 300)
        small, large, plain, cache = (folder / each for each in ("small", "large", "plain", "cache"))
        began = time.monotonic()
        copy_suite(small, few)
        copy_suite(large, trials)
        plain_suite(plain, trials)
        print(f"{trials} trials of {trials // EPOCHS} tasks, written in {time.monotonic() - began:.0f} s")
        collection(large, plain)
        least = floor(small, cache / "pair-harness" / "test-runs", 300)
        print(f"floor: {1000 * least:.1f} ms of CPU for a replay alone")
        for workers in (1, 2, 4):
            cost = run(small, cache, workers, few)
            report(workers, few, cost, least)
            if workers == 2:
                base = cost
        cost = run(large, cache, 2, trials)
        report(2, trials, cost, least)
        more, worker = cost.own_mb / base.own_mb, cost.worker_mb / base.worker_mb
        print(f"memory against that of {few} trials: controller {more:.2f} times, worker {worker:.2f} times")
        ended = run_again(large)
        print(f"tables and page of {trials} trials: {ended.cpu_s:.1f} s of CPU, {ended.own_mb:.0f} MB")
        last = (large / "reports" / "latest").resolve()
        for what in ("trials.jsonl", "transcripts", "trials", "report.html"):
            print(f"  {what}: {size(last / what) / trials / 1000:.2f} kB for each trial")
        print(f"  cassettes: {size(large / 'cassettes') / trials / 1000:.2f} kB for each trial")


def report(workers: int, trials: int, cost: Cost, least: float) -> None:
    each = cost.cpu_s / trials
    print(
        f"-n {workers}, {trials} trials: {trials / cost.wall_s:.1f} trials/s; {1000 * each:.1f} ms of CPU "
        f"for each, {each / least:.2f} times the floor; controller {cost.own_mb:.0f} MB, "
        f"worker {cost.worker_mb:.0f} MB",
        flush=True,
    )


def run_again(root: Path) -> Cost:
    """Write tables and page of the newest run again, with no browser to open."""
    return measure([*HARNESS, "view"], root, BROWSER="true")


def ways(paths: list[str]) -> None:
    """Run the shipped suite in three ways and compare the records."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        for folder in ("benchmarks", "cassettes"):
            shutil.copytree(ROOT / folder, root / folder)
        cache = {"XDG_CACHE_HOME": str(Path(name) / "cache")}
        measure(pytest(*paths, "-n2"), root, **cache)
        expected = newest(root)
        shards = []
        for number in (1, 2, 3):
            measure(pytest(*paths, "-n2", "--shard", f"{number}/3"), root, **cache)
            shards.append(str((root / "reports" / "latest").resolve()))
        measure([*HARNESS, "merge", *shards], root)
        compare("three shards, merged", newest(root), expected)
        killer = threading.Thread(target=kill_a_worker, args=(root, len(expected) // 3))
        killer.start()
        cost = measure(pytest(*paths, "--cluster", "local:2"), root, **cache)
        killer.join()
        compare(f"Dask, one of two workers killed ({cost.wall_s:.0f} s)", newest(root), expected)


def newest(root: Path) -> dict[str, str]:
    lines = (root / "reports" / "latest" / "trials.jsonl").read_text().splitlines()
    return {json.loads(line)["trial"]: line for line in lines}


def compare(way: str, found: dict[str, str], expected: dict[str, str]) -> None:
    differing = [trial for trial in found.keys() | expected.keys() if found.get(trial) != expected.get(trial)]
    print(
        f"{way}: {len(found)} records, {len(differing)} differ from xdist's {sorted(differing)[:3]}",
        flush=True,
    )


def kill_a_worker(root: Path, after: int) -> None:
    """Kill a worker process of the Dask cluster that runs below this process, after so many records."""
    before = (root / "reports" / "latest").resolve()
    while True:
        time.sleep(0.2)
        latest = (root / "reports" / "latest").resolve()
        if latest == before or len((latest / "trials.jsonl").read_text().splitlines()) < after:
            continue
        for pid in children(os.getpid()):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            if title.startswith(b"dask") or b"spawn_main" in title:  # Dask renames processes where it can
                os.kill(pid, signal.SIGKILL)
                print(f"killed worker {pid} after {after} records", flush=True)
                return
        raise AssertionError("no worker is left to be killed")


def size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(each.stat().st_size for each in files if each.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--ways", action="store_true", help="compare the records of xdist, shards and Dask")
    parser.add_argument("paths", nargs="*", default=["benchmarks"], help="with --ways: a part of the suite")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the start")
    ways(options.paths) if options.ways else scale(options.trials)


if __name__ == "__main__":
    main()
