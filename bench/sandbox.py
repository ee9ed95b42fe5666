"""What one run of model-written tests costs: `python bench/sandbox.py`. Prints ratios from this one run.

Compared, on the same files (a shipped task's reference with its acceptance tests, all passing):

- *floor*: fork and exec of a bare interpreter that does nothing;
- *subprocess pytest*: `python -m pytest` with plugin autoload off, in a folder of its own, not isolated;
- *fork server*: the sandbox as the harness uses it, as isolated as this machine allows;
- *fork server, no isolation*: what is left of it where namespaces are forbidden;
- *fresh server*: as isolated, with a new process and a new pytest for each run.

Then what the twins of hidden tests cost: a run of them in disguise, as the harness grades code, against a run
of the same file as it stands, hidden too; the mean over the references of the shipped tasks.

Then whole trials, in two processes: a replay and its three runs (generated tests, acceptance, generated
tests on the reference). That trial is recorded for this, on the loopback stand-ins of the tests.

Not measured: start-up of pytest and of the servers, collection, reports.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.grading.acceptance import Acceptance
from harness.sandbox import HiddenTests, TestRun
from harness.sandbox.fork_server import ForkServer, in_words
from harness.tasks.loader import load_task
from harness.tasks.pair import Orchestrator, Pair
from harness.tasks.suite import Selection, Suite
from harness.tasks.task import Task
from harness.tasks.trial import Trial

ROOT = Path(__file__).parent.parent
TASK = "add"
TEST = "test_acceptance.py"
WORKERS = (1, 2, 4)
SECONDS = 3.0
TWIN_RUNS = 11
Run = Callable[[], None]


def files_of(task: Task) -> dict[str, str]:
    return {**task.files, task.code_file: task.reference, TEST: task.acceptance}


def floor(_: Task, __: ExitStack) -> Run:
    return lambda: subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)


def subprocess_pytest(task: Task, stack: ExitStack) -> Run:
    place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    command += [f"--rootdir={place}", f"--confcutdir={place}", TEST]
    environment = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    def run() -> None:
        for name, text in files_of(task).items():
            (place / name).write_text(text)
        subprocess.run(command, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True)

    return run


def served(task: Task, stack: ExitStack, **options: Any) -> Run:
    server = stack.enter_context(ForkServer(**options))

    def run() -> None:
        assert server.run(files_of(task), TEST, task.limits).passed

    return run


WAYS: dict[str, Callable[[Task, ExitStack], Run]] = {
    "floor": floor,
    "subprocess pytest": subprocess_pytest,
    "fork server": served,
    "fork server, no isolation": lambda task, stack: served(task, stack, isolation=("none",)),
    "fresh server": lambda task, stack: served(task, stack, warm=False),
}


def seconds_per_run(make: Callable[[Task, ExitStack], Run], task: Task, workers: int) -> float:
    """Wall seconds for each run while so many workers are busy."""
    with ExitStack() as stack:
        runs = [make(task, stack) for _ in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda run: run(), runs))  # now everything is warm
            began = time.perf_counter()
            counts = list(pool.map(lambda run: repeat(run, began + SECONDS), runs))
            return (time.perf_counter() - began) / sum(counts)


def cost_of_twins(tasks: Sequence[Task], sandbox: ForkServer) -> float:
    """Return time in disguise / time without, on each reference; the mean over the tasks."""
    return statistics.mean(disguised_against_plain(task, sandbox) for task in tasks)


def disguised_against_plain(task: Task, sandbox: ForkServer) -> float:
    files = {**task.files, task.code_file: task.reference}
    disguised = Acceptance(task, sandbox)
    hidden = HiddenTests(task.acceptance)
    ways: tuple[Callable[[], TestRun], ...] = (
        lambda: disguised.run(files),
        lambda: sandbox.run(files, TEST, task.limits, code_path=task.code_file, hidden=hidden),
    )
    took: list[list[float]] = [[], []]
    for _ in range(TWIN_RUNS + 1):  # in turns, and the first is warm-up
        for way, times in zip(ways, took, strict=True):
            began = time.perf_counter()
            assert way().passed, task.id
            times.append(time.perf_counter() - began)
    return statistics.median(took[0][1:]) / statistics.median(took[1][1:])


def repeat(run: Callable[[], object], until: float) -> int:
    """How many times it ran until then."""
    count = 0
    while time.perf_counter() < until:
        run()
        count += 1
    return count


def passing_trial(root: Path) -> Trial:
    """Record a trial with right code and right tests under ``root``, on the tests' stand-ins."""
    sys.path.insert(0, str(ROOT / "tests"))
    from fakes import FakeClaude, FakeLetta

    from harness.runner import Setup, run_trial

    task = load_task(ROOT / "benchmarks" / "functions" / f"{TASK}.yaml", TASK).model_copy(update={"bugs": ()})
    pair = Pair(name="p", orchestrator=Orchestrator(model="openai/x"), coder="claude-x")
    trial = Trial(task=task, pair=pair, epoch=1)
    with FakeLetta().running() as letta, FakeClaude().running() as claude, ForkServer() as sandbox:
        environment = {
            "LETTA_BASE_URL": letta.url,
            "ANTHROPIC_BASE_URL": claude.url,
            "ANTHROPIC_API_KEY": "a-key-for-this-bench",
        }
        result = run_trial(trial, Setup(root, sandbox, mode="all", environment=environment))
    assert result.error is None, result.error
    return trial


def replays(root: Path, trial: Trial) -> tuple[int, float]:
    """How often a trial is replayed and graded by this process, and in how many seconds."""
    from harness.runner import Setup, run_trial

    with ForkServer() as sandbox:
        setup = Setup(root, sandbox)
        row = run_trial(trial, setup).record
        assert (row.outcome, row.generated_passed, row.tests_valid) == ("solved", True, True)
        began = time.perf_counter()
        count = repeat(lambda: run_trial(trial, setup), began + SECONDS)
        return count, time.perf_counter() - began


def main() -> None:
    task = load_task(ROOT / "benchmarks" / "functions" / f"{TASK}.yaml", TASK)
    print(f"{os.cpu_count()} cores; sandbox: {in_words()}; load {os.getloadavg()[0]:.1f} at the start")
    took = {(name, n): seconds_per_run(make, task, n) for name, make in WAYS.items() for n in WORKERS}
    print(
        f"\n{'ms for each run at':24}" + "".join(f"{n:>7} workers" for n in WORKERS) + "   runs/s at 1, 2, 4"
    )
    for name in WAYS:
        rates = ", ".join(f"{1 / took[name, n]:.0f}" for n in WORKERS)
        print(f"{name:24}" + "".join(f"{1000 * took[name, n]:15.1f}" for n in WORKERS) + f"   {rates}")
    for n in WORKERS:
        ratio = took["subprocess pytest", n] / took["fork server", n]
        print(f"fork server against subprocess pytest at {n} workers: {ratio:.1f} times as fast")
    suite = Suite(ROOT / "benchmarks", ROOT, Selection(), {})
    tasks = {path: task for path in suite.files() for task in suite.tasks(path)}
    fast = [task for path, task in tasks.items() if path.parent.name != "cli"]
    with ForkServer() as sandbox:
        print(f"\nacceptance with twins against without: {cost_of_twins(fast, sandbox):.2f} times the time")
        print(f"with cli tasks, whose tests start processes: {cost_of_twins([*tasks.values()], sandbox):.2f}")
    with tempfile.TemporaryDirectory() as name:
        trial = passing_trial(Path(name))
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            counts = pool.starmap(replays, [(Path(name), trial)] * 2)
    print("\nreplay and three runs of a passing trial: ", end="")
    print(f"{sum(count / seconds for count, seconds in counts):.1f} trials/s in 2 processes")


if __name__ == "__main__":
    main()
