"""The cassette file: the recorded HTTP exchanges of one trial, as JSON that a person can review.

    {"format": 1, "trial": "pair/task/1", "task": digest, "prompts": digest, "digest": of all the rest,
     "recorded": {facts that replay cannot measure again},
     "exchanges": [{"request": {...}, "response": {...}}, ...]}

Anybody may have written a file: only a regular file no larger than ``MAX_BYTES`` is read, and its types are
strict. ``digest`` detects an edit by accident or in good faith, not one by somebody who computes it anew.

Not covered: the rows (``encoding.py``), matching and playing (``record_replay.py``), the folder (``audit/``).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness import redact
from harness.cassette.encoding import MAX_EXCHANGES, Row, bounded, decode, encode, explain, readable
from harness.cassette.exchange import (
    MAX_DEPTH,
    Exchange,
    is_shallow,
    normalise,
    require_few_values,
    strict_json,
)
from harness.cassette.notation import Strict
from harness.errors import (
    CassetteError,
    EditedCassette,
    MissingCassette,
    StaleCassette,
    UnplayableRecording,
    UnsafeCassette,
)
from harness.files import write_whole
from harness.redact import allowed
from harness.terminal import one_line

FORMAT = 1
MAX_BYTES = 16_000_000  # a 60-turn loop takes 0.4 million
LEVELS_AROUND_A_BODY = 12
MAX_LEAKS = 100
LINK = "a link; cassettes are files of their own"
PARTS = ("request", "response")
NO_BODY = {"json": None, "text": None, "base64": None}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_WALL_S = 10_000_000  # four months
MAX_COST_USD = 1_000_000
MAX_RETRIES = 1_000_000


@dataclass(frozen=True)
class Cassette:
    """The recording of one trial.

    Attributes:
        trial: Its slug.
        task, prompts: Digests of what the models saw of the task, and of the harness's prompts.
        recorded: Facts that a replay cannot measure: date, wall time, versions, the pair's digest.
        exchanges: In the order in which they ended.
        rows: The exchanges as they stand in the file that this was read from.
    """

    trial: str
    task: str
    prompts: str
    recorded: dict[str, Any] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()
    rows: tuple[dict[str, Any], ...] = field(default=(), compare=False, repr=False)


def _day(text: str) -> str:
    try:
        known = DAY.fullmatch(text) and 2000 <= date.fromisoformat(text).year < 2200
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"expected a day such as 2026-11-22, got {text[:40]!r}")
    return text


Day = Annotated[str, AfterValidator(_day)]


class Facts(BaseModel):
    """Values that tables rely on, of facts that a replay cannot measure; further facts are allowed."""

    model_config = ConfigDict(strict=True, extra="allow")

    at: Day
    pair: str = ""
    orchestrator: str = ""
    coder: str = ""
    tester: str = ""
    backend: str = ""
    outcome: str = ""
    login: str = ""
    wall_s: Annotated[float, Field(ge=0, le=MAX_WALL_S)] = 0.0
    notional_cost_usd: Annotated[float | None, Field(ge=0, le=MAX_COST_USD)] = None
    versions: dict[str, str] = {}
    transport_retries: dict[str, Annotated[int, Field(ge=0, le=MAX_RETRIES)]] = {}


def _typed(facts: dict[str, Any]) -> dict[str, Any]:
    Facts.model_validate(facts)
    return facts


class Content(Strict):
    """What stands in the file."""

    format: Literal[1]
    trial: str
    task: str
    prompts: str
    digest: str = ""
    recorded: Annotated[dict[str, Any], AfterValidator(_typed)]
    exchanges: list[Row] = Field(max_length=MAX_EXCHANGES)


def load(path: Path, display: str, *, record_with: str = "", again_with: str = "") -> Cassette:
    """Read a cassette, called ``display`` in messages.

    ``record_with`` is the command that records what is missing, empty if it is not known; ``again_with`` the
    one that records it again, by default the same.

    Raises:
        MissingCassette: There is no such file.
        StaleCassette: It was written in another format.
        EditedCassette: It is not what was recorded.
        CassetteError: It is not a cassette, or damaged.
    """
    again = _again(again_with or record_with)
    restore = f"restore it, or {again}"
    try:
        cassette, digest = _parse(read(path), display, again)
    except FileNotFoundError:
        remedy = f"record it: {record_with}" if record_with else ""
        raise MissingCassette(f"nothing recorded at {display}", remedy=remedy) from None
    except OSError as error:
        raise CassetteError(f"{display}: cannot be read: {error.strerror}", remedy=restore) from None
    except (ValueError, RecursionError) as error:
        raise CassetteError(f"{display}: not a whole cassette ({explain(error)})", remedy=restore) from None
    if digest != digest_of(cassette):
        what = "its digest differs" if digest else "its digest is gone"
        raise EditedCassette(f"{display}: edited after it was recorded ({what})", remedy=restore)
    return cassette


def read(path: Path) -> bytes:
    """Read the bytes of a file that may be a cassette.

    Raise OSError if it is too large, or no regular file: a pipe would block, a device never end.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES} bytes")
    return raw


def _parse(raw: bytes, display: str, again: str) -> tuple[Cassette, str]:
    """Return the content of a file and the digest in it."""
    require_few_values(raw)
    data = strict_json(raw.decode("utf-8", "surrogatepass"))
    if not is_shallow(data, MAX_DEPTH + LEVELS_AROUND_A_BODY):
        raise RecursionError
    version = data.get("format", FORMAT) if isinstance(data, dict) else FORMAT
    if type(version) is not int or version != FORMAT:
        newer = "update the harness, or " if type(version) is int and version > FORMAT else ""
        text = f"{display}: format {repr(version)[:40]}; this harness reads format {FORMAT}"
        raise StaleCassette(text, remedy=f"{newer}{again}")
    content = Content.model_validate(data)
    cassette = Cassette(
        content.trial,
        content.task,
        content.prompts,
        content.recorded,
        exchanges=tuple(bounded(decode(content.exchanges))),
        rows=tuple(data["exchanges"]),
    )
    return cassette, content.digest


def digest_of(cassette: Cassette) -> str:
    """Hash the values of a cassette, so that another layout of the file is no edit."""
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


def save(cassette: Cassette, path: Path, display: str) -> None:
    """Write a cassette whole or not at all.

    Raises:
        UnsafeCassette: It holds what looks like a secret; names the place and the kind, not the value.
        UnplayableRecording: It could not be read back: it is larger than what is read, or has odd values.
    """
    found = leaks(replace(cassette, rows=()), path)
    if found:
        remedy = "keep secrets out of prompts and answers, or rename the variable if it is none"
        raise UnsafeCassette(f"{display}: not written, it would hold {first_of(found)}", remedy=remedy)
    try:
        text = dumps(cassette)
    except ValueError as error:
        remedy = "lower the task's limits"
        raise UnplayableRecording(f"{display}: not written: {explain(error)}", remedy=remedy) from None
    write_whole(path, text)


def dumps(cassette: Cassette) -> str:
    """Return the text of the file; raise ValueError if it could not be read back.

    The same trial recorded twice gives the same ids and dates in it.
    """
    cassette = replace(cassette, exchanges=tuple(normalise(cassette.exchanges)))
    data = {
        "format": FORMAT,
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        "digest": digest_of(cassette),
        "recorded": cassette.recorded,
        "exchanges": encode(bounded(cassette.exchanges)),
    }
    Content.model_validate(data)
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    require_few_values(raw)
    return text


def parse(text: str) -> Cassette:
    """Return the cassette that stands in a text of ``dumps``; raise ValueError if there is none."""
    return _parse(text.encode("utf-8", "surrogatepass"), "", "")[0]


def allow_folder(path: Path) -> Path:
    """Return the folder of all cassettes, where the allow-list stands: pair, task and epoch are below it."""
    return path.absolute().parents[2]


def unsafe(found: list[str], display: str, again_with: str = "") -> UnsafeCassette:
    """Return the error of a cassette in which these leaks were found; ``again_with`` records it again."""
    remedy = f"if that is a secret, have it replaced where it is valid, and {_again(again_with)}"
    places = first_of([one_line(leak)[-200:] for leak in found])
    return UnsafeCassette(f"{display}: it holds {places}", remedy=remedy)


def _again(command: str) -> str:
    return f"record it again: {command}" if command else "record its trial again"


def require_no_link(path: Path, folder: Path, display: str) -> None:
    """Raise CassetteError if a cassette, or a folder between it and the folder of all, is a link."""
    places = [path, *path.parents]
    if any(place.is_symlink() for place in places[: places.index(folder)]):
        raise CassetteError(f"{display}: {LINK}", remedy="put the file itself in its place")


def first_of(found: list[str]) -> str:
    """Name the first three things that were found, and how many more."""
    return "; ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def leaks(cassette: Cassette, path: Path) -> list[str]:
    """List what looks like a secret: JSON path and kind, never the value. At most ``MAX_LEAKS``.

    What a request repeats of earlier ones is looked at once, so this takes as long as the file is large.

    ``path``: where the cassette stands; what the allow-list of its folder names is none.

    Raises:
        UsageError: That list is wrong.
    """
    rows = cassette.rows or encode(cassette.exchanges)
    heads = [[{**row[part], **NO_BODY} for part in PARTS] for row in rows]
    exchanges = [{part: readable(row[part]) for part in PARTS} for row in rows]
    content = {**vars(cassette), "rows": heads, "exchanges": exchanges}
    unscrubbed = (
        f"$.exchanges[{number}].{part}: a value under a key that says it is a secret"
        for number, each in enumerate(exchanges)
        for part, value in each.items()
        if redact.body(value) != value
    )
    known = allowed.load(allow_folder(path))
    found = chain(redact.leaks(content, os.environ, known), unscrubbed)
    return sorted(set(islice(found, MAX_LEAKS)))
