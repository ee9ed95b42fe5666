"""Execute an ad-hoc run: converse, deliver the files, test them, print a summary."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from harness.agents.transcript import Event, Transcript, Wrote
from harness.backends.checks.preflight import check
from harness.cli.console import say
from harness.cli.run import delivered_files, save_task, summary
from harness.errors import HarnessError, UnsafeCassette, UsageError
from harness.grading.verdict import Grader
from harness.results import report
from harness.results.show import narrator
from harness.runner import Setup, run_trial
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer, home
from harness.tasks import loader
from harness.tasks.pair import Pair
from harness.tasks.task import Task
from harness.tasks.trial import Trial


@dataclass(frozen=True)
class AdHocRun:
    """What is built by whom, and where it goes: the user's folder, and a task file if wanted."""

    task: Task
    pair: Pair
    workspace: Path
    force: bool
    save_as: Path | None


def ad_hoc_task(
    spec: str, *, code_file: str, test_file: str | None, files: Mapping[str, str], limits: Mapping[str, int]
) -> Task:
    """Return a task without hidden tests; refuse one that has nothing to build."""
    if not spec.strip():
        raise UsageError("SPEC is empty", remedy="say in a sentence what is to be built")
    fields = {
        "id": "ad-hoc",
        "title": "ad hoc",
        "spec": spec if spec.endswith("\n") else f"{spec}\n",
        "code_file": code_file,
        "test_file": test_file or f"test_{PurePosixPath(code_file).stem}.py",
        "files": dict(files),
        # A task must have these two; nobody sees them.
        "reference": "pass\n",
        "acceptance": "def test_nothing():\n    pass\n",
        "limits": dict(limits),
    }
    return loader.task_of(fields, "harness run")


def execute(wanted: AdHocRun, environment: Mapping[str, str], benchmarks: Path) -> bool:
    """Build, deliver and test; return True if the generated tests pass on the generated code.

    Where nobody writes tests: if there is code.

    Raises:
        HarnessError: Something went wrong. What had been written by then is delivered all the same.
    """
    task, pair, today = wanted.task, wanted.pair, datetime.now(UTC).date()
    delivered_files.require_writable(wanted.workspace, [task.code_file, task.test_file], force=wanted.force)
    prices = report.load_prices(benchmarks)
    say(*(f"warning: {warning}" for warning in check([pair], environment, ask=False)))
    run = None
    files, transcript = dict(task.files), Transcript(())
    narrate = narrator()

    def watch(event: Event) -> None:
        """Keep an event, so that an interrupt loses nothing, and print it."""
        nonlocal transcript
        transcript = Transcript((*transcript.events, event))
        if isinstance(event, Wrote):
            files[event.path] = event.text
        narrate(event)

    with ForkServer(sight=Sight(hidden=home())) as sandbox:
        try:
            with tempfile.TemporaryDirectory(prefix="harness-run-") as scratch:
                trial = Trial(task=task, pair=pair, epoch=1, source="harness run")
                setup = Setup(Path(scratch), sandbox, "all", environment, keeps_unsaved=False)
                result = run_trial(trial, setup, watch)
            files, transcript = dict(result.files), result.transcript
            # That the recording would hold a secret is no matter: it is thrown away.
            if result.error is not None and not isinstance(result.error, UnsafeCassette):
                raise result.error
        finally:
            if transcript.events:
                changed = {name: text for name, text in files.items() if task.files.get(name) != text}
                written = delivered_files.write_files(wanted.workspace, changed, force=wanted.force)
                with suppress(HarnessError):  # the summary says that no test ran
                    run = Grader(task, sandbox).generated(files)
                say(*summary.summary(wanted.workspace, written, pair, run, transcript))
                say(*summary.spending(pair, transcript, prices, today))
    if wanted.save_as:
        path = save_task.save(wanted.save_as, task, files, pair, today)
        say(f"task   {path}: written, to be reviewed; then: harness validate {path}")
    return run.passed if run else not pair.has_tester and task.code_file in files
