"""Exchanges as rows of JSON that a person can review, each request as a delta to the ones before.

A value that an earlier request to the same address carried is ``{"$same": k}`` (k requests back); a list
that continues an earlier one is ``{"$prefix": n, "back": k, "then": [...]}``; what an answer repeats is
``{"$same": k, "at": place}`` (``repeats.py``); a text of several lines is ``{"$lines": [...]}``. So a changed
word is a changed line, and a conversation that is sent again and again is stored once. A key that starts with
``$`` is stored with a second one. Bodies that are no JSON object or list are ``text``, by lines, or
``base64``.

Anybody may have written a row: types are strict, unknown keys are refused, and what the references may
unfold to is bounded. Not covered: the rest of the file (``file.py``).
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from harness.cassette.exchange import Exchange, compact, is_recordable, parse_body
from harness.cassette.notation import Strict, escape, join_lines, split_lines, unescape
from harness.cassette.repeats import Conversation
from harness.redact import REQUEST_HEADERS, RESPONSE_HEADERS

WORTH_SHARING = 60
LOOK_BACK = 8
MAX_DECODED = 32_000_000  # bytes of all bodies of one cassette: a 60-turn loop has 7 million
MAX_EXCHANGES = 10_000


def _sendable(text: str) -> str:
    _ = urlsplit(text).port  # raises ValueError for a broken host or port
    if not text.isprintable():
        raise ValueError("expected a URL that can be sent")
    return text


def _only(allowed: frozenset[str], headers: dict[str, str]) -> dict[str, str]:
    odd = sorted(headers.keys() - allowed)
    if odd:
        names = " and ".join(sorted(allowed))
        raise ValueError(f"expected no header but {names}, which alone are recorded; got {odd[0][:40]!r}")
    return headers


def _recordable(status: int) -> int:
    if not is_recordable("DELETE", status):
        expected = "a status that is recorded (200 to 399, 400, 404, 413 or 422)"
        raise ValueError(f"expected {expected}, got {status}")
    return status


Url = Annotated[str, AfterValidator(_sendable)]
Ascii = Annotated[str, Field(pattern=r"^[ -~]*$", max_length=1000)]  # what can be sent as a header
Method = Annotated[str, Field(pattern=r"^[A-Z]{1,20}$")]


class Message(Strict):
    """At most one body, in one of three notations."""

    value: Any = Field(default=None, alias="json")
    text: list[str] = Field(default=[])
    base64: str = ""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if len(self.model_fields_set & {"value", "text", "base64"}) > 1:
            raise ValueError("expected one body, got more")
        return self

    def body(self, restore: Callable[[Any], bytes]) -> bytes:
        """Return the body as it was sent; ``restore`` makes one of a stored JSON value."""
        if "value" in self.model_fields_set:
            return restore(self.value)
        return base64.b64decode(self.base64, validate=True) or "\n".join(self.text).encode()


class Request(Message):
    """A request; in a JSON object, each top-level value may be a reference to an earlier one."""

    headers: Annotated[dict[Ascii, Ascii], AfterValidator(partial(_only, REQUEST_HEADERS))] = Field(
        default={}
    )
    method: Method
    url: Url


class Response(Message):
    """An answer."""

    headers: Annotated[dict[Ascii, Ascii], AfterValidator(partial(_only, RESPONSE_HEADERS))] = Field(
        default={}
    )
    status: Annotated[int, AfterValidator(_recordable)]


class Row(Strict):
    """One exchange as it stands in the file."""

    request: Request
    response: Response


class Same(Strict):
    """A value as it was ``back`` requests ago."""

    back: int = Field(alias="$same", gt=0)


class Prefix(Strict):
    """The first ``count`` items of a list ``back`` requests ago, and what follows them."""

    count: int = Field(alias="$prefix", gt=0)
    back: int = Field(gt=0)
    then: list[Any]


Earlier = Sequence[dict[str, Any]]  # bodies of the requests to one address, oldest first


def encode(exchanges: Iterable[Exchange]) -> list[dict[str, Any]]:
    """Return the rows of a cassette file, as plain JSON; ``decode`` is the inverse."""
    conversations: dict[str, Conversation] = defaultdict(partial(Conversation, MAX_DECODED))
    rows = []
    for each in exchanges:
        request = {"method": each.method, "url": each.url, "headers": each.request_headers}
        response = {"status": each.status, "headers": each.response_headers}
        request |= _encode_request(each.request_body, conversations[each.url])
        response |= _encode_body(each.response_body, conversations[each.url].fold)
        for message in (request, response):
            if not message["headers"]:
                del message["headers"]
        rows.append({"request": request, "response": response})
    return rows


def _encode_request(raw: bytes, conversation: Conversation) -> dict[str, Any]:
    _, sent = parse_body(raw, strictly=True)
    if not isinstance(sent, dict):
        conversation.ask(None)
        return _encode_body(raw, split_lines)
    fields = {escape(key): _refer(key, value, conversation.requests) for key, value in sent.items()}
    conversation.ask(sent)
    return {"json": fields}


def decode(rows: Iterable[Row]) -> Iterator[Exchange]:
    """Yield the exchanges of rows; raise ValueError for a damaged reference or body."""
    conversations: dict[str, Conversation] = defaultdict(partial(Conversation, MAX_DECODED))
    for number, row in enumerate(rows):
        request, response = row.request, row.response
        try:
            sent_body = _decode_request(request, conversations[request.url])
            got_body = response.body(conversations[request.url].unfold)
        except ValueError as error:
            raise ValueError(f"$.exchanges[{number}]: {explain(error)}") from None
        yield Exchange(
            method=request.method,
            url=request.url,
            request_headers=request.headers,
            request_body=sent_body,
            status=response.status,
            response_headers=response.headers,
            response_body=got_body,
        )


def _decode_request(request: Request, conversation: Conversation) -> bytes:
    if not isinstance(request.value, dict):
        conversation.ask(None)
        return request.body(lambda value: compact(join_lines(value)))
    fields = ((unescape(key), value) for key, value in request.value.items())
    sent = {key: _resolve(key, value, conversation.requests) for key, value in fields}
    conversation.ask(sent)
    return compact(sent)


def readable(message: dict[str, Any]) -> Any:
    """Return the body of a request or answer of a row as people read it; references stay references."""
    if "json" in message:
        return join_lines(message["json"], lambda key: key[key.startswith("$$") :])
    if "base64" in message:
        return base64.b64decode(message["base64"]).decode("utf-8", "replace")
    return "\n".join(message.get("text", ()))


def bounded(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Yield the exchanges; raise ValueError once their bodies exceed ``MAX_DECODED`` bytes."""
    size = 0
    for number, each in enumerate(exchanges):
        size += len(each.request_body) + len(each.response_body)
        if size > MAX_DECODED:
            raise ValueError(f"$.exchanges[{number}]: bodies up to here unfold to over {MAX_DECODED} bytes")
        yield each


def explain(error: Exception) -> str:
    """Describe damage in one short line: the field's JSON path and what was expected there."""
    if isinstance(error, RecursionError):
        return "nested beyond what can be read"
    if isinstance(error, UnicodeError):
        return "no UTF-8 text"
    text = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        path = "".join(f"[{at}]" if isinstance(at, int) else f".{at[:60]}" for at in first["loc"])
        text = f"${path}: {first['msg'].removeprefix('Value error, ')}"
    return " ".join(text.split())[:200]


def _refer(key: str, value: Any, earlier: Earlier) -> Any:
    """Return the value, or a reference to one of the last requests that has it or its beginning."""
    text = compact(value)
    if len(text) <= WORTH_SHARING:
        return split_lines(value)
    best, back_to_best = 0, 0
    for back, request in enumerate(reversed(earlier[-LOOK_BACK:]), start=1):
        old = request.get(key)
        if old == value and compact(old) == text:
            return {"$same": back}
        if isinstance(value, list) and isinstance(old, list):
            shared = shared_prefix(old, value)
            if shared > best:
                best, back_to_best = shared, back
    if best:
        return {"$prefix": best, "back": back_to_best, "then": split_lines(value[best:])}
    return split_lines(value)


def shared_prefix(old: list[Any], new: list[Any]) -> int:
    """Count the items with which two lists begin alike, as JSON: to Python, 1, 1.0 and True are equal."""
    pairs = zip(old, new, strict=False)
    return len(
        list(takewhile(lambda pair: pair[0] == pair[1] and compact(pair[0]) == compact(pair[1]), pairs))
    )


def _resolve(key: str, value: Any, earlier: Earlier) -> Any:
    """Return what a value of a request stands for."""
    if isinstance(value, dict) and "$same" in value:
        return _look_back(key, Same.model_validate(value).back, earlier)
    if isinstance(value, dict) and "$prefix" in value:
        prefix = Prefix.model_validate(value)
        old = _look_back(key, prefix.back, earlier)
        if not isinstance(old, list) or prefix.count > len(old):
            raise ValueError(f"{key[:60]!r}: expected a list of at least $prefix items to go on from")
        return [*old[: prefix.count], *join_lines(prefix.then)]
    return join_lines(value)


def _look_back(key: str, back: int, earlier: Earlier) -> Any:
    if back > len(earlier) or key not in earlier[-back]:
        raise ValueError(f"{key[:60]!r} refers to an earlier request that does not have it")
    return earlier[-back][key]


def _encode_body(raw: bytes, store: Callable[[Any], Any]) -> dict[str, Any]:
    known, value = parse_body(raw, strictly=True)
    if known:
        return {"json": store(value)}
    if not raw:
        return {}
    try:
        return {"text": raw.decode("utf-8").split("\n")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}
