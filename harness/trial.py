"""What is measured: tasks, pairs of models, and the trials they make. Frozen values, no I/O.

The field names are those of the YAML files (``benchmarks/*.yaml``, ``benchmarks/pairs.yaml``); reading
those files is ``spec.py``'s business.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from harness.names import is_safe_path

MAX_NAME = 120
TAKEN = sys.stdlib_module_names | {"pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"}
MOCK_FAULT = r"(?:error|refused|slow|truncated)@[1-9]\d{0,3}"
MOCK_SCRIPT = rf"script:.+|fault:{MOCK_FAULT}(?:,{MOCK_FAULT})*"
MOCK_CODER = re.compile(rf"oracle|bug|bug:.+|{MOCK_SCRIPT}")
MOCK_TESTER = re.compile(rf"oracle|trivial|{MOCK_SCRIPT}")
REAL = frozenset({"anthropic", "claude-code"})  # backends that ask models whose figures people compare
Difficulty = Literal["trivial", "easy", "medium", "hard"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9%][A-Za-z0-9._+~%-]*$", max_length=MAX_NAME)]
Text = Annotated[str, Field(min_length=1)]


class Value(BaseModel):
    """Base of the parsed values: frozen, typed strictly, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Limits(Value):
    """What one trial may use."""

    timeout_s: float = Field(10, gt=0, le=600, description="Wall time of one test run, in seconds.")
    memory_mb: int = Field(512, ge=64, le=65536, description="Address space of one test run, in MiB.")
    max_tool_calls: int = Field(8, ge=1, le=100, description="Tool calls in the whole trial.")
    max_repairs: int = Field(1, ge=0, le=20, description="Repair attempts after the first attempt.")
    max_tokens: int = Field(4096, ge=16, le=64000, description="Output tokens of one answer of Claude.")


class Bug(Value):
    """A plausible wrong solution that good tests catch."""

    name: Text = Field(description="What is wrong with it, in a few words.")
    code: Text = Field(description="The whole code file.")


class Step(Value):
    """What a mock does on one call. Without anything: the reference, or as tester the acceptance tests."""

    answer: str = Field("", description="The whole answer, as a model would give it.")
    bug: str = Field("", description="Write the known bug of this name; the coder only.")
    fault: Literal["none", "error", "refused", "slow", "truncated"] = Field(
        "none",
        description="error: the service cannot be used. refused: the request is refused. "
        "slow: two seconds late. truncated: the answer is cut off in its middle.",
    )


class Script(Value):
    """What a mock does, call for call; after the last as an oracle."""

    coder: tuple[Step, ...] = Field((), description="Calls of the coder, in order.")
    tester: tuple[Step, ...] = Field((), description="Calls of the tester, in order.")

    @model_validator(mode="after")
    def _one_text_for_each_call(self) -> Script:
        if any(step.answer and step.bug for step in self.coder):
            raise ValueError("expected answer or bug in a step, not both")
        if any(step.bug for step in self.tester):
            raise ValueError("expected no bug in a step of the tester: a bug is a code file")
        return self


class Task(Value):
    """One thing to build, and how it is judged."""

    id: Name = Field(description="Unique in the suite.")
    title: Text = Field(description="One line for people.")
    difficulty: Difficulty = Field("easy", description="How hard it is for a person.")
    tags: tuple[Name, ...] = Field((), description="Words to group tasks by.")
    spec: Text = Field(description="What the user asks; all that the models see of the task.")
    code_file: Text = Field(description="The file that the coder is to write.")
    test_file: Text = Field(description="The pytest file that the tester is to write.")
    files: dict[str, str] = Field({}, description="Further files, laid into the workspace before the trial.")
    reference: Text = Field(description="A right solution; never shown to a model.")
    acceptance: Text = Field(description="Hidden pytest file that decides `solved`; never shown to a model.")
    bugs: tuple[Bug, ...] = Field((), description="Plausible wrong solutions.")
    scripts: dict[Name, Script] = Field({}, description="For `backend: mock`, coder `script:NAME`.")
    limits: Limits = Field(Limits(), description="What one trial may use.")

    @field_validator("scripts")
    @classmethod
    def _name_bugs_of_the_task(cls, scripts: dict[str, Script], others: ValidationInfo) -> dict[str, Script]:
        known = {"", *(bug.name for bug in others.data.get("bugs", ()))}
        for name, script in scripts.items():
            for step in (*script.coder, *script.tester):
                if step.bug not in known:
                    raise ValueError(f"expected a known bug of the task in script {name!r}, got {step.bug!r}")
        return scripts

    @field_validator("code_file", "test_file")
    @classmethod
    def _is_a_python_file(cls, name: str) -> str:
        if not is_safe_path(name) or not name.endswith(".py"):
            raise ValueError("expected the name of a .py file inside the workspace, such as 'add.py'")
        module = PurePosixPath(name).parts[0].removesuffix(".py")
        if module in TAKEN:
            raise ValueError(f"expected another name: {module!r} is a module of Python or pytest")
        return name

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if not is_safe_path(name):
                raise ValueError(f"expected file names inside the workspace, got {name!r}")
        return files

    @field_validator("bugs")
    @classmethod
    def _have_names_of_their_own(cls, bugs: tuple[Bug, ...]) -> tuple[Bug, ...]:
        names = [bug.name for bug in bugs]
        if len(set(names)) < len(names):
            raise ValueError("expected a different name for each bug")
        return bugs

    @field_validator("test_file")
    @classmethod
    def _is_another_file(cls, name: str, others: ValidationInfo) -> str:
        if name == others.data.get("code_file"):
            raise ValueError("expected code_file and test_file to differ")
        return name

    @property
    def digest(self) -> str:
        """Hash of all that reaches a model: when it changes, a recording is of another task."""
        seen = self.model_dump(mode="json", include={"spec", "code_file", "test_file", "files", "limits"})
        return digest(seen)


class Orchestrator(Value):
    """The Letta agent's model and its settings."""

    model: Text = Field(description="A Letta model handle, such as 'openai/gpt-5-mini'.")
    temperature: float | None = Field(None, ge=0, le=2, description="Default: what Letta sends.")
    context_window: int | None = Field(None, ge=1024, description="Tokens. Default: what Letta knows.")


class Pair(Value):
    """An orchestrator model with a coder model and a tester model."""

    name: Name = Field(description="The key in pairs.yaml; names the cassette folder.")
    orchestrator: Orchestrator
    coder: Text = Field(description="The model that writes the code, such as 'claude-haiku-5-5'.")
    tester: str = Field("", description="The model that writes the tests. Default: the coder's.")
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
    def _mocks_are_known(self) -> Pair:
        if self.backend == "mock":
            if not MOCK_CODER.fullmatch(self.coder):
                raise ValueError(
                    "expected coder oracle, bug, bug:NAME, script:NAME or fault:KIND@N with backend mock, "
                    f"got {self.coder!r}"
                )
            if not MOCK_TESTER.fullmatch(self.tester):
                raise ValueError(
                    "expected tester oracle, trivial, script:NAME or fault:KIND@N with backend mock, "
                    f"got {self.tester!r}"
                )
        return self

    @model_validator(mode="after")
    def _letta_offers_all_its_tools(self) -> Pair:
        if self.tools == "server" and self.flow == "guided":
            raise ValueError(
                "expected tools: client with flow: guided: what Letta runs itself is always on offer"
            )
        return self

    @model_validator(mode="after")
    def _the_cli_is_no_endpoint(self) -> Pair:
        if self.tools == "server" and self.backend == "claude-code":
            raise ValueError("expected tools: client with backend: claude-code: the Claude CLI runs here")
        return self

    def takes(self, task: Task) -> bool:
        """Whether the pair is run for a task."""
        return not self.tasks or task.id in self.tasks

    @classmethod
    def of_models(cls, orchestrator: str, coder: str, *, epochs: int = 1) -> Pair:
        """The pair that ``--orchestrator`` and ``--coder`` ask for. Different models make different names."""
        models = f"{_in_a_name(orchestrator)}+{_in_a_name(coder)}"
        if len(models) > MAX_NAME:
            models = f"{models[: MAX_NAME - 17]}%{digest([orchestrator, coder])}"
        return cls(name=models, orchestrator=Orchestrator(model=orchestrator), coder=coder, epochs=epochs)


def _in_a_name(model: str) -> str:
    """A model as part of a folder's name: ``/`` as ``~``, all but letters, digits and ``._-`` escaped."""
    name = quote(model, safe="").replace("~", "%7E").replace("%2F", "~")
    return name if name[:1].isalnum() or name[:1] == "%" else f"%{ord(name[0]):02X}{name[1:]}"


class Trial(Value):
    """One task, by one pair, once. ``slug`` names its item, cassette, workspace and record."""

    task: Task
    pair: Pair
    epoch: int = Field(ge=1)
    source: str = Field("benchmarks", description="The task's file, for messages and commands.")

    @property
    def slug(self) -> str:
        """``pair/task/epoch``."""
        return f"{self.pair.name}/{self.task.id}/{self.epoch}"


def digest(value: object) -> str:
    """Short stable hash of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
