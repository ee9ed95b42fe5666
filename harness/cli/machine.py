"""Check this computer for ``harness doctor``: Python, packages, sandbox, disk, ports, the embedded stack.

No network is asked. What the environment names and the services offer is checked in ``backends/checks/``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.backends.checks.finding import Finding
from harness.errors import HarnessError, StackError

if TYPE_CHECKING:
    from harness.local.stack.home import Home

PACKAGE = "pair-harness"
PYTHONS = ((3, 11), (3, 13))
OLDEST_VCRPY = "8.2.1"
AGAIN = "pip install -e .   (or: make env)"
MB = 1 << 20
FEW_MB = 200
STACK_MB = 3000
PORTS = (
    (8283, "Letta", "--letta-port", "/v1/health/"),
    (8284, "the model server", "--model-port", "/health"),
)


def machine(root: Path) -> Iterator[Finding]:
    """Yield all findings on this computer. Cassettes and reports are written below ``root``."""
    yield python(sys.version_info[:2], sys.executable)
    yield Finding("harness", "ok", f"{__version__}, in {Path(__file__).parents[1]}")
    yield packages(installed())
    yield vcrpy(installed_version("vcrpy"))
    yield sandbox()
    yield disk("disk", root, FEW_MB, "cassettes and reports are written there")
    yield from stack()


def python(running: tuple[int, ...], executable: str) -> Finding:
    """Check that this Python is one of those the harness is tested with."""
    seen = f"{running[0]}.{running[1]} at {executable}"
    if PYTHONS[0] <= tuple(running) <= PYTHONS[1]:
        return Finding("python", "ok", seen)
    return Finding("python", "error", seen, "use 3.11, 3.12 or 3.13: make env PYTHON=python3.12")


def packages(found: Mapping[str, str | None]) -> Finding:
    """Check each requirement, such as ``click>=8.2``, against the version that is installed, or None."""
    from packaging.requirements import Requirement

    wrong = [
        f"{requirement} (here: {here or 'none'})"
        for requirement, here in found.items()
        if here is None or not Requirement(requirement).specifier.contains(here, prereleases=True)
    ]
    if wrong:
        return Finding("packages", "error", f"required: {', '.join(wrong)}", AGAIN)
    versions = ", ".join(
        f"{name} {installed_version(name)}" for name in ("anthropic", "letta-client", "pytest")
    )
    return Finding("packages", "ok", f"all {len(found)} required are there; {versions}")


def vcrpy(found: str | None) -> Finding:
    """Refuse versions without httpx2, on which Claude's SDK sends: a cassette would miss its requests."""
    from packaging.version import Version

    if found is None:
        return Finding("vcrpy", "error", "not installed", AGAIN)
    if Version(found) < Version(OLDEST_VCRPY):
        seen = f"{found} is too old: it lets requests of Claude's SDK past the cassette"
        return Finding("vcrpy", "error", seen, f"pip install 'vcrpy>={OLDEST_VCRPY}'")
    return Finding("vcrpy", "ok", f"{found} (>= {OLDEST_VCRPY})")


def sandbox() -> Finding:
    """Name what this machine does not enforce to hold back model-written code."""
    from harness.sandbox import fork_server

    try:
        held = fork_server.protections()
    except HarnessError as error:
        return Finding("sandbox", "error", error.message, error.remedy)
    if missing := [name for name, holds in held.items() if not holds]:
        remedy = "allow user namespaces (Linux 5.14 or newer), install bubblewrap, or use a virtual machine"
        return Finding("sandbox", "warning", f"this machine does not enforce: {', '.join(missing)}", remedy)
    return Finding("sandbox", "ok", f"enforced: {', '.join(held)}")


def disk(check: str, folder: Path, needed_mb: int, purpose: str) -> Finding:
    """Check that there is room below a folder, which need not exist yet, and the right to write there."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        seen = f"{place} is not writable; {purpose}"
        return Finding(check, "error", seen, "give this user the right to write there")
    free = shutil.disk_usage(place).free // MB
    seen = f"{free:,} MB free at {place}; {purpose}"
    if free >= needed_mb:
        return Finding(check, "ok", seen)
    return Finding(check, "error" if free < FEW_MB else "warning", seen, f"make room: {needed_mb:,} MB")


def stack() -> Iterator[Finding]:
    """Check the embedded stack, which no replay needs, nor who runs a Letta server elsewhere."""
    from harness.local.stack import letta_install, state
    from harness.local.stack.home import find_home

    try:
        home = find_home()
    except StackError as error:
        yield Finding("embedded stack", "ok", f"{error.message}; needed for `harness up` only", error.remedy)
        yield from (port(*each, ours=False) for each in PORTS)
        return
    from harness.local.stack.status import status

    components = {each.name: each for each in status().components}
    for name, each in components.items():
        if each.external:
            yield Finding(name, "ok", f"external: {each.address}, as Letta was started")
        elif each.pid is None:
            seen = f"not running, as part of the embedded stack ({each.version})"
            yield Finding(name, "ok", seen, "harness up")
        elif each.healthy:
            yield Finding(name, "ok", f"runs, {each.address} ({each.version})")
        else:
            seen = f"runs and does not answer (log: {each.log})"
            yield Finding(name, "error", seen, "harness down; harness up")
    yield app_server(home)
    install = letta_install.locate(home)
    if not install.complete:
        yield disk("disk of the stack", home.root, STACK_MB, "`harness up` installs Letta there")
    ours = {each.address for each in components.values()}
    for number, *rest in PORTS:
        yield port(number, *rest, ours=f"port {number}" in ours)
    if not state.load(home.state_file):
        yield Finding("state of the stack", "ok", f"nothing remembered as running in {home.root}")


def app_server(home: Home) -> Finding:
    """Check what Letta's App Server needs of this machine; only `harness up --letta app-server` starts it."""
    from harness.local.stack import app_server_install

    release = f"{app_server_install.VERSION} of `harness up --letta app-server`"
    if problem := app_server_install.lacking():
        return Finding("app server", "warning", f"{release}: {problem[0]}", problem[1])
    installed = app_server_install.locate(home).complete
    return Finding("app server", "ok", f"{release} {'is' if installed else 'can be'} installed")


def port(number: int, owner: str, option: str, health: str, *, ours: bool) -> Finding:
    """Check that a port that `harness up` takes by default is free, or taken by what should be there."""
    from harness.local.stack.ports import get_json, is_free

    check = f"port {number}"
    if ours:
        return Finding(check, "ok", f"{owner} of the embedded stack")
    if is_free(number):
        return Finding(check, "ok", f"free, for {owner}")
    if isinstance(get_json(number, health), dict):
        return Finding(check, "ok", f"{owner} listens there, started by somebody else than this stack")
    remedy = f"stop it, or choose another port: harness up {option} N"
    return Finding(check, "warning", f"something else than {owner} listens there", remedy)


def installed() -> dict[str, str | None]:
    """Return the harness's own requirements, without extras, each with the version that is installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires(PACKAGE) or ()]
    except PackageNotFoundError:
        return {}
    own = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return {f"{each.name}{each.specifier}": installed_version(each.name) for each in own}


def installed_version(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
