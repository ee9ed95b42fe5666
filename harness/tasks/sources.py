"""Load tasks that come from elsewhere: an installed data set, a JSONL file, a function of one's own.

A source file, such as ``benchmarks/humaneval.yaml``, says where from. That comes down to a function without
arguments that gives a mapping of task fields for each task; ``humaneval.py`` is one. Nothing is imported or
read before the tasks of a source file are asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.machinery import SourceFileLoader
from itertools import islice
from pathlib import Path
from types import ModuleType

from harness.errors import HarnessError, SpecError, UsageError
from harness.tasks.loader import SourceFile, near, task_of
from harness.tasks.task import Task, digest
from harness.tasks.yaml_lines import read_whole
from harness.text import shorten

BUILT_IN = {"humaneval": "harness.tasks.humaneval:tasks"}
MAX_PROBLEMS = 20
HARNESS = Path(__file__).parent.parent
MAX_ITEMS = 100_000
MAX_BYTES = 200_000_000  # of a JSONL file


def load_tasks(wanted: SourceFile, folder: Path, display: str) -> list[Task]:
    """Load the tasks that a source file in ``folder`` asks for, in the source's order.

    Raises:
        SpecError: The source or one of the tasks is wrong.
        UsageError: The source is not installed.
    """
    where = f"{display}: source {wanted.source!r}"
    tasks: dict[str, Task] = {}
    used: dict[str, str] = {}  # ids as a disk that ignores case sees them
    problems: list[str] = []
    for number, fields in enumerate(_items(wanted.source, folder, where), 1):
        if wanted.only and isinstance(fields, Mapping) and fields.get("id") not in wanted.only:
            continue
        item = f"{where}: item {number}"
        if isinstance(fields, SpecError):
            problems += fields.problems
            continue
        try:
            task = task_of(fields, item)
        except SpecError as error:
            problems += error.problems
            continue
        if other := used.get(task.id.lower()):
            same = "" if other == task.id else f", as {other!r}: ids differ in more than case"
            problems.append(f"{item}: id: {task.id!r} is already used by an item before it{same}")
        used.setdefault(task.id.lower(), task.id)
        limits = task.limits.model_copy(update=wanted.limits.model_dump(exclude_unset=True))
        tags = tuple(dict.fromkeys((*task.tags, *wanted.tags)))
        tasks[task.id] = task.model_copy(update={"tags": tags, "limits": limits})
    problems += [
        f"{display}: only: {wanted.source} has no task {name!r}" for name in wanted.only if name not in tasks
    ]
    if not tasks and not problems:
        problems.append(f"{where}: it gives no tasks")
    if problems:
        left = len(problems) - MAX_PROBLEMS
        raise SpecError(problems[:MAX_PROBLEMS] + ([f"{where}: {left} more problems"] if left > 0 else []))
    return list(tasks.values())


def _items(source: str, folder: Path, where: str) -> list[object]:
    """Return all that the source gives; whatever goes wrong in it is one problem of the source file."""
    try:
        items = list(islice(_function(source, folder, where)(), MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            raise SpecError([f"{where}: more than {MAX_ITEMS} tasks, or no end of them"])
        return [dict(item) if isinstance(item, Mapping) else item for item in items]
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", remedy=error.remedy) from None
    except HarnessError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{where}: there is no module {error.name!r}", remedy="install the package that has it"
        ) from None
    except OSError as error:
        raise SpecError([f"{where}: cannot be read: {error.strerror or error}"]) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (it may exit, or raise what pytest takes for its own)
        place = _place_of(error)
        try:
            says = shorten(" ".join(str(error).split()), 300)
        except Exception:  # noqa: BLE001  (a message of somebody's own)
            says = "its message cannot be shown"
        raise SpecError([f"{where}: {place}{type(error).__name__}: {says}"]) from None


def _place_of(error: BaseException) -> str:
    """Return the user's file and line that an error comes from, with a colon; empty if it comes from none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: "
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen ") and not Path(frame.filename).is_relative_to(HARNESS)
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""


def _function(source: str, folder: Path, where: str) -> Callable[[], Iterable[object]]:
    """Return the function that ``source`` names: see ``SourceFile``."""
    if source.endswith(".jsonl"):
        return partial(_jsonl, folder / source, where)
    place, _, name = BUILT_IN.get(source, source).partition(":")
    if not place or not name:
        forms = f"expected {', '.join(BUILT_IN)}, a .jsonl file, file.py:function or module:function"
        raise SpecError([f"{where}: {forms}{near(source, BUILT_IN)}"])
    module = _module(folder / place) if place.endswith(".py") else importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise SpecError([f"{where}: {place} has no function {name!r}"])
    return function  # type: ignore[no-any-return]


def _module(path: Path) -> ModuleType:
    """Import a Python file, without a change of where Python looks for modules."""
    name = f"harness_source_{digest(str(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    SourceFileLoader(name, str(path)).exec_module(module)
    return module


def _jsonl(path: Path, where: str) -> Iterator[object]:
    """Yield one value for each line that is not blank; a ``SpecError`` for one that cannot be read."""
    for number, line in enumerate(read_whole(path, where, MAX_BYTES).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line, object_pairs_hook=_distinct, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            yield SpecError([f"{where}: line {number}: not valid JSON: {error}"])


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shorten(key)!r} is given twice")
        found[key] = value
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")
