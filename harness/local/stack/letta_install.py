"""Letta's own environment, built from its published source.

The wheel of the last self-hosted server lacks the database migrations, and its unpinned dependencies have
moved on. The source distribution holds both the migrations and a lock file, so: fetch it with pip, check
its checksum, unpack it, let uv install what the lock file says. A marker file is written last; without it
an installation is redone from the start.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StackError
from harness.local.stack.home import Home
from harness.local.stack.processes import Report, pip, run, timed, uv

VERSION = "0.16.8"
SHA256 = "363e26989e552c859ce2e7961d484acee6fccfc1e7b16e8f644b1ae1ccd754a3"
# What Letta's source allows, as its pyproject says.
_PYTHONS = ((3, 11), (3, 13))
# The installers get the user's settings for them, but neither keys nor the active environment.
_NOT_FOR_INSTALLERS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX")


@dataclass(frozen=True)
class LettaInstall:
    """An unpacked Letta source with its environment."""

    folder: Path

    @property
    def marker(self) -> Path:
        """Exists once the installation is complete."""
        return self.folder / ".harness-installed"

    def program(self, name: str) -> Path:
        """Return the path of a program of Letta's environment."""
        return self.folder / ".venv" / "bin" / name

    @property
    def complete(self) -> bool:
        """True if the installation was finished, and its Python is still there."""
        return self.marker.is_file() and self.program("python").exists()


def locate(home: Home) -> LettaInstall:
    """Return where Letta is, or will be, installed."""
    return LettaInstall(home.root / f"letta-{VERSION}")


def ensure(home: Home, report: Report) -> LettaInstall:
    """Install Letta unless that was done before; raise StackError with the output of a step that fails."""
    install = locate(home)
    if install.complete:
        return install
    if install.folder.exists():
        report("an unfinished installation of Letta is removed")
        shutil.rmtree(install.folder)
    home.root.mkdir(parents=True, exist_ok=True)
    env = installer_environment()
    with tempfile.TemporaryDirectory(dir=home.root, prefix=".unpack-") as scratch:
        command = [*pip(), "download", "--no-deps", "--no-binary", ":all:", "--dest", scratch]
        log = home.log("letta-download")
        with timed(f"downloading the source of Letta {VERSION} (8 MB)", report):
            run([*command, f"letta=={VERSION}"], log=log, env=env, cwd=home.root, what="downloading Letta")
        unpack(Path(scratch) / f"letta-{VERSION}.tar.gz", SHA256, Path(scratch) / "source")
        # Moved before the environment is built: an environment cannot be moved.
        os.replace(Path(scratch) / "source" / f"letta-{VERSION}", install.folder)
    # It names one patch release of Python, which need not be here.
    (install.folder / ".python-version").unlink(missing_ok=True)
    command = [uv(), "sync", "--frozen", "--no-dev", "--extra", "postgres", "--extra", "server", "--python"]
    command.append(interpreter(sys.version_info[:2], sys.executable))
    what, log = "installing Letta's dependencies", home.log("letta-install")
    with timed(f"{what} (800 MB on disk)", report):
        run(command, log=log, env=env, cwd=install.folder, what=what)
    install.marker.write_text(f"{VERSION}\n")
    return install


def unpack(archive: Path, sha256: str, target: Path) -> None:
    """Unpack an archive; raise StackError if its checksum differs or a member would escape ``target``."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise StackError(
            f"{archive.name} is not the published file: sha256 {found}, expected {sha256}",
            remedy="check which package index pip uses",
        )
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    except tarfile.TarError as problem:
        raise StackError(f"{archive.name} cannot be unpacked: {problem}") from problem


def interpreter(version: tuple[int, int], executable: str) -> str:
    """Return the Python for uv: the running one where Letta allows it, else one that uv finds or fetches."""
    return executable if _PYTHONS[0] <= version <= _PYTHONS[1] else "3.11"


def installer_environment() -> dict[str, str]:
    """Return the user's environment for an installer: its settings, but no keys and no active environment."""
    secret = ("_API_KEY", "_AUTH_TOKEN", "_OAUTH_TOKEN")
    names = [name for name in os.environ if name not in _NOT_FOR_INSTALLERS and not name.endswith(secret)]
    return {name: os.environ[name] for name in names}
