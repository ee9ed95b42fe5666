"""The Claude CLI's way to an endpoint."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from fakes import Fake

from harness.backends.claude.cli_proxy import CliProxy
from harness.backends.loopback import serve


class Endpoint(Fake):
    """Streams, as the CLI wants it."""

    def answer(self, method, path, body):
        if body.get("broken"):
            return 529, {"type": "error"}

        def streamed(handler):
            data = b"event: ping\ndata: {}\n\n"
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream")
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        return streamed


@pytest.fixture
def endpoint():
    with Endpoint().running() as fake:
        yield fake


def asked(address, *, path="/v1/messages?beta=true", body=None, **headers):
    given = {"x-api-key": address.key, "content-type": "application/json", **headers}
    request = urllib.request.Request(
        f"{address.url}{path}", json.dumps(body or {"model": "m"}).encode(), given
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


def test_a_stream_passes_whole_and_the_real_key_is_put_in(endpoint):
    """Path, query and body arrive; the CLI's key does not, nor do its cookies."""
    proxy = CliProxy(endpoint.url, "the-real-key")
    with serve(proxy.respond) as address:
        status, kind, raw = asked(address, **{"anthropic-beta": "b", "cookie": "c=1"})
    assert (status, kind, raw) == (200, "text/event-stream", b"event: ping\ndata: {}\n\n")
    assert endpoint.requests == [("POST", "/v1/messages?beta=true", {"model": "m"})]
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert (headers["x-api-key"], headers["anthropic-beta"]) == ("the-real-key", "b")
    assert "cookie" not in headers
    assert address.key not in str(endpoint.headers)


@pytest.mark.parametrize(
    ("path", "key"),
    [("/v1/messages", "another"), ("/v1/messages", ""), ("/v1/files", None), ("/api/oauth/usage", None)],
)
def test_nobody_else_passes_and_nowhere_else(path, key, endpoint):
    """Neither another program of this machine, nor the CLI to other services."""
    proxy = CliProxy(endpoint.url, "the-real-key")
    with serve(proxy.respond) as address:
        headers = {} if key is None else {"x-api-key": key}
        assert asked(address, path=path, **headers)[0] == 401
    assert endpoint.requests == []


def test_failures_are_the_endpoint_s_own(endpoint):
    """The CLI decides what to do with them: repeating is its business."""
    proxy = CliProxy(endpoint.url, "k")
    with serve(proxy.respond) as address:
        assert asked(address, body={"broken": True})[0] == 529
    assert proxy.faults == []


def test_an_endpoint_that_is_not_there_is_a_fault():
    """The trial learns why, without password."""
    proxy = CliProxy("http://user:hidden-word@127.0.0.1:9", "k")
    with serve(proxy.respond) as address:
        assert asked(address)[0] == 502
    assert "127.0.0.1:9 cannot be reached" in str(proxy.faults[0])
    assert "hidden-word" not in str(proxy.faults[0])
