"""The process of the translator (`harness.local.app_server.translator`), which starts the App Server."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from harness.local.stack.app_server_install import AppServerInstall
from harness.local.stack.home import Home
from harness.local.stack.ports import HOST
from harness.local.stack.processes import Identity, own_environment, spawn
from harness.local.stack.providers import LOCAL, key_variable

LOG = "translator"
SERVER_LOG = "app-server"
NETWORK = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


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
    # The keys of the providers that were named, and no others.
    env = own_environment("HOME", *NETWORK, *map(key_variable, places))
    return spawn(command, log=home.log(LOG), env=env, cwd=home.root)
