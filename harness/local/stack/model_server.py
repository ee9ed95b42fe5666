"""The process of the model server (`harness.local.models.server`): its environment, start and health."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from harness.local.stack.home import Home
from harness.local.stack.ports import get_json
from harness.local.stack.processes import Identity, own_environment, spawn
from harness.local.stack.providers import key_variable

LOG = "model-server"


def start(
    home: Home,
    port: int,
    models: Mapping[str, Path],
    providers: Mapping[str, str],
    llama_server: Path | None,
) -> Identity:
    """Start the server; it outlives this process, answers at once, and loads a model when it is asked."""
    command = [sys.executable, "-m", "harness.local.models.server", "--port", str(port)]
    command += [f"{name}={path}" for name, path in models.items()]
    command += [f"--provider={name}={url}" for name, url in providers.items()]
    if llama_server is not None:
        command += ["--llama-server", str(llama_server), "--logs", str(home.log(LOG).parent)]
    # Of the user's keys those of the providers.
    env = own_environment("HOME", "LD_LIBRARY_PATH", *map(key_variable, providers))
    # Threads that wait for each other by spinning stand still where something else wants a core: measured
    # with a busy core, 6.2 s for 200 tokens by default and 2.8 s with a short spin; 2.7 s both on idle cores.
    env["GOMP_SPINCOUNT"] = "1000"
    return spawn(command, log=home.log(LOG), env=env, cwd=home.root)


def answers(port: int) -> bool:
    """Return True if a model server answers on a port."""
    return bool(get_json(port, "/health") == {"status": "ok"})
