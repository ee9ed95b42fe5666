"""A home folder and a process for the tests of the stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.local.stack import home as home_module
from harness.local.stack.home import Home
from harness.local.stack.processes import Identity, spawn, stop


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home of the stack, with the extra `live` there."""
    pytest.importorskip("psutil", reason="the live stack needs the extra `live`")
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    monkeypatch.setattr(home_module, "require_live_extra", lambda *_, **__: None)
    return Home(tmp_path)


@pytest.fixture
def sleeper(home: Home) -> Iterator[Identity]:
    """A detached process that stands for a server."""
    identity = spawn(["sleep", "60"], log=home.log("sleeper"), env=dict(os.environ), cwd=home.root)
    yield identity
    stop(identity)
