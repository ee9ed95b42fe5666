"""The Claude CLI as it is run, on a stand-in for the SDK."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.backends.claude.claude_code import written
from harness.backends.claude.cli_process import ALLOWED, MAX_BUDGET_USD, MAX_TURNS, Cli
from harness.backends.loopback import Address
from harness.errors import ApiError

QUESTION = {
    "role": "coder",
    "model": "claude-haiku-5-5",
    "system": "You write.",
    "prompt": "Write the file add.py.",
    "max_tokens": 99,
    "files": {"pkg/helper.py": "X = 1\n"},
}
USER = {
    "PATH": "/bin",
    "HOME": "/home/ada",
    "OPENAI_API_KEY": "sk-openai",
    "ANTHROPIC_API_KEY": "sk-billed",
    "ANTHROPIC_AUTH_TOKEN": "token",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat-own",
    "CLAUDE_CONFIG_DIR": "/home/ada/.claude-other",
    "LETTA_API_KEY": "letta",
}


class TextBlock(SimpleNamespace):
    pass


class ToolUseBlock(SimpleNamespace):
    pass


class ToolResultBlock(SimpleNamespace):
    pass


class ThinkingBlock(SimpleNamespace):
    pass


class AssistantMessage(SimpleNamespace):
    pass


class UserMessage(SimpleNamespace):
    pass


class SystemMessage(SimpleNamespace):
    pass


class ResultMessage(SimpleNamespace):
    pass


def result(**changes: Any) -> ResultMessage:
    fields = {
        "subtype": "success",
        "is_error": False,
        "api_error_status": None,
        "stop_reason": "end_turn",
        "num_turns": 2,
        "result": "Done.",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 6,
            "service_tier": "standard",
            "cache_creation": {"ephemeral_1h_input_tokens": 4},
        },
        "model_usage": {"claude-haiku-5-5": {}},
        "total_cost_usd": 0.01,
        "permission_denials": [],
    }
    return ResultMessage(**{**fields, **changes})


class Sdk(ModuleType):
    """Stands in for claude_agent_sdk: ``play`` is what the CLI does."""

    class ClaudeSDKError(Exception):
        pass

    class CLINotFoundError(ClaudeSDKError):
        pass

    def __init__(self, play):
        super().__init__("claude_agent_sdk")
        self.play = play
        self.options = None

    def ClaudeAgentOptions(self, **options):  # noqa: N802
        self.options = SimpleNamespace(**options)
        return self.options

    async def query(self, *, prompt, options):
        self.prompt = prompt
        for message in self.play(Path(options.cwd), self):
            if isinstance(message, Exception):
                raise message
            yield message


def writes(folder, _):
    """The CLI writes add.py under its whole path and speaks of it."""
    (folder / "add.py").write_text("X = 2\n")
    where = str(folder / "add.py")
    yield SystemMessage(subtype="init", data={})
    yield AssistantMessage(content=[ThinkingBlock(thinking="hm"), TextBlock(text=f"I write {where}.")])
    given = {"file_path": where, "content": "X = 2\n"}
    yield AssistantMessage(content=[ToolUseBlock(id="t1", name="Write", input=given)])
    yield UserMessage(content=[ToolResultBlock(tool_use_id="t1", content=f"created {where}", is_error=None)])
    yield UserMessage(content="a note")
    yield result(result=f"Wrote {where} in {folder}")


def run(monkeypatch, play, cli=None):
    sdk = Sdk(play)
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", sdk)
    return (cli or Cli("", "no-key", USER)).run(QUESTION), sdk


def test_what_is_told_names_no_folder_of_this_machine(monkeypatch):
    """Paths below the trial's folder become names; thoughts and notes are left out."""
    told, sdk = run(monkeypatch, writes)
    assert [each["kind"] for each in told["messages"]] == ["said", "called", "returned"]
    assert written(told["messages"]) == {"add.py": "X = 2\n"}
    assert told["result"]["text"] == "Wrote add.py in ."
    cache = {"ephemeral_1h_input_tokens": 4}  # it has a price of its own
    assert told["result"]["usage"] == {"input_tokens": 5, "output_tokens": 6, "cache_creation": cache}
    assert str(sdk.options.cwd) not in str(told)
    assert not Path(sdk.options.cwd).exists()


@pytest.mark.parametrize("name", [".gitignore", "données.py", "a+b.txt", "pkg/[id].py"])
def test_a_file_with_an_unusual_name_is_left_out(monkeypatch, name):
    """The workspace takes none, and the answer counts all the same."""

    def play(folder, _):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("X = 1\n")
        given = {"file_path": str(folder / name), "content": "X = 1\n"}
        yield AssistantMessage(content=[ToolUseBlock(id="t0", name="Write", input=given)])
        yield UserMessage(content=[ToolResultBlock(tool_use_id="t0", content="created", is_error=None)])
        yield from writes(folder, _)

    told, _ = run(monkeypatch, play)
    assert written(told["messages"]) == {"add.py": "X = 2\n"}


def test_the_cli_is_limited(monkeypatch):
    """Two tools below its folder, nothing of the user's, no expanded prompts, turns and money."""
    _, sdk = run(monkeypatch, writes)
    options = sdk.options
    assert (options.tools, options.allowed_tools) == (["Read", "Write"], list(ALLOWED))
    assert all(rule.endswith("(./**)") for rule in options.allowed_tools)
    assert (options.permission_mode, options.setting_sources) == ("dontAsk", [])
    assert (options.strict_mcp_config, options.verbatim_prompts) == (True, True)
    assert (options.max_turns, options.max_budget_usd) == (MAX_TURNS, MAX_BUDGET_USD)
    assert options.env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "99"
    assert sdk.prompt == "Write the file add.py."


def test_the_trial_s_files_lie_in_the_folder(monkeypatch):
    """With their folders."""
    seen = {}

    def looks(folder, _):
        seen.update({p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.py")})
        yield result()

    run(monkeypatch, looks)
    assert seen == QUESTION["files"]


def test_an_own_login_gets_its_own_secret_and_no_other(monkeypatch):
    """The billed key is withheld, so that it does not win over the login; nothing is read of the login."""
    _, sdk = run(monkeypatch, writes)
    seen = {**USER, **sdk.options.env}
    assert {name for name, value in seen.items() if value} - set(sdk.options.env) == {
        "PATH",
        "HOME",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
    }
    assert (seen["ANTHROPIC_API_KEY"], seen["OPENAI_API_KEY"], seen["LETTA_API_KEY"]) == ("", "", "")


def test_an_endpoint_gets_a_dummy_key_and_a_fresh_home(tmp_path):
    """Neither the user's login nor any of the keys reaches the CLI."""
    address = Address("http://127.0.0.1:2", "a-dummy")
    seen = {**USER, **Cli("http://127.0.0.1:1", "sk-billed", USER).child_environment(tmp_path, address)}
    assert (seen["ANTHROPIC_BASE_URL"], seen["ANTHROPIC_API_KEY"]) == (address.url, address.key)
    assert (seen["HOME"], seen["CLAUDE_CONFIG_DIR"]) == (str(tmp_path), str(tmp_path / ".claude"))
    assert seen["CLAUDE_CODE_OAUTH_TOKEN"] == ""
    assert not {"sk-billed", "sk-openai", "token", "aws", "letta", "sk-ant-oat-own"} & set(seen.values())


def test_keys_are_in_no_repr():
    """Nor in a traceback that shows one."""
    assert "sk-" not in repr(Cli("http://127.0.0.1:1", "sk-billed", USER))


def test_a_cli_that_is_not_installed(monkeypatch):
    """Says how to install it, whether the SDK or its program is missing."""
    monkeypatch.setitem(sys.modules, "claude_agent_sdk", None)
    with pytest.raises(ApiError, match="not installed") as caught:
        Cli("", "", {}).run(QUESTION)
    assert "claude-code" in caught.value.remedy
    with pytest.raises(ApiError, match="not installed"):
        run(monkeypatch, lambda _, sdk: [sdk.CLINotFoundError("no")])


def test_a_cli_that_fails(monkeypatch):
    """Without a result it is a fault; after one the result says it better."""
    with pytest.raises(ApiError, match="failed: exit 1"):
        run(monkeypatch, lambda _, sdk: [sdk.ClaudeSDKError("exit 1")])
    with pytest.raises(ApiError, match="without a result"):
        run(monkeypatch, lambda *_: [])
    told, _ = run(
        monkeypatch, lambda _, sdk: [result(is_error=True, api_error_status=401), sdk.ClaudeSDKError("x")]
    )
    assert told["result"]["api_error_status"] == 401


def test_files_that_it_does_not_tell_of_are_an_error(monkeypatch):
    """A replay could not write them again."""

    def writes_in_secret(folder, sdk):
        (folder / "secret.py").write_text("X = 3\n")
        yield from writes(folder, sdk)

    with pytest.raises(ApiError, match=r"another 'secret\.py'"):
        run(monkeypatch, writes_in_secret)


def test_an_endpoint_that_is_not_there_is_told(monkeypatch):
    """The fault of the proxy comes before what the CLI makes of it."""
    cli = Cli("http://127.0.0.1:9", "k", USER)

    def asks(folder, sdk):
        import urllib.error
        import urllib.request

        env = sdk.options.env
        request = urllib.request.Request(
            f"{env['ANTHROPIC_BASE_URL']}/v1/messages", b"{}", {"x-api-key": env["ANTHROPIC_API_KEY"]}
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)
        yield result(is_error=True, api_error_status=502)

    with pytest.raises(ApiError, match="cannot be reached"):
        run(monkeypatch, asks, cli)
