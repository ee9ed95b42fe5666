"""harness/grading/proofs: tasks are proved side by side, once, and an interrupt ends it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from harness.grading import proofs
from harness.grading.proofs import Proof
from harness.grading.validate import check
from harness.sandbox import fork_server
from harness.store import LOCK

ADD = (Path(__file__).parents[2] / "benchmarks/functions/add.yaml").read_text()
ENDLESS = ADD.replace("return a + b", "while True: pass").replace("timeout_s: 10", "timeout_s: 60")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of tasks, whose proofs are kept apart from everybody's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "benchmarks").mkdir()
    return tmp_path / "benchmarks"


def write(folder, *names, text=ADD):
    for name in names:
        (folder / f"{name}.yaml").write_text(text.replace("id: add", f"id: {name}"))


@pytest.fixture
def proved(monkeypatch):
    """Names of the tasks that were really proved; to prove one finds no problem, at once."""
    names = []

    def proof(task, _sandboxes, _guess=""):
        names.append(task.id)
        return Proof(True, False, [f"{task.id} is wrong"] if task.id == "wrong" else [], ("a warning",))

    monkeypatch.setattr(proofs, "proof", proof)
    return names


def test_what_was_proved_is_not_proved_again(folder, proved):
    """Until the task changes; one with a problem is proved each time, and all where nothing is kept."""
    if fork_server.probe().isolation == "none":
        pytest.skip("nothing hides a proof from the code here, so none is kept")
    write(folder, "one", "wrong")
    first = list(check(folder, folder.parent, remember=True))
    assert sorted(proved) == ["one", "wrong"]
    again = list(check(folder, folder.parent, remember=True))
    assert sorted(proved) == ["one", "wrong", "wrong"]
    assert [each.lines() for each in again] == [each.lines() for each in first]
    assert [each.remembered for each in again] == [1, 0]
    (folder / "one.yaml").write_text(
        (folder / "one.yaml").read_text().replace("return a - b", "return b - a")
    )
    list(check(folder, folder.parent, remember=True))
    assert proved.count("one") == 2
    list(check(folder, folder.parent))
    assert proved.count("one") == 3


def test_a_damaged_proof_is_made_again(folder, proved):
    """What is not whole, or no proof, is none."""
    if fork_server.probe().isolation == "none":
        pytest.skip("nothing hides a proof from the code here, so none is kept")
    write(folder, "one")
    list(check(folder, folder.parent, remember=True))
    (kept,) = [each for each in (folder.parent / "cache").rglob("*") if each.is_file() and each.name != LOCK]
    kept.write_text(kept.read_text()[:-5])
    list(check(folder, folder.parent, remember=True))
    assert proved == ["one", "one"]


def test_tasks_are_proved_side_by_side_and_told_as_they_are_done(folder, monkeypatch):
    """Two wait for each other here; a third goes on while the first is told."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both, told = threading.Barrier(2, timeout=60), threading.Event()

    def proof(task, _sandboxes, _guess=""):
        if task.id in ("a", "b"):
            both.wait()
        else:
            assert told.wait(60)
        return Proof(True, None, [])

    monkeypatch.setattr(proofs, "proof", proof)
    write(folder, "a", "b", "c")
    found = check(folder, folder.parent)
    assert next(found).lines() == ["benchmarks/a.yaml: ok"]
    told.set()
    assert len(list(found)) == 2


def test_an_interrupt_waits_for_no_proof(folder):
    """Whoever stops listening ends the runs that are left, though one would take a minute."""
    write(folder, "a", text="title: no task\n")
    write(folder, "b", text=ENDLESS)
    found = check(folder, folder.parent)
    assert next(found).problems
    began = time.monotonic()
    found.close()
    assert time.monotonic() - began < 50
