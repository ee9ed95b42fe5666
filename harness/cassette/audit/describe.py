"""What a cassette holds, for a person: each exchange with what is new in its request, and the answer.

It knows the shapes of Letta's messages, of Claude's Messages API and of what the Claude CLI told; whatever
has another shape is shown as JSON. A text is a model's or anybody's: the caller makes it safe for terminals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from harness.agents.transcript import Usage
from harness.cassette.exchange import Exchange, parse_body
from harness.cassette.file import Cassette

Kind = Literal["title", "exchange", "sent", "got", "note"]
LONGEST_TEXT = 20_000
LONGEST_JSON = 300
CLI_KINDS = ("said", "called", "returned")
LETTA_TEXTS = {
    "assistant_message": ("orchestrator", "content"),
    "user_message": ("user", "content"),
    "reasoning_message": ("orchestrator (thinking)", "reasoning"),
    "tool_return_message": ("tool returned", "tool_return"),
}


@dataclass(frozen=True)
class Part:
    """One piece of a conversation: who or what, and the text.

    Attributes:
        head: A short label.
        text: What was said; empty if the label says it all.
    """

    head: str
    text: str = ""
    kind: Kind = "note"


def conversation(tape: Cassette) -> Iterator[Part]:
    """The parts of a recorded conversation, in order."""
    facts = tape.recorded
    models = [f"{role} {facts[role]}" for role in ("orchestrator", "coder", "tester") if facts.get(role)]
    versions = [f"{name} {number}" for name, number in facts.get("versions", {}).items()]
    outcome = facts.get("outcome", "outcome unknown")
    yield Part(f"{tape.trial}: {outcome}, recorded {facts.get('at', '?')}", kind="title")
    yield Part("; ".join(models))
    yield Part(", ".join(versions))
    sent: dict[str, list[dict[str, Any]]] = {}
    for number, each in enumerate(tape.exchanges, start=1):
        parts = urlsplit(each.url)
        where = parts.path + (f"?{parts.query}" if parts.query else "")
        yield Part(f"{number}. {each.method} {parts.netloc} {where} -> {each.status}", kind="exchange")
        yield from _request(each, sent.setdefault(each.url, []))
        yield from _answer(each)


def _request(each: Exchange, earlier: list[dict[str, Any]]) -> Iterator[Part]:
    known, body = parse_body(each.request_body)
    if not (known and isinstance(body, dict)):
        if each.request_body:
            yield Part("sent", _plain(each.request_body), "sent")
        return
    before = []
    for key, value in body.items():
        if any(key in old and old[key] == value for old in earlier):
            before.append(key)
            continue
        shared = max((_shared(old.get(key), value) for old in earlier), default=0)
        if shared:
            before.append(f"{key} 1-{shared}")
        yield from _field(key, value[shared:] if shared else value)
    if before:
        yield Part(f"as before: {', '.join(before)}")
    earlier.append(body)


def _shared(old: Any, new: Any) -> int:
    """How many items two lists begin with alike; 0 if they are none."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return 0
    unlike = (i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other)
    return next(unlike, min(len(old), len(new)))


def _field(key: str, value: Any) -> Iterator[Part]:
    if key in ("tools", "client_tools") and isinstance(value, list):
        named = [each.get("name") if isinstance(each, dict) else each for each in value]
        names = [str(name) for name in named if name is not None]
        yield Part(f"{key}: {', '.join(names)}", kind="sent")
    elif key == "messages" and isinstance(value, list):
        for message in value:
            yield from _message(message, "sent")
    elif isinstance(value, str) and len(value) > 60:
        yield Part(key, _cut(value), "sent")
    else:
        yield Part(f"{key}: {value if isinstance(value, str) else _json(value)}", kind="sent")


def _answer(each: Exchange) -> Iterator[Part]:
    known, body = parse_body(each.response_body)
    if not (known and isinstance(body, dict)):
        if each.response_body:
            yield Part("answer", _plain(each.response_body), "got")
        return
    told = False
    if isinstance(body.get("content"), list):
        told = True
        for block in body["content"]:
            yield from _block(block, "Claude", "got")
    if isinstance(body.get("messages"), list):
        told = True
        for message in body["messages"]:
            yield from _message(message, "got")
    if not told:
        yield Part("answer", _json(body), "got")
    stop = body.get("stop_reason")
    stop = stop.get("stop_reason") if isinstance(stop, dict) else stop
    spent = usage(each)
    cached = f", cache {spent.cache_write} written {spent.cache_read} read"
    tokens = f"{spent.input} tokens in, {spent.output} out" if spent != Usage() else ""
    tokens += cached if spent.cache_write or spent.cache_read else ""
    if isinstance(stop, str) or tokens:
        yield Part(", ".join(text for text in (f"stop: {stop}" if stop else "", tokens) if text))


def _message(message: Any, kind: Kind) -> Iterator[Part]:
    """One message of Letta's or of the Messages API."""
    if not isinstance(message, dict):
        yield Part("message", _json(message), kind)
    elif isinstance(message.get("approvals"), list):
        for given in message["approvals"]:
            value = given.get("tool_return", given) if isinstance(given, dict) else given
            yield Part("tool returns", _text(value), kind)
    elif str(message.get("message_type")) in LETTA_TEXTS:
        head, key = LETTA_TEXTS[message["message_type"]]
        yield from _content(message.get(key), head, kind)
    elif isinstance(message.get("tool_calls"), list) or isinstance(message.get("tool_call"), dict):
        calls = message.get("tool_calls")
        for asked in calls if isinstance(calls, list) else [message["tool_call"]]:
            call = asked if isinstance(asked, dict) else {}
            yield Part(f"calls {call.get('name')}", _text(call.get("arguments")), kind)
    elif message.get("kind") in CLI_KINDS:
        yield _told(message, kind)
    elif "role" in message and "content" in message:
        yield from _content(message["content"], str(message["role"]), kind)
    else:
        yield Part("message", _json(message), kind)


def _told(message: dict[str, Any], kind: Kind) -> Part:
    """What the Claude CLI told of."""
    if message["kind"] == "said":
        return Part("Claude Code", _text(message.get("text")), kind)
    if message["kind"] == "called":
        return Part(f"Claude Code calls {message.get('tool')}", _arguments(message.get("input")), kind)
    return Part(f"its tool {'fails' if message.get('is_error') else 'returns'}", kind=kind)


def _arguments(given: Any) -> str:
    """Arguments, each text of several lines as it is."""
    if not isinstance(given, dict):
        return _text(given)
    return _cut(
        "\n".join(
            f"{key}: {value if isinstance(value, str) else _json(value)}" for key, value in given.items()
        )
    )


def _content(content: Any, head: str, kind: Kind) -> Iterator[Part]:
    for block in content if isinstance(content, list) else [content]:
        yield from _block(block, head, kind)


def _block(block: Any, head: str, kind: Kind) -> Iterator[Part]:
    """One block of a message's content."""
    what = block.get("type") if isinstance(block, dict) else None
    if what == "text":
        yield Part(head, _text(block.get("text")), kind)
    elif what == "thinking":
        yield Part(f"{head} (thinking)", _text(block.get("thinking")), kind)
    elif what == "tool_use":
        yield Part(f"{head} calls {block.get('name')}", _text(block.get("input")), kind)
    elif what == "tool_result":
        yield from _content(block.get("content"), "tool returns", kind)
    else:
        yield Part(head, _text(block), kind)


def usage(each: Exchange) -> Usage:
    """Tokens that an answer says were used, whichever of the two services gave it."""
    known, body = parse_body(each.response_body)
    body = body if known and isinstance(body, dict) else {}
    result = body.get("result")
    told = result.get("usage") if isinstance(result, dict) else body.get("usage")
    if not isinstance(told, dict):
        return Usage()

    def count(*names: str) -> int:
        values = (told.get(name) for name in names)
        return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), 0)

    written = count("cache_creation_input_tokens", "cache_write_tokens")
    read = count("cache_read_input_tokens", "cached_input_tokens")
    # Letta's prompt_tokens include what caches were involved in, the Messages API's input_tokens do not.
    whole = max(0, count("prompt_tokens") - read - written)
    return Usage(count("input_tokens") or whole, written, read, count("output_tokens", "completion_tokens"))


def total(exchanges: Iterable[Exchange]) -> Usage:
    """Tokens of a whole conversation."""
    return sum((usage(each) for each in exchanges), Usage())


def _text(value: Any) -> str:
    return _cut(value) if isinstance(value, str) else _json(value)


def _plain(raw: bytes) -> str:
    try:
        return _cut(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return f"{len(raw)} bytes that are no text"


def _json(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), LONGEST_JSON)


def _cut(text: str, longest: int = LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} characters more)"
