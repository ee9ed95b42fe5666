"""Is a task right, before a model sees it.

Its reference passes acceptance; each known bug fails it, and so does the reference with empty functions;
all alike in several runs with other seeds. Acceptance asks for no name that the specification keeps to
itself.

A hidden test that has no twin (``twins.py``) is named, but is no mistake: code that forges only what such
tests judge is not found out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, SpecError, UsageError
from harness.grading.proofs import Proof, Prover
from harness.tasks import loader
from harness.tasks.course import Course
from harness.tasks.suite import Selection, Suite


@dataclass(frozen=True)
class Checked:
    """One file.

    Attributes:
        shown: The file as messages name it.
        problems: What is wrong with it, one line each.
        warnings: What is worth knowing and no mistake, one line each.
        remembered: How many of its tasks were proved by an earlier call.
        note: What else was found, in a few words; may be empty.
    """

    shown: str
    problems: list[str]
    note: str = ""
    warnings: tuple[str, ...] = ()
    remembered: int = 0

    def lines(self) -> list[str]:
        """Return the problems and warnings, and then what there is to say about the file as a whole."""
        summary = "; ".join(filter(None, ["" if self.problems else "ok", self.note]))
        return [*self.problems, *self.warnings, *([f"{self.shown}: {summary}"] if summary else [])]


def check(given: Path, root: Path, *, remember: bool = False) -> Iterator[Checked]:
    """Check a task or source file, or a folder of them with its pairs and prices; yield as they are done.

    The tasks of a source file are checked where ``pytest`` with the same argument would run them.

    Paths are shown relative to ``root``. ``remember``: take what was proved before of the same task, and keep
    what is proved now.

    Raises:
        UsageError: There is nothing at ``given``, or it is a source that is not installed.
    """
    if not given.exists():
        raise UsageError(f"{given}: no such file or folder")
    given = given.resolve()
    suite = Suite(_benchmarks_folder(given), root, Selection(paths=frozenset({given})), {})
    own = [suite.folder / name for name in (loader.PAIRS_FILE, loader.PRICES_FILE)]
    known = [*filter(os.path.lexists, own), *suite.files(), *suite.sources(), *suite.courses()]
    known += [path for path in suite.unreadable() if path not in own]
    paths = [given] if not given.is_dir() else [path for path in known if path.is_relative_to(given)]
    if not paths:
        raise UsageError(
            f"no task files in {suite.display(given)}", remedy="add one, such as benchmarks/add.yaml"
        )
    with Prover(root, remember=remember) as prover:
        for file in [File(path, suite, prover) for path in paths]:
            try:
                yield file.checked()
            except SpecError as error:
                yield Checked(file.shown, error.problems)
            except HarnessError as error:  # a source that is not installed, a machine that cannot run it
                if isinstance(error, UsageError) and len(paths) == 1:
                    raise
                problem = str(error) if file.shown in str(error) else f"{file.shown}: {error}"
                yield Checked(file.shown, [problem])


def stops_pytest(given: Path, root: Path, environment: Mapping[str, str]) -> str:
    """Return why a plain ``pytest`` would end before its first trial, though each file is right; or nothing.

    Arguments are those of ``check``; ``environment`` may name models in place of a pairs file.
    """
    suite = Suite(_benchmarks_folder(given.resolve()), root, Selection(), environment)
    try:
        suite.check_mix()
    except SpecError:
        return ""  # a problem of the pairs file
    except UsageError as error:
        return str(error)
    return ""


class File:
    """One file under check: its tasks are being proved while files before it are reported."""

    def __init__(self, path: Path, suite: Suite, prover: Prover) -> None:
        self.shown = suite.display(path)
        self._path = path
        self._suite = suite
        self._error: HarnessError | None = None
        self._proofs: dict[str, Future[Proof]] = {}
        try:
            if path.name == loader.PAIRS_FILE:
                suite.named_pairs  # noqa: B018  (raises what is wrong with it)
            elif path.name == loader.PRICES_FILE:
                loader.load_prices(path, self.shown)
            elif suite.file(path).is_course:
                self._prove_course(suite.course(path), prover)
            elif suite.collects(path):
                self._proofs = {suite.named(path, each): prover.prove(each) for each in suite.tasks(path)}
        except HarnessError as error:
            self._error = error

    def _prove_course(self, course: Course, prover: Prover) -> None:
        """Begin to prove the steps of a course, with the values of its first epoch.

        Raises:
            SpecError: The course as a whole is wrong.
        """
        if problems := [f"{self.shown}: {line}" for line in course.problems()]:
            raise SpecError(problems)
        if course.is_control:
            return  # its tasks are those of the other file
        for (task, _), (other, _) in zip(course.steps(1), course.steps(2), strict=True):
            guess = other.reference if other.reference != task.reference else ""
            self._proofs[f"{self.shown}::{task.id}"] = prover.prove(task, guess)

    def checked(self) -> Checked:
        """Wait for its proofs; return what they say.

        Raises:
            HarnessError: The file is wrong, or nothing could be run.
        """
        if self._error is not None:
            raise self._error
        if self._path.name in (loader.PAIRS_FILE, loader.PRICES_FILE):
            pairs = self._suite.named_pairs if self._path.name == loader.PAIRS_FILE else {}
            doubts = {name: loader.doubt_handle(pair.orchestrator.model) for name, pair in pairs.items()}
            warnings = tuple(
                f"{self.shown}: warning: pairs.{name}.orchestrator.model: {doubt}"
                for name, doubt in doubts.items()
                if doubt
            )
            return Checked(self.shown, [], warnings=warnings)
        if not self._suite.collects(self._path):
            return Checked(self.shown, [], "its tasks are checked when it is named")
        proofs = {place: proof.result() for place, proof in self._proofs.items()}
        problems = [f"{place}: {line}" for place, each in proofs.items() for line in each.problems]
        warnings = tuple(f"{place}: {line}" for place, each in proofs.items() for line in each.warnings)
        known = sum(each.remembered for each in proofs.values())
        if self._suite.file(self._path).is_course:
            note = f"{len(proofs)} steps" if proofs else "its steps are those of the other course"
            return Checked(self.shown, problems, note, warnings, known)
        if self._suite.file(self._path).is_source:
            return Checked(self.shown, problems, _counts(proofs.values()), warnings, known)
        bugs = any(task.bugs for task in self._suite.tasks(self._path))
        note = "" if bugs else "no known bugs, so testers are not graded on them"
        return Checked(self.shown, problems, note, warnings, known)


def _counts(proofs: Iterable[Proof]) -> str:
    solved = [each.solved for each in proofs]
    empty = [each.empty_solved for each in proofs if each.empty_solved is not None]
    references = f"references: {sum(solved)} of {len(solved)} solved"
    return f"{references}; empty functions: {sum(empty)} of {len(empty)} solved"


def _benchmarks_folder(path: Path) -> Path:
    """Return the outermost folder called ``benchmarks`` round a path, or the path's own folder."""
    folder = path if path.is_dir() else path.parent
    named = [parent for parent in (folder, *folder.parents) if parent.name == "benchmarks"]
    return named[-1] if named else folder
