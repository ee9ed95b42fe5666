"""What the harness has left in a Letta server: `harness letta list | clean`, and `harness models`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from fakes import Fake, FakeClaude

from harness.agents import prompts
from harness.backends.letta.cleanup import find, remove
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.cli.main import main

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OURS = ["agent-1", "block-1", "block-2", "tool-1"]
THEIRS = ["agent-9", "agent-8", "block-9", "block-8", "block-7", "tool-9"]


class Store(Fake):
    """A Letta server with things of ours and of others; lists in pages, as 0.16.8 does."""

    def __init__(self) -> None:
        super().__init__()
        self.made = (NOW - 5 * HOUR).isoformat()
        self.things: dict[str, dict[str, Any]] = {
            "agent-1": {"name": "p_add_1", "tags": ["pair-harness"], "blocks": []},
            "agent-9": {"name": "p_add_1", "tags": ["mine"], "blocks": ["block-9"]},
            "agent-8": {"name": "pair-harness", "tags": [], "blocks": []},
            "block-1": {"label": "role", "value": prompts.ROLE_BLOCK},
            "block-2": {"label": "workspace", "value": prompts.WORKSPACE_BLOCK},
            "block-9": {"label": "role", "value": prompts.ROLE_BLOCK},  # somebody's agent holds it
            "block-8": {"label": "role", "value": "I am a pirate."},
            "block-7": {"label": "workspace", "value": prompts.ROLE_BLOCK},
            "tool-1": {"name": "run_claude_coder", "tags": ["pair-harness"]},
            "tool-9": {"name": "run_claude_coder", "tags": ["mine"]},
        }

    def answer(self, method: str, path: str, _body: Any) -> Any:
        url = urlsplit(path)
        asked = parse_qs(url.query)
        parts = url.path.strip("/").split("/")
        if method == "DELETE":
            return (200, {}) if self.things.pop(parts[2], None) else (404, {"detail": "Not Found"})
        if len(parts) == 4:
            return 200, [self._state(each) for each in self._ids("agent") if parts[2] in self._held(each)]
        if parts[1] == "health":
            return 200, {"version": "0.16.8", "status": "ok"}
        if parts[1] == "models":
            return 200, [{"handle": "openai/gpt-5"}, {"handle": "local/scripted"}]
        ids = self._ids(parts[1].removesuffix("s"))
        if "label" in asked:
            ids = [each for each in ids if self.things[each]["label"] == asked["label"][0]]
        after = asked.get("after", [""])[0]
        start = ids.index(after) + 1 if after in ids else 0
        return 200, [self._state(each) for each in ids[start : start + 1]]

    def _ids(self, kind: str) -> list[str]:
        return [each for each in self.things if each.startswith(kind)]

    def _held(self, agent: str) -> list[str]:
        return self.things[agent]["blocks"]

    def _state(self, thing_id: str) -> Any:
        thing = {"id": thing_id, **self.things[thing_id]}
        if thing_id.startswith("agent"):
            blocks = [{"id": each, "label": "role", "value": "v"} for each in thing["blocks"]]
            config = {"model": "m", "model_endpoint_type": "openai", "context_window": 1}
            thing |= {"blocks": blocks, "created_at": self.made, "updated_at": self.made, "system": "s"}
            thing |= {"agent_type": "letta_v1_agent", "llm_config": config, "memory": {"blocks": []}}
            thing |= {"sources": [], "tools": []}
        return thing


@pytest.fixture
def store(monkeypatch):
    """That server, as LETTA_BASE_URL."""
    for name in ("LETTA_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with Store().running() as fake:
        monkeypatch.setenv("LETTA_BASE_URL", fake.url)
        yield fake


def server(store: Store) -> Server:
    return Server(store.url, "no-key", Transport(attempts=1))


def harness(*args: str):
    return CliRunner().invoke(main, list(args))


def deleted(store: Store) -> list[str]:
    return [path.strip("/").split("/")[2] for method, path, _ in store.requests if method == "DELETE"]


def test_only_ours_are_found(store) -> None:
    """By label, or for blocks of no agent by label and text; over all pages."""
    found = find(server(store), NOW, HOUR)
    assert [each.thing_id for each in found] == OURS
    assert not any(each.in_use for each in found)
    assert found[0].last_used == NOW - 5 * HOUR


def test_a_run_that_goes_on_is_left_alone(store) -> None:
    """An agent used a moment ago is in use, and with it tools and blocks: none of them is removed."""
    store.made = (NOW - timedelta(minutes=59)).isoformat()
    found = find(server(store), NOW, HOUR)
    assert [(each.thing_id, each.in_use) for each in found] == [(each, True) for each in OURS]
    remove(server(store), found, lambda _: None)
    assert deleted(store) == []


def test_a_block_that_somebody_took_meanwhile_stays(store) -> None:
    """Between listing and removing it may have got an agent."""
    found = find(server(store), NOW, HOUR)
    store.things["agent-9"]["blocks"].append("block-1")
    remove(server(store), found, lambda _: None)
    assert deleted(store) == ["agent-1", "block-2", "tool-1"]


def test_what_is_gone_already_is_no_error(store) -> None:
    """Another clean may have been faster."""
    found = find(server(store), NOW, HOUR)
    del store.things["agent-1"]
    remove(server(store), found, lambda _: None)
    assert sorted(store.things) == sorted(THEIRS)


def test_list(store) -> None:
    """A line for each with its id, and a count; nothing is removed."""
    result = harness("letta", "list")
    lines = result.output.splitlines()
    assert (result.exit_code, len(lines)) == (0, 5)
    assert re.fullmatch(r"agent agent-1  p_add_1  used \d+ (min|h) ago.*", lines[0])
    assert lines[-1] == f"1 agent, 2 blocks, 1 tool at {store.url}"
    rows = json.loads(harness("letta", "list", "--json").output)
    assert [row["id"] for row in rows] == OURS
    assert deleted(store) == []


def test_clean_tells_and_with_delete_removes(store) -> None:
    """A dry run by default; blocks that a removed agent held go with it; what others made stays."""
    store.things["block-3"] = {"label": "role", "value": prompts.ROLE_BLOCK}
    store.things["agent-1"]["blocks"] = ["block-3"]
    store.made = (datetime.now(UTC) - 5 * HOUR).isoformat()
    result = harness("letta", "clean")
    assert "would remove agent agent-1  p_add_1  used 5 h ago" in result.output
    assert "1 agent, 2 blocks, 1 tool to remove" in result.output
    assert "--delete removes them, and the blocks of these agents" in result.output
    assert deleted(store) == []
    result = harness("letta", "clean", "--delete")
    assert result.exit_code == 0, result.output
    assert f"1 agent, 3 blocks, 1 tool removed at {store.url}" in result.output
    assert sorted(store.things) == sorted(THEIRS)
    assert "0 agents, 0 blocks, 0 tools to remove" in harness("letta", "clean").output


def test_clean_during_a_run(store) -> None:
    """What is in use is told and kept, unless one says how old is old enough."""
    store.made = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    result = harness("letta", "clean", "--delete")
    assert "1 agent, 2 blocks, 1 tool left alone: in use, or used in the last 60 minutes" in result.output
    assert deleted(store) == []
    harness("letta", "clean", "--delete", "--older-than", "1")
    assert sorted(store.things) == sorted(THEIRS)


def test_a_server_that_fails_half_way(store) -> None:
    """One line, and what was removed by then was told."""
    store.made = (datetime.now(UTC) - 5 * HOUR).isoformat()
    store.faults = [("/tool-1", (403, {"detail": "no"}))]
    result = harness("letta", "clean", "--delete")
    assert result.exit_code == 1
    assert "removed agent agent-1" in result.output
    assert result.output.splitlines()[-1].startswith("error: Letta at ")


@pytest.mark.parametrize("command", [("letta", "list"), ("letta", "clean"), ("models",)])
def test_no_server(command, monkeypatch) -> None:
    """One line with what to do."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("LETTA_BASE_URL", "http://127.0.0.1:9")
    result = harness(*command)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("error: Letta at http://127.0.0.1:9 cannot be reached -> ")


def test_models(store, monkeypatch) -> None:
    """What Letta offers, and with a key what Claude offers; as JSON for scripts."""
    assert harness("models").output.splitlines() == [
        f"orchestrators, of Letta at {store.url}:",
        "    local/scripted",
        "    openai/gpt-5",
    ]
    with FakeClaude().running() as claude:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key-for-tests")
        assert "    claude-haiku-5-5 (until 2030-01-01)" in harness("models").output.splitlines()
        assert json.loads(harness("models", "--json").output) == {
            "orchestrators": ["local/scripted", "openai/gpt-5"],
            "coders_and_testers": ["claude-haiku-5-5"],
        }
        claude.faults = [("limit=100", (401, {"error": {"message": "Invalid bearer token"}}))]
        result = harness("models")
    assert (result.exit_code, "    openai/gpt-5" in result.output) == (1, True)
    assert "error: Claude's models at " in result.output
    assert "copy ANTHROPIC_API_KEY again" in result.output


@pytest.mark.parametrize("answer", [[None], {"items": {"a": 1}}, "<html>", 5])
def test_an_odd_answer_is_no_traceback(answer, letta) -> None:
    """A web page at Letta's address, say."""
    letta.faults = [("", (200, answer))] * 9
    result = CliRunner().invoke(main, ["letta", "list"], env={"LETTA_BASE_URL": letta.url})
    assert result.exit_code in (1, 2)
    assert "no Letta server" in result.output
