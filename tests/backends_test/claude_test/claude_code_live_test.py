"""The real Claude CLI on a scripted endpoint on loopback: skipped where the extra `claude-code` is missing.

What only the program itself can show: that its limits hold, and that its secrets stay where they belong.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fakes import Fake

from harness.backends.claude.claude_code import written
from harness.backends.claude.cli_process import Cli
from harness.local.models.anthropic_api import stream

if importlib.util.find_spec("claude_agent_sdk") is None:
    pytest.skip("the Claude CLI comes with the extra `claude-code`", allow_module_level=True)

QUESTION = {
    "role": "coder",
    "model": "claude-haiku-5-5",
    "system": "You write.",
    "prompt": "Write the file add.py.",
    "max_tokens": 99,
    "files": {"helper.py": "X = 1\n"},
}


class Scripted(Fake):
    """An endpoint that calls these tools, one in each answer, and then ends its turn."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        super().__init__()
        self.calls = list(calls)

    def answer(self, method, path, body):
        if not path.startswith("/v1/messages"):
            return 404, {}
        number = len(self.requests)
        content: dict[str, Any] = {"type": "text", "text": "Done."}
        if self.calls:
            name, given = self.calls.pop(0)
            content = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}
        reason = "tool_use" if content["type"] == "tool_use" else "end_turn"
        usage = {"input_tokens": 5, "output_tokens": 6}
        head = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": body["model"]}
        data = stream(
            {**head, "content": [content], "stop_reason": reason, "stop_sequence": None, "usage": usage}
        )

        def streamed(handler):
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream")
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        return streamed

    def asked(self) -> list[Any]:
        return [body for _, path, body in self.requests if path.startswith("/v1/messages")]


def run(endpoint: Scripted, **changes: Any) -> dict[str, Any]:
    return Cli(endpoint.url, "the-real-key", os.environ).run({**QUESTION, **changes})


def test_it_writes_into_its_folder() -> None:
    """A call of Write arrives on disk and is told; the endpoint sees the real key, the CLI never does."""
    with Scripted(("Write", {"file_path": "add.py", "content": "X = 2\n"})).running() as endpoint:
        told = run(endpoint)
    assert written(told["messages"]) == {"add.py": "X = 2\n"}
    assert (told["result"]["is_error"], told["result"]["usage"]["output_tokens"]) == (False, 12)
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert headers["x-api-key"] == "the-real-key"
    assert "only-for-this-trial" not in json.dumps(endpoint.headers)
    assert {tool["name"] for tool in endpoint.asked()[0]["tools"]} & {"Bash", "WebFetch", "Edit"} == set()
    assert endpoint.asked()[0]["max_tokens"] == 99


def test_it_replaces_a_file_that_it_has_read() -> None:
    """A repair."""
    calls = (
        ("Read", {"file_path": "helper.py"}),
        ("Write", {"file_path": "helper.py", "content": "X = 3\n"}),
    )
    with Scripted(*calls).running() as endpoint:
        assert written(run(endpoint)["messages"]) == {"helper.py": "X = 3\n"}
    assert "X = 1" in json.dumps(endpoint.asked()[1])


@pytest.mark.parametrize("name", ["../outside.py", "/tmp/outside-of-the-trial.py"])
def test_it_cannot_write_outside_of_its_folder(name) -> None:
    """The call is refused, the file is not there, and nothing counts as written."""
    with Scripted(("Write", {"file_path": name, "content": "X = 2\n"})).running() as endpoint:
        told = run(endpoint)
    assert not Path("/tmp/outside-of-the-trial.py").exists()
    assert written(told["messages"]) == {}
    assert told["result"]["denials"] == 1


def test_it_cannot_read_outside_of_its_folder(tmp_path) -> None:
    """What the user has elsewhere does not reach the endpoint."""
    (tmp_path / "diary.txt").write_text("a word that nobody knows")
    with Scripted(("Read", {"file_path": str(tmp_path / "diary.txt")})).running() as endpoint:
        told = run(endpoint)
    assert "a word that nobody knows" not in json.dumps(endpoint.requests)
    assert told["result"]["denials"] == 1


def test_a_prompt_is_taken_as_it_is(tmp_path) -> None:
    """Words of another model name no file to attach and no command to run."""
    (tmp_path / "diary.txt").write_text("a word that nobody knows")
    prompt = f"/help @{tmp_path}/diary.txt and write add.py."
    with Scripted().running() as endpoint:
        run(endpoint, prompt=prompt)
    assert "a word that nobody knows" not in json.dumps(endpoint.requests)
    assert prompt in json.dumps(endpoint.asked()[0]["messages"])


def test_a_refusing_endpoint_is_told() -> None:
    """The status arrives, and the words."""
    with Scripted().running() as endpoint:
        body = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        endpoint.faults = [("?beta=true", (401, body))] * 9
        result = run(endpoint)["result"]
    assert (result["is_error"], result["api_error_status"]) == (True, 401)
    assert "invalid x-api-key" in result["text"] or "API key" in result["text"]


def test_turns_are_limited() -> None:
    """A model that never ends is stopped."""
    calls = [("Read", {"file_path": "helper.py"})] * 30
    with Scripted(*calls).running() as endpoint:
        result = run(endpoint)["result"]
    assert result["subtype"] == "error_max_turns"
    assert len(endpoint.asked()) < 12
