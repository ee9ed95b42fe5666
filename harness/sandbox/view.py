"""What model-written code may see of this machine: Python, chosen packages, the system's libraries."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TypedDict

from harness.errors import SandboxError

# An existing folder that the walls are mounted on, in the sandbox's own view of the disk.
MOUNT_POINTS = ("/mnt", "/srv", "/media", "/opt", "/tmp")  # noqa: S108
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/alternatives",
)
BOX = "/box"  # where a run's files stand behind the walls
WORK = f"{BOX}/work"
TMP = f"{BOX}/tmp"  # noqa: S108
BEHIND = "/sandbox"  # where bubblewrap shows the server its own code


class View(TypedDict):
    """Paths; see ``inner/walls.py``.

    Attributes:
        root: A folder to mount on.
        visible: What stays in sight.
        masked: Folders in there that are emptied.
        shown: What of those comes back.
    """

    root: str
    visible: list[str]
    masked: list[str]
    shown: list[str]


def view(packages: Iterable[str], hidden: Iterable[Path]) -> View:
    """The view of a run.

    Args:
        packages: Installed distributions to import, with what they require; no others.
        hidden: Folders to hide, where they lie inside of what is visible.
    """
    visible = _outermost([*SYSTEM, sys.base_prefix, sys.prefix, sys.base_exec_prefix, sys.exec_prefix])
    root = next((place for place in MOUNT_POINTS if os.path.isdir(place) and not _covers(place, visible)), "")
    masked = [path for path in _library_folders() if _covered(path, visible)]
    masked += [
        path
        for path in map(str, hidden)
        if _covered(path, visible) and not _covers(path, [*visible, *masked]) and os.path.isdir(path)
    ]
    shown = [path for path in sorted(_files_of(packages)) if os.path.exists(path)]
    return {"root": root, "visible": visible, "masked": masked, "shown": shown}


def bubblewrap(view: View, inner: Path) -> list[str]:
    """What to put before a command for the same view, where only bubblewrap may make namespaces.

    Raises:
        SandboxError: There is no bubblewrap, or root asks for it: its code would run as the machine's root.
    """
    program = shutil.which("bwrap")
    if program is None or os.geteuid() == 0:
        raise SandboxError("bubblewrap is not installed, or not to be used by root")
    words = "--unshare-user --uid 1000 --gid 1000 --unshare-net --unshare-ipc --unshare-pid --as-pid-1"
    command = [program, *words.split(), "--die-with-parent", "--cap-drop", "ALL"]
    if (
        "--disable-userns"
        in subprocess.run([program, "--help"], capture_output=True, check=False).stdout.decode()
    ):
        command.append("--disable-userns")
    for path in view["visible"]:
        link = os.readlink(path) if os.path.islink(path) else ""
        command += ["--symlink", link, path] if link else ["--ro-bind", path, path]
    for path in view["masked"]:
        command += ["--tmpfs", path]
    for path in view["shown"]:
        command += ["--ro-bind", path, path]
    for path in view["masked"]:
        command += ["--remount-ro", path]
    command += ["--ro-bind", str(inner), f"{BEHIND}/inner", "--dev", "/dev", "--proc", "/proc"]
    command += ["--size", str(64 << 20), "--tmpfs", BOX, "--dir", WORK, "--dir", TMP]
    if not _covers("/tmp", [*view["visible"], *view["shown"]]):  # noqa: S108
        command += ["--symlink", TMP, "/tmp"]  # noqa: S108
    return [*command, "--remount-ro", "/", "--"]


def _outermost(paths: Iterable[str]) -> list[str]:
    """Those that exist and lie in no other of them."""
    kept: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}):
        if path != "/" and os.path.lexists(path) and not _covered(path, kept):
            kept.append(path)
    return kept


def _covered(path: str, by: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(each) for each in by)


def _covers(path: str, others: Iterable[str]) -> bool:
    return any(Path(each).is_relative_to(path) for each in others)


def _library_folders() -> list[str]:
    """The folders of installed packages, of this environment and of the Python it was made from."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    found = {*site.getsitepackages(), *site.getsitepackages([sys.base_prefix])}
    for scheme in ({}, base):
        found |= {sysconfig.get_path(name, vars=scheme) for name in ("purelib", "platlib")}
    found |= {str(path) for path in Path("/usr").glob("*/lib/python3*/*-packages")}
    found |= {str(path) for path in Path("/usr/lib").glob("python3*/*-packages")}
    return _outermost(os.path.realpath(path) for path in found)


def _files_of(packages: Iterable[str]) -> set[str]:
    """The folders and modules of these distributions, and of all that they require."""
    found: set[str] = set()
    waiting, seen = list(packages), set()
    while waiting:
        name = waiting.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            each = distribution(name)
        except PackageNotFoundError:
            continue  # required elsewhere: on another platform, or by an extra
        found.update(_places(each))
        waiting += _required(each)
    return found


def _places(package: Distribution) -> Iterator[str]:
    for file in package.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            yield os.path.realpath(str(package.locate_file(file.parts[0])))


def _required(package: Distribution) -> Iterator[str]:
    for line in package.requires or ():
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if name and "extra ==" not in line:
            yield name[0]
