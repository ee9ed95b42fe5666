"""Letta's App Server in an environment of its own: one wheel, with the Node that it runs on.

It shares its name with the V1 server, from which it is another program. It changes from one release to the
next: the release is pinned, and so are the checksums of its wheels. A marker file is written last.
"""

from __future__ import annotations

import os
import platform
import shutil
import venv
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StackError
from harness.local.stack.home import Home
from harness.local.stack.letta_install import installer_environment
from harness.local.stack.processes import Report, pip, run, timed

VERSION = "0.34.12"
RELEASE = f"App Server {VERSION} through the harness's translator"
SHA256 = {
    "manylinux_2_28_x86_64": "f98c16343995c46a5047deed7f1314bd3aff9affd69b8c2e105ae454b6d18b24",
    "manylinux_2_28_aarch64": "ea22580ea3199f1eb1ffe953a98b6d67e0ff2a7f2e640dba19ee84780dcca150",
    "macosx_14_0_arm64": "e8aebda3bfb10c6d84db2e777313a83b9f117dd3dc9eaef784072f70cf61b3c7",
}
OLDEST_GLIBC = (2, 28)


@dataclass(frozen=True)
class AppServerInstall:
    """The environment that holds the App Server."""

    folder: Path

    @property
    def program(self) -> Path:
        """The program ``letta``."""
        return self.folder / "bin" / "letta"

    @property
    def complete(self) -> bool:
        """True if the installation was finished, and its Python is still there."""
        return (self.folder / ".harness-installed").is_file() and (self.folder / "bin" / "python").exists()


def locate(home: Home) -> AppServerInstall:
    """Return where the App Server is, or will be, installed."""
    return AppServerInstall(home.root / f"app-server-{VERSION}")


def lacking() -> tuple[str, str] | None:
    """Return what this machine lacks for the App Server, and the remedy; None if it lacks nothing."""
    if shutil.which("git") is None:
        return "there is no program git, in which Letta's App Server keeps an agent's memory", "install git"
    libc, release = platform.libc_ver()
    if libc == "glibc" and tuple(map(int, release.split(".")[:2])) < OLDEST_GLIBC:
        needed = ".".join(map(str, OLDEST_GLIBC))
        return (
            f"Letta's App Server needs glibc {needed} or newer, and this machine has {release}",
            "use --letta v1, or a newer Linux",
        )
    return None


def ensure(home: Home, report: Report) -> AppServerInstall:
    """Install the App Server unless that was done before.

    Raises:
        StackError: The machine lacks something, or pip failed, with the end of its output.
    """
    if problem := lacking():
        raise StackError(problem[0], remedy=problem[1])
    install = locate(home)
    if install.complete:
        return install
    if install.folder.exists():
        report("an unfinished installation of the App Server is removed")
        shutil.rmtree(install.folder)
    home.root.mkdir(parents=True, exist_ok=True)
    wanted = home.root / f"app-server-{VERSION}.txt"
    # pip refuses a wheel with another checksum.
    wanted.write_text(" ".join([f"letta=={VERSION}", *(f"--hash=sha256:{each}" for each in SHA256.values())]))
    what = f"installing Letta's App Server {VERSION} (80 MB, 260 MB on disk)"
    with timed(what, report):
        venv.create(install.folder, with_pip=False, symlinks=os.name != "nt")
        command = [*pip(), "--python", str(install.folder / "bin" / "python"), "install", "--quiet"]
        command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(wanted)]
        log = home.log("app-server-install")
        run(command, log=log, env=installer_environment(), cwd=home.root, what="installing the App Server")
    wanted.unlink()
    (install.folder / ".harness-installed").write_text(f"{VERSION}\n")
    return install
