"""Convert a cassette's exchanges to parts to display: what is new in each request, and the answer.

Covered are the messages of Letta, of Claude's Messages API and of the Claude CLI. Whatever has another shape
is displayed as JSON, so that anybody's file can be displayed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from harness.agents.transcript import ROLES, Usage
from harness.cassette.audit.usage import usage
from harness.cassette.encoding import shared_prefix
from harness.cassette.exchange import Exchange, parse_body
from harness.cassette.file import Cassette
from harness.results.conversation import Part, called, returned, style_of, tokens

LONGEST_TEXT = 20_000
LONGEST_JSON = 300
LONGEST_LINE = 60
SENT, GOT, NOTE = "> ", "< ", "  "


def facts(cassette: Cassette) -> tuple[str, str, str]:
    """Return three lines: trial, outcome and date; the models; the versions of the software."""
    recorded = cassette.recorded
    outcome = recorded.get("outcome", "outcome unknown")
    return (
        f"{cassette.trial}: {outcome}, recorded {recorded.get('at', '?')}",
        "; ".join(f"{role} {recorded[role]}" for role in ROLES if recorded.get(role)),
        ", ".join(f"{name} {version}" for name, version in recorded.get("versions", {}).items()),
    )


def exchange_parts(cassette: Cassette) -> Iterator[Part]:
    """Yield the parts of a recorded conversation. Titles begin with ``>`` if sent, with ``<`` if received."""
    sent: dict[str, list[dict[str, Any]]] = {}
    for number, each in enumerate(cassette.exchanges, start=1):
        url = urlsplit(each.url)
        address = f"{url.netloc} {url.path}" + (f"?{url.query}" if url.query else "")
        yield Part("exchange", f"{number}. {each.method} {address} -> {each.status}")
        request = _request(each.request_body, sent.setdefault(each.url, []))
        for mark, displayed in ((SENT, request), (GOT, _answer(each))):
            for part in displayed:
                title = (NOTE if part.style == "note" else mark) + part.title
                yield replace(part, title=title, text=_cut(part.text))


def _request(raw: bytes, earlier: list[dict[str, Any]]) -> Iterator[Part]:
    """Yield what is new in a request, and name what an earlier one to the same address had as well."""
    _, body = parse_body(raw)
    if not isinstance(body, dict):
        if raw:
            yield Part("user", "sent", _decoded(raw))
        return
    before = []
    for key, value in body.items():
        if any(key in old and old[key] == value for old in earlier):
            before.append(key)
            continue
        items = [old[key] for old in earlier if isinstance(old.get(key), list)]
        count = max((shared_prefix(old, value) for old in items), default=0) if isinstance(value, list) else 0
        if count:
            before.append(f"{key} 1-{count}")
        yield from _field(key, value[count:] if count else value)
    if before:
        yield Part("note", f"as before: {', '.join(before)}")
    earlier.append(body)


def _field(key: str, value: Any) -> Iterator[Part]:
    match key, value:
        case "tools" | "client_tools", [*tools]:
            names = [tool.get("name") if isinstance(tool, dict) else tool for tool in tools]
            yield Part("user", f"{key}: {', '.join(str(name) for name in names if name is not None)}")
        case "messages", [*messages]:
            for message in messages:
                yield from _message(message)
        case _, str() if len(value) > LONGEST_LINE:
            yield Part("user", key, value)
        case _:
            yield Part("user", f"{key}: {value if isinstance(value, str) else _json(value)}")


def _answer(each: Exchange) -> Iterator[Part]:
    """Yield an answer, then why the model stopped and what it cost in tokens, as far as it says so."""
    _, body = parse_body(each.response_body)
    match body:
        case {"content": [*blocks]}:
            yield from _content(blocks, "Claude")
        case {"messages": [*messages]}:
            for message in messages:
                yield from _message(message)
        case dict():
            yield Part("tool", "answer", _json(body))
        case _ if each.response_body:
            yield Part("tool", "answer", _decoded(each.response_body))
    ending = []
    match body:
        case {"stop_reason": {"stop_reason": str(stop)} | str(stop)}:
            ending.append(f"stop: {stop}")
    if (spent := usage(each)) != Usage():
        ending.append(tokens(spent))
    if ending:
        yield Part("note", ", ".join(ending))


def _message(message: Any) -> Iterator[Part]:
    match message:
        case {"approvals": [*approvals]}:
            for given in approvals:
                yield returned(_text(given.get("tool_return", given) if isinstance(given, dict) else given))
        case {"message_type": "assistant_message", "content": content}:
            yield from _content(content, "orchestrator")
        case {"message_type": "user_message", "content": content}:
            yield from _content(content, "user")
        case {"message_type": "reasoning_message", "reasoning": reasoning}:
            yield Part("orchestrator", "orchestrator", _text(reasoning), "thinking")
        case {"message_type": "tool_return_message", "tool_return": content}:
            yield returned(_text(content))
        case {"tool_calls": [*calls]}:
            for call in calls:
                yield from _message({"tool_call": call})
        case {"tool_call": {"name": name, "arguments": arguments}}:
            yield called("orchestrator", name, arguments)
        case {"kind": "said", "text": text}:
            yield Part("claude", "Claude Code", _text(text))
        case {"kind": "called", "tool": tool, "input": arguments}:
            yield called("Claude Code", tool, arguments)
        case {"kind": "returned"}:
            yield returned("", ok=not message.get("is_error"))
        case {"role": role, "content": content}:
            yield from _content(content, str(role))
        case _:
            yield Part("tool", "message", _json(message))


def _content(content: Any, speaker: str) -> Iterator[Part]:
    """Yield the blocks of a message; content may also be a plain text."""
    for block in content if isinstance(content, list) else [content]:
        style = style_of(speaker)
        match block:
            case {"type": "text", "text": text}:
                yield Part(style, speaker, _text(text))
            case {"type": "thinking", "thinking": text}:
                yield Part(style, speaker, _text(text), "thinking")
            case {"type": "tool_use", "name": name, "input": arguments}:
                yield called(speaker, name, arguments)
            case {"type": "tool_result", "content": results}:
                yield from _content(results, "tool returns")
            case _:
                yield Part(style, speaker, _text(block))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(raw)} bytes that are no text"


def _json(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), LONGEST_JSON)


def _cut(text: str, longest: int = LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} characters more)"
