"""Compare two recorded conversations, exchange by exchange.

Ids that a service makes up for each message and call are left out, and so is the agent's name, which is the
trial's: they always differ. Not covered: dates, versions and tokens, which are listed as facts and make no
difference of the conversation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from harness.agents.transcript import Usage
from harness.cassette.audit.usage import usage
from harness.cassette.exchange import BARE_ID, LETTA_ID, Exchange, rewrite
from harness.cassette.file import Cassette
from harness.cassette.json_diff import first_difference
from harness.tasks.pair import NOT_IN_NAMES

MADE_UP = re.compile(r"(msg|req|call|toolu|chatcmpl|srvtoolu)[_-][A-Za-z0-9_-]{1,60}")
ID_KEYS = frozenset({"id", "request_id", "tool_call_id", "tool_use_id", "step_id", "otid"})
MOST_TO_ALIGN = 1_000


@dataclass(frozen=True)
class Line:
    """One line of a comparison, with details where request and answer of a changed exchange first differ.

    ``mark``: ``=`` the same, ``~`` changed, ``-`` only in the one, ``+`` only in the other, empty: a fact.
    """

    mark: str
    text: str
    details: tuple[str, ...] = ()


def compare_facts(one: Cassette, other: Cassette) -> Iterator[Line]:
    """List the facts in which two recordings differ."""
    facts, others = _facts(one), _facts(other)
    for name in dict.fromkeys([*facts, *others]):
        if facts.get(name) != others.get(name):
            yield Line("", f"{name}: {facts.get(name, '-')} | {others.get(name, '-')}")


def _facts(cassette: Cassette) -> dict[str, str]:
    recorded = {name: str(value) for name, value in cassette.recorded.items() if not isinstance(value, dict)}
    versions = cassette.recorded.get("versions", {}).items()
    used = sum(map(usage, cassette.exchanges), Usage())
    tokens = f"{used.input} in, {used.output} out, cache {used.cache_write} written {used.cache_read} read"
    return {
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        **recorded,
        **{f"version of {name}": number for name, number in versions},
        "exchanges": str(len(cassette.exchanges)),
        "tokens": tokens,
    }


def compare(one: Cassette, other: Cassette) -> Iterator[Line]:
    """Compare the exchanges of both, aligned; each line has its numbers in the one and in the other."""
    mine, theirs = _without_ids(one), _without_ids(other)
    key = attrgetter("method", "url", "request_body", "status", "response_body")
    blocks = [(0, len(mine), 0, len(theirs))]  # long conversations are compared by position
    if max(len(mine), len(theirs)) <= MOST_TO_ALIGN:
        matcher = difflib.SequenceMatcher(None, [*map(key, mine)], [*map(key, theirs)], autojunk=False)
        blocks = [opcode[1:] for opcode in matcher.get_opcodes()]
    for a_from, a_to, b_from, b_to in blocks:
        pairs = min(a_to - a_from, b_to - b_from)
        for i in range(pairs):
            yield _line(a_from + i, mine[a_from + i], b_from + i, theirs[b_from + i])
        for i in range(a_from + pairs, a_to):
            yield Line("-", f"{i + 1:>3}     {_name(mine[i])}")
        for i in range(b_from + pairs, b_to):
            yield Line("+", f"    {i + 1:>3} {_name(theirs[i])}")


def _line(i: int, mine: Exchange, j: int, theirs: Exchange) -> Line:
    text = f"{i + 1:>3} {j + 1:>3} {_name(mine)}"
    heads = (("address", _name(mine), _name(theirs)), ("status", mine.status, theirs.status))
    details = [f"{part}: {a} | {b}" for part, a, b in heads if a != b]
    for part, body in (("request", attrgetter("request_body")), ("answer", attrgetter("response_body"))):
        found = first_difference(body(mine), body(theirs))
        if found is not None:
            details.append(f"{part} {found.path}")
            details += [f"  A {found.old or 'nothing'}", f"  B {found.new or 'nothing'}"]
    return Line("~" if details else "=", text, tuple(details))


def _name(each: Exchange) -> str:
    return f"{each.method} {each.url.removeprefix('http://')}"


def _without_ids(cassette: Cassette) -> list[Exchange]:
    """Return the exchanges without what is made up anew in each recording."""
    agent = NOT_IN_NAMES.sub("_", cassette.trial)

    def field(text: str, key: str) -> str:
        if key == "name" and text == agent:
            return "the trial's name"
        made_up = MADE_UP.fullmatch(text) if key in ID_KEYS else None
        made_up = made_up or LETTA_ID.fullmatch(text)
        return f"{made_up[1]}-…" if made_up else "…" if BARE_ID.fullmatch(text) else text

    return [rewrite(each, lambda text: LETTA_ID.sub(r"\1-…", text), field) for each in cassette.exchanges]
