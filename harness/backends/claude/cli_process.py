"""The Claude CLI through ``claude-agent-sdk``, which is imported here only and bundles it.

It is run as it is, and logs in by itself: with the user's own login or CLAUDE_CODE_OAUTH_TOKEN. The harness
never reads where a login is kept. Nor does it choose between a login and a billed key by itself:

    ANTHROPIC_BASE_URL set   that endpoint, with ANTHROPIC_API_KEY; the CLI gets a dummy key, a fresh home
                             and configuration, and reaches the endpoint through ``cli_proxy.py``
    otherwise                the CLI's own login; ANTHROPIC_API_KEY is withheld from it

It can read and write below a folder that holds the trial's files, and use no other tool, setting, server or
memory of the user's. Of the environment it gets what a program needs to run; of secrets only its own.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.backends.claude.claude_code import reported
from harness.backends.claude.cli_proxy import CliProxy
from harness.backends.loopback import Address, serve
from harness.backends.written_files import require_files, write_files
from harness.cassette.exchange import rewrite_texts
from harness.errors import ApiError

MAX_TURNS = 8
MAX_BUDGET_USD = 1.0
NEEDED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
    | {"http_proxy", "https_proxy", "no_proxy", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "USERPROFILE"}
)
LOGIN = ("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR")
# Rules, not names: a bare "Write" would allow writing anywhere.
ALLOWED = ("Read(./**)", "Edit(./**)")
TOOLS = ("Read", "Write")
BY_HAND = "run `claude` by hand once"
INSTALL = "pip install 'pair-harness[claude-code]'"


@dataclass(frozen=True)
class Cli:
    """The CLI of one endpoint; of its own login if ``base_url`` is empty. ``environment``: the harness's."""

    base_url: str
    api_key: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    def run(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Put a question of ``claude_code.ClaudeCode`` to the CLI; return its report, as JSON values.

        Raises:
            ApiError: It is not installed, could not be run, or wrote something else than it reported.
        """
        proxy = CliProxy(self.base_url, self.api_key)
        with (
            tempfile.TemporaryDirectory(prefix="claude-") as top,
            serve(proxy.respond) if self.base_url else nullcontext() as address,
        ):
            folder, home = Path(top).resolve() / "workspace", Path(top).resolve() / "home"
            home.mkdir()
            folder.mkdir()
            write_files(folder, question["files"])
            report = asyncio.run(self._query(question, folder, self.child_environment(home, address)))
            if proxy.faults:
                raise proxy.faults[0]
            expected = {**question["files"], **reported(report["messages"])}
            require_files(folder, expected, writer="the Claude CLI", reported="it told of")
        return report

    def child_environment(self, home: Path, address: Address | None) -> dict[str, str]:
        """Return what the SDK sets over the harness's environment, which it passes on whole: blanks, mostly.

        Without the address of an endpoint the CLI keeps its own login, and ``home`` is not used.
        """
        keep = NEEDED if address else NEEDED | set(LOGIN)
        env = {name: "" for name in self.environment if name not in keep}
        env |= {
            "ANTHROPIC_API_KEY": "",  # empty: the CLI's own login; a set key would win over it
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        if address:
            env |= {
                "ANTHROPIC_API_KEY": address.key,
                "ANTHROPIC_BASE_URL": address.url,
                "CLAUDE_CODE_OAUTH_TOKEN": "",
                "CLAUDE_CONFIG_DIR": str(home / ".claude"),
                "HOME": str(home),
                "NO_PROXY": "127.0.0.1,localhost",
            }
        return env

    async def _query(self, question: Mapping[str, Any], folder: Path, env: dict[str, str]) -> dict[str, Any]:
        try:
            import claude_agent_sdk as sdk
        except ImportError:
            raise ApiError("the Claude CLI is not installed", remedy=INSTALL) from None
        options = sdk.ClaudeAgentOptions(
            cwd=folder,
            model=question["model"],
            system_prompt=question["system"],
            tools=list(TOOLS),
            allowed_tools=list(ALLOWED),
            permission_mode="dontAsk",
            setting_sources=[],
            strict_mcp_config=True,
            verbatim_prompts=True,  # what a model wrote must not name a file or a command of this machine
            max_turns=MAX_TURNS,
            max_budget_usd=MAX_BUDGET_USD,
            stderr=lambda _: None,
            env={**env, "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(question["max_tokens"])},
        )
        events: list[dict[str, Any]] = []
        result: dict[str, Any] = {}
        try:
            async for message in sdk.query(prompt=question["prompt"], options=options):
                kind = type(message).__name__
                if kind == "ResultMessage":
                    result = _result(message)
                elif kind in ("AssistantMessage", "UserMessage") and isinstance(message.content, list):
                    events += [event for event in map(_event, message.content) if event]
        except sdk.CLINotFoundError:
            raise ApiError("the Claude CLI is not installed", remedy=INSTALL) from None
        except sdk.ClaudeSDKError as error:
            if not result:  # else it repeats what the result says
                raise ApiError(f"the Claude CLI failed: {error}", remedy=BY_HAND) from None
        if not result:
            raise ApiError("the Claude CLI ended without a result", remedy=BY_HAND)

        def relative(text: str, _key: str) -> str:
            return text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")

        return rewrite_texts({"messages": events, "result": result}, relative)  # type: ignore[no-any-return]


def _event(block: Any) -> dict[str, Any] | None:
    match type(block).__name__:
        case "TextBlock":
            return {"kind": "said", "text": block.text}
        case "ToolUseBlock":
            return {"kind": "called", "id": block.id, "tool": block.name, "input": block.input}
        case "ToolResultBlock":
            return {"kind": "returned", "id": block.tool_use_id, "is_error": bool(block.is_error)}
    return None


def _result(message: Any) -> dict[str, Any]:
    usage = message.usage or {}
    return {
        "subtype": message.subtype,
        "is_error": message.is_error,
        "api_error_status": message.api_error_status,
        "stop_reason": message.stop_reason,
        "num_turns": message.num_turns,
        "text": message.result,
        "usage": {
            name: count
            for name, count in sorted(usage.items())
            if isinstance(count, int) or name == "cache_creation"
        },
        "models": sorted(message.model_usage or {}),
        "notional_cost_usd": message.total_cost_usd,
        "denials": len(message.permission_denials or []),
    }


def cli_versions() -> dict[str, str]:
    """Return the versions of the SDK and of the CLI that it bundles, as a recording keeps them."""
    from claude_agent_sdk import _cli_version

    return {"claude-agent-sdk": version("claude-agent-sdk"), "claude-cli": _cli_version.__cli_version__}
