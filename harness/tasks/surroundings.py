"""What a task takes from round it: files beside it, folders of the repository, packages of the environment.

All of it is checked when the task is loaded, so that what is missing is one line and no failing trial.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from harness.errors import SpecError
from harness.tasks.task import Task
from harness.tasks.yaml_lines import Place

MAX_FILE_BYTES = 500_000


@dataclass(frozen=True)
class Repository:
    """Where tasks live: ``paths`` are relative to ``root``; ``suite`` holds what models must not see."""

    root: Path = Path()
    suite: Path = Path("benchmarks")

    @property
    def private(self) -> list[Path]:
        """The folders in which stand hidden tests and answers."""
        return [each.resolve() for each in (self.suite, self.root / "cassettes", self.root / "reports")]


NO_REPOSITORY = Repository()


def complete(task: Task, folder: Path, repository: Repository, problem: Callable[[Place, str], str]) -> Task:
    """Return the task with the texts of ``files_from`` among its files.

    Args:
        task: The task.
        folder: Where its file stands; ``files_from`` is relative to it.
        repository: What nothing may lead out of.
        problem: Words a problem at a place of the task.

    Raises:
        SpecError: Every file, folder and package that is missing or not to be used.
    """
    found, texts = list(_problems(task, repository)), {}
    for name, given in task.files_from.items():
        try:
            texts[name] = _text(folder / given, repository.root)
        except ValueError as error:
            found.append((("files_from", name), f"{given!r} {error}"))
    if found:
        raise SpecError([problem(place, f"{'.'.join(map(str, place))}: {text}") for place, text in found])
    return task.model_copy(update={"files": {**task.files, **texts}}) if texts else task


def _problems(task: Task, repository: Repository) -> Iterator[tuple[Place, str]]:
    modules = {
        name: PurePosixPath(name).parts[0].removesuffix(".py") for name in (*task.written, task.test_file)
    }
    for number, name in enumerate(task.packages):
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            remedy = f"pip install {name}, and add it to what CI installs"
            yield ("packages", number), f"{name!r} is not installed in this environment -> {remedy}"
            continue
        taken = {file.parts[0].removesuffix(".py") for file in files}
        for own in sorted(taken & set(modules.values())):
            yield ("packages", number), f"{name!r} has a module {own!r}, too: name the task's file otherwise"
    root, private = repository.root, repository.private
    for number, given in enumerate(task.paths):
        place, path = ("paths", number), root / given
        if not path.is_dir():
            yield place, f"expected a folder of the repository, and there is no {given!r}"
        elif not path.resolve().is_relative_to(root.resolve()):
            yield place, f"{given!r} is a link that leads out of the repository"
        elif any(_overlap(path.resolve(), each) for each in private):
            yield place, f"{given!r} would show tasks or recordings to the code; name a folder of code alone"
        else:
            for own in sorted({each.partition(".")[0] for each in _names(path)} & set(modules.values())):
                yield place, f"{given!r} has a module {own!r}, too: name the task's file otherwise"


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the code will not be able to import from it, either


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _text(path: Path, root: Path) -> str:
    """Return the text of a file; raise ValueError, the end of a sentence about it, if it cannot be taken."""
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise ValueError("leads out of the repository")
        if not path.is_file():
            raise ValueError("is no file beside the task's")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"has more than {MAX_FILE_BYTES} bytes")
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except RuntimeError:  # what pathlib makes of links in a circle
        raise ValueError("is no file beside the task's") from None
