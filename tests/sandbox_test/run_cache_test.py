"""harness/sandbox/run_cache: what was executed once is known, and nothing else is."""

from __future__ import annotations

import multiprocessing
import os
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import store
from harness.sandbox import HiddenTests, Test, TestRun, Visible, run_cache
from harness.sandbox.filesystem_view import NO_SIGHT, Sight
from harness.sandbox.fork_server import PACKAGES, ForkServer, Probe, probe
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.tasks.task import Limits

PROBE = Probe("namespaces", {"no network": True})
RAN = TestRun("failed", (Test("t.py::test_a", "failed", "assert 1 == 2 \u2603"),), collected=1, syntax="x")
ORDER = {"files": {"a.py": "x = 1\n", "t.py": "..."}, "test_path": "t.py", "limits": Limits(timeout_s=5)}


class FakeServer:
    """A sandbox that notes what it executes."""

    def __init__(self, result=RAN, log=None, took_s=0.0):
        self.sight, self.packages, self.warm, self.seed, self.probe = NO_SIGHT, PACKAGES, True, 0, PROBE
        self.result, self.log, self.took_s, self.orders = result, log, took_s, []

    def run(self, *order, **more):
        self.orders.append((order, more))
        if self.log:
            with open(self.log, "a") as file:
                file.write("executed\n")
        time.sleep(self.took_s)
        return self.result


def cached(folder, server=None, told=PROBE):
    return CachedSandbox(server or FakeServer(), RunCache(folder), told)


def run(sandbox, **changes):
    order = {**ORDER, **changes}
    return sandbox.run(order.pop("files"), order.pop("test_path"), order.pop("limits"), **order)


def entries(folder):
    return [path for path in folder.iterdir() if path.name != store.LOCK]


def test_a_run_is_executed_once(tmp_path):
    """Another process, or a later one, gets the same result, to the last letter, and counts it."""
    one, other = cached(tmp_path), cached(tmp_path, FakeServer(TestRun("crashed")))
    assert run(one) == run(one) == run(other) == RAN
    assert (one.executed, one.remembered, other.executed, other.remembered) == (1, 1, 0, 1)


CHANGES = {
    "files": {"files": {"a.py": "x = 2\n", "t.py": "..."}},
    "a file's name": {"files": {"b.py": "x = 1\n", "t.py": "..."}},
    "test file": {"test_path": "a.py"},
    "time": {"limits": Limits(timeout_s=6)},
    "memory": {"limits": Limits(timeout_s=5, memory_mb=100)},
    "code file": {"code_path": "a.py"},
    "hidden tests": {"hidden": HiddenTests("x")},
    "other hidden tests": {"hidden": HiddenTests("y")},
    "some of the hidden tests": {"hidden": HiddenTests("x", frozenset({"test_a"}))},
    "none of them": {"hidden": HiddenTests("x", frozenset())},
}


def test_whatever_an_order_holds_is_in_its_key(tmp_path):
    """A run that differs in one thing is another run."""
    sandbox = cached(tmp_path)
    for order in ({}, *CHANGES.values()):
        run(sandbox, **order)
    assert (sandbox.executed, sandbox.remembered) == (1 + len(CHANGES), 0)


OTHER_MACHINE = {"sysname": "Linux", "release": "9.9", "machine": "z80"}
GROUND = {
    "seed": lambda patch, server: setattr(server, "seed", 1),
    "a cold pytest": lambda patch, server: setattr(server, "warm", False),
    "what is hidden": lambda patch, server: setattr(
        server, "sight", Sight(hidden=(Path(os.__file__).parent / "json",))
    ),
    "Python": lambda patch, server: patch.setattr(sys, "version", "3.99"),
    "the packages seen": lambda patch, server: setattr(server, "packages", ("pytest", "click")),
    "the sandbox": lambda patch, server: patch.setattr(run_cache, "digest_of_sources", lambda _: "other"),
    "the machine": lambda patch, server: patch.setattr(os, "uname", lambda: SimpleNamespace(**OTHER_MACHINE)),
}


@pytest.mark.parametrize("change", GROUND)
def test_whatever_a_run_stands_on_is_in_its_key(change, tmp_path, monkeypatch):
    """Another Python, other packages, another version of the sandbox or another seed may judge otherwise."""
    run(cached(tmp_path))
    server = FakeServer()
    GROUND[change](monkeypatch, server)
    sandbox = cached(tmp_path, server)
    run(sandbox)
    assert sandbox.executed == 1


def test_a_change_in_a_folder_that_the_code_sees_is_another_ground(tmp_path):
    """Runs of a task that sees a folder are kept, and executed again once a file of it has changed."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/own.py").write_text("x = 1\n")
    server = FakeServer()
    server.seeing = lambda visible: seen
    seen = FakeServer()
    seen.sight = Sight(root=tmp_path, visible=Visible(paths=("src",)))
    outer = cached(tmp_path / "kept", server)
    for _ in range(2):
        run(outer.seeing(seen.sight.visible))
    run(outer)
    assert (outer.executed, outer.remembered, len(seen.orders)) == (2, 1, 1)
    (tmp_path / "src/own.py").write_text("x = 2\n")
    run(outer.seeing(seen.sight.visible))
    assert len(seen.orders) == 2


def test_other_protections_are_another_ground_and_a_surprise_is_not_kept(tmp_path):
    """A run is kept only if what was probed is what held when it ran."""
    weaker = Probe("namespaces", {"no network": False})
    sandbox = cached(tmp_path, told=weaker)  # the server finds PROBE
    assert run(sandbox) == run(sandbox) == RAN
    assert sandbox.executed == 2
    run(cached(tmp_path))
    run(sandbox)
    assert sandbox.executed == 3


@pytest.mark.parametrize("status", ["timeout", "memory", "crashed", "forged"])
def test_what_may_be_the_machines_doing_is_executed_each_time(status, tmp_path):
    """Neither is it written, nor taken where somebody has written it."""
    sandbox = cached(tmp_path, FakeServer(TestRun(status)))
    assert run(sandbox) == run(sandbox)
    assert sandbox.executed == 2
    assert entries(tmp_path) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_cache, "KEPT", {status})
        run(sandbox)
    assert len(entries(tmp_path)) == 1
    run(sandbox)
    assert sandbox.executed == 4


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    path.write_text(path.read_text().replace('"failed"', '"passed"'))


def another_runs(path):
    run(cached(path.parent, FakeServer(TestRun("passed"))), code_path="a.py")
    other = next(each for each in entries(path.parent) if each != path)
    os.replace(other, path)


def linked(path):
    outside = path.parent.parent / "outside"
    os.replace(path, outside)
    path.symlink_to(outside)


def foreign(path):
    path.write_text("not ours\n{}")


def binary(path):
    path.write_bytes(b"\xff\n\xff")


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("text", "executed"),
    [
        ("subprocess.TimeoutExpired: Command '['python', 'todo.py']' timed out after 5 seconds", 2),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", 2),
        ("OSError: [Errno 28] No space left on device", 2),
        ("assert -9 == 0\n +  where -9 = CompletedProcess(args=['todo'], returncode=-9).returncode", 2),
        ("assert -9 == 9\n +  where -9 = add(-4, -5)", 1),
        ("AssertionError: assert 'Errno 110' == ''", 1),
    ],
)
def test_a_failure_that_speaks_of_the_machine_is_executed_each_time(text, executed, tmp_path):
    """A test that gives a child five seconds fails on a busy machine, and would for ever."""
    passed, failed = Test("t.py::test_a", "passed", text), Test("t.py::test_b", "failed", text)
    for run_, times in ((TestRun("failed", (failed,)), executed), (TestRun("passed", (passed,)), 1)):
        sandbox = cached(tmp_path / run_.status, FakeServer(run_))
        assert run(sandbox) == run(sandbox) == run_
        assert sandbox.executed == times


@pytest.mark.parametrize("damage", [half, flipped, another_runs, linked, foreign, binary, a_folder])
def test_a_damaged_or_foreign_entry_is_passed_over(damage, tmp_path):
    """It costs one more execution, which puts it right where it can."""
    folder = tmp_path / "cache"
    run(cached(folder))
    damage(*entries(folder))
    sandbox = cached(folder)
    assert run(sandbox) == RAN
    assert (sandbox.executed, sandbox.remembered) == (1, 0)
    if damage is not a_folder:
        assert run(sandbox) == RAN
        assert (sandbox.executed, sandbox.remembered) == (1, 1)


def test_an_entry_that_is_too_long_is_not_kept(tmp_path):
    """A model that prints megabytes does not fill the disk."""
    sandbox = cached(tmp_path, FakeServer(replace(RAN, detail="x" * store.MAX_ENTRY)))
    run(sandbox)
    assert entries(tmp_path) == []


def test_a_secret_is_not_kept(tmp_path, monkeypatch):
    """A test's output that holds a key of this environment never reaches the disk."""
    monkeypatch.setenv("SOME_API_KEY", "abcdefgh12345678")
    run(cached(tmp_path, FakeServer(TestRun("failed", (Test("t", "failed", "key abcdefgh12345678"),)))))
    assert entries(tmp_path) == []


def _run_in_a_process(folder, log, barrier):
    sandbox = cached(folder, FakeServer(log=log, took_s=0.3))
    barrier.wait()
    assert run(sandbox) == RAN


def test_two_processes_do_not_execute_the_same_run_at_once(tmp_path):
    """The second waits for the first, and takes what it found."""
    log, context = tmp_path / "log", multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [
        context.Process(target=_run_in_a_process, args=(tmp_path / "cache", log, barrier)) for _ in range(3)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0, 0, 0]
    assert log.read_text() == "executed\n"


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    """The folder stays below its bound; a use is as good as a write."""
    sandbox = cached(tmp_path)
    for number in range(3):
        run(sandbox, code_path=f"{number}.py")
        (fresh,) = [each for each in entries(tmp_path) if each.stat().st_mtime > 1000]
        os.utime(fresh, (number + 1, number + 1))
    run(sandbox, code_path="0.py")
    size = entries(tmp_path)[0].stat().st_size
    RunCache(tmp_path).prune(2 * size)
    again = cached(tmp_path)
    for number in (0, 2, 1):
        run(again, code_path=f"{number}.py")
    assert (again.executed, again.remembered) == (1, 2)


def test_the_folder_is_private(tmp_path):
    """What others may write to is closed to them; what is not a folder is no cache."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o777)
    run(cached(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        RunCache(tmp_path / "file")


SPY = """\
import os
def test_folder():
    names = os.listdir({0!r}) if os.path.isdir({0!r}) else []
    assert names == []
    try:
        open({0!r} + "/mine", "w")
    except OSError:
        return
    assert False
"""


def test_code_under_test_neither_reads_nor_writes_it():
    """The folder is hidden, even where it lies inside of what the code may see; kept is what really ran."""
    if probe().isolation == "none":
        pytest.skip("this machine forbids namespaces, and nothing is kept then")
    folder = Path(sys.prefix) / "share" / f"harness-test-{os.getpid()}"
    cache = RunCache(folder)
    try:
        (folder / "something").write_text("")
        with ForkServer(sight=Sight(hidden=(folder,))) as server:
            sandbox = CachedSandbox(server, cache, probe())
            files = {"test_x.py": SPY.format(str(folder))}
            first = sandbox.run(files, "test_x.py", Limits())
            assert first.status == "passed", first
            assert sandbox.run(files, "test_x.py", Limits()) == first
            assert (sandbox.executed, sandbox.remembered) == (1, 1)
    finally:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
