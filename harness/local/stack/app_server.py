"""The process of the translator (`harness.local.app_server.translator`), which starts the App Server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.local.stack.app_server_install import AppServerInstall
from harness.local.stack.home import Home
from harness.local.stack.ports import HOST
from harness.local.stack.processes import INHERITED, Identity, spawn
from harness.local.stack.providers import LOCAL, key_variable

LOG = "translator"
SERVER_LOG = "app-server"


def start(
    home: Home,
    install: AppServerInstall,
    port: int,
    model_port: int,
    providers: Iterable[tuple[str, str]],
) -> Identity:
    """Start the translator; it outlives this process, and the App Server does not outlive it."""
    places = {LOCAL: f"http://{HOST}:{model_port}/v1", **dict(providers)}
    command = [sys.executable, "-m", "harness.local.app_server.translator", "--port", str(port)]
    command += ["--program", str(install.program), "--home", str(home.app_server_home)]
    command += ["--log", str(home.log(SERVER_LOG))]
    for name, url in places.items():
        command += ["--provider", f"{name}={url}"]
    inherited: tuple[str, ...] = (
        *INHERITED,
        "HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    )
    # The keys of the providers that were named, and no others.
    inherited += tuple(key_variable(name) for name in places)
    env = {name: os.environ[name] for name in inherited if name in os.environ}
    package_root = str(Path(__file__).resolve().parents[3])
    env["PYTHONPATH"] = os.pathsep.join([package_root, *filter(None, [os.environ.get("PYTHONPATH")])])
    env["PYTHONUNBUFFERED"] = "1"
    return spawn(command, log=home.log(LOG), env=env, cwd=home.root)
