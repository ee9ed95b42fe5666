"""One trial from end to end. This module alone composes the others.

Trial --orchestrate--> Transcript + Workspace --sandbox--> TestRuns --grade--> Verdict --> Record
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness import redact
from harness.agents import memory, prompts, tool_replay
from harness.agents.loop import Check, Loop
from harness.agents.messages import Answer, Claude
from harness.agents.tool_call import Author
from harness.agents.tool_replay import Replayed, ServerSide
from harness.agents.tools import Tools, tool_context
from harness.agents.transcript import Called, Event, Returned, Role, Said, Transcript, Watch, Wrote, to_json
from harness.agents.wall_limit import WallLimit
from harness.agents.workspace import Workspace
from harness.backends import endpoints
from harness.backends.budget import Meter
from harness.backends.claude.claude_code import ADDRESS
from harness.backends.connect import Connection, versions
from harness.backends.endpoints import Endpoints
from harness.backends.letta import server_tools, tool_source
from harness.backends.letta.client import Server, ignore
from harness.backends.letta.course_run import CourseRun
from harness.backends.retries import Transport
from harness.cassette import offline, record_replay, staleness, unsaved
from harness.cassette.exchange import FIRST_AGENT, Exchange, without_ids
from harness.cassette.file import Cassette, dumps, leaks, load, parse, require_no_link, save, unsafe
from harness.cassette.json_diff import first_difference
from harness.cassette.review import save_or_keep
from harness.errors import ApiError, DiskError, HarnessError, UnplayableRecording, UnusableAnswer
from harness.grading.feedback import feedback
from harness.grading.verdict import Attempt, Grader, Mutants, Verdict, no_mutants
from harness.results import record
from harness.results.journal import Journal
from harness.results.record import Record
from harness.results.run_folder import report_payload
from harness.sandbox import Sandbox
from harness.tasks.pair import Pair
from harness.tasks.task import Task, digest
from harness.tasks.trial import Trial

Mode = Literal["none", "once", "all"]
LEAST_FREE = 64_000_000  # bytes: the largest cassette, several times


@dataclass(frozen=True)
class Setup:
    """What all trials of a run share.

    Attributes:
        root: The folder that holds ``cassettes/``.
        sandbox: Where generated code runs.
        mode: ``none``: replay only. ``once``: record what is missing. ``all``: record everything.
        environment: The variables that name endpoints and keys.
        now: The clock that dates a recording.
        transport: Makes what sends the requests of a trial that is recorded.
        meter: Makes what counts its calls and holds its budget, if there is one to hold.
        mutants: Gives further known bugs of a task, to grade testers on.
        graders: One for each task so far.
        keeps_unsaved: Whether a recording that is refused waits for a review.
        journal: Where a trial that is recorded notes what it is at.
        wall_limit: How long a conversation with real services, and a turn of it, may take.
        course_runs: Of the steps so far whose agent lives through a course, by ``Trial.run``.
        keep_agents: A folder for the agent files of these agents, when their course has ended.
    """

    root: Path
    sandbox: Sandbox
    mode: Mode = "none"
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    transport: Callable[[], Transport] = Transport
    meter: Callable[[Pair, Transport], Meter] | None = None
    mutants: Mutants = no_mutants
    graders: dict[str, Grader] = field(default_factory=dict, repr=False)
    keeps_unsaved: bool = True
    journal: Journal = field(default_factory=Journal)
    wall_limit: WallLimit = field(default_factory=WallLimit)
    course_runs: dict[str, CourseRun] = field(default_factory=dict, repr=False)
    keep_agents: Path | None = None

    def grader(self, task: Task) -> Grader:
        """Return the grader of a task; the same for all its trials, so that nothing is run twice."""
        key = digest(task.model_dump(mode="json"))
        if key not in self.graders:
            self.graders[key] = Grader(task, self.sandbox, self.mutants)
        return self.graders[key]

    def path(self, trial: Trial) -> Path:
        """Return where a trial's cassette stands."""
        return self.root / trial.cassette_path

    def course_run(self, trial: Trial) -> CourseRun | None:
        """Return what the steps of a course share, if one agent lives through them."""
        step, pair = trial.step, trial.pair
        if step is None or pair.memory != "carried":
            return None
        if trial.run not in self.course_runs:

            def has_cassette(number: int) -> bool:
                return (self.root / trial.cassette_of(step.tasks[number - 1])).is_file()

            def server() -> Server:
                where = endpoints.live(pair, self.environment)
                return Server(where.letta_url, where.letta_key, self.transport())

            self.course_runs[trial.run] = CourseRun(
                self.root, pair, trial.run, step.of, self.mode, has_cassette, server, self.keep_agents
            )
        return self.course_runs[trial.run]

    def require_no_link(self, trial: Trial) -> None:
        """Raise CassetteError if a trial's cassette is a link, or stands behind one."""
        folder = self.root / Path(trial.cassette_path).parts[0]
        require_no_link(self.path(trial), folder, trial.cassette_path)


@dataclass(frozen=True)
class Result:
    """What a trial left behind.

    Attributes:
        record: Its row.
        transcript: All that happened, as far as it got.
        files: The workspace at its end.
        error: What ended it, if the harness or what it stands on is to blame.
        verdict: What the record's grades rest on; None where it came to none.
        said: What people should know besides; may be empty.
    """

    record: Record
    transcript: Transcript
    files: Mapping[str, str]
    error: HarnessError | None = None
    verdict: Verdict | None = None
    said: str = ""


def run_trial(trial: Trial, setup: Setup, watch: Watch | None = None) -> Result:
    """Replay or record a trial, and grade what it wrote.

    Never raises for what a model did, nor for a missing or stale cassette, an unreachable service or a
    broken sandbox: those end up in ``Result.error`` and in the record's outcome. ``watch`` gets each event
    as it happens.
    """
    replays = setup.mode == "none" or (setup.mode == "once" and setup.path(trial).is_file())
    course = setup.course_run(trial)
    if course is not None:
        try:
            replays = not course.records(trial.place)
        except HarnessError as error:
            course.fail(trial.place, error)
            row = record.broken(trial, error, mode="replay" if setup.mode == "none" else "record")
            return Result(row, Transcript(()), dict(trial.task.files), error)
    state = TrialState(trial, setup, watch or (lambda _: None), "replay" if replays else "record")
    with redact.unlogged():
        try:
            meter = state.meter.trial(trial.slug, trial.pair.name) if state.meter else nullcontext()
            with meter:
                row, transcript = replay(state) if replays else record_live(state)
        except HarnessError as error:
            if isinstance(error, ApiError) and (repeated := sum(state.transport.retries.values())):
                error.message += f" (transport retries: {repeated})"
            if isinstance(error, ApiError) and not replays:
                endpoints.add_stack_fault(error, trial.pair)
            if course is not None:
                course.fail(trial.place, error, state.agent_id)
            row = record.broken(trial, error, mode=state.mode)
            return Result(row, Transcript(tuple(state.events)), state.workspace.snapshot(), error)
        except (KeyboardInterrupt, SystemExit):
            if course is not None:
                course.give_up(trial.place, state.agent_id)
            raise
    said = course.say() if course else ""
    files = state.workspace.snapshot()
    return Result(row, transcript, files, verdict=state.verdict, said=said)


def stage_after(event: Event) -> str:
    """Return what a trial is at after an event, in a few words."""
    match event:
        case Called(attempt=number, tool=name):
            return f"attempt {number}: {name.removeprefix('run_claude_')}"
        case Said(attempt=number, speaker="user") | Returned(attempt=number) if number:
            return f"attempt {number}: orchestrator"
    return f"attempt {event.attempt}" if event.attempt else "review"


class TrialState:
    """What has happened in a trial so far.

    Attributes:
        course: The course run that it is a step of, if one agent lives through that.
        agent_id: That agent, once it is known.
    """

    def __init__(self, trial: Trial, setup: Setup, watch: Watch, mode: str) -> None:
        self.trial = trial
        self.setup = setup
        self.mode = mode
        self.course = setup.course_run(trial)
        self.agent_id = ""
        self.transport = setup.transport() if mode == "record" else Transport()
        self.transport.waited = setup.wall_limit.extend
        self.meter = setup.meter(trial.pair, self.transport) if setup.meter and mode == "record" else None
        self.workspace = Workspace(trial.task.files)
        self.events: list[Event] = []
        self.attempts: list[Attempt] = []
        self.checks: list[Check] = []
        self.verdict: Verdict | None = None
        self._grader = setup.grader(trial.task)
        self._watch = watch

    def require_reference(self) -> None:
        """Raise SpecError if the task is wrong, before anything is asked."""
        self._grader.require_reference()

    def note(self, event: Event) -> None:
        """Keep an event, and show it."""
        if self.mode == "record":
            self.setup.wall_limit.turn()
            self.setup.journal.stage(stage_after(event))
        self.events.append(event)
        self._watch(event)

    def end_attempt(self, behind: ServerSide) -> Check:
        """Keep the files of an attempt; return what the orchestrator may know of them."""
        files = self.workspace.snapshot()
        behind.check(files)
        self.attempts.append(self.attempt(files))
        self.checks.append(feedback(self.trial.task, files, self._grader.generated(files)))
        return self.checks[-1]

    def attempt(self, files: Mapping[str, str]) -> Attempt:
        """Return an attempt that left these files; each is credited to who wrote it last."""
        authors: dict[str, Author] = {
            event.path: "tester" if event.role == "tester" else "coder"
            for event in self.events
            if isinstance(event, Wrote)
        }
        return Attempt(files, authors)

    def grade(self, transcript: Transcript, recorded: dict[str, Any]) -> Record:
        """Return the trial's row; ``recorded`` are the facts that only the live run could measure."""
        attempts = self.attempts or [self.attempt(self.workspace.snapshot())]
        self.verdict = self._grader.verdict(attempts, transcript.stop, coder_called=transcript.coder_called)
        return record.measured(self.trial, transcript, self.verdict, mode=self.mode, recorded=recorded)

    def connect(self, where: Endpoints, transport: Transport) -> Connection:
        """Connect the trial to these endpoints."""
        files, setup = self.workspace.snapshot, self.setup
        meter = self.meter if where.live else None
        created = setup.journal.agent if self.mode == "record" else ignore
        return Connection(self.trial, where, transport, files, setup.environment, meter, created)


class Rehearsal(TrialState):
    """The replay of a trial that was just recorded: its tests said what they said, and nothing is run."""

    def __init__(self, recorded: TrialState) -> None:
        super().__init__(recorded.trial, recorded.setup, lambda _: None, "replay")
        self.recorded = recorded

    def end_attempt(self, behind: ServerSide) -> Check:  # noqa: ARG002
        """Return what the tests said of the same files then.

        Raises:
            UnplayableRecording: The files are others.
        """
        number = len(self.attempts)
        self.attempts.append(self.attempt(self.workspace.snapshot()))
        if self.attempts != self.recorded.attempts[: number + 1]:
            raise UnplayableRecording(f"attempt {number + 1} leaves other files")
        return self.recorded.checks[number]


def replay(state: TrialState) -> tuple[Record, Transcript]:
    """Hold the conversation again with the recorded answers; every request must be the recorded one.

    Raises:
        HarnessError: There is no cassette, or it no longer fits.
    """
    trial, display = state.trial, state.trial.cassette_path
    record_with, again_with = staleness.command(trial), staleness.command(trial, "all")
    state.setup.require_no_link(trial)
    cassette = load(state.setup.path(trial), display, record_with=record_with, again_with=again_with)
    if found := leaks(cassette, state.setup.path(trial)):
        raise unsafe(found, display, again_with)
    transcript = play(state, cassette)
    staleness.require_unchanged(cassette, trial, display)
    return state.grade(transcript, cassette.recorded), transcript


def play(state: TrialState, cassette: Cassette) -> Transcript:
    """Hold a conversation with recorded answers.

    Raises:
        HarnessError: A request is not the recorded one, or an answer cannot be used.
    """
    trial, display = state.trial, state.trial.cassette_path
    stale = partial(staleness.stale, cassette=cassette, trial=trial, display=display)
    if not cassette.exchanges and staleness.changes(cassette, trial):
        raise stale("unmatched", what="no service was asked in it, so there are no two texts to show")
    problem: BaseException | None = None
    transcript = Transcript(())
    connection = state.connect(endpoints.replayed(trial.pair), state.transport)
    if state.course and trial.place > 1:
        state.agent_id = FIRST_AGENT  # what the recorded conversation begins with
    with offline.offline(), record_replay.replaying(cassette.exchanges) as player:
        try:
            transcript = converse(state, connection, RecordedClaude(connection.claude(player)))
        except (Exception, record_replay.ReplayMiss) as error:  # noqa: BLE001  (raised again below)
            problem = error
    # Whatever it ended with: a miss that somebody swallowed comes before what came of it.
    if player.misses:
        miss = player.misses[0]
        raise stale("again" if miss.again else "unmatched", what=str(miss)) from None
    if isinstance(problem, ApiError):
        why = located(problem, player).message
        raise stale("unplayable", what=f"a recorded answer cannot be used: {why}") from None
    if problem is not None:
        raise problem
    if player.unplayed:
        raise stale("unplayed", what=f"{len(player.unplayed)} recorded not asked for: {player.unplayed[0]}")
    return transcript


@dataclass(frozen=True)
class RecordedClaude:
    """Claude in a replay, where an answer that cannot be used ends the trial: nobody asks again."""

    claude: Claude

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:
        """Send one system prompt and one user message; see ``Claude.ask``."""
        try:
            return self.claude.ask(role, model, system, prompt, options)
        except ApiError as error:
            raise UnusableAnswer(error.message, remedy=error.remedy, service="claude") from None

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request on; see ``Claude.forward``."""
        return self.claude.forward(role, body)


def located(error: ApiError, tape: record_replay.Player | record_replay.Recording) -> ApiError:
    """Return an error with the exchange of its service's last answer in its message."""
    where = tape.last_asked(error.service) if error.service else ""
    return UnusableAnswer(f"{where}: {error.message}", remedy=error.remedy) if where else error


def record_live(state: TrialState) -> tuple[Record, Transcript]:
    """Hold the conversation with real services, and save what was exchanged if it replays.

    Raises:
        HarnessError: A service could not be used, or the recording would not replay; nothing is saved.
    """
    trial, pair, setup = state.trial, state.trial.pair, state.setup
    setup.require_no_link(trial)
    where, transport = endpoints.live(pair, setup.environment), state.transport
    require_place(setup.path(trial))
    state.require_reference()
    setup.journal.begin(trial.slug)
    connection = state.connect(where, transport)
    with setup.wall_limit.running():
        letta_version = connection.letta_version()
        if pair.tools == "server":
            server_tools.require_here(where.letta_url)
            connection.letta.register(prompts.definitions(guided=False).values(), tool_source.source())
        if state.course:
            state.agent_id = state.course.agent_for(trial.place)
    began = time.monotonic()
    with setup.wall_limit.running(), record_replay.recording(where.services) as recording:
        claude = connection.claude(recording)
        try:
            if pair.tools == "client":
                transcript = converse(state, connection, claude)
            else:
                transcript = _converse_in_letta(state, connection, claude, recording)
        except UnusableAnswer as error:
            raise located(error, recording) from None
    facts: dict[str, Any] = {
        "at": setup.now().date().isoformat(),
        "wall_s": round(time.monotonic() - began, 1),
        "transport_retries": dict(transport.retries),
        "pair": staleness.pair_digest(pair),
        "orchestrator": pair.orchestrator.label,
        "coder": pair.coder,
        "tester": pair.tester,
        "backend": pair.backend,
        "versions": versions(pair, letta_version),
    }
    if pair.backend == "claude-code":
        facts["login"] = "endpoint" if where.claude_url else "own"
        facts["notional_cost_usd"] = notional_cost(recording.exchanges)
    if transcript.faults:
        raise ApiError(transcript.faults[0].text)
    row = state.grade(transcript, facts)
    cassette = Cassette(
        trial=trial.slug,
        task=trial.task.digest,
        prompts=prompts.prompts_digest(),
        recorded={**facts, "outcome": row.outcome},
        exchanges=recording.exchanges,
    )
    text = rehearse(state, cassette, transcript)
    left = report_payload(row.row(), transcript, state.workspace.snapshot(), state.verdict, trial.task)
    setup.journal.saving(left, text)
    write = save_or_keep if setup.keeps_unsaved else save
    try:
        write(cassette, setup.path(trial), trial.cassette_path)
    except OSError as error:
        raise DiskError(f"{trial.cassette_path}: not written: {error.strerror}") from None
    if state.course:
        state.course.completed(trial.place, state.agent_id, transcript.blocks("after")[memory.NOTES])
    return row, transcript


def require_place(path: Path) -> None:
    """Raise DiskError where a recording could not be written: nothing is paid for that cannot be kept."""
    if path.is_dir():
        raise DiskError(
            f"{path}: a folder is in the place of the recording: no model was asked",
            remedy="remove it, or move it elsewhere; the same command, or --resume, goes on",
        )
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise DiskError(
            f"{there}: not writable, so that no recording could be kept: no model was asked",
            remedy="give this user the right to write there; the same command, or --resume, goes on",
        )
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        raise DiskError(
            f"{there}: {free / 1e6:.0f} MB are free, and a recording may take more: no model was asked",
            remedy="free some space; the same command, or --resume, goes on",
        )


def rehearse(state: TrialState, cassette: Cassette, transcript: Transcript) -> str:
    """Replay a trial from its recording, as its file will be read; no model answers and no test is run.

    Returns:
        The text of the file; empty if it cannot be written.

    Raises:
        UnplayableRecording: It does not replay, or not as the trial went. It is kept, but not as a cassette.
    """
    trial = state.trial
    again = Rehearsal(state)
    try:
        text = dumps(cassette)
    except ValueError:
        return ""  # ``save`` says why
    try:
        played = play(again, parse(text))
        difference = first_difference(_comparable(state, transcript), _comparable(again, played))
    except HarnessError as error:
        why = error.message.removeprefix(f"{trial.cassette_path}: ")
    else:
        if difference is None:
            return text
        why = f"a replay differs at {difference.path}: {difference.old} live, {difference.new} replayed"
    target, at = state.setup.path(trial), cassette.recorded["at"]
    path = unsaved.keep(target, text, "replay", at, [why]) if state.setup.keeps_unsaved else None
    where = f"; what was recorded waits in {path}" if path else ""
    raise UnplayableRecording(
        f"{trial.cassette_path}: not written, it would not replay: {why}",
        remedy=f"find out what the endpoint does otherwise{where}",
    )


def _comparable(state: TrialState, transcript: Transcript) -> bytes:
    """Return what happened in a trial as JSON, without the ids that a cassette replaces."""
    happened = {"stop": transcript.stop, "events": to_json(transcript.events)}
    return without_ids(json.dumps(happened | {"files": state.workspace.snapshot()}))


def converse(
    state: TrialState, connection: Connection, claude: Claude, behind: ServerSide | None = None
) -> Transcript:
    """Let the orchestrator work on the task until it ends, or a limit is reached.

    With ``tools: server``, ``claude`` is what coder and tester answered already, and ``behind`` what stands
    behind the tools that Letta runs (default: recorded answers).
    """
    trial, behind = state.trial, behind or Replayed()
    in_letta = trial.pair.tools == "server"
    tools = Tools(trial.task, trial.pair, claude, state.workspace, state.note, trial.epoch)
    with connection.orchestrator(behind.secrets if in_letta else None, state.agent_id) as agent:
        rerun = partial(tool_replay.replay, tools, behind) if in_letta else None
        loop = Loop(trial, agent, tools, partial(state.end_attempt, behind), state.note, rerun)
        if trial.pair.memory == "none":
            stop = loop.run()
        else:
            state.agent_id = agent.id
            stop = memory.run(loop, trial.step.review if trial.step else "")
    return Transcript(tuple(state.events), stop)


def _converse_in_letta(
    state: TrialState, connection: Connection, claude: Claude, recording: record_replay.Recording
) -> Transcript:
    """Converse while Letta runs the tools; each call is executed again here, on the answers it got there."""
    trial = state.trial

    def exchanges() -> tuple[Exchange, ...]:
        theirs = f"http://{trial.pair.backend}/"
        return tuple(each for each in recording.exchanges if each.url.startswith(theirs))

    context = tool_context(trial.task, trial.pair, trial.epoch)
    nobody = state.connect(endpoints.replayed(trial.pair), connection.transport).claude(recording)
    with server_tools.live(claude, context, trial.task.files, exchanges) as behind:
        return converse(state, connection, nobody, behind)


def notional_cost(exchanges: Iterable[Exchange]) -> float | None:
    """US dollars that the CLI put down for these exchanges; with a subscription nobody pays them."""
    told = [json.loads(each.response_body)["result"] for each in exchanges if each.url == ADDRESS]
    costs = [result["notional_cost_usd"] for result in told]
    return None if not costs or None in costs else round(sum(costs), 6)
