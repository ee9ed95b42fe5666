"""The cassette file: the recorded HTTP exchanges of one trial, as JSON that a person can review.

    {"format": 1, "trial": "pair/task/1", "task": digest, "prompts": digest, "digest": of all the rest,
     "recorded": {facts that replay cannot measure again},
     "exchanges": [{"request": {...}, "response": {...}}, ...]}

A file is read as what anybody may have written: only a regular file, no larger than ``MAX_BYTES``, every
type checked. ``digest`` tells an edit by accident or in good faith, not one by somebody who computes it
anew. How a row is written is ``delta.py``'s business, how exchanges are matched and played
``recorder.py``'s, the folder of all cassettes ``cassettes.py``'s.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from harness import redact
from harness.cassette.encoding import DAMAGE, decoded, encoded, is_a, only, plainly
from harness.cassette.exchange import MAX_DEPTH, Exchange, is_shallow, normalised, parse_body, strict_json
from harness.errors import CassetteError, EditedCassette, MissingCassette, StaleCassette, UnsafeCassette
from harness.files import write_whole

FORMAT = 1
MAX_BYTES = 16_000_000  # a 60-turn loop takes 0.4 million
ROUND_A_BODY = 12  # levels that the file adds to those of a body
MAX_LEAKS = 100
KEYS = frozenset({"format", "trial", "task", "prompts", "digest", "recorded", "exchanges"})
TEXT_FACTS = ("at", "pair", "orchestrator", "coder", "tester", "backend", "outcome")


@dataclass(frozen=True)
class Cassette:
    """What was recorded of one trial.

    Attributes:
        trial: Its slug.
        task: Digest of what the models saw of the task.
        prompts: Digest of the harness's prompts.
        recorded: Facts that a replay cannot measure: date, wall time, versions, the pair's digest.
        exchanges: In the order in which they ended.
        has_digest: Whether the file says what its content was when it was recorded. False for a file
            that was recorded before there were digests: an edit of it cannot be noticed.
    """

    trial: str
    task: str
    prompts: str
    recorded: dict[str, Any] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()
    has_digest: bool = field(default=True, compare=False)


def load(path: Path, shown: str, *, record_with: str = "", again_with: str = "") -> Cassette:
    """Read a cassette.

    Args:
        path: The file.
        shown: What to call it in messages.
        record_with: The command that records what is missing; empty if nobody knows.
        again_with: The command that records anew what is there. Default: the same.

    Raises:
        MissingCassette: There is no such file.
        StaleCassette: It was written in another format.
        EditedCassette: It is not what was recorded.
        CassetteError: It is not a cassette, or damaged.
    """
    again_with = again_with or record_with
    again = f"record it again: {again_with}" if again_with else "record its trial again"
    try:
        return parsed(read(path), shown, again)
    except FileNotFoundError:
        remedy = f"record it: {record_with}" if record_with else ""
        raise MissingCassette(f"nothing recorded at {shown}", remedy=remedy) from None
    except OSError as error:
        raise CassetteError(
            f"{shown}: cannot be read: {error.strerror}", remedy=f"restore it, or {again}"
        ) from None


def read(path: Path) -> bytes:
    """The bytes of a file that may be a cassette.

    Raises:
        OSError: It cannot be read, is too large, or is no regular file: a pipe would block, a device
            never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if found.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES} bytes")
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)


def parsed(raw: bytes, shown: str, again: str) -> Cassette:
    """A cassette from what stands in its file.

    Args:
        raw: The file's bytes.
        shown: What to call it in messages.
        again: What to do if it is of no use.

    Raises:
        StaleCassette: It was written in another format.
        EditedCassette: It is not what was recorded.
        CassetteError: It is not a cassette, or damaged.
    """
    if len(raw) > MAX_BYTES:
        raise CassetteError(f"{shown}: larger than {MAX_BYTES} bytes", remedy=again)
    try:
        data = strict_json(raw.decode("utf-8", "surrogatepass"))
        if not is_shallow(data, MAX_DEPTH + ROUND_A_BODY):
            raise RecursionError
        version = is_a(data, dict)["format"]
        if type(version) is not int or version != FORMAT:
            newer = "update the harness, or " if type(version) is int and version > FORMAT else ""
            raise StaleCassette(
                f"{shown}: format {repr(version)[:40]}; this harness reads format {FORMAT}",
                remedy=f"{newer}{again}",
            )
        cassette = _cassette(only(data, KEYS))
    except DAMAGE as error:
        raise CassetteError(
            f"{shown}: not a whole cassette ({plainly(error)})", remedy=f"restore it, or {again}"
        ) from None
    if cassette.has_digest and data["digest"] != digest_of(cassette):
        raise EditedCassette(
            f"{shown}: edited after it was recorded (its digest differs)", remedy=f"restore it, or {again}"
        )
    return cassette


def _cassette(data: dict[str, Any]) -> Cassette:
    if "digest" in data:
        is_a(data["digest"], str)
    return Cassette(
        trial=is_a(data["trial"], str),
        task=is_a(data["task"], str),
        prompts=is_a(data["prompts"], str),
        recorded=_facts(data["recorded"]),
        exchanges=tuple(decoded(data["exchanges"])),
        has_digest="digest" in data,
    )


def _facts(value: Any) -> dict[str, Any]:
    """Recorded facts, with the types that tables rely on."""
    facts = is_a(value, dict)
    for name in TEXT_FACTS:
        is_a(facts.get(name, ""), str)
    for version in is_a(facts.get("versions", {}), dict).values():
        is_a(version, str)
    for count in is_a(facts.get("transport_retries", {}), dict).values():
        is_a(count, int)
    if not isinstance(facts.get("wall_s", 0.0), float):
        is_a(facts["wall_s"], int)
    return facts


def digest_of(cassette: Cassette) -> str:
    """Hash of a cassette as it is read back: of its values, so that another layout of the file is no edit."""
    hashed = hashlib.sha256()

    def add(*values: Any) -> None:
        hashed.update(json.dumps(values, sort_keys=True, ensure_ascii=True).encode() + b"\n")

    add(cassette.trial, cassette.task, cassette.prompts, cassette.recorded)
    for each in cassette.exchanges:
        add(each.method, each.url, each.request_headers, each.status, each.response_headers)
        for body in (each.request_body, each.response_body):
            add(len(body))
            hashed.update(body)
    return hashed.hexdigest()


def save(cassette: Cassette, path: Path, shown: str) -> None:
    """Write a cassette whole or not at all; what could not be read back is not written.

    Raises:
        UnsafeCassette: It holds what looks like a secret; names the place and the kind, not the value.
        CassetteError: It is larger than what is read.
    """
    found = leaks(cassette)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UnsafeCassette(
            f"{shown}: not written, it would hold {'; '.join(found[:3])}{more}",
            remedy="keep secrets out of prompts and answers, or rename the variable if it is none",
        )
    text = dumps(cassette)
    parsed(text.encode("utf-8", "surrogatepass"), f"{shown}: not written", "lower the task's limits")
    write_whole(path, text)


def dumps(cassette: Cassette) -> str:
    """The text of the file. The same trial recorded twice gives the same ids and dates in it."""
    cassette = replace(cassette, exchanges=tuple(normalised(cassette.exchanges)))
    data = {
        "format": FORMAT,
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        "digest": digest_of(cassette),
        "recorded": cassette.recorded,
        "exchanges": encoded(cassette.exchanges),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def leaks(cassette: Cassette) -> list[str]:
    """Where it holds what looks like a secret: JSON path and kind, never the value. At most ``MAX_LEAKS``."""
    return sorted(set(islice(redact.leaks(_readable(cassette), os.environ), MAX_LEAKS)))


def _readable(cassette: Cassette) -> Any:
    """The cassette as one JSON value with whole bodies, for the scan."""

    def whole(raw: bytes) -> Any:
        known, value = parse_body(raw)
        return value if known else raw.decode("utf-8", "replace")

    return {
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        "recorded": cassette.recorded,
        "exchanges": [
            {
                "method": each.method,
                "url": each.url,
                "request": whole(each.request_body),
                "request_headers": each.request_headers,
                "response": whole(each.response_body),
                "response_headers": each.response_headers,
            }
            for each in cassette.exchanges
        ],
    }
