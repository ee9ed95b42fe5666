"""harness/cassette/record_replay.py: recording and strict replay, with real clients and a real server.

The server listens on a Unix socket, so that these tests also run where there is no network at all.
"""

import asyncio
import http.server
import importlib
import json
import socket
import socketserver
import tempfile
import threading
from pathlib import Path

import anthropic
import httpx2
import letta_client
import pytest

from harness.cassette.exchange import Exchange
from harness.cassette.record_replay import ReplayMiss, recording, replaying, service_url

ORIGIN = "http://localhost:8283"
SERVICES = {ORIGIN: "letta", "http://localhost:9999/claude": "anthropic"}
LIBRARIES = ["httpx", "httpx2"]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path; counts every request in ``server.seen``."""

    def log_message(self, *_):
        """Quiet."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.command, self.path, body))
        kind, _, what = self.path.partition("?")[0].removeprefix("/").partition("/")
        status, content, data = 200, "application/json", json.dumps({"n": len(self.server.seen)}).encode()
        if kind == "status":
            status = int(what)
        elif kind == "stream":
            content, data = "text/event-stream", b"event: a\r\ndata: {}\r\n\r\n"
        elif kind == "binary":
            content, data = "application/octet-stream", bytes(range(256))
        elif kind == "echo":
            data = json.dumps({"echo": json.loads(body)}).encode()
        elif kind == "claude":
            text = {"type": "text", "text": f"answer {len(self.server.seen)}"}
            usage = {"input_tokens": 3, "output_tokens": 2}
            message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [text]}
            data = json.dumps({**message, "stop_reason": "end_turn", "usage": usage}).encode()
        self.send_response(status)
        self.send_header("content-type", content)
        self.send_header("set-cookie", "session=s3cret")
        if status not in (204, 304):
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(data)

    do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815  (http.server's names)


class Server(socketserver.ThreadingUnixStreamServer):
    """An HTTP server on a Unix socket."""

    daemon_threads = True
    seen: list


@pytest.fixture
def server():
    """A running server; ``server.stop()`` ends it before the test does."""
    with tempfile.TemporaryDirectory(prefix="h") as folder:
        running = Server(str(Path(folder) / "s"), Handler)
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def stop():
            if thread.is_alive():
                running.shutdown()
                thread.join()
                running.server_close()

        running.stop = stop
        yield running
        stop()


def a_client(library, server, **options):
    """A client of a library that reaches the server under any URL."""
    module = importlib.import_module(library)
    return module.Client(
        transport=module.HTTPTransport(uds=server.server_address, verify=False), base_url=ORIGIN, **options
    )


def an_exchange(value=None, path="/x", answer=None, method="POST", status=200):
    body = b"" if value is None else json.dumps(value).encode()
    kind = {"content-type": "application/json"}
    return Exchange(method, f"http://letta{path}", {}, body, status, kind, json.dumps(answer or {}).encode())


def post(library, value, path="/x", host="letta.invalid"):
    """Send one request with a client of its own (without certificates, which take 50 ms to load)."""
    with importlib.import_module(library).Client(verify=False) as client:
        return client.post(f"http://{host}{path}", json=value)


# --- recording and replaying ------------------------------------------------------------------------


def a_conversation(client):
    """Requests of every kind; the same request twice has two answers."""
    answers = [
        client.post("/v1/agents/", json={"name": "é", "n": 1}),
        client.post("/v1/agents/", json={"name": "é", "n": 1}),
        client.get("/v1/agents/?b=2&a=1"),
        client.post("/echo", json={"text": "one\ntwo 漢 😀"}),
        client.post("/stream", json={"stream": True}),
        client.get("/binary"),
        client.post("/status/400", content=b"not json"),
        client.delete("/v1/agents/1"),
        client.get("/status/204"),
    ]
    return [(each.status_code, each.headers.get("content-type"), each.content) for each in answers]


@pytest.mark.parametrize("recorded_with", LIBRARIES)
@pytest.mark.parametrize("replayed_with", LIBRARIES)
def test_a_replay_gives_the_recorded_answers_with_nobody_there(server, recorded_with, replayed_with):
    """With the server shut down, each client gets what was recorded, byte by byte, in its order."""
    with recording(SERVICES) as recorded, a_client(recorded_with, server) as client:
        live = a_conversation(client)
    assert len(server.seen) == len(live) == len(recorded.exchanges)
    server.stop()
    with replaying(recorded.exchanges) as player:
        with importlib.import_module(replayed_with).Client(
            base_url="http://letta.invalid", verify=False
        ) as client:
            assert a_conversation(client) == live
        assert (player.misses, player.unplayed) == ([], [])


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_asynchronous_client_is_replayed_too(library):
    """No client of these libraries gets past the player."""
    module = importlib.import_module(library)

    async def ask():
        async with module.AsyncClient(verify=False) as client:
            return (await client.post("http://letta.invalid/x", json={"a": 1})).json()

    with replaying((an_exchange({"a": 1}, answer={"b": 2}),)):
        assert asyncio.run(ask()) == {"b": 2}
        with pytest.raises(ReplayMiss):
            asyncio.run(ask())


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_recording_names_services_and_keeps_no_secrets(server, library):
    """Host and port become a name; keys, cookies and Letta's secrets are gone from both directions."""
    with (
        recording(SERVICES) as recorded,
        a_client(library, server, headers={"authorization": "Bearer s3cret"}) as client,
    ):
        body = {"secrets": {"A": "s3cret"}, "list": [{"api_key": "s3cret"}], "max_tokens": 5}
        client.post("/echo", json=body, headers={"x-api-key": "s3cret", "anthropic-version": "v"})
    (kept,) = recorded.exchanges
    assert kept.url == "http://letta/echo"
    assert kept.request_headers == {"anthropic-version": "v"}
    assert kept.response_headers == {"content-type": "application/json"}
    assert b'"max_tokens":5' in kept.request_body.replace(b" ", b"")
    assert b"s3cret" in server.seen[0][2]
    assert "s3cret" not in repr(kept)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_scrubbed_request_matches_with_another_secret(library):
    """A trial replays on a machine with other keys, or none."""
    with replaying((an_exchange({"secrets": {"A": "<secret>"}, "n": 1}, answer={"ok": 1}),)):
        assert post(library, {"n": 1, "secrets": {"A": "another"}}).json() == {"ok": 1}


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_answers_that_belong_to_the_trial_are_recorded(server, library):
    """What is tried again, or ends the trial, reaches the client and not the recording."""
    kept = [200, 201, 204, 302, 400, 413, 422]
    dropped = [401, 402, 403, 404, 408, 409, 429, 500, 502, 503, 529]
    with recording(SERVICES) as recorded, a_client(library, server) as client:
        for status in (*kept, *dropped):
            assert client.get(f"/status/{status}").status_code == status
        client.delete("/status/404")  # the answer to the first deletion was lost
    assert [(each.method, each.status) for each in recorded.exchanges] == [
        *[("GET", status) for status in kept],
        ("DELETE", 404),
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_connection_that_fails_is_not_recorded(library):
    """Nothing came back, so there is nothing to play."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    module = importlib.import_module(library)
    with recording(SERVICES) as recorded, pytest.raises(module.ConnectError):
        post(library, {}, host=f"127.0.0.1:{port}")
    assert recorded.exchanges == ()


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_stays_patched(server, library):
    """After a replay, also one that ended with a miss, requests go out again."""
    with pytest.raises(ReplayMiss), replaying(()):
        post(library, {})
    with a_client(library, server) as client:
        client.get("/after")
    assert [path for _, path, _ in server.seen] == ["/after"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_replay_sends_nothing_even_to_who_listens(library):
    """The URL names a listener on this machine, and the listener hears nothing: on a hit, on a miss."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        recorded = Exchange("POST", f"http://{host}/x", {}, b"{}", 200, {}, b"recorded")
        with replaying((recorded,)):
            assert post(library, {}, host=host).content == b"recorded"
            with pytest.raises(ReplayMiss):
                post(library, {}, host=host)
            with pytest.raises(ReplayMiss):
                post(library, {"other": 1}, path="/other", host=host)
        with pytest.raises(BlockingIOError):
            listener.accept()


# --- misses -----------------------------------------------------------------------------------------


def ask_claude(client, prompt="Write a function that adds two numbers."):
    return client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": prompt}])


def test_claudes_sdk_cannot_swallow_a_miss(server):
    """No retry, no vague connection error: the miss itself comes out, once, with the changed word."""
    with httpx2.Client(
        transport=httpx2.HTTPTransport(uds=server.server_address, verify=False)
    ) as http_client:
        claude = anthropic.Anthropic(
            base_url="http://localhost:9999/claude", api_key="k", http_client=http_client, max_retries=0
        )
        with recording(SERVICES) as recorded:
            assert ask_claude(claude).content[0].text == "answer 1"
    server.stop()
    assert recorded.exchanges[0].url == "http://anthropic/v1/messages"
    with anthropic.Anthropic(base_url="http://anthropic.invalid", api_key="k", max_retries=2) as claude:
        with replaying(recorded.exchanges) as player:
            assert ask_claude(claude).content[0].text == "answer 1"
        with replaying(recorded.exchanges) as player:
            with pytest.raises(ReplayMiss, match="subtracts"):
                ask_claude(claude, "Write a function that subtracts two numbers.")
            (miss,) = player.misses
    for part in (
        "POST http://anthropic/v1/messages",
        "$.messages[0].content",
        "adds",
        "subtracts",
        "exchange 1 of 1",
    ):
        assert part in str(miss)


def test_lettas_sdk_cannot_swallow_a_miss():
    """The other SDK retries and wraps exceptions, too; this one passes through."""
    with letta_client.Letta(base_url="http://letta.invalid", api_key="k", max_retries=2) as client:
        with replaying((an_exchange({"name": "recorded"}, "/v1/agents/"),)) as player:
            with pytest.raises(ReplayMiss):
                client.agents.create(name="asked-for")
            assert len(player.misses) == 1
    assert "recorded" in str(player.misses[0])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_miss_is_no_exception_and_is_remembered_if_swallowed(library):
    """``except Exception`` does not catch it; who catches everything is found out afterwards."""
    with replaying((an_exchange({"a": 1}),)) as player:
        with pytest.raises(BaseException) as caught:
            try:
                post(library, {"a": 2})
            except Exception as error:  # noqa: BLE001  (what an SDK does)
                pytest.fail(f"an SDK would have swallowed {error!r}")
        assert caught.type is ReplayMiss
        (miss,) = player.misses
        assert str(miss) == "POST http://letta/x (exchange 1 of 1): $.a: recorded 1, now 2"
        assert player.unplayed == ["POST http://letta/x (exchange 1 of 1)"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_request_is_answered_as_often_as_it_was_recorded(library):
    """Once more is a miss of its own kind: its message names the exchange that it equals."""
    with replaying(
        (an_exchange({"a": 1}, answer={"n": 1}), an_exchange({"a": 1}, answer={"n": 2}))
    ) as player:
        assert [post(library, {"a": 1}).json()["n"] for _ in range(2)] == [1, 2]
        with pytest.raises(ReplayMiss) as caught:
            post(library, {"a": 1})
        assert str(caught.value) == (
            "POST http://letta/x: asked for again, but recorded only 2 times: "
            "exchange 2 of 2 was played already"
        )
        assert caught.value.again
        assert player.unplayed == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_nobody_asked_for_is_listed(library):
    """A harness that asks less than was recorded does not pass unnoticed."""
    with replaying((an_exchange({"a": 1}), an_exchange({"a": 2}, "/y"))) as player:
        post(library, {"a": 1})
        assert player.unplayed == ["POST http://letta/y (exchange 2 of 2)"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/other", "next recorded is POST http://letta/x?limit=10"),
        ("/x?limit=20", "http://letta/x?limit=10"),
    ],
)
def test_a_miss_names_the_recorded_address_where_that_differs(path, shown):
    """Another path or query is told by both addresses, not as a repetition of the same."""
    with replaying((an_exchange({"a": 1}, "/x?limit=10"),)) as player:
        with pytest.raises(ReplayMiss):
            post("httpx", {"a": 1}, path)
        (miss,) = player.misses
        assert shown in str(miss)
        assert not miss.again


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_miss_looks_at_the_first_unplayed_request_of_its_kind(library):
    """In a long conversation the difference is shown to the turn that was due, not to the first."""
    turns = [an_exchange({"turn": n, "text": f"word-{n}"}) for n in range(5)]
    with replaying((*turns, an_exchange({}, "/y"))) as player:
        for n in range(3):
            post(library, {"turn": n, "text": f"word-{n}"})
        with pytest.raises(ReplayMiss):
            post(library, {"turn": 3, "text": "changed"})
        (miss,) = player.misses
        assert str(miss) == "POST http://letta/x (exchange 4 of 6): $.text: recorded 'word-3', now 'changed'"


def test_a_request_asked_for_twice_is_told_from_one_that_was_never_recorded():
    """It names the exchange that it repeats, and how it differs from the one that was due."""
    with replaying(tuple(an_exchange({"turn": n}) for n in range(3))) as player:
        post("httpx", {"turn": 0})
        with pytest.raises(ReplayMiss, match="asked for again"):
            post("httpx", {"turn": 0})
    (miss,) = player.misses
    assert miss.again
    assert str(miss) == (
        "POST http://letta/x: asked for again, but recorded only once: exchange 1 of 3 was played already; "
        "exchange 2 was due: $.turn: recorded 1, now 0"
    )


def test_a_request_after_the_last_is_told_as_that():
    """When nothing is left to play, and it is no repetition, the message says so."""
    with replaying((an_exchange({"a": 1}),)) as player:
        post("httpx", {"a": 1})
        with pytest.raises(ReplayMiss, match="asked for after all 1 recorded exchanges were played"):
            post("httpx", {"a": 2})
    assert not player.misses[0].again


def test_a_miss_in_a_long_conversation_names_the_changed_word():
    """60 turns that send all that went before: one path and both words, and it costs no retry."""
    turns = [{"role": "user", "content": f"turn {n}: " + "many words of a question " * 40} for n in range(60)]
    recorded = tuple(an_exchange({"messages": turns[: n + 1]}) for n in range(60))
    changed = [*turns[:30], {**turns[30], "content": turns[30]["content"].replace("question", "riddle", 1)}]
    with replaying(recorded) as player:
        for n in range(59):
            post("httpx", {"messages": turns[: n + 1]})
        with pytest.raises(ReplayMiss):
            post("httpx", {"messages": [*changed, *turns[31:]]})
    (miss,) = player.misses
    assert "(exchange 60 of 60): $.messages[30].content: recorded " in str(miss)
    assert "question" in str(miss)
    assert "riddle" in str(miss)
    assert len(str(miss)) < 500


def test_a_miss_shows_no_secret():
    """It compares what would have been recorded."""
    with replaying((an_exchange({"n": 1}),)), pytest.raises(ReplayMiss) as miss:
        post("httpx", {"n": 1, "secrets": {"A": "s3cret-value"}})
    assert "$.secrets: recorded nothing, now " in str(miss.value)
    assert "s3cret" not in str(miss.value)


@pytest.mark.parametrize(
    ("recorded", "now", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({"a": "é"}, {"a": "e\u0301"}, False),
        ({"a": {"c": 1, "b": [{}]}}, {"a": {"b": [{}], "c": 1}}, True),
    ],
)
def test_bodies_match_by_their_values(recorded, now, same):
    """The order of keys is nothing; any other difference is one."""
    with replaying((an_exchange(recorded, answer={"ok": 1}),)):
        if same:
            assert post("httpx", now).json() == {"ok": 1}
        else:
            with pytest.raises(ReplayMiss):
                post("httpx", now)


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "services", "recorded"),
    [
        ("http://localhost:8283/v1/agents/", {ORIGIN: "letta"}, "http://letta/v1/agents/"),
        ("http://localhost:8283/v1/agents/", {ORIGIN + "/": "letta"}, "http://letta/v1/agents/"),
        ("http://localhost:8283", {ORIGIN: "letta"}, "http://letta"),
        ("http://localhost:8283?b=2&a=1", {ORIGIN: "letta"}, "http://letta?a=1&b=2"),
        ("http://localhost:8283/x?b=2&a=1&b=1&c=", {ORIGIN: "letta"}, "http://letta/x?a=1&b=1&b=2&c="),
        ("http://localhost:82/x", {ORIGIN: "letta"}, "http://localhost:82/x"),
        ("http://localhost:8283/x", {"http://localhost:828": "letta"}, "http://localhost:8283/x"),
        (
            "https://api.anthropic.com/v1/messages",
            {"https://api.anthropic.com": "anthropic"},
            "http://anthropic/v1/messages",
        ),
        ("https://proxy.example/a/v1/x", {"https://proxy.example/a": "anthropic"}, "http://anthropic/v1/x"),
        (
            "https://proxy.example/ab/v1",
            {"https://proxy.example/a": "anthropic"},
            "http://proxy.example/ab/v1",
        ),
        ("http://letta.invalid/v1/x", {}, "http://letta/v1/x"),
        ("http://letta/v1/x", {}, "http://letta/v1/x"),
        ("http://user:s3cret@other/x", {}, "http://other/x"),
        ("http://letta/a%2Fb?q=%26", {}, "http://letta/a%2Fb?q=%26"),
        ("http://host/x", {"http://host": "a", "http://host/x": "b"}, "http://b"),
        ("http://localhost:8283/x", {"http://LocalHost:8283": "letta"}, "http://letta/x"),
        ("http://localhost/x", {"http://localhost:80": "letta"}, "http://letta/x"),
        ("https://api.example/x", {"https://api.example:443/": "anthropic"}, "http://anthropic/x"),
    ],
)
def test_a_request_is_recorded_by_its_services_name(url, services, recorded):
    """Host, port and prefix give way to a name that is the same on every machine."""
    assert service_url(url, services) == recorded
    assert service_url(recorded, {}) == recorded


# --- what is no HTTP --------------------------------------------------------------------------------


def test_a_question_that_is_no_http_is_kept_and_played_once():
    """It is recorded with what was told, scrubbed, and played to who asks the same."""
    with recording({}) as recorded:
        told = recorded.exchange("http://cli/ask", {"q": 1}, lambda: {"said": "yes", "api_key": "hidden"})
    assert told == {"said": "yes", "api_key": "<secret>"}
    (kept,) = recorded.exchanges
    assert (kept.method, kept.url, json.loads(kept.response_body)) == ("POST", "http://cli/ask", told)
    with replaying(recorded.exchanges) as player:
        assert player.exchange("http://cli/ask", {"q": 1}, dict) == told
        with pytest.raises(ReplayMiss, match="again"):
            player.exchange("http://cli/ask", {"q": 1}, dict)
    assert (len(player.misses), player.unplayed_indexes) == (1, [])


def test_another_question_is_a_miss_that_says_how_it_differs():
    """As a request is."""
    with recording({}) as recorded:
        recorded.exchange("http://cli/ask", {"q": "one"}, dict)
    with replaying(recorded.exchanges) as player, pytest.raises(ReplayMiss, match=r"\$\.q"):
        player.exchange("http://cli/ask", {"q": "two"}, dict)
    assert player.unplayed_indexes == [0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_goes_to_a_service_without_a_name_is_not_recorded(server, library):
    """It goes out and is answered; the recording knows nothing of it."""
    with recording({ORIGIN: ""}) as recorded, a_client(library, server) as client:
        assert client.post("/x", json={"session": "volatile"}).status_code == 200
    assert len(server.seen) == 1
    assert recorded.exchanges == ()


@pytest.mark.parametrize("name", ["http.client.HTTPConnection", "urllib3.connectionpool.HTTPConnectionPool"])
def test_libraries_that_no_client_speaks_through_stay_as_they_are(name):
    """To patch them took a tenth of a replayed trial; the network is refused to them all the same."""
    place, _, kind = name.rpartition(".")
    module = importlib.import_module(place)
    before = {**vars(module), **vars(getattr(module, kind))}
    with replaying(()):
        assert {**vars(module), **vars(getattr(module, kind))} == before
