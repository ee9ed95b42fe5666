"""The two tools as Letta's tool sandbox runs them; ``tool_source.py`` makes them into one text.

A child process of the Letta server holds, from the agent's secrets:

    ANTHROPIC_BASE_URL  the harness's gateway on loopback (``gateway.py``)
    ANTHROPIC_API_KEY   a key that is good for that gateway and this trial only
    HARNESS_WORKSPACE   the trial's folder
    HARNESS_BRIEF       the trial as its tools see it (``tool_call.ToolContext``), as JSON

An error for the orchestrator is raised as ``ToolError``; any other means that the trial cannot go on, and the
harness sees it in Letta's answer. Imports the standard library and modules of that text only.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents.tool_call import Author, ToolContext, ToolError, execute
from harness.agents.workspace import Workspace, WorkspaceError, files_in
from harness.text import well_formed

TIMEOUT_S = 590
WHOLE = ("end_turn", "stop_sequence", "stop", "tool_use", None)  # as in messages_api.py
REFUSED = (400, 413, 422)  # statuses of a request that is refused for what a model put into it


# No annotations here: Letta reads an argument that is annotated as text as JSON or Python first, so that a
# specification such as `[1, 2]` or `"quoted"` would arrive as another text than the model wrote.
def run_claude_coder(spec=None, file_name=None, language=None, workspace_dir=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let Claude write the implementation into a file of the workspace."""
    given = {"spec": spec, "file_name": file_name, "language": language, "workspace_dir": workspace_dir}
    return _run("coder", given, os.environ)


def run_claude_tester(spec=None, code_file=None, file_name=None, language=None, workspace_dir=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let Claude write a pytest file for the implementation into a file of the workspace."""
    given = {"spec": spec, "file_name": file_name, "language": language, "workspace_dir": workspace_dir}
    return _run("tester", {**given, "code_file": code_file}, os.environ)


def _run(role: Author, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    # Letta keeps what is written to stderr, and a traceback would name folders of this machine.
    sys.tracebacklimit = 0
    context = ToolContext(**json.loads(environment["HARNESS_BRIEF"]))
    folder = Path(environment["HARNESS_WORKSPACE"])
    workspace = Workspace(files_in(folder))
    try:
        result = execute(
            role, arguments, context, workspace, lambda prompt: _ask(role, context, prompt, environment)
        )
    except (ToolError, WorkspaceError) as error:
        # Letta passes on the last line of what a child prints, if it has this form.
        raise ToolError(" ".join(str(error).split())) from None
    path = folder / result.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(result.code.encode("utf-8"))
    except OSError as error:
        raise RuntimeError(f"the workspace cannot be written by Letta: {type(error).__name__}") from None
    return result.text


def _ask(role: Author, context: ToolContext, prompt: str, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Send a prompt to Claude through the gateway; return the answer, and True if it was cut off."""
    body = {
        **context.options[role],
        "messages": [{"role": "user", "content": prompt}],
        "model": context.models[role],
        "system": context.systems[role],
    }
    request = urllib.request.Request(  # noqa: S310  (the harness's own loopback address)
        f"{environment['ANTHROPIC_BASE_URL']}/{role}/v1/messages",
        data=json.dumps(body).encode(),
        headers={
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "x-api-key": environment["ANTHROPIC_API_KEY"],
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            message = json.load(response)
    except urllib.error.HTTPError as error:
        if error.code not in REFUSED:
            raise RuntimeError(f"the gateway could not answer: {error.code}") from None
        raise ToolError(json.load(error)["error"]["message"]) from None
    except OSError as error:
        raise RuntimeError(
            f"the harness's gateway cannot be reached from here: {type(error).__name__}"
        ) from None
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    return well_formed(text), message.get("stop_reason") not in WHOLE
