"""The process of the Letta server: its environment, database migrations, start and health.

Letta gets a home folder of its own and only the variables named here. The local model server is made known
to it as a vLLM server, so its models' handles read ``local/...``. The user's own provider keys are passed on,
so that real models are offered as orchestrators too; Letta then asks those providers for their models at
start. Set no such key to stay offline.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.local.stack.home import Home
from harness.local.stack.letta_install import VERSION, LettaInstall
from harness.local.stack.ports import HOST, get_json
from harness.local.stack.postgres import Database
from harness.local.stack.processes import INHERITED, Identity, run, spawn

_INHERITED = (*INHERITED, "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY")
_PROVIDERS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_API_KEY")
LOG = "letta-server"
# Letta gives up on a model after 60 s, less than a small model on a busy machine may need.
_MODEL_TIMEOUT_S = 600
_POINT_AT = """
UPDATE providers SET base_url = '{url}'
 WHERE name = 'vllm' AND base_url LIKE 'http://127.0.0.1:%/v1' AND base_url <> '{url}';
UPDATE agents SET llm_config = jsonb_set(llm_config::jsonb, '{{model_endpoint}}', '"{url}"')::json
 WHERE llm_config->>'model_endpoint' LIKE 'http://127.0.0.1:%/v1'
   AND llm_config->>'model_endpoint' <> '{url}';
"""


def environment(
    home: Home, database_uri: str, model_port: int | None, user: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of Letta and of its migrations; of the user's environment it has very little."""
    env = {name: user[name] for name in _INHERITED if name in user}
    env |= {
        "HOME": str(home.letta_home),
        "LETTA_DIR": str(home.letta_home / ".letta"),
        "LETTA_PG_URI": database_uri,
        "LETTA_DISABLE_TRACING": "true",
        "LETTA_LLM_REQUEST_TIMEOUT_SECONDS": str(_MODEL_TIMEOUT_S),
        # Server tools wait for the same model: not the 180 s that Letta gives them.
        "TOOL_SANDBOX_TIMEOUT": str(_MODEL_TIMEOUT_S),
        "NO_PROXY": f"{HOST},localhost",
    }
    if model_port is not None:
        env |= {"VLLM_API_BASE": base_url(model_port), "VLLM_HANDLE_BASE": "local"}
    env |= {name: user[name].strip() for name in _PROVIDERS if user.get(name, "").strip()}
    key = user.get("ANTHROPIC_API_KEY", "").strip()
    # A placeholder for the local model server would only make Letta fail at Anthropic.
    if key.startswith("sk-ant-api") and "ANTHROPIC_BASE_URL" not in user:
        env["ANTHROPIC_API_KEY"] = key
    return env


def base_url(model_port: int) -> str:
    """Return the model server's address as Letta's vLLM provider expects it."""
    return f"http://{HOST}:{model_port}/v1"


def needs_migration(home: Home, database: Database) -> bool:
    """Return True unless the database is known to be at this Letta version's last migration."""
    try:
        known = json.loads(home.migrations.read_text())
    except (FileNotFoundError, ValueError):
        return True
    return bool(known != _migrated(database))


def migrate(home: Home, install: LettaInstall, database: Database) -> None:
    """Migrate the database's tables to this Letta version; raise StackError with the output if that fails.

    Takes about 12 s, also when nothing is to be done.
    """
    _letta_folder(home)
    command = [str(install.program("alembic")), "upgrade", "head"]
    env = environment(home, database.migration_uri, None, os.environ)
    log = home.log("letta-migrations")
    run(command, log=log, env=env, cwd=install.folder, what="Letta's database migration")
    home.migrations.write_text(json.dumps(_migrated(database)) + "\n")


def point_at_model_server(database: Database, model_port: int) -> None:
    """Update the stored address of the model server.

    Letta stores a provider's base URL at its first start and an agent's endpoint when the agent is made, and
    never looks at the variable again. Does nothing at the first start, when nothing is stored.
    """
    # The only value put in is made of a constant and a number.
    database.sql(_POINT_AT.format(url=base_url(model_port)))


def start(
    home: Home, install: LettaInstall, database: Database, port: int, model_port: int | None
) -> Identity:
    """Start the server; it outlives this process and answers after 10 to 30 s."""
    command = [str(install.program("letta")), "server", "--host", HOST, "--port", str(port)]
    env = environment(home, database.server_uri, model_port, os.environ)
    return spawn(command, log=home.log(LOG), env=env, cwd=_letta_folder(home))


def answers(port: int) -> bool:
    """Return True if a Letta server answers on a port."""
    health = get_json(port, "/v1/health/")
    return isinstance(health, dict) and health.get("status") == "ok"


def _letta_folder(home: Home) -> Path:
    """Make and return Letta's working folder: in the user's it would read ``.env`` and ``conf.yaml``."""
    folder = home.letta_home / ".letta"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _migrated(database: Database) -> dict[str, object]:
    """Return the Letta version and the database's migrations, as they are recorded."""
    exists = database.is_true("to_regclass('alembic_version') IS NOT NULL")
    revisions = database.sql("SELECT version_num FROM alembic_version ORDER BY 1") if exists else []
    return {"letta": VERSION, "revisions": revisions}
