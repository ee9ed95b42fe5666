"""Run trials from Python, such as in a notebook: ``harness.evaluate``, without pytest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from harness import load
from harness.backends.checks.preflight import check
from harness.errors import MissingCassette, UsageError
from harness.results import report
from harness.results.dataframe import Table
from harness.results.run_folder import RunFolder, report_payload
from harness.results.tables import tables_of
from harness.runner import Mode, Result, Setup, run_trial
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home
from harness.tasks.pair import MAX_EPOCHS, Pair
from harness.tasks.suite import Selection, Suite
from harness.tasks.surroundings import Repository, complete
from harness.tasks.task import Task
from harness.tasks.trial import Trial
from harness.terminal import printable_line


def evaluate(  # noqa: PLR0913  (one for each option of the command line)
    tasks: Sequence[str | Path | Task],
    pairs: Sequence[str | Pair],
    *,
    epochs: int | None = None,
    record: Mode = "none",
    root: str | Path = ".",
    benchmarks: str | Path = "benchmarks",
    progress: Callable[[str], object] = print,
) -> Table:
    """Run each task by each pair, one trial after the other, and return the table of ``harness.load``.

    The trials' records, conversations and report go to a new folder in ``reports``, as in a run of pytest.
    An interrupt loses none that had ended: ``harness.load("latest")``.

    Args:
        tasks: Task files and folders, relative to ``root``, or tasks.
        pairs: Names of the pairs file, or pairs.
        epochs: Repetitions in place of each pair's own.
        record: ``none``: replay only. ``once``: record live what has no cassette. ``all``: record everything.
        root: The folder that holds ``cassettes`` and ``reports``.
        benchmarks: The folder of tasks, pairs and prices, relative to ``root``.
        progress: Gets a line for each trial as it ends.

    Raises:
        HarnessError: An argument, a file or what a recording needs is wrong; no trial was begun. What ends
            a single trial is its outcome in the table.
    """
    at = Path(os.path.abspath(root))
    folder, trials = at / benchmarks, select(tasks, pairs, epochs, at, at / benchmarks)
    if record not in get_args(Mode):
        raise UsageError(f"record={record!r}: expected one of {', '.join(get_args(Mode))}")
    prices = report.load_prices(folder)  # wrong: say so before the first trial

    def say(line: str) -> None:
        progress(printable_line(line))

    missing = [each for each in trials if record == "all" or not (at / each.cassette_path).is_file()]
    if record != "none" and missing:
        needed = {each.pair.name: each.pair for each in missing}
        for warning in check(list(needed.values()), os.environ):
            say(str(warning))
    run = RunFolder.new(at / "reports", datetime.now(UTC))
    try:
        with ForkServer(sight=Sight(at, (at, *home()))) as sandbox:
            setup = Setup(at, sandbox, record)
            for number, trial in enumerate(trials, 1):
                result = run_trial(trial, setup)
                left = (result.transcript, result.files, result.verdict, trial.task)
                run.add(report_payload(result.record.row(), *left))
                say(f"{number}/{len(trials)} {trial.slug}: {in_words(result)}")
        table = load(run.path, benchmarks=folder)
        report.write_report(run.path, table, tables_of(table), prices)
    except OSError as error:
        raise UsageError(f"not written to {error.filename or run.path}: {error.strerror}") from None
    say(f"report: {run.path / report.PAGE}")
    return table


def select(
    tasks: Sequence[str | Path | Task],
    pairs: Sequence[str | Pair],
    epochs: int | None,
    root: Path,
    folder: Path,
) -> list[Trial]:
    """Return the trials that the arguments of ``evaluate`` ask for.

    Raises:
        HarnessError: One of them is wrong, or a file that it names.
    """
    for name, given, kinds in (("tasks", tasks, (str, Path, Task)), ("pairs", pairs, (str, Pair))):
        is_list = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
        if not (is_list and all(isinstance(each, kinds) for each in given)):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise UsageError(f"{name}={given!r}: expected a list, each of it {expected}")
    if epochs is not None and not (isinstance(epochs, int) and 1 <= epochs <= MAX_EPOCHS):
        raise UsageError(f"epochs={epochs!r}: expected 1 to {MAX_EPOCHS}")
    names = tuple(each for each in pairs if isinstance(each, str))
    paths = frozenset(_path(root, each) for each in tasks if not isinstance(each, Task))
    suite = Suite(folder, root, Selection(pairs=names, epochs=epochs, paths=paths), os.environ)
    named = {pair.name: pair for pair in suite.pairs} if names else {}
    chosen = [named[each] if isinstance(each, str) else each for each in pairs]
    trials = [
        Trial(task=task, pair=pair, epoch=epoch, source=source)
        for task, source in _tasks(suite, tasks)
        for pair in chosen
        if pair.takes(task)
        for epoch in range(1, (epochs or pair.epochs) + 1)
    ]
    if not trials:
        raise UsageError("no trial: name a task, and a pair that takes it")
    slug, count = Counter(trial.slug.lower() for trial in trials).most_common(1)[0]
    if count > 1:
        raise UsageError(f"the trial {slug} is there {count} times: name each task and each pair once")
    return trials


def in_words(result: Result) -> str:
    """Return the outcome of a trial, and why it has none of a model's, in one line."""
    if isinstance(result.error, MissingCassette):
        return f"{result.error.message} -> record='once'"
    return result.record.outcome + (f": {result.error}" if result.error else "")


def _tasks(suite: Suite, wanted: Sequence[str | Path | Task]) -> Iterator[tuple[Task, str]]:
    """Yield each task with its name in messages."""
    for each in wanted:
        if isinstance(each, Task):
            yield complete(each, suite.folder, Repository(suite.root, suite.folder), _words(each)), each.id
            continue
        path = _path(suite.root, each)
        found = [file for file in (*suite.files(), *suite.sources()) if file.is_relative_to(path)]
        found = [file for file in found if suite.collects(file)]
        if not found:
            raise UsageError(f"{str(each)!r}: no task file of {suite.folder}, and no folder of some")
        for file in found:
            yield from ((task, suite.named(file, task)) for task in suite.tasks(file))


def _words(task: Task) -> Callable[[object, str], str]:
    return lambda _, text: f"{task.id}: {text}"


def _path(root: Path, path: str | Path) -> Path:
    return Path(os.path.abspath(root / path))
