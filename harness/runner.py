"""One trial from end to end. This module alone composes the others.

Trial --orchestrate--> Transcript + Workspace --sandbox--> TestRuns --grade--> Verdict --> Record
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from harness import redact
from harness.agents import prompts
from harness.agents.loop import Check, Loop
from harness.agents.messages import Replayed, ServerSide
from harness.agents.tool_call import Author
from harness.agents.tools import Tools, tool_context
from harness.agents.transcript import Event, Transcript, Watch, Wrote
from harness.agents.workspace import Workspace
from harness.backends import endpoints
from harness.backends.claude.claude_code import ADDRESS, Channel, ClaudeCode
from harness.backends.claude.cli_process import Cli, cli_versions
from harness.backends.claude.messages_api import MessagesApi
from harness.backends.endpoints import Endpoints
from harness.backends.letta import server_tools, tool_source
from harness.backends.letta.client import Server
from harness.backends.mock import Mock, no_wait
from harness.backends.retries import Transport
from harness.cassette import offline, recorder, staleness
from harness.cassette.exchange import Exchange
from harness.cassette.file import Cassette, load, save
from harness.errors import ApiError, HarnessError, StaleCassette
from harness.grading.feedback import feedback
from harness.grading.verdict import Attempt, Grader, Mutants, no_mutants
from harness.results import record
from harness.results.record import Record
from harness.sandbox import Sandbox
from harness.tasks.task import Task, digest
from harness.tasks.trial import Trial

Mode = Literal["none", "once", "all"]
Backend: TypeAlias = MessagesApi | ClaudeCode | Mock


def _today() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Setup:
    """What all trials of a run share.

    Attributes:
        root: The folder that holds ``cassettes/``.
        sandbox: Where generated code runs.
        mode: ``none``: replay only. ``once``: record what is missing. ``all``: record everything.
        environment: The variables that name endpoints and keys.
        now: The clock that dates a recording.
        transport: Makes what sends a trial's requests.
        mutants: Gives further known bugs of a task, to grade testers on.
        graders: One for each task so far, by its digest.
    """

    root: Path
    sandbox: Sandbox
    mode: Mode = "none"
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    now: Callable[[], datetime] = _today
    transport: Callable[[], Transport] = Transport
    mutants: Mutants = no_mutants
    graders: dict[str, Grader] = field(default_factory=dict, repr=False)

    def grader(self, task: Task) -> Grader:
        """Return the grader of a task; the same for all its trials, so that nothing is run twice."""
        key = digest(task.model_dump(mode="json"))
        if key not in self.graders:
            self.graders[key] = Grader(task, self.sandbox, self.mutants)
        return self.graders[key]


@dataclass(frozen=True)
class Result:
    """What a trial left behind.

    Attributes:
        record: Its row.
        transcript: All that happened, as far as it got.
        files: The workspace at its end.
        error: What ended it, if the harness or what it stands on is to blame.
    """

    record: Record
    transcript: Transcript
    files: Mapping[str, str]
    error: HarnessError | None = None


def run_trial(trial: Trial, setup: Setup, watch: Watch | None = None) -> Result:
    """Replay or record a trial, and grade what it wrote.

    Never raises for what a model did, nor for a missing or stale cassette, an unreachable service or a
    broken sandbox: those end up in ``Result.error`` and in the record's outcome.

    Args:
        trial: What to run.
        setup: How.
        watch: Told of each event as it happens.
    """
    with redact.unlogged():
        return _Run(trial, setup, watch or (lambda _: None)).result()


class _Run:
    def __init__(self, trial: Trial, setup: Setup, watch: Watch) -> None:
        self.trial = trial
        self.setup = setup
        self.watch = watch
        self.shown = trial.cassette_path
        self.path = setup.root / self.shown
        self.replays = setup.mode == "none" or (setup.mode == "once" and self.path.is_file())
        self.mode = "replay" if self.replays else "record"
        self.workspace = Workspace(trial.task.files)
        self.events: list[Event] = []
        self.attempts: list[Attempt] = []
        self.grader = setup.grader(trial.task)
        self.transport = setup.transport()
        self.channel: Channel | None = None

    def result(self) -> Result:
        """Carry the trial out and never raise for what can go wrong in it."""
        transcript = Transcript(())
        try:
            transcript, recorded = self._replayed() if self.replays else self._recorded()
            row = self._graded(transcript, recorded)
        except HarnessError as error:
            transcript = Transcript(tuple(self.events))
            row = record.broken(self.trial, error, mode=self.mode)
            return Result(row, transcript, self.workspace.snapshot(), error)
        return Result(row, transcript, self.workspace.snapshot())

    def _graded(self, transcript: Transcript, recorded: dict[str, Any]) -> Record:
        verdict = self.grader.verdict(self.attempts, transcript.stop, coder_called=transcript.coder_called)
        return record.measured(self.trial, transcript, verdict, mode=self.mode, recorded=recorded)

    # --- replay -----------------------------------------------------------------------------

    def _replayed(self) -> tuple[Transcript, dict[str, Any]]:
        tape = load(
            self.path,
            self.shown,
            record_with=staleness.command(self.trial),
            again_with=staleness.command(self.trial, "all"),
        )
        with offline.offline(), recorder.replaying(tape.exchanges) as player:
            self.channel = player
            try:
                transcript = self._converse(endpoints.replayed(self.trial.pair))
            except (Exception, recorder.ReplayMiss) as error:
                # Whatever it ended with: a miss that somebody swallowed comes before what came of it.
                if player.misses:
                    raise self._missed(tape, player.misses[0]) from None
                if isinstance(error, ApiError):
                    what = f"a recorded answer cannot be used: {error.message}"
                    raise staleness.stale("unplayable", tape, self.trial, self.shown, what) from None
                raise
        if player.misses:
            raise self._missed(tape, player.misses[0])
        if player.unplayed:
            left = player.unplayed
            what = f"{len(left)} recorded not asked for: {left[0]}"
            raise staleness.stale("unplayed", tape, self.trial, self.shown, what)
        return transcript, tape.recorded

    def _missed(self, tape: Cassette, miss: recorder.ReplayMiss) -> StaleCassette:
        way: staleness.Way = "again" if miss.again else "unmatched"
        return staleness.stale(way, tape, self.trial, self.shown, str(miss))

    # --- record -----------------------------------------------------------------------------

    def _recorded(self) -> tuple[Transcript, dict[str, Any]]:
        where = endpoints.live(self.trial.pair, self.setup.environment)
        letta_version = self._server(where).version()
        if self.trial.pair.tools == "server":
            server_tools.require_here(where.letta_url)
            definitions = prompts.definitions(guided=False).values()
            self._server(where).register(definitions, tool_source.source())
        began = time.monotonic()
        with recorder.recording(where.services) as tape:
            self.channel = tape
            transcript = self._conversed(where, tape)
        recorded = self._facts(letta_version, time.monotonic() - began)
        if self.trial.pair.backend == "claude-code":
            recorded["login"] = "endpoint" if where.claude_url else "own"
            recorded["notional_cost_usd"] = notional_cost(tape.exchanges)
        if transcript.faults:
            raise ApiError(transcript.faults[0].text)
        graded = self._graded(transcript, recorded)
        whole = Cassette(
            trial=self.trial.slug,
            task=self.trial.task.digest,
            prompts=prompts.prompts_digest(),
            recorded={**recorded, "outcome": graded.outcome},
            exchanges=tape.exchanges,
        )
        save(whole, self.path, self.shown)
        return transcript, whole.recorded

    def _conversed(self, where: Endpoints, tape: recorder.Recording) -> Transcript:
        if self.trial.pair.tools == "client":
            return self._converse(where)

        def passed() -> tuple[Exchange, ...]:
            theirs = f"http://{self.trial.pair.backend}/"
            return tuple(each for each in tape.exchanges if each.url.startswith(theirs))

        brief = tool_context(self.trial.task, self.trial.pair)
        with server_tools.live(self._claude(where), brief, self.trial.task.files, passed) as behind:
            return self._converse(where, behind)

    def _facts(self, letta_version: str, seconds: float) -> dict[str, Any]:
        pair = self.trial.pair
        return {
            "at": self.setup.now().date().isoformat(),
            "wall_s": round(seconds, 1),
            "transport_retries": dict(self.transport.retries),
            "pair": staleness.pair_digest(pair),
            "orchestrator": pair.orchestrator.model,
            "coder": pair.coder,
            "tester": pair.tester,
            "backend": pair.backend,
            "versions": {
                "letta": letta_version,
                "letta-client": version("letta-client"),
                "anthropic": version("anthropic"),
                "python": platform.python_version(),
                **(cli_versions() if pair.backend == "claude-code" else {}),
                **({"server-tools": tool_source.source_digest()} if pair.tools == "server" else {}),
            },
        }

    # --- both -------------------------------------------------------------------------------

    def _converse(self, where: Endpoints, behind: ServerSide | None = None) -> Transcript:
        in_letta = self.trial.pair.tools == "server"
        behind = behind or Replayed()
        tools = Tools(
            task=self.trial.task,
            pair=self.trial.pair,
            # What Letta's tools asked was answered already, and is played.
            claude=self._claude(endpoints.replayed(self.trial.pair) if in_letta else where),
            workspace=self.workspace,
            note=self._note,
            server_side=behind,
        )
        with (
            self._server(where).agent(
                self.trial.slug,
                self.trial.pair.orchestrator,
                prompts.ORCHESTRATOR,
                {"role": prompts.ROLE_BLOCK, "workspace": prompts.WORKSPACE_BLOCK},
                behind.tools if in_letta else None,
            ) as agent,
            self._every_attempt_kept(),
        ):
            stop = Loop(self.trial, agent, tools, lambda: self._check(behind), self._note).run()
        return Transcript(tuple(self.events), stop)

    @contextmanager
    def _every_attempt_kept(self) -> Iterator[None]:
        yield
        if not self.attempts:
            self.attempts.append(self._attempt())

    def _attempt(self) -> Attempt:
        authors: dict[str, Author] = {
            event.path: "tester" if event.role == "tester" else "coder"
            for event in self.events
            if isinstance(event, Wrote)
        }
        return Attempt(self.workspace.snapshot(), authors)

    def _check(self, behind: ServerSide) -> Check:
        files = self.workspace.snapshot()
        behind.check(files)
        self.attempts.append(self._attempt())
        return feedback(self.trial.task, files, self.grader.generated(files))

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self.watch(event)

    def _claude(self, where: Endpoints) -> Backend:
        if self.trial.pair.backend == "mock":
            return Mock(self.trial.task, time.sleep if where.services else no_wait)
        if self.trial.pair.backend == "claude-code":
            assert self.channel is not None, "set before the conversation begins"
            return ClaudeCode(self.workspace.snapshot, self.channel, self._cli(where).run)
        return MessagesApi(where.claude_url, where.claude_key, self.transport)

    def _cli(self, where: Endpoints) -> Cli:
        return Cli(where.claude_url, where.claude_key, self.setup.environment)

    def _server(self, where: Endpoints) -> Server:
        return Server(where.letta_url, where.letta_key, self.transport)


def notional_cost(exchanges: Iterable[Exchange]) -> float | None:
    """US dollars that the CLI put down for these exchanges; with a subscription nobody pays them."""
    told = [json.loads(each.response_body)["result"] for each in exchanges if each.url == ADDRESS]
    costs = [result["notional_cost_usd"] for result in told]
    return None if not costs or None in costs else round(sum(costs), 6)
