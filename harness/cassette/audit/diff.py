"""How two recorded conversations differ, exchange by exchange.

Ids that a service makes up for each message and call are left out, and so is the agent's name, which is
the trial's: they always differ and say nothing. Dates, versions and tokens are told in the head, and make
no difference of the conversation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.agents.transcript import Usage
from harness.cassette.audit.usage import total
from harness.cassette.exchange import BARE_ID, LETTA_ID, Exchange, compact, parse_body
from harness.cassette.file import Cassette
from harness.cassette.json_diff import comparable, first_difference
from harness.tasks.trial import NOT_IN_NAMES

MADE_UP = re.compile(r"(msg|req|call|toolu|chatcmpl|srvtoolu)[_-][A-Za-z0-9_-]{1,60}")
ID_KEYS = frozenset({"id", "request_id", "tool_call_id", "tool_use_id", "step_id", "otid"})
MOST_TO_ALIGN = 1_000


@dataclass(frozen=True)
class Line:
    """One line of a comparison.

    Attributes:
        mark: ``=`` the same, ``~`` changed, ``-`` only in the one, ``+`` only in the other, empty: a fact.
        text: What it is about.
        details: For a changed exchange: where request and answer first differ.
    """

    mark: str
    text: str
    details: tuple[str, ...] = ()


def heads(one: Cassette, other: Cassette) -> Iterator[Line]:
    """The facts in which two recordings differ."""
    for name, a, b in (("trial", one.trial, other.trial), ("task", one.task, other.task)):
        if a != b:
            yield Line("", f"{name}: {a} | {b}")
    if one.prompts != other.prompts:
        yield Line("", f"prompts: {one.prompts} | {other.prompts}")
    facts, others = _flat(one), _flat(other)
    for name in [*facts, *(name for name in others if name not in facts)]:
        if facts.get(name) != others.get(name):
            yield Line("", f"{name}: {facts.get(name, '-')} | {others.get(name, '-')}")


def _flat(tape: Cassette) -> dict[str, str]:
    facts = {name: str(value) for name, value in tape.recorded.items() if not isinstance(value, dict)}
    versions = {f"version of {name}": number for name, number in tape.recorded.get("versions", {}).items()}
    return {**facts, **versions, "exchanges": str(len(tape.exchanges)), "tokens": _tokens(tape)}


def _tokens(tape: Cassette) -> str:
    used: Usage = total(tape.exchanges)
    return f"{used.input} in, {used.output} out, cache {used.cache_write} written {used.cache_read} read"


def compared(one: Cassette, other: Cassette) -> Iterator[Line]:
    """The exchanges of both, aligned; each with its numbers in the one and in the other."""
    mine, theirs = _levelled(one), _levelled(other)
    for a_from, a_to, b_from, b_to in _blocks(mine, theirs):
        pairs = min(a_to - a_from, b_to - b_from)
        for i in range(pairs):
            yield _line(a_from + i, mine[a_from + i], b_from + i, theirs[b_from + i])
        for i in range(a_from + pairs, a_to):
            yield Line("-", f"{i + 1:>3}     {_name(mine[i])}")
        for i in range(b_from + pairs, b_to):
            yield Line("+", f"    {i + 1:>3} {_name(theirs[i])}")


def _blocks(mine: list[Exchange], theirs: list[Exchange]) -> Iterator[tuple[int, int, int, int]]:
    """Ranges of both that belong together. Very long conversations are compared by position."""
    if max(len(mine), len(theirs)) > MOST_TO_ALIGN:
        yield 0, len(mine), 0, len(theirs)
        return
    ours, others = [_key(each) for each in mine], [_key(each) for each in theirs]
    for _, *span in difflib.SequenceMatcher(None, ours, others, autojunk=False).get_opcodes():
        a_from, a_to, b_from, b_to = span
        yield a_from, a_to, b_from, b_to


def _key(each: Exchange) -> tuple[Any, ...]:
    return each.method, each.url, each.request_body, each.status, each.response_body


def _line(i: int, mine: Exchange, j: int, theirs: Exchange) -> Line:
    text = f"{i + 1:>3} {j + 1:>3} {_name(mine)}"
    details = []
    if _name(mine) != _name(theirs):
        details.append(f"address: {_name(mine)} | {_name(theirs)}")
    if mine.status != theirs.status:
        details.append(f"status: {mine.status} | {theirs.status}")
    for part, a, b in (
        ("request", mine.request_body, theirs.request_body),
        ("answer", mine.response_body, theirs.response_body),
    ):
        found = first_difference(*comparable(a, b))
        if found is not None:
            details.append(f"{part} {found.path}")
            details.append(f"  A {found.old or 'nothing'}")
            details.append(f"  B {found.new or 'nothing'}")
    return Line("~" if details else "=", text, tuple(details))


def _name(each: Exchange) -> str:
    return f"{each.method} {each.url.removeprefix('http://')}"


def _levelled(tape: Cassette) -> list[Exchange]:
    """The exchanges without what is made up anew each time."""
    agent = NOT_IN_NAMES.sub("_", tape.trial)

    def walk(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            if key == "name" and value == agent:
                return "the trial's name"
            made_up = MADE_UP.fullmatch(value) if key in ID_KEYS else None
            made_up = made_up or LETTA_ID.fullmatch(value)
            return f"{made_up[1]}-…" if made_up else "…" if BARE_ID.fullmatch(value) else value
        if isinstance(value, list):
            return [walk(item, key) for item in value]
        return {k: walk(v, k) for k, v in value.items()} if isinstance(value, dict) else value

    def body(raw: bytes) -> bytes:
        known, value = parse_body(raw)
        return compact(walk(value)) if known else raw

    return [
        replace(
            each,
            url=LETTA_ID.sub(r"\1-…", each.url),
            request_body=body(each.request_body),
            response_body=body(each.response_body),
        )
        for each in tape.exchanges
    ]
