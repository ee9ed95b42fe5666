"""What the doctor sees of this computer."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes import FakeLetta

from harness.cli import machine
from harness.cli.main import main
from harness.errors import SandboxError, StackError
from harness.local.stack.home import find_home
from harness.sandbox import fork_server


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10), "error"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "error")]
)
def test_python(version, level) -> None:
    """Which Python runs, where it is, and whether it will do."""
    found = machine.python(version, "/some/python")
    assert (found.level, "/some/python" in found.seen) == (level, True)


@pytest.mark.parametrize(
    ("version", "level"),
    [(None, "error"), ("8.2.0", "error"), ("8.2.1", "ok"), ("10.0.0", "ok"), ("8.2.1.post1", "ok")],
)
def test_vcrpy(version, level) -> None:
    """An older vcrpy would let requests of Claude's SDK past the cassette."""
    assert machine.vcrpy(version).level == level


def test_packages() -> None:
    """All that the package requires is compared with what is installed."""
    assert machine.packages({"click>=8.2": "8.3.1"}).level == "ok"
    missing = machine.packages({"click>=8.2": None, "pytest<10,>=9": "8.4", "rich>=13": "14"})
    assert missing.level == "error"
    assert "click>=8.2 (here: none), pytest<10,>=9 (here: 8.4)" in missing.seen
    assert "rich" not in missing.seen
    assert machine.packages(machine.installed()).level == "ok"
    assert len(machine.installed()) > 8


@pytest.mark.parametrize(
    ("held", "level"),
    [({"no network": True}, "ok"), ({"no network": True, "hidden files": False}, "warning")],
)
def test_sandbox(held, level, monkeypatch) -> None:
    """A protection that this machine does not give is named."""
    monkeypatch.setattr(fork_server, "protections", lambda: held)
    found = machine.sandbox()
    assert (found.level, "hidden files" in found.seen) == (level, level == "warning")


def test_a_sandbox_that_cannot_run(monkeypatch) -> None:
    """Then no trial can be graded: an error."""

    def broken():
        raise SandboxError("it does not start", remedy="look")

    monkeypatch.setattr(fork_server, "protections", broken)
    assert machine.sandbox().level == "error"


@pytest.mark.parametrize(("free_mb", "level"), [(100, "error"), (1000, "warning"), (5000, "ok")])
def test_disk(free_mb, level, tmp_path, monkeypatch) -> None:
    """Room is measured where the folder will be, whether it is there yet or not."""
    asked = []

    def usage(path: Path):
        asked.append(path)
        return shutil._ntuple_diskusage(0, 0, free_mb << 20)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = machine.disk("disk", tmp_path / "not" / "yet", 3000, "for tests")
    assert (found.level, asked) == (level, [tmp_path])


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, monkeypatch) -> None:
    """However much room it has: a run there ends in a disk error."""
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)
    found = machine.disk("disk", tmp_path / "not" / "yet", 1, "reports are written there")
    assert (found.level, found.seen) == ("error", f"{tmp_path} is not writable; reports are written there")


def test_a_stack_that_is_not_installed_does_not_run(monkeypatch) -> None:
    """Its status is that of one that does not run; doctor and up name the same packages."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("uv", "websockets") else 1)
    result = CliRunner().invoke(main, ["status"])
    assert (result.exit_code, result.output) == (
        3,
        "nothing runs: the live stack is not installed: no uv -> pip install 'pair-harness[live]'\n",
    )
    assert "no uv; needed" in next(machine.stack()).seen
    with pytest.raises(StackError, match="no uv -> "):  # what `harness up` begins with
        find_home("v1", models=True)


def test_a_port() -> None:
    """Free, of the stack, of another Letta, or somebody else's."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
        other.listen()
        taken = machine.port(number, "Letta", "--letta-port", "/v1/health/", ours=False)
        assert (taken.level, "harness up --letta-port N" in taken.remedy) == ("warning", True)
        assert machine.port(number, "Letta", "--letta-port", "/v1/health/", ours=True).level == "ok"
    assert "free" in machine.port(number, "Letta", "--letta-port", "/v1/health/", ours=False).seen
    with FakeLetta().running() as letta:
        number = int(letta.url.rsplit(":", 1)[1])
        told = machine.port(number, "Letta", "--letta-port", "/v1/health/", ours=False)
    assert (told.level, "somebody else" in told.seen) == ("ok", True)
