"""Exchanges as rows of JSON that a person can review, each request as a delta to the ones before.

A value that an earlier request to the same address carried is ``{"$same": k}`` (k requests back); a list
that continues an earlier one is ``{"$prefix": n, "back": k, "then": [...]}``; a text of several lines is
``{"$lines": [...]}``. So a changed word is a changed line, and a conversation that is sent again and again
is stored once. A key that starts with ``$`` is stored with a second one. Bodies that are no JSON object or
list are ``text``, by lines, or ``base64``.

Rows are read as what anybody may have written: every type is checked, unknown keys are refused, and what
the references may unfold to is bounded.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.cassette.exchange import Exchange, compact, parse_body

T = TypeVar("T")
WORTH_SHARING = 60
LOOK_BACK = 8
MAX_DECODED = 128_000_000  # bytes of all bodies of one cassette: a 60-turn loop has 7 million
DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
BODIES = frozenset({"json", "text", "base64"})
REQUEST_KEYS = frozenset({"method", "url", "headers"}) | BODIES
RESPONSE_KEYS = frozenset({"status", "headers"}) | BODIES
KINDS = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}


def encoded(exchanges: Iterable[Exchange]) -> list[dict[str, Any]]:
    """The rows of a cassette file; ``decoded`` is the inverse."""
    history: dict[str, list[dict[str, Any]]] = {}
    rows = []
    for each in exchanges:
        request: dict[str, Any] = {"method": each.method, "url": each.url}
        response: dict[str, Any] = {"status": each.status}
        if each.request_headers:
            request["headers"] = each.request_headers
        if each.response_headers:
            response["headers"] = each.response_headers
        known, sent = parse_body(each.request_body, strictly=True)
        if known and isinstance(sent, dict):
            earlier = history.setdefault(each.url, [])
            request["json"] = {_guard(key): _delta(key, value, earlier) for key, value in sent.items()}
            earlier.append(sent)
        else:
            request.update(_plain(each.request_body))
        response.update(_plain(each.response_body))
        rows.append({"request": request, "response": response})
    return rows


def decoded(rows: Any) -> Iterator[Exchange]:
    """The exchanges of such rows.

    Raises:
        ValueError: They are damaged, or unfold to more than ``MAX_DECODED`` bytes.
        TypeError: They are no list.
    """
    history: dict[str, list[dict[str, Any]]] = {}
    size = 0
    for number, row in enumerate(is_a(rows, list), start=1):
        try:
            exchange = _decoded(row, history)
        except DAMAGE as error:
            raise ValueError(f"exchange {number}: {plainly(error)}") from None
        size += len(exchange.request_body) + len(exchange.response_body)
        if size > MAX_DECODED:
            raise ValueError(f"exchange {number}: the bodies up to here unfold to over {MAX_DECODED} bytes")
        yield exchange


def _decoded(row: Any, history: dict[str, list[dict[str, Any]]]) -> Exchange:
    row = only(row, frozenset({"request", "response"}))
    request, response = only(row["request"], REQUEST_KEYS), only(row["response"], RESPONSE_KEYS)
    url = _address(request["url"])
    if isinstance(request.get("json"), dict):
        earlier = history.setdefault(url, [])
        sent = {_unguard(key): _undelta(_unguard(key), v, earlier) for key, v in request["json"].items()}
        earlier.append(sent)
        sent_body = compact(sent)
    else:
        sent_body = _bytes(request)
    return Exchange(
        method=_address(request["method"]),
        url=url,
        request_headers=_texts(request.get("headers", {})),
        request_body=sent_body,
        status=_status(response["status"]),
        response_headers=_texts(response.get("headers", {})),
        response_body=_bytes(response),
    )


def plainly(error: BaseException) -> str:
    """What damage is called in a message: one short line."""
    if isinstance(error, KeyError):
        return f"{str(error.args[0])[:60]!r} is missing"
    if isinstance(error, RecursionError):
        return "nested beyond what can be read"
    if isinstance(error, UnicodeError):
        return "no UTF-8 text"
    text = str(error) or type(error).__name__
    return " ".join(text.split())[:200]


def only(value: Any, keys: frozenset[str]) -> dict[str, Any]:
    """The value, if it is an object with no keys but these.

    Raises:
        TypeError: It is no object.
        ValueError: It has another key.
    """
    found = is_a(value, dict)
    unknown = next((key for key in found if key not in keys), None)
    if unknown is not None:
        raise ValueError(f"unknown key {unknown[:60]!r}")
    return found


def _delta(key: str, value: Any, earlier: list[dict[str, Any]]) -> Any:
    """The value, or how to make it from one of the last requests to the same address.

    Compared as JSON: to Python, 1, 1.0 and True are equal.
    """
    text = compact(value)
    if len(text) <= WORTH_SHARING:
        return _lines(value)
    best, back_to_best = 0, 0
    for back, request in enumerate(reversed(earlier[-LOOK_BACK:]), start=1):
        if key not in request:
            continue
        old = request[key]
        if old == value and compact(old) == text:
            return {"$same": back}
        if isinstance(value, list) and isinstance(old, list):
            shared = shared_prefix(old, value)
            if shared > best:
                best, back_to_best = shared, back
    if best:
        return {"$prefix": best, "back": back_to_best, "then": _lines(value[best:])}
    return _lines(value)


def shared_prefix(old: list[Any], new: list[Any]) -> int:
    """How many items two lists begin with alike."""
    for count, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other or compact(one) != compact(other):
            return count
    return min(len(old), len(new))


def _undelta(key: str, value: Any, earlier: list[dict[str, Any]]) -> Any:
    if isinstance(value, dict) and "$same" in value:
        return _earlier(only(value, frozenset({"$same"}))["$same"], key, earlier)
    if isinstance(value, dict) and "$prefix" in value:
        value = only(value, frozenset({"$prefix", "back", "then"}))
        old = is_a(_earlier(value["back"], key, earlier), list)
        if _counted(value["$prefix"]) > len(old):
            raise ValueError("a $prefix is longer than its list")
        return old[: value["$prefix"]] + is_a(_unlines(value["then"]), list)
    return _unlines(value)


def _earlier(back: Any, key: str, earlier: list[dict[str, Any]]) -> Any:
    """The value of a key in the request that many back to the same address."""
    if _counted(back) > len(earlier) or key not in earlier[-back]:
        raise ValueError(f"{key[:60]!r} refers to an earlier request that does not have it")
    return earlier[-back][key]


def _counted(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("expected a count in a reference")
    return value


def is_a(value: Any, kind: type[T]) -> T:
    """The value, if it is of that kind; true is no whole number.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        got = "nothing" if value is None else KINDS.get(type(value), "a number")
        raise TypeError(f"expected {KINDS[kind]}, got {got}")
    return value


def _address(value: Any) -> str:
    """A method or URL that can be sent."""
    text = is_a(value, str)
    if not text.isprintable() or not _is_sendable(text):
        raise ValueError("a method or URL that cannot be sent")
    return text


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
        _ = urlsplit(text).port
    except ValueError:
        return False
    return True


def _status(value: Any) -> int:
    status = is_a(value, int)
    if not 100 <= status <= 599:
        raise ValueError("expected an HTTP status from 100 to 599")
    return status


def _texts(value: Any) -> dict[str, str]:
    """Headers."""
    headers = {is_a(name, str): is_a(text, str) for name, text in is_a(value, dict).items()}
    if not all(part.isascii() and part.isprintable() for pair in headers.items() for part in pair):
        raise ValueError("a header that cannot be sent")
    return headers


def _plain(raw: bytes) -> dict[str, Any]:
    known, value = parse_body(raw, strictly=True)
    if known:
        return {"json": _lines(value)}
    if not raw:
        return {}
    try:
        return {"text": raw.decode("utf-8").split("\n")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _bytes(row: dict[str, Any]) -> bytes:
    if len(BODIES & row.keys()) > 1:
        raise ValueError("more than one body")
    if "json" in row:
        return compact(_unlines(row["json"]))
    if "text" in row:
        return "\n".join(is_a(row["text"], list)).encode()
    return base64.b64decode(is_a(row.get("base64", ""), str), validate=True)


def _lines(value: Any) -> Any:
    if isinstance(value, str):
        return {"$lines": value.split("\n")} if "\n" in value else value
    if isinstance(value, list):
        return [_lines(item) for item in value]
    return {_guard(k): _lines(v) for k, v in value.items()} if isinstance(value, dict) else value


def _unlines(value: Any) -> Any:
    if isinstance(value, list):
        return [_unlines(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$lines" in value:
        return "\n".join(is_a(only(value, frozenset({"$lines"}))["$lines"], list))
    return {_unguard(key): _unlines(item) for key, item in value.items()}


def _guard(key: str) -> str:
    return f"${key}" if key.startswith("$") else key


def _unguard(key: str) -> str:
    if key.startswith("$") and not key.startswith("$$"):
        raise ValueError(f"{key[:60]!r} is no reference that this harness knows")
    return key.removeprefix("$")
