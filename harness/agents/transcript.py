"""The events of a trial in the order in which they happened, and the figures that follow from them."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from harness.agents.prompts import CODER_TOOL

Role = Literal["orchestrator", "coder", "tester"]
ROLES: tuple[Role, ...] = ("orchestrator", "coder", "tester")
MAX_COUNT = 100_000_000  # tokens or steps of one answer


@dataclass(frozen=True)
class Usage:
    """Tokens of four kinds that never overlap; ``input`` counts those that no cache was involved in.

    ``cache_write_1h`` is the part of ``cache_write`` that the cache keeps for an hour, at a price of its own.
    """

    input: int = 0
    cache_write: int = 0
    cache_read: int = 0
    output: int = 0
    cache_write_1h: int = 0

    def __post_init__(self) -> None:
        if not all(type(tokens) is int and tokens >= 0 for tokens in self.counts):
            raise TypeError("expected whole numbers of tokens, not below 0")

    @property
    def counts(self) -> tuple[int, ...]:
        """The five numbers, in the order of the fields (what ``astuple`` gives, at a tenth of the time)."""
        return (self.input, self.cache_write, self.cache_read, self.output, self.cache_write_1h)

    @property
    def prompt(self) -> int:
        """All tokens read, those of caches among them."""
        return self.input + self.cache_write + self.cache_read

    @property
    def total(self) -> int:
        """All tokens, read and written."""
        return self.prompt + self.output

    @classmethod
    def from_messages(cls, usage: Mapping[str, Any]) -> Usage:
        """Return the tokens that an answer of Claude's Messages API, or of the Claude CLI, reports.

        Raises:
            KeyError: A count is missing; those of the cache may be.
            TypeError: A count is none.
        """
        given, made = usage["input_tokens"], usage["output_tokens"]
        if given is None or made is None:
            raise TypeError("expected numbers of tokens")
        written, parts = count(usage.get("cache_creation_input_tokens")), usage.get("cache_creation") or {}
        parts = parts if isinstance(parts, Mapping) else vars(parts)  # the SDK's own type
        return cls(
            input=count(given),
            cache_write=written,
            cache_read=count(usage.get("cache_read_input_tokens")),
            output=count(made),
            cache_write_1h=min(written, count(parts.get("ephemeral_1h_input_tokens"))),
        )

    @classmethod
    def from_letta(cls, usage: Mapping[str, Any]) -> Usage:
        """Return the tokens of an answer of Letta, whose ``prompt_tokens`` include those of caches.

        Raises:
            TypeError: A count is none.
        """
        read, written = count(usage.get("cached_input_tokens")), count(usage.get("cache_write_tokens"))
        return cls(
            input=max(0, count(usage.get("prompt_tokens")) - read - written),
            cache_write=written,
            cache_read=read,
            output=count(usage.get("completion_tokens")),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(*map(operator.add, self.counts, other.counts))


def count(value: object) -> int:
    """Return a count that a service reports in one answer; 0 for None.

    Raises:
        TypeError: It is no whole number from 0 to ``MAX_COUNT``.
    """
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise TypeError(f"expected a whole number from 0 to {MAX_COUNT}, got {repr(value)[:24]}")
    return value


@dataclass(frozen=True)
class Said:
    """A text: the user's message, the orchestrator's words, or Claude's whole answer."""

    attempt: int
    speaker: Literal["user", "orchestrator", "coder", "tester"]
    text: str
    thinking: bool = False


@dataclass(frozen=True)
class Called:
    """The orchestrator called a tool. ``arguments`` is the JSON text that the model wrote."""

    attempt: int
    call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True)
class Wrote:
    """A tool wrote a file into the workspace."""

    attempt: int
    role: Role
    path: str
    text: str


@dataclass(frozen=True)
class Returned:
    """The answer to a tool call."""

    attempt: int
    call_id: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Spent:
    """Tokens of one answer of Letta or Claude, which took ``steps`` requests to the model."""

    attempt: int
    role: Role
    model: str
    usage: Usage
    steps: int = 1


@dataclass(frozen=True)
class Tested:
    """The generated tests ran on the generated code after an attempt."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    attempt: int
    passed: bool
    text: str


@dataclass(frozen=True)
class Fault:
    """Letta or Claude could not be used: the trial says nothing about the models."""

    attempt: int
    text: str


@dataclass(frozen=True)
class Remembered:
    """The orchestrator called a memory tool, which Letta executed: it counts as no tool call."""

    attempt: int
    call_id: str
    tool: str
    arguments: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Block:
    """A memory block of the orchestrator's, as a trial finds it and as it leaves it."""

    attempt: int
    moment: Literal["before", "after"]
    label: str
    text: str


Event: TypeAlias = Said | Called | Wrote | Returned | Spent | Tested | Fault | Remembered | Block
EVENTS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in get_args(Event)}
TYPES = {name: get_type_hints(kind) for name, kind in EVENTS.items()}
Stop = Literal["done", "tool_call_limit", "step_limit", "token_limit"]
Watch: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class Transcript:
    """The events of a trial. ``stop``: ``done`` if the orchestrator ended its last turn by itself."""

    events: tuple[Event, ...]
    stop: Stop = "done"

    @property
    def attempts(self) -> int:
        """Attempts begun."""
        return max((event.attempt for event in self.events), default=0)

    @property
    def tool_calls(self) -> int:
        """Tool calls made."""
        return sum(isinstance(event, Called) for event in self.events)

    @property
    def tool_errors(self) -> int:
        """Tool calls that returned an error."""
        return sum(isinstance(event, Returned) and not event.ok for event in self.events)

    @property
    def wasted_calls(self) -> int:
        """Tool calls that returned an error, or repeated one of the same attempt that had succeeded.

        The tester may be called again once the coder has written something else.
        """
        wasted = 0
        done: set[tuple[int, str, str]] = set()
        calls: dict[str, Called] = {}
        for event in self.events:
            if isinstance(event, Called):
                calls[event.call_id] = event
            elif isinstance(event, Returned):
                call = calls.get(event.call_id)
                key = (event.attempt, call.tool, _canonical(call.arguments)) if call else None
                if not event.ok or key is None or key in done:
                    wasted += 1
                    continue
                if key[1] == CODER_TOOL:
                    done = {each for each in done if each[1] == CODER_TOOL}
                done.add(key)
        return wasted

    @property
    def final_answer(self) -> str:
        """The last that the orchestrator said in its last attempt; empty if it said nothing there."""
        last = (self.attempts, "orchestrator", False)
        said = [event for event in self.events if isinstance(event, Said)]
        return next((e.text for e in said[::-1] if (e.attempt, e.speaker, e.thinking) == last), "")

    @property
    def steps(self) -> int:
        """Model calls that the orchestrator made inside Letta."""
        return sum(e.steps for e in self.events if isinstance(e, Spent) and e.role == "orchestrator")

    @property
    def coder_called(self) -> bool:
        """True if the orchestrator called the coder at least once, with whatever result."""
        return any(isinstance(event, Called) and event.tool == CODER_TOOL for event in self.events)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Failures that are not the models' doing."""
        return tuple(event for event in self.events if isinstance(event, Fault))

    @property
    def memory_calls(self) -> int:
        """Calls of memory tools."""
        return sum(isinstance(event, Remembered) for event in self.events)

    def blocks(self, moment: Literal["before", "after"]) -> dict[str, str]:
        """Return the memory blocks at a moment, by label."""
        return {e.label: e.text for e in self.events if isinstance(e, Block) and e.moment == moment}

    def usage(self, role: Role) -> Usage:
        """Add up the tokens that a role used in the whole trial."""
        return sum((event.usage for event in self.spent(role)), Usage())

    def spent(self, role: Role) -> tuple[Spent, ...]:
        """Return what each answer to a role used."""
        return tuple(event for event in self.events if isinstance(event, Spent) and event.role == role)


def _canonical(arguments: str) -> str:
    """Return the same text for arguments that mean the same; as the model wrote them if they are no JSON."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def to_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events as JSON-like rows, each with its ``kind``; ``from_json`` is the inverse."""
    rows = [{"kind": type(event).__name__.lower(), **vars(event)} for event in events]
    for row in rows:
        if "usage" in row:
            row["usage"] = usage = {**vars(row["usage"])}
            if not usage["cache_write_1h"]:
                del usage["cache_write_1h"]  # so that a conversation's hash is that of earlier versions
    return rows


def from_json(rows: Iterable[dict[str, Any]]) -> tuple[Event, ...]:
    """Parse the rows that ``to_json`` wrote.

    Raises:
        KeyError, TypeError, ValueError: A row is not one that ``to_json`` wrote.
    """

    def event(kind: str, **fields: Any) -> Event:
        if EVENTS[kind] is Spent:
            fields["usage"] = Usage(**fields["usage"])
        made = EVENTS[kind](**fields)
        for name, hint in TYPES[kind].items():
            value = getattr(made, name)
            if not (value in get_args(hint) if get_origin(hint) is Literal else type(value) is hint):
                raise TypeError(f"{kind}.{name}: unexpected {repr(value)[:60]}")
        return made

    return tuple(event(**row) for row in rows)
