"""One trial on a worker that has the package and nothing else: no checkout, no shared disk.

An order brings the trial and the files that it needs; what comes back is its result without secrets, and the
cassette that it recorded. Keys never travel: a worker that records takes them from its own environment.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.agents.transcript import Transcript, from_json
from harness.backends.budget import Caps, Meter
from harness.backends.retries import Transport
from harness.backends.sharing import Address, Remote
from harness.errors import HarnessError, UsageError
from harness.redact import redact
from harness.results.estimate import cost_of
from harness.results.journal import Journal
from harness.results.pricing import Prices
from harness.results.record import Record
from harness.results.run_folder import report_payload
from harness.sandbox import Sandbox, fork_server
from harness.sandbox.filesystem_view import Sight
from harness.sandbox.fork_server import ForkServer
from harness.sandbox.run_cache import CachedSandbox, RunCache
from harness.store import default_folder
from harness.tasks.pair import Pair
from harness.tasks.trial import Trial

if TYPE_CHECKING:
    from harness.runner import Mode, Result

MOST_BEGUN = 2  # times: a trial whose worker was lost is run again once
ONE_AT_A_TIME = threading.Lock()  # recording and replay patch the process's HTTP libraries


@dataclass(frozen=True)
class Order:
    """A trial to run elsewhere.

    Attributes:
        trial: The trial.
        mode: That of the run, once it is known which cassettes are there: ``none`` or ``all``.
        files: Path relative to the root -> what the trial needs of the repository.
        control: Where the controlling process can be asked.
        settings, spending: What all trials of the run share; no spending in a run that asks no models.
    """

    trial: Trial
    mode: Mode
    files: Mapping[str, bytes] = field(repr=False)
    control: Address = field(repr=False)
    settings: Settings
    spending: Spending | None = None


@dataclass(frozen=True)
class Settings:
    """What all trials of a run share; see the options of the same names."""

    mutants: int = 0
    require_sandbox: bool = False
    run_cache: bool = True
    version: str = __version__


@dataclass(frozen=True)
class Spending:
    """What a trial may spend, and what its calls cost; the run's budget is asked for at ``Order.control``."""

    caps: Caps
    prices: Prices
    today: date


@dataclass(frozen=True)
class Done:
    """What came of an order.

    Attributes:
        result: The trial's; None where ``problem`` says why there is none.
        cassette: What it recorded.
        seconds: That it took.
        test_runs: How many were executed, and how many remembered.
    """

    result: Result | None = None
    problem: str = ""
    cassette: bytes | None = field(default=None, repr=False)
    seconds: float = 0.0
    test_runs: tuple[int, int] = (0, 0)


def ignore(*_: str) -> None:
    """Do nothing with it."""


class Control:
    """What the controlling process serves to its workers.

    Attributes:
        begun: How often each trial was begun.
        ended: Trials by slug, with what came of them; and whatever else the controlling process waits for.

    Args:
        release: Called with the slug of a trial whose worker was lost: what it was about to spend.
        begins: Called with the slug of a trial that begins, and the name of its worker.
        keep: Called with the name of a worker, and the note on the trial that it records (``Journal``).
    """

    def __init__(
        self,
        release: Callable[[str], None],
        begins: Callable[[str, str], None] = ignore,
        keep: Callable[[str, str], None] = ignore,
    ) -> None:
        self.release = release
        self.keep = keep
        self._begins = begins
        self.begun: dict[str, int] = {}
        self._has_ended: set[str] = set()
        self.ended: SimpleQueue[Any] = SimpleQueue()

    def begin(self, slug: str, worker: str = "") -> bool:
        """Return True if a trial may begin (again)."""
        if slug in self._has_ended or self.begun.get(slug, 0) >= MOST_BEGUN:
            return False
        if slug in self.begun:
            self.release(slug)
        self.begun[slug] = self.begun.get(slug, 0) + 1
        self._begins(slug, worker)
        return True

    def end(self, slug: str, done: Done) -> None:
        """Take a result. What a worker has handed over is not lost with it."""
        self._has_ended.add(slug)
        self.ended.put((slug, done))


def execute(order: Order, folder: Path, worker: str) -> None:
    """Run a trial on this worker, and hand the result over.

    A bug travels as text, without the worker's secrets.

    Args:
        order: The trial.
        folder: The worker's own; it ends with it.
        worker: The worker's name.

    Raises:
        HarnessError: The controlling process is gone.
    """
    slug, control = order.trial.slug, Remote(order.control, "control")
    with ONE_AT_A_TIME:
        if not control.begin(slug, worker):
            return
        try:
            if order.settings.version != __version__:
                raise UsageError(f"the worker has version {__version__}, the run {order.settings.version}")
            done = _run(order, _place(folder, order.settings), _journal(order.control, worker))
        except HarnessError as error:
            done = Done(problem=redact(str(error), os.environ))
        except Exception:  # noqa: BLE001  (whatever it is, it may hold a secret)
            done = Done(problem=redact(traceback.format_exc(), os.environ))
        control.end(slug, done)


def lost(trial: Trial) -> str:
    """Return why a trial has no result though it was begun."""
    return f"{trial.slug}: its worker was lost, and then the one that ran it again"


class ToldJournal(Journal):
    """The journal of a worker: the controlling process keeps the note, and outlives the worker."""

    def saving(self, payload: dict[str, Any], cassette: str) -> None:
        """Do nothing: both are handed over as soon as they are there."""


def _run(order: Order, place: Place, journal: Journal) -> Done:
    from harness.grading.mutants import known_mutants
    from harness.runner import Setup, run_trial

    trial, settings = order.trial, order.settings
    for name, content in order.files.items():
        path = place.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    before = place.test_runs()
    setup = Setup(
        place.root,
        place.sandbox,
        order.mode,
        mutants=lambda task: known_mutants(task, place.sandbox, settings.mutants) if settings.mutants else (),
        keeps_unsaved=False,  # nobody would look for it here
    )
    if order.spending is not None:
        setup = replace(setup, journal=journal, **_live(order, order.spending))
    cassette = place.root / trial.cassette_path
    began, in_error = time.monotonic(), True
    try:
        result = run_trial(trial, setup)
        in_error = result.record.kind == "infra"
        recorded = cassette.read_bytes() if order.mode == "all" and cassette.is_file() else None
    finally:
        with suppress(OSError):
            cassette.unlink()
        journal.end(in_error=in_error)
    after = place.test_runs()
    return Done(
        result=without_secrets(result),
        cassette=recorded,
        seconds=time.monotonic() - began,
        test_runs=(after[0] - before[0], after[1] - before[1]),
    )


def _live(order: Order, spending: Spending) -> dict[str, Any]:
    """Return the fields of the setup of a trial that asks models: all workers share limiter and budget."""
    limiter, budget = (Remote(order.control, name) for name in ("limiter", "budget"))

    def meter(pair: Pair, transport: Transport) -> Meter:
        price = cost_of(pair, spending.prices, spending.today)
        return Meter(transport, budget, spending.caps, order.trial.slug, price)

    return {"transport": lambda: Transport(limiter, patient=True), "meter": meter}


def without_secrets(result: Result) -> Result:
    """Return a result that may leave this machine."""
    row = result.record.row()
    payload = report_payload(row, result.transcript, result.files)
    clean, conversation = payload["record"], payload["conversation"]
    same: dict[str, Any] = {each.name: clean[each.name] for each in fields(Record) if each.name in row}
    error = result.error
    if error is not None:
        error.message, error.remedy = (redact(each, os.environ) for each in (error.message, error.remedy))
        error.args = (error.message,)
        error.__cause__ = error.__context__ = None
    return replace(
        result,
        record=replace(result.record, **same),
        transcript=Transcript(from_json(conversation["events"]), conversation["stop"]),
        files=conversation["files"],
        error=error,
    )


class Place:
    """Where the trials of this process run: a folder of its own, and a sandbox that hides it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        own = Path(tempfile.mkdtemp(prefix="harness-", dir=folder))
        self.root = own / "root"
        self.root.mkdir()
        if settings.require_sandbox:
            fork_server.require_all()
        probe = fork_server.probe()
        hidden, cache = (own, *fork_server.home()), None
        if probe.isolation != "none":
            kept = own / "test-runs"
            if settings.run_cache:
                with suppress(OSError):
                    kept = default_folder("test-runs")
            cache = RunCache(kept)
            cache.prune()
            hidden = (*hidden, kept)
        kinds = [
            each for each in fork_server.ISOLATION_KINDS if each != "none" or not settings.require_sandbox
        ]
        server = ForkServer(sight=Sight(self.root, hidden), isolation=kinds)
        self._cached = CachedSandbox(server, cache, probe) if cache else None
        self.sandbox: Sandbox = self._cached or server

    def test_runs(self) -> tuple[int, int]:
        """Return how many test runs were executed so far, and how many remembered."""
        return (self._cached.executed, self._cached.remembered) if self._cached else (0, 0)


@cache
def _journal(control: Address, worker: str) -> Journal:
    return ToldJournal(lambda text: Remote(control, "control").keep(worker, text), worker)


@cache
def _place(folder: Path, settings: Settings) -> Place:
    return Place(folder, settings)
