"""Task: what to build, and how it is judged. Frozen values, no I/O.

The field names are those of the task files (``benchmarks/*.yaml``), which ``loader.py`` reads.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import warnings
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.redact.shapes import keys
from harness.text import is_safe_path

MAX_NAME = 120
TAKEN = sys.stdlib_module_names | {"pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"}
Difficulty = Literal["trivial", "easy", "medium", "hard"]
# Windows has no file of these names, whatever follows a dot in them, and drops a dot at a name's end.
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def _portable(name: str) -> str:
    if next(keys(name), None):
        raise ValueError("expected a name that does not look like a key: it names files, and is in reports")
    if not is_portable(name):
        raise ValueError(f"expected a name that a file can have on every platform, got {name!r}")
    return name


def is_portable(path: str) -> bool:
    """Return True if no part of a path is a name that Windows keeps for itself, or cannot hold."""
    parts = path.split("/")
    return not any(part.endswith((".", " ")) or part.split(".")[0].lower() in DEVICES for part in parts)


Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9%][A-Za-z0-9._+~%-]*$", max_length=MAX_NAME),
    AfterValidator(_portable),
]
Text = Annotated[str, Field(min_length=1)]
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=MAX_NAME)]


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
    code_files: dict[str, Text] = Field(
        {},
        description="Further files that the coder is to write: name -> a right one; never shown to a model. "
        "Known bugs are of code_file, beside these.",
    )
    files: dict[str, str] = Field(
        {}, validate_default=True, description="Further files, laid into the workspace before the trial."
    )
    files_from: dict[str, Text] = Field(
        {},
        description="Further such files, read from the disk: name in the workspace -> path beside this file.",
    )
    packages: tuple[Package, ...] = Field(
        (), description="Installed distributions that the code may import, with what they require: [numpy]."
    )
    paths: tuple[Text, ...] = Field(
        (), description="Folders of the repository from which the code may import, read-only: [src]."
    )
    reference: Text = Field(description="A right solution; never shown to a model.")
    acceptance: Text = Field(description="Hidden pytest file that decides `solved`; never shown to a model.")
    bugs: tuple[Bug, ...] = Field((), description="Plausible wrong solutions.")
    scripts: dict[Name, Script] = Field({}, description="For `backend: mock`, coder `script:NAME`.")
    conventions: dict[Name, Text] = Field(
        {},
        description="For `backend: mock`, coder `obedient`: known bug -> phrase; it writes the bug unless it "
        "is told the phrase.",
    )
    limits: Limits = Field(Limits(), description="What one trial may use.")

    @field_validator("acceptance")
    @classmethod
    def _can_be_compiled(cls, text: str) -> str:
        try:
            with warnings.catch_warnings(action="ignore"):  # of an odd escape, say
                ast.parse(text)
        except SyntaxError as error:
            raise ValueError(f"does not compile: its line {error.lineno or 1}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"does not compile: {type(error).__name__}: {error}") from None
        return text

    @field_validator("scripts")
    @classmethod
    def _name_bugs_of_the_task(cls, scripts: dict[str, Script], others: ValidationInfo) -> dict[str, Script]:
        known = {"", *(bug.name for bug in others.data.get("bugs", ()))}
        for name, script in scripts.items():
            for step in (*script.coder, *script.tester):
                if step.bug not in known:
                    raise ValueError(f"expected a known bug of the task in script {name!r}, got {step.bug!r}")
        return scripts

    @field_validator("conventions")
    @classmethod
    def _are_of_known_bugs(cls, conventions: dict[str, str], others: ValidationInfo) -> dict[str, str]:
        known = {bug.name for bug in others.data.get("bugs", ())}
        if unknown := sorted(set(conventions) - known):
            raise ValueError(f"expected known bugs of the task, got {unknown[0]!r}")
        return conventions

    @field_validator("code_file", "test_file")
    @classmethod
    def _is_a_python_file(cls, name: str, others: ValidationInfo) -> str:
        if not (is_safe_path(name) and is_portable(name) and name.endswith(".py")):
            raise ValueError("expected the name of a .py file inside the workspace, such as 'add.py'")
        if "." in PurePosixPath(name).stem:
            raise ValueError(f"expected no dot in {name!r} but that of .py: tests could not import it")
        module = PurePosixPath(name).parts[0].removesuffix(".py")
        if module in TAKEN:
            raise ValueError(f"expected another name: {module!r} is a module of Python or pytest")
        if name == others.data.get("code_file"):
            raise ValueError("expected code_file and test_file to differ")
        if PurePosixPath(name).name == PurePosixPath(others.data.get("code_file", "")).name:
            raise ValueError(
                f"expected another file name than code_file's, got {name!r}: two modules of one name"
            )
        return name

    @field_validator("code_files")
    @classmethod
    def _are_python_files(cls, files: dict[str, str], others: ValidationInfo) -> dict[str, str]:
        for name in files:
            if name in (others.data.get("code_file"), others.data.get("test_file")):
                raise ValueError(f"expected other names than those of code_file and test_file, got {name!r}")
            cls._is_a_python_file(name, others)
        return files

    @field_validator("files", "files_from")
    @classmethod
    def _lie_side_by_side(cls, files: dict[str, str], others: ValidationInfo) -> dict[str, str]:
        given, known = others.data.get("files", {}), ("code_file", "test_file")
        names = [*filter(None, map(others.data.get, known)), *others.data.get("code_files", ()), *given]
        places: dict[str, str] = {}  # as a disk that ignores case sees them
        for name in files:
            if not (is_safe_path(name) and is_portable(name)):
                raise ValueError(f"expected file names inside the workspace, got {name!r}")
            if name in given:
                raise ValueError(f"expected {name!r} in files or in files_from, not in both")
        for name in (*names, *files):
            other = places.setdefault(name.lower(), name)
            if other != name:
                raise ValueError(f"expected names that differ in more than case, got {other!r} and {name!r}")
        for place, name in places.items():
            for folder in map(str, PurePosixPath(place).parents):
                if folder in places:
                    raise ValueError(f"expected {places[folder]!r} to be a file: {name!r} lies in it")
        return files

    @field_validator("files_from")
    @classmethod
    def _come_from_beside(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files.values():
            if PurePosixPath(path).is_absolute():
                raise ValueError(f"expected a path relative to this file, got {path!r}")
        return files

    @field_validator("paths")
    @classmethod
    def _are_folders_below_the_root(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not is_safe_path(path):
                raise ValueError(f"expected folders of the repository, such as src, got {path!r}")
        return paths

    @field_validator("bugs")
    @classmethod
    def _have_names_of_their_own(cls, bugs: tuple[Bug, ...]) -> tuple[Bug, ...]:
        names = [bug.name for bug in bugs]
        if len(set(names)) < len(names):
            raise ValueError("expected a different name for each bug")
        return bugs

    @property
    def written(self) -> tuple[str, ...]:
        """The files that the coder is to write, ``code_file`` last: it may import the others."""
        return (*self.code_files, self.code_file)

    def with_code(self, code: str) -> dict[str, str]:
        """Return a workspace in which all but the code file is right."""
        return {**self.files, **self.code_files, self.code_file: code}

    @property
    def digest(self) -> str:
        """Hash of all that reaches a model: when it changes, a recording is of another task."""
        seen = {"spec", "code_file", "test_file", "files", "limits"}
        seen |= {name for name in ("packages", "paths") if getattr(self, name)}
        names = {"code_files": list(self.code_files)} if self.code_files else {}
        return digest(self.model_dump(mode="json", include=seen) | names)


def digest(value: object) -> str:
    """Short stable hash of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
