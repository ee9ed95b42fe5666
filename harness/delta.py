"""Exchanges as rows of JSON that a person can review, each request as a delta to the ones before.

A value that an earlier request to the same address carried is ``{"$same": k}`` (k requests back); a list
that continues an earlier one is ``{"$prefix": n, "back": k, "then": [...]}``; a text of several lines is
``{"$lines": [...]}``. So a changed word is a changed line, and a conversation that is sent again and again
is stored once. A key that starts with ``$`` is stored with a second one. Bodies that are no JSON object or
list are ``text``, by lines, or ``base64``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.exchange import Exchange, compact, parse_body

T = TypeVar("T")
WORTH_SHARING = 60
LOOK_BACK = 8


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
        known, sent = parse_body(each.request_body)
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
        ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError: They are damaged.
    """
    history: dict[str, list[dict[str, Any]]] = {}
    for row in is_a(rows, list):
        request, response = row["request"], row["response"]
        url = is_a(request["url"], str)
        urlsplit(url)
        if isinstance(request.get("json"), dict):
            earlier = history.setdefault(url, [])
            sent = {_unguard(key): _undelta(_unguard(key), v, earlier) for key, v in request["json"].items()}
            earlier.append(sent)
            sent_body = compact(sent)
        else:
            sent_body = _bytes(request)
        yield Exchange(
            method=is_a(request["method"], str),
            url=url,
            request_headers=_texts(request.get("headers", {})),
            request_body=sent_body,
            status=is_a(response["status"], int),
            response_headers=_texts(response.get("headers", {})),
            response_body=_bytes(response),
        )


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
            shared = _shared(old, value)
            if shared > best:
                best, back_to_best = shared, back
    if best:
        return {"$prefix": best, "back": back_to_best, "then": _lines(value[best:])}
    return _lines(value)


def _shared(old: list[Any], new: list[Any]) -> int:
    """How many items two lists begin with alike."""
    for count, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other or compact(one) != compact(other):
            return count
    return min(len(old), len(new))


def _undelta(key: str, value: Any, earlier: list[dict[str, Any]]) -> Any:
    if isinstance(value, dict) and "$same" in value:
        return earlier[-_counted(value["$same"])][key]
    if isinstance(value, dict) and "$prefix" in value:
        old = is_a(earlier[-_counted(value["back"])][key], list)
        if _counted(value["$prefix"]) > len(old):
            raise ValueError("a $prefix is longer than its list")
        return old[: value["$prefix"]] + is_a(_unlines(value["then"]), list)
    return _unlines(value)


def _counted(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a count, got {value!r}")
    return value


def is_a(value: Any, kind: type[T]) -> T:
    """The value, if it is of that kind.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {is_a(name, str): is_a(text, str) for name, text in is_a(value, dict).items()}


def _plain(raw: bytes) -> dict[str, Any]:
    known, value = parse_body(raw)
    if known:
        return {"json": _lines(value)}
    if not raw:
        return {}
    try:
        return {"text": raw.decode("utf-8").split("\n")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode("ascii")}


def _bytes(row: dict[str, Any]) -> bytes:
    if "json" in row:
        return compact(_unlines(row["json"]))
    if "text" in row:
        return "\n".join(is_a(row["text"], list)).encode()
    return base64.b64decode(row.get("base64", ""))


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
        return "\n".join(is_a(value["$lines"], list))
    return {_unguard(key): _unlines(item) for key, item in value.items()}


def _guard(key: str) -> str:
    return f"${key}" if key.startswith("$") else key


def _unguard(key: str) -> str:
    return key[1:] if key.startswith("$$") else key
