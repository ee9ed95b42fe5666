"""The App Server as a child of the translator: what stands in its home before it starts, and its start."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from harness.local.stack.ports import HOST, free_port, get_json
from harness.local.stack.processes import INHERITED, Identity, spawn, stop, wait_until_ready

PROVIDER = "openai-compatible"  # the only one that the App Server knows: the translator
# A mod of the App Server that keeps its own texts (time, paths, ids) out of what a model sees, and so two
# recordings' model requests alike.
PLAIN = """\
export default function activate(letta) {
  const own = (part) => part.type === "text" && part.text.startsWith("<system-reminder>");
  const plain = (message) =>
    !Array.isArray(message.content) ? message
      : { ...message, content: message.content.filter((part) => !own(part)) };
  letta.events.on("turn_start", (event) => ({ input: event.input.map(plain) }));
}
"""
SETTINGS = {"sessionContextEnabled": False, "reflectionTrigger": "off", "autoConversationTitles": False}
QUIET = {"LETTA_CODE_TELEM": "0", "DO_NOT_TRACK": "1", "DISABLE_AUTOUPDATER": "1", "TZ": "UTC"}
READY_S = 90.0


def write_home(home: Path, port: int) -> None:
    """Write the App Server's settings into its home: no texts of its own, and one provider, the translator.

    What agents have left there that no longer exist is removed.
    """
    state = home / ".letta"
    records = [path.read_text() for path in state.glob("lc-local-backend/agents/*.json")]
    for folder in (*state.glob("lc-local-backend/memfs/*"), *state.glob("transcripts/*")):
        if not any(folder.name in record for record in records):
            shutil.rmtree(folder, ignore_errors=True)
    providers = state / "lc-local-backend" / "providers"
    for folder in (providers, state / "mods"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "mods" / "plain.js").write_text(PLAIN)
    # Anew each time: it keeps an entry in it for each agent that there ever was.
    (state / "settings.json").write_text(json.dumps(SETTINGS))
    at = "2026-01-01T00:00:00.000Z"
    record = {
        "id": f"local-provider-{PROVIDER}",
        "name": PROVIDER,
        "provider_type": PROVIDER,
        "provider_category": "byok",
        "auth": {"type": "api", "key": "none"},
        "base_url": f"http://{HOST}:{port}/model/v1",
        "created_at": at,
        "updated_at": at,
    }
    (providers / "auth.json").write_text(json.dumps({"version": 1, "providers": {PROVIDER: record}}))


def start(program: str, home: Path, log: Path) -> tuple[Identity, int]:
    """Start the App Server as a child of this process and wait until it is ready; return it with its port."""
    port = free_port()
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env |= {"HOME": str(home), **QUIET}
    command = [program, "server", "--backend", "local", "--listen", f"ws://{HOST}:{port}"]
    identity = spawn(command, log=log, env=env, cwd=home)
    try:
        wait_until_ready(
            identity,
            lambda: get_json(port, "/app-server-info") is not None,
            what="the App Server",
            log=log,
            timeout_s=READY_S,
        )
    except BaseException:
        stop(identity)
        raise
    return identity, port
