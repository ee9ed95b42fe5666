"""Pairs of models: orchestrator x coder x tester, and how they are run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, get_args
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from harness.tasks.task import MAX_NAME, Limits, Name, Task, Text, Value, digest

Author = Literal["coder", "tester"]
AUTHORS: tuple[Author, ...] = get_args(Author)
ORCH_MODEL = "openai/gpt-5-mini"
CLAUDE_MODEL = "claude-haiku-5-5"
MAX_EPOCHS = 1000
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 _'-]")
MOCK_FAULT = r"(?:error|refused|slow|truncated)@[1-9]\d{0,3}"
MOCK_SCRIPT = rf"script:.+|fault:{MOCK_FAULT}(?:,{MOCK_FAULT})*"
MOCK_CODER = re.compile(rf"oracle|obedient|bug|bug:.+|{MOCK_SCRIPT}")
MOCK_TESTER = re.compile(rf"oracle|trivial|{MOCK_SCRIPT}")
DIRECT = "direct"  # the orchestrator that is no model
NO_TESTER = "none"
ON_APP_SERVER = " (App Server)"
REAL = frozenset({"anthropic", "claude-code"})  # backends that ask models whose figures people compare
LettaServer = Literal["v1", "app-server"]
Memory = Literal["none", "fresh", "carried"]


def default_models(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the models that ORCH_MODEL and CLAUDE_MODEL name; None if neither is set."""
    orchestrator = environment.get("ORCH_MODEL", "").strip()
    coder = environment.get("CLAUDE_MODEL", "").strip()
    return (orchestrator or ORCH_MODEL, coder or CLAUDE_MODEL) if orchestrator or coder else None


class Orchestrator(Value):
    """The Letta agent's model and its settings; or the fixed policy ``direct``, which needs no Letta."""

    model: Text = Field(
        description="A Letta model handle, such as 'openai/gpt-5-mini'; or direct: no model and no server, "
        "but the fixed policy coder, tester, repair."
    )
    temperature: float | None = Field(None, ge=0, le=2, description="Default: what Letta sends.")
    context_window: int | None = Field(None, ge=1024, description="Tokens. Default: what Letta knows.")
    server: LettaServer = Field(
        "v1",
        description="The Letta that it lives in. v1: the self-hosted server 0.16.8, or Letta's cloud. "
        "app-server: Letta's App Server (`harness up --letta app-server`).",
    )

    @property
    def label(self) -> str:
        """The model as results name it: those of the two servers never stand in one row."""
        return f"{self.model}{ON_APP_SERVER}" if self.server == "app-server" else self.model

    @model_validator(mode="after")
    def _policy_has_no_settings(self) -> Orchestrator:
        if self.model == DIRECT and self.model_dump(exclude_defaults=True) != {"model": DIRECT}:
            raise ValueError("expected the model alone: direct is no model, and takes no settings")
        return self


class Thinking(Value):
    """How a model thinks before it answers, in the words of the Messages API."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"] = Field(
        description="enabled: up to budget_tokens. adaptive: as much as the model finds right."
    )
    budget_tokens: int | None = Field(None, ge=1024, description="With type enabled: tokens to think with.")

    @model_validator(mode="after")
    def _budget_is_for_enabled(self) -> Thinking:
        if (self.type == "enabled") != (self.budget_tokens is not None):
            raise ValueError("expected budget_tokens with type: enabled, and with no other type")
        return self


class Settings(Value):
    """What a request to a coder or tester asks for besides its text. What is left out is not sent."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much work the model puts into its answer. Default: the model's own."
    )
    thinking: Thinking | None = Field(None, description="Default: the model's own.")
    max_tokens: int | None = Field(
        None,
        ge=16,
        le=64000,
        description="Output tokens of one answer, thinking included, in place of the task's.",
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        description="Of local models, each epoch a sample with its number as seed; Claude's API takes none. "
        "Default: the embedded models decode greedily.",
    )

    @model_validator(mode="after")
    def _thinking_fits(self) -> Settings:
        budget = self.thinking.budget_tokens if self.thinking else None
        if budget is not None and budget >= (self.max_tokens or 0):
            raise ValueError(f"expected max_tokens above thinking.budget_tokens, which is {budget}")
        return self

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are set, as JSON-like values."""
        return self.model_dump(mode="json", exclude_none=True)

    def __str__(self) -> str:
        """Return the settings for tables, such as ``effort=high thinking=enabled:2048``; empty for none."""
        thinking = ":".join(map(str, self.given.get("thinking", {}).values()))
        words = {**self.given, "thinking": thinking}
        return " ".join(f"{name}={value}" for name, value in words.items() if value)


class Pair(Value):
    """An orchestrator model with a coder model and a tester model."""

    name: Name = Field(description="The key in pairs.yaml; names the cassette folder.")
    orchestrator: Orchestrator
    coder: Text = Field(description="The model that writes the code, such as 'claude-haiku-5-5'.")
    tester: str = Field(
        "",
        description="The model that writes the tests; none: nobody does, and the first code counts, "
        "as for pass@1. Default: the coder's.",
    )
    flow: Literal["free", "guided"] = Field(
        "free",
        description="guided: only the next sensible tool is offered (coder, tester, then none), and it asks "
        "only for a spec: the files are the task's.",
    )
    tools: Literal["client", "server"] = Field(
        "client",
        description="client: the harness runs the tools itself. server: Letta does, in its own tool sandbox; "
        "it has to run on this machine.",
    )
    backend: Literal["anthropic", "claude-code", "local", "mock"] = Field(
        "anthropic",
        description="How coder and tester are reached. claude-code: the Claude CLI with its own login (or "
        "with ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY). local: the embedded stack, a stand-in for Claude. "
        "mock: no model at all; the coder is `oracle` (the reference), `bug` or `bug:NAME` (a known bug), "
        "`obedient` (the reference, but a convention only if it is told to follow it), "
        "the tester `oracle` (the acceptance tests, default) or `trivial`; either may be `script:NAME` (a "
        "script of the task) or `fault:error@2` (an oracle that fails on its second call; error, refused, "
        "slow or truncated).",
    )
    max_tokens: int | None = Field(
        None,
        ge=16,
        le=64000,
        description="Output tokens of one answer of coder or tester, where a task allows more.",
    )
    coder_settings: Settings = Field(Settings(), description="How the coder is asked.")
    tester_settings: Settings = Field(
        Settings(),
        description="How the tester is asked. Default: as the coder, if the tester is the coder's model.",
    )
    epochs: int = Field(1, ge=1, le=MAX_EPOCHS, description="Repetitions of each task.")
    on_request: bool = Field(False, description="Run only where --pair names it.")
    tasks: tuple[Name, ...] = Field((), description="Ids of the tasks that it is run for. Default: all.")
    courses: tuple[Name, ...] = Field(
        (), description="Ids of the courses that it is run for, in place of all tasks. Default: none."
    )
    memory: Memory = Field(
        "none",
        description="none: the agent has no memory tools. fresh: it has Letta's, and lives for one trial. "
        "carried: one agent lives through a course, and keeps what it wrote into its memory.",
    )
    history: Literal["cut", "keep"] = Field(
        "cut",
        description="With memory: carried. cut: each step of a course begins without the messages of those "
        "before it, so that memory alone carries over. keep: with them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _tester_is_the_coder(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("tester") in (None, "") and isinstance(data.get("coder"), str):
            tester = "oracle" if data.get("backend") == "mock" else data["coder"]
            settings = {}
            with suppress(KeyError, ValidationError):  # wrong ones are told once, as the coder's
                settings = {"tester_settings": Settings.model_validate(data["coder_settings"])}
            return {**settings, **data, "tester": tester}
        return data

    @model_validator(mode="after")
    def _check_combination(self) -> Pair:
        if self.coder.lower() == NO_TESTER:
            raise ValueError(f"expected a coder's model, got {self.coder!r}")
        if self.tester.lower() == NO_TESTER and self.has_tester:
            raise ValueError(f"expected `tester: {NO_TESTER}` where nobody writes tests, got {self.tester!r}")
        if self.backend == "mock" and not MOCK_CODER.fullmatch(self.coder):
            expected = "coder oracle, obedient, bug, bug:NAME, script:NAME or fault:KIND@N with backend mock"
            raise ValueError(f"expected {expected}, got {self.coder!r}")
        if self.backend == "mock" and self.has_tester and not MOCK_TESTER.fullmatch(self.tester):
            expected = "tester oracle, trivial, script:NAME, fault:KIND@N or none with backend mock"
            raise ValueError(f"expected {expected}, got {self.tester!r}")
        only_client_tools = {
            "flow: guided: Letta always offers all of its tools": self.flow == "guided",
            "server: app-server: the App Server runs no tools of ours": self.orchestrator.server != "v1",
            "backend: claude-code: the Claude CLI runs here": self.backend == "claude-code",
            "tester: none: Letta always offers all of its tools": not self.has_tester,
        }
        for reason, holds in only_client_tools.items():
            if self.tools == "server" and holds:
                raise ValueError(f"expected tools: client with {reason}")
        if self.is_direct and (self.tools, self.flow) != ("client", "free"):
            raise ValueError(
                "expected tools: client and flow: free with orchestrator direct: nobody is asked"
            )
        self._check_memory()
        self._check_settings()
        return self

    def _check_memory(self) -> None:
        no_memory_tools = {
            "tools: server: client tools alone are replayed beside Letta's memory tools": self.tools
            == "server",
            "orchestrator direct: it is no agent": self.is_direct,
            "server: app-server: its memory is files, which the harness does not read": (
                self.orchestrator.server != "v1"
            ),
        }
        for reason, holds in no_memory_tools.items():
            if self.memory != "none" and holds:
                raise ValueError(f"expected memory: none with {reason}")
        if self.memory == "carried" and (self.tasks or not self.courses):
            raise ValueError("expected courses, and no tasks, with memory: carried: nothing else carries it")
        if self.history == "keep" and self.memory != "carried":
            raise ValueError("expected history: keep with memory: carried only")

    def _check_settings(self) -> None:
        for role in AUTHORS:
            given = self.settings(role).given
            if given and self.backend == "mock":
                raise ValueError(f"expected no {role}_settings with backend mock: there is no model to set")
            if (
                "temperature" in given
                and self.backend == "anthropic"
                and getattr(self, role).startswith("claude-")
            ):
                raise ValueError(f"expected {role}_settings without temperature: Claude's API takes none")
            if set(given) - {"max_tokens"} and self.backend == "claude-code":
                raise ValueError(f"expected {role}_settings of max_tokens alone with backend claude-code")
            if "max_tokens" in given and self.max_tokens is not None:
                raise ValueError(f"expected max_tokens of the pair or in {role}_settings, not both")
        if self.tester_settings.given and not self.has_tester and self.tester_settings != self.coder_settings:
            raise ValueError("expected no tester_settings with tester: none")

    def settings(self, role: Author) -> Settings:
        """Return how a role is asked."""
        return self.coder_settings if role == "coder" else self.tester_settings

    def options(self, role: Author, limits: Limits, epoch: int) -> dict[str, Any]:
        """Return the fields of a request besides its texts and model, in a task with these limits.

        With a temperature the epoch is the seed: another sample, and the same one when it is recorded again.
        """
        options = {"max_tokens": min(limits.max_tokens, self.max_tokens or limits.max_tokens)}
        options |= self.settings(role).given
        if "temperature" in options:
            options["seed"] = epoch
        effort = options.pop("effort", None)
        return options | ({"output_config": {"effort": effort}} if effort else {})

    @property
    def is_direct(self) -> bool:
        """True if the orchestrator is the fixed policy, in this process."""
        return self.orchestrator.model == DIRECT

    @property
    def has_tester(self) -> bool:
        """False if nobody writes tests."""
        return self.tester != NO_TESTER

    @property
    def writers(self) -> tuple[str, ...]:
        """The models that write code and tests, each once."""
        return tuple(dict.fromkeys((self.coder, self.tester)[: 1 + self.has_tester]))

    def takes(self, task: Task) -> bool:
        """Return True if the pair is run for a task."""
        return task.id in self.tasks if self.tasks or self.courses else True

    @classmethod
    def of_models(cls, orchestrator: str, coder: str, *, epochs: int = 1) -> Pair:
        """Make the pair of ``--orchestrator`` and ``--coder``. Different models make different names."""
        models = f"{_in_a_name(orchestrator)}+{_in_a_name(coder)}"
        if len(models) > MAX_NAME:
            models = f"{models[: MAX_NAME - 17]}%{digest([orchestrator, coder])}"
        return cls(name=models, orchestrator=Orchestrator(model=orchestrator), coder=coder, epochs=epochs)


def _in_a_name(model: str) -> str:
    """Return a model as part of a folder's name: ``/`` as ``~``; letters, digits and ``._-`` stay."""
    name = quote(model, safe="").replace("~", "%7E").replace("%2F", "~")
    return name if name[:1].isalnum() or name[:1] == "%" else f"%{ord(name[0]):02X}{name[1:]}"
