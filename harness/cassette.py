"""The cassette file: the recorded HTTP exchanges of one trial, as JSON that a person can review.

    {"format": 1, "trial": "pair/task/1", "task": digest, "prompts": digest,
     "recorded": {facts that replay cannot measure again},
     "exchanges": [{"request": {...}, "response": {...}}, ...]}

How a row is written is ``delta.py``'s business, how exchanges are matched and played ``recorder.py``'s.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import scrub
from harness.atomic import write_whole
from harness.delta import decoded, encoded, is_a
from harness.errors import CassetteError, MissingCassette, StaleCassette, UnsafeCassette
from harness.exchange import Exchange, levelled, parse_body

FORMAT = 1
MAX_BYTES = 64_000_000


@dataclass(frozen=True)
class Cassette:
    """What was recorded of one trial."""

    trial: str
    task: str
    prompts: str
    recorded: dict[str, Any] = field(default_factory=dict)
    exchanges: tuple[Exchange, ...] = ()


def load(path: Path, shown: str, *, record_with: str, again_with: str = "") -> Cassette:
    """Read a cassette.

    Args:
        path: The file.
        shown: What to call it in messages.
        record_with: The command that records what is missing.
        again_with: The command that records anew what is there. Default: the same.

    Raises:
        MissingCassette: There is no such file.
        StaleCassette: It was written in another format.
        CassetteError: It is not a cassette, or damaged.
    """
    again_with = again_with or record_with
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CassetteError(
                f"{shown}: larger than {MAX_BYTES} bytes", remedy=f"record it again: {again_with}"
            )
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or "exchanges" not in data:
            raise ValueError("expected an object with 'exchanges'")
        if data.get("format") != FORMAT:
            raise StaleCassette(
                f"{shown}: format {data.get('format')!r}; this harness reads format {FORMAT}",
                remedy=f"record it again: {again_with}",
            )
        return Cassette(
            trial=is_a(data["trial"], str),
            task=is_a(data["task"], str),
            prompts=is_a(data["prompts"], str),
            recorded=is_a(data["recorded"], dict),
            exchanges=tuple(decoded(data["exchanges"])),
        )
    except FileNotFoundError:
        raise MissingCassette(f"nothing recorded at {shown}", remedy=f"record it: {record_with}") from None
    except OSError as error:
        raise CassetteError(f"{shown}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise CassetteError(
            f"{shown}: not a whole cassette ({what})", remedy=f"restore it, or record it again: {again_with}"
        ) from None


def save(cassette: Cassette, path: Path, shown: str) -> None:
    """Write a cassette whole or not at all.

    Raises:
        UnsafeCassette: It holds what looks like a secret; names the place and the kind, not the value.
    """
    found = sorted(set(scrub.leaks(_readable(cassette), os.environ)))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UnsafeCassette(
            f"{shown}: not written, it would hold {'; '.join(found[:3])}{more}",
            remedy="keep secrets out of prompts and answers, or rename the variable if it is none",
        )
    write_whole(path, dumps(cassette))


def dumps(cassette: Cassette) -> str:
    """The text of the file. The same trial recorded twice gives the same ids and dates in it."""
    data = {
        "format": FORMAT,
        "trial": cassette.trial,
        "task": cassette.task,
        "prompts": cassette.prompts,
        "recorded": cassette.recorded,
        "exchanges": encoded(levelled(cassette.exchanges)),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _readable(cassette: Cassette) -> Any:
    """The cassette as one JSON value with whole bodies, for the scan."""

    def whole(raw: bytes) -> Any:
        known, value = parse_body(raw)
        return value if known else raw.decode("utf-8", "replace")

    return {
        "trial": cassette.trial,
        "recorded": cassette.recorded,
        "exchanges": [
            {
                "url": each.url,
                "request": whole(each.request_body),
                "request_headers": each.request_headers,
                "response": whole(each.response_body),
                "response_headers": each.response_headers,
            }
            for each in cassette.exchanges
        ],
    }
