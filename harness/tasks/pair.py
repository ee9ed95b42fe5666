"""Pairs of models: orchestrator x coder x tester, and how they are run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from harness.tasks.task import MAX_NAME, Name, Task, Text, Value, digest

ORCH_MODEL = "openai/gpt-5-mini"


CLAUDE_MODEL = "claude-haiku-5-5"


NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 _'-]")


MOCK_FAULT = r"(?:error|refused|slow|truncated)@[1-9]\d{0,3}"


MOCK_SCRIPT = rf"script:.+|fault:{MOCK_FAULT}(?:,{MOCK_FAULT})*"


MOCK_CODER = re.compile(rf"oracle|bug|bug:.+|{MOCK_SCRIPT}")


MOCK_TESTER = re.compile(rf"oracle|trivial|{MOCK_SCRIPT}")


DIRECT = "direct"  # the orchestrator that is no model


NO_TESTER = "none"


REAL = frozenset({"anthropic", "claude-code"})  # backends that ask models whose figures people compare


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

    @model_validator(mode="after")
    def _policy_has_no_settings(self) -> Orchestrator:
        if self.model == DIRECT and (self.temperature, self.context_window) != (None, None):
            raise ValueError("expected the model alone: direct is no model, and takes no settings")
        return self


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
    epochs: int = Field(1, ge=1, le=1000, description="Repetitions of each task.")
    on_request: bool = Field(False, description="Run only where --pair names it.")
    tasks: tuple[Name, ...] = Field((), description="Ids of the tasks that it is run for. Default: all.")

    @model_validator(mode="before")
    @classmethod
    def _tester_is_the_coder(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("tester") and isinstance(data.get("coder"), str):
            return {**data, "tester": "oracle" if data.get("backend") == "mock" else data["coder"]}
        return data

    @model_validator(mode="after")
    def _check_combination(self) -> Pair:
        if self.backend == "mock" and not MOCK_CODER.fullmatch(self.coder):
            expected = "coder oracle, bug, bug:NAME, script:NAME or fault:KIND@N with backend mock"
            raise ValueError(f"expected {expected}, got {self.coder!r}")
        if self.backend == "mock" and self.has_tester and not MOCK_TESTER.fullmatch(self.tester):
            expected = "tester oracle, trivial, script:NAME, fault:KIND@N or none with backend mock"
            raise ValueError(f"expected {expected}, got {self.tester!r}")
        if self.tools == "server" and self.flow == "guided":
            raise ValueError("expected tools: client with flow: guided: Letta always offers all of its tools")
        if self.tools == "server" and self.backend == "claude-code":
            raise ValueError("expected tools: client with backend: claude-code: the Claude CLI runs here")
        if self.is_direct and (self.tools, self.flow) != ("client", "free"):
            raise ValueError(
                "expected tools: client and flow: free with orchestrator direct: nobody is asked"
            )
        if self.tools == "server" and not self.has_tester:
            raise ValueError("expected tools: client with tester: none: Letta always offers all of its tools")
        return self

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
        return not self.tasks or task.id in self.tasks

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
