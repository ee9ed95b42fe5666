"""Workers that are forks of one process."""

import gc
import os
import select
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import execnet
import pytest

from harness.plugin.preload import Preload

WATCHED = """
import sys
from importlib import import_module
from harness.plugin.preload import AT_THE_END, BEFORE_THREADS
for name in BEFORE_THREADS:
    import_module(name)
sys.addaudithook(lambda event, args: print(event, *args) if event in ("os.putenv", "os.unsetenv") else None)
for name in AT_THE_END:
    import_module(name)
"""
ENVIRONMENT = """
import os
channel.send([ascii(os.environ.get("SET_LATER")), len(os.environ.get("LONG", ""))])
"""
LOOK = """
import os, sys
channel.send([os.getpid(), os.getppid(), os.getcwd(), sys.argv, "colorsys" in sys.modules, sys.path[:1]])
"""


@pytest.fixture
def specs():
    return [execnet.XSpec("popen"), execnet.XSpec("popen")]


@pytest.fixture
def preload(specs):
    plugin = Preload(["colorsys", "no_such_module"])
    plugin.pytest_configure(config_of())
    plugin.pytest_xdist_setupnodes(specs)
    yield plugin
    plugin.pytest_unconfigure()


def config_of(*plugins, workers=2):
    return SimpleNamespace(
        pluginmanager=SimpleNamespace(hasplugin=plugins.__contains__),
        getoption=lambda name, default=None: {"numprocesses": workers}.get(name, default),
    )


def looked(group, spec):
    return group.makegateway(spec).remote_exec(LOOK).receive(timeout=60)


def test_workers_are_forks_of_one_process_that_imported_for_them(preload, specs):
    group = execnet.Group()
    one, other = (looked(group, spec) for spec in specs)
    parents = {one[1], other[1]}
    assert one[0] != other[0]
    assert len(parents) == 1
    assert parents.isdisjoint({os.getpid()})
    assert one[2:5] == [os.getcwd(), ["-c"], True]
    group.terminate(timeout=5)


def test_a_folder_too_deep_for_a_socket_leaves_nothing(specs, tmp_path, monkeypatch):
    """Workers are ordinary ones then; nobody would be there to take the folder away after a kill."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    plugin = Preload(["colorsys"])
    plugin.pytest_configure(config_of())
    plugin.pytest_xdist_setupnodes(specs)
    assert list(deep.iterdir()) == []
    assert not specs[0].python


def test_a_worker_that_comes_later_is_an_ordinary_one(preload, specs):
    """One that replaces a worker that crashed, say, when the parent is gone."""
    preload.pytest_unconfigure()
    group = execnet.Group()
    _, parent, *_, preloaded, _ = looked(group, specs[0])
    assert (parent, preloaded) == (os.getpid(), False)
    group.terminate(timeout=5)


def test_a_worker_that_dies_is_noticed(preload, specs):
    group = execnet.Group()
    gateway = group.makegateway(specs[0])
    channel = gateway.remote_exec("import os; channel.send(os.getpid()); channel.receive()")
    os.kill(channel.receive(timeout=60), signal.SIGKILL)
    with pytest.raises(EOFError):
        channel.receive(timeout=60)
    group.terminate(timeout=5)


def test_a_worker_that_hangs_ends_with_the_run(preload, specs):
    """Such a one neither reads its pipe nor ends when execnet has killed what it started."""
    group = execnet.Group()
    channel = group.makegateway(specs[0]).remote_exec(
        "import os; channel.send(os.getpid()); channel.receive()"
    )
    worker = os.pidfd_open(channel.receive(timeout=60))
    signal.pidfd_send_signal(worker, signal.SIGSTOP)
    group.terminate(timeout=0.1)
    preload.pytest_unconfigure()
    ended, _, _ = select.select([worker], [], [], 30)
    os.close(worker)
    assert ended


@pytest.mark.parametrize(
    ("given", "plugins"),
    [
        (["popen"], ()),
        (["popen", "ssh=host"], ()),
        (["popen//python=python3"] * 2, ()),
        (["popen"] * 2, ("_cov",)),
    ],
)
def test_what_is_started_otherwise_stays_as_it_is(given, plugins):
    """One worker, other machines, another Python, a run whose coverage is measured."""
    specs = [execnet.XSpec(each) for each in given]
    before = [vars(each).copy() for each in specs]
    plugin = Preload(["colorsys"])
    plugin.pytest_configure(config_of(*plugins, workers=len(specs)))
    plugin.pytest_xdist_setupnodes(specs)
    plugin.pytest_unconfigure()
    assert [vars(each) for each in specs] == before


def test_without_workers_no_process_is_started(tmp_path, monkeypatch):
    """Neither where xdist is not asked for (None) nor with ``-n 0``."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for workers in (None, 0, 1):
        Preload(["colorsys"]).pytest_configure(config_of(workers=workers))
    assert list(tmp_path.iterdir()) == []


def test_what_the_end_needs_is_out_of_reach_of_the_last_collection(preload):
    """Pytest collects before it ends; the tables' thousands of classes cost half a second there."""
    deadline = time.monotonic() + 60
    while not gc.get_freeze_count() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_a_worker_has_the_environment_of_when_it_is_started(preload, specs, monkeypatch):
    """A conftest may start a service, and name its address, long after the parent has begun."""
    monkeypatch.setenv("SET_LATER", "http://127.0.0.1:1/\udcff")
    monkeypatch.setenv("LONG", "x" * 100_000)
    group = execnet.Group()
    found = group.makegateway(specs[0]).remote_exec(ENVIRONMENT).receive(timeout=60)
    assert found == [ascii("http://127.0.0.1:1/\udcff"), 100_000]
    group.terminate(timeout=5)


def test_a_parent_whose_controller_died_first_ends(tmp_path, monkeypatch):
    """Before it could see who that was: its number comes with its orders."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getpid", lambda: gone.pid)
    plugin = Preload(["colorsys"])
    plugin.pytest_configure(config_of())
    pid, _ = os.waitpid(plugin._parent, 0)
    assert pid == plugin._parent
    assert list(tmp_path.iterdir()) == []


def test_no_import_beside_the_start_of_workers_changes_the_environment():
    """A worker that is started in that moment ends the run: execve gives "bad address"."""
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True)
    assert done.stdout == ""
