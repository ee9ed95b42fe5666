"""The two tools as Letta's tool sandbox runs them. ``letta_source.py`` makes this into one text.

A child process of the Letta server holds, from the agent's secrets:

    ANTHROPIC_BASE_URL  the harness's gateway on loopback (``gateway.py``)
    ANTHROPIC_API_KEY   a key that is good for that gateway and this trial only
    HARNESS_WORKSPACE   the trial's folder
    HARNESS_BRIEF       what the tools know of the trial, as JSON (``errand.ToolContext``)

What the orchestrator is to hear of a failure is raised as ``ToolError``. Anything else that is raised means
that the trial cannot go on; the harness sees it in Letta's answer. The standard library only.
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

from harness.agents.tool_call import Author, Done, ToolContext, ToolError, execute
from harness.agents.workspace import Workspace, WorkspaceError, files_in
from harness.text import well_formed

PATIENCE_S = 590
TOLD = (400, 413, 422)  # what is refused for what a model put into it


# No annotations here: Letta reads an argument that is said to be text as JSON or Python first, so that a
# specification such as `[1, 2]` or `"quoted"` would arrive as another text than the model wrote.
def run_claude_coder(spec=None, file_name=None, language=None, workspace_dir=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let Claude write the implementation into a file of the workspace."""
    given = {"spec": spec, "file_name": file_name, "language": language, "workspace_dir": workspace_dir}
    return _run("coder", given, os.environ)


def run_claude_tester(spec=None, code_file=None, file_name=None, language=None, workspace_dir=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let Claude write a pytest file for the implementation into a file of the workspace."""
    given = {"spec": spec, "file_name": file_name, "language": language, "workspace_dir": workspace_dir}
    return _run("tester", {**given, "code_file": code_file}, os.environ)


def _run(role: Author, given: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    # Letta keeps what is written to stderr, and a traceback would name folders of this machine.
    sys.tracebacklimit = 0
    brief = ToolContext(**json.loads(environment["HARNESS_BRIEF"]))
    folder = Path(environment["HARNESS_WORKSPACE"])

    def ask(prompt: str) -> tuple[str, bool]:
        return _asked(role, brief, prompt, environment)

    workspace = Workspace(files_in(folder))
    try:
        done = execute(role, given, brief, workspace, ask)
    except (ToolError, WorkspaceError) as error:
        # Letta gives on the last line of what a child says, if it is of this form.
        raise ToolError(" ".join(str(error).split())) from None
    _laid_down(folder, done)
    return done.text


def _laid_down(folder: Path, done: Done) -> None:
    path = folder / done.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(done.code.encode("utf-8"))
    except OSError as error:
        raise RuntimeError(f"the workspace cannot be written by Letta: {type(error).__name__}") from None


def _asked(role: Author, brief: ToolContext, prompt: str, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Put a prompt to Claude, through the gateway; gives the answer, and whether it was cut off."""
    body = {
        "max_tokens": brief.max_tokens,
        "messages": [{"role": "user", "content": prompt}],
        "model": brief.models[role],
        "system": brief.systems[role],
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
        with opener.open(request, timeout=PATIENCE_S) as response:
            message = json.load(response)
    except urllib.error.HTTPError as error:
        if error.code not in TOLD:
            raise RuntimeError(f"the gateway could not answer: {error.code}") from None
        raise ToolError(json.load(error)["error"]["message"]) from None
    except OSError as error:
        raise RuntimeError(
            f"the harness's gateway cannot be reached from here: {type(error).__name__}"
        ) from None
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    return well_formed(text), message["stop_reason"] == "max_tokens"
