"""What model-written code may see of this machine: Python, chosen packages, the system's libraries."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, TypedDict

from harness.sandbox import Visible
from harness.sandbox.process import BOX, WORK, Refused

# An existing folder that the new root is mounted on, in the sandbox's own view of the disk.
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
TMP = f"{BOX}/tmp"  # noqa: S108
BEHIND = "/sandbox"  # where bubblewrap shows the server its own code
PARTS = ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")  # of a prefix that Python lives in
Kind = Literal["show", "mask", "link"]


class View(TypedDict):
    """The disk to build; see ``inner/isolation.py``.

    Attributes:
        root: A folder to mount on.
        steps: Kind, path and (for a link) target; outer ones first, links last.
    """

    root: str
    steps: list[tuple[Kind, str, str]]


@dataclass(frozen=True)
class Sight:
    """What runs see and what they do not.

    Attributes:
        root: The repository, to which the paths of ``visible`` are relative.
        hidden: Folders to hide, where they lie inside of what is visible.
        visible: What the code may import.
    """

    root: Path = Path()
    hidden: tuple[Path, ...] = ()
    visible: Visible = field(default_factory=Visible)

    @property
    def folders(self) -> list[str]:
        """The real folders to import from."""
        return [os.path.realpath(self.root / path) for path in self.visible.paths]


NO_SIGHT = Sight()


def view(packages: Iterable[str], hidden: Iterable[Path], paths: Iterable[str] = ()) -> View:
    """Return what a run may see of the disk; see ``Sight``. ``packages`` come with what they require."""
    prefixes = dict.fromkeys([sys.base_prefix, sys.prefix, sys.base_exec_prefix, sys.exec_prefix])
    python = [os.path.join(prefix, part) for prefix in prefixes for part in PARTS]
    named = [os.path.abspath(path) for path in (*SYSTEM, *python) if os.path.exists(path)]
    shown = {os.path.realpath(path) for path in named} | {
        place for each in with_requirements(packages) for place in _places(each)
    }
    shown |= {*paths}
    masked = {os.path.realpath(path) for path in (*_library_folders(), *map(str, hidden))}
    kept = _outer_first(shown, masked)
    links = {path: os.path.realpath(path) for path in named if os.path.realpath(path) != path}
    steps = [(kind, path, "") for path, kind in kept.items()]
    steps += [
        ("link", path, target)
        for path, target in sorted(links.items())
        if _nearest(path, kept) != "show" and not _nearest(path, dict.fromkeys(links.keys() - {path}, "link"))
    ]
    visible = [path for _, path, _ in steps]
    places = (place for place in MOUNT_POINTS if os.path.isdir(place) and not _covers(place, visible))
    return {"root": next(places, ""), "steps": steps}


def _outer_first(shown: set[str], masked: set[str]) -> dict[str, Kind]:
    """Which of these to show or mask, so that each differs from what stands round it."""
    kept: dict[str, Kind] = {}
    for path in sorted(shown | masked, key=lambda each: (len(Path(each).parts), each)):
        kind: Kind = "show" if path in shown else "mask"
        round_it = _nearest(path, kept)
        if kind != round_it and (kind == "show" or round_it == "show") and os.path.exists(path):
            kept[path] = kind
    return kept


def _nearest(path: str, kept: Mapping[str, Kind]) -> Kind | None:
    """Return what is done with the innermost of these that a path lies in, or is."""
    return next((kept[str(each)] for each in (Path(path), *Path(path).parents) if str(each) in kept), None)


def bubblewrap(view: View, inner: Path) -> list[str]:
    """Return what to put before a command for the same view, where only bubblewrap may make namespaces.

    Raises:
        Refused: There is no bubblewrap, or root asks for it: its code would run as the machine's root.
    """
    program = shutil.which("bwrap")
    if program is None or os.geteuid() == 0:
        raise Refused("bubblewrap is not installed, or not to be used by root")
    words = "--unshare-user --uid 1000 --gid 1000 --unshare-net --unshare-ipc --unshare-uts --unshare-pid"
    command = [program, *words.split(), "--as-pid-1", "--hostname", "sandbox", "--cap-drop", "ALL"]
    offers = subprocess.run([program, "--help"], capture_output=True, check=False).stdout
    command += ["--disable-userns"] if b"--disable-userns" in offers else []
    for kind, path, target in view["steps"]:
        if kind == "link":
            command += ["--symlink", target, path]
        else:
            command += ["--ro-bind", path, path] if kind == "show" else ["--tmpfs", path]
    for kind, path, _ in view["steps"]:
        command += ["--remount-ro", path] if kind == "mask" else []
    size = ["--size", str(64 << 20), "--tmpfs"]
    command += ["--ro-bind", str(inner), f"{BEHIND}/inner", "--proc", "/proc", "--dev", "/dev"]
    command += [*size, "/dev/shm", "--remount-ro", "/dev", *size, BOX, "--dir", WORK, "--dir", TMP]  # noqa: S108
    if not _covers("/tmp", [path for _, path, _ in view["steps"]]):  # noqa: S108
        command += ["--symlink", TMP, "/tmp"]  # noqa: S108
    return [*command, "--remount-ro", "/", "--"]


def _covers(path: str, others: Iterable[str]) -> bool:
    return any(Path(each).is_relative_to(path) for each in others)


def _library_folders() -> list[str]:
    """Return the folders of installed packages, of this environment and of the Python it was made from."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    found = {*site.getsitepackages(), *site.getsitepackages([sys.base_prefix])}
    for scheme in ({}, base):
        found |= {sysconfig.get_path(name, vars=scheme) for name in ("purelib", "platlib")}
    found |= {str(path) for path in Path("/usr").glob("*/lib/python3*/*-packages")}
    found |= {str(path) for path in Path("/usr/lib").glob("python3*/*-packages")}
    return sorted(found)


def with_requirements(packages: Iterable[str]) -> list[Distribution]:
    """Return these distributions, and all that they require."""
    found: list[Distribution] = []
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
        found.append(each)
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
