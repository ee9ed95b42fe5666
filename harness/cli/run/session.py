"""One ad-hoc run from order to summary."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from harness.agents.transcript import Event, Transcript, Wrote
from harness.backends.checks.preflight import check
from harness.cli.run import delivery, save_task, summary
from harness.errors import HarnessError, UnsafeCassette, UsageError
from harness.grading.verdict import Grader
from harness.results import report
from harness.results.show import narrator
from harness.runner import Setup, run_trial
from harness.sandbox import TestRun
from harness.sandbox.fork_server import ForkServer, home
from harness.tasks import loader
from harness.tasks.task import Task
from harness.tasks.trial import Pair, Trial

# Nobody sees these: there are no hidden tests, and a task must have some.
NO_REFERENCE = "raise NotImplementedError\n"
NO_ACCEPTANCE = "def test_nothing():\n    raise NotImplementedError\n"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What the command line asked for. ``test_file`` may be empty; ``give`` names files of ``folder``."""

    spec: str
    code_file: str
    test_file: str
    folder: Path
    give: Sequence[str]
    force: bool
    limits: Mapping[str, int]
    pair: Pair
    save_as: Path | None

    def task(self) -> Task:
        """The order as a task.

        Raises:
            SpecError: A name or a limit cannot be.
            UsageError: A file to give cannot be read.
        """
        if not self.spec.strip():
            raise UsageError("SPEC is empty", remedy="say in a sentence what is to be built")
        stem = PurePosixPath(self.code_file).stem
        fields = {
            "id": "ad-hoc",
            "title": "ad hoc",
            "spec": self.spec if self.spec.endswith("\n") else f"{self.spec}\n",
            "code_file": self.code_file,
            "test_file": self.test_file or f"test_{stem}.py",
            "files": delivery.given(self.folder, self.give),
            "reference": NO_REFERENCE,
            "acceptance": NO_ACCEPTANCE,
            "limits": dict(self.limits),
        }
        return loader.task_of(fields, "harness run")


def execute(order: Order, environment: Mapping[str, str], benchmarks: Path, say: Say) -> bool:
    """Build what was ordered, deliver it, and tell.

    Args:
        order: What is wanted.
        environment: The variables that name endpoints and keys.
        benchmarks: The folder that may hold prices.
        say: Takes one line.

    Returns:
        Whether the generated tests pass on the generated code.

    Raises:
        HarnessError: It could not be carried out. What had been written by then is delivered all the same.
    """
    task, pair, today = order.task(), order.pair, datetime.now(UTC).date()
    delivery.require_room(order.folder, [task.code_file, task.test_file], force=order.force)
    prices = report.load_prices(benchmarks, str(benchmarks / loader.PRICES_FILE))
    for each in check([pair], environment, ask=False):
        say(f"warning: {each}")
    with ForkServer(hidden=home()) as sandbox:
        talk = _Talk(task, order, sandbox, environment)
        try:
            talk.hold()
        finally:
            if talk.transcript.events:
                changed = {name: text for name, text in talk.files.items() if task.files.get(name) != text}
                delivered = delivery.deliver(order.folder, changed, force=order.force)
                for line in summary.summary(order.folder, delivered, talk.tests(), talk.transcript):
                    say(line)
                for line in summary.spending(pair, talk.transcript, prices, today):
                    say(line)
        if order.save_as:
            path = save_task.save(order.save_as, task, talk.files, pair, today)
            say(f"task   {path}: written, to be reviewed; then: harness validate {path}")
        run = talk.tests()
    return run is not None and run.passed


class _Talk:
    """The conversation, and what it has left so far, however it ends."""

    def __init__(self, task: Task, order: Order, sandbox: ForkServer, environment: Mapping[str, str]) -> None:
        self._trial = Trial(task=task, pair=order.pair, epoch=1, source="harness run")
        self._sandbox = sandbox
        self._environment = environment
        self._grader = Grader(task, sandbox)
        self._events: list[Event] = []
        self._tell = narrator()
        self.files: Mapping[str, str] = dict(task.files)
        self.transcript = Transcript(())

    def hold(self) -> None:
        """Talk until the tests pass or a limit is reached.

        Raises:
            HarnessError: A service, or the sandbox, could not be used.
        """
        with tempfile.TemporaryDirectory(prefix="harness-run-") as scratch:
            setup = Setup(Path(scratch), self._sandbox, "all", self._environment)
            result = run_trial(self._trial, setup, self._watch)
        self.files, self.transcript = result.files, result.transcript
        # That the recording would hold a secret is no matter: it is thrown away.
        if result.error is not None and not isinstance(result.error, UnsafeCassette):
            raise result.error

    def tests(self) -> TestRun | None:
        """The generated tests on the generated code; None if they cannot be run."""
        try:
            return self._grader.generated(self.files)
        except HarnessError:
            return None

    def _watch(self, event: Event) -> None:
        self._events.append(event)
        self.transcript = Transcript(tuple(self._events))
        if isinstance(event, Wrote):
            self.files = {**self.files, event.path: event.text}
        self._tell(event)
