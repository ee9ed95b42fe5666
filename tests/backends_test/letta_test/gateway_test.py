"""The gateway of Letta's tools, on loopback: who passes, with what, and what becomes of failures."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from harness.agents.messages import Refused
from harness.backends.letta.gateway import Gateway
from harness.backends.loopback import MAX_BYTES, serve
from harness.errors import ApiError, SpecError

BODY = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "model": "m", "system": "s"}


class Claude:
    """Answers with what it was given, or fails."""

    def __init__(self, failure=None):
        self.asked = []
        self.failure = failure

    def forward(self, role, body):
        self.asked.append((role, body))
        if self.failure is not None:
            raise self.failure
        return b'{"said": "yes"}'


def asked(address, *, path="/coder/v1/messages", body=None, **headers):
    raw = json.dumps(BODY if body is None else body).encode() if not isinstance(body, bytes) else body
    given = {"x-api-key": address.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"{address.url}{path}", data=raw, headers=given)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("role", ["coder", "tester"])
def test_a_request_passes_with_its_role(role):
    """The address says for whom; body and answer are untouched."""
    upstream = Claude()
    gateway = Gateway(upstream)
    with serve(gateway.respond) as address:
        assert asked(address, path=f"/{role}/v1/messages") == (200, {"said": "yes"})
    assert upstream.asked == [(role, BODY)]


def test_the_key_may_be_a_bearer_token():
    """Newer SDKs send it so."""
    gateway = Gateway(Claude())
    with serve(gateway.respond) as address:
        assert asked(address, x_api_key="", authorization=f"Bearer {address.key}")[0] == 200


@pytest.mark.parametrize("key", ["", "another", "only-for-this-trial-", "schlüssel"])
def test_nobody_passes_without_the_key(key):
    """Other programs of this machine cannot use the real key through the gateway."""
    upstream = Claude()
    gateway = Gateway(upstream)
    with serve(gateway.respond) as address:
        assert asked(address, x_api_key=key)[0] == 401
    assert upstream.asked == []


def test_each_address_has_a_key_of_its_own():
    """A key of one trial is worth nothing in the next, and stands in no repr."""
    gateway = Gateway(Claude())
    with serve(gateway.respond) as one, serve(gateway.respond) as other:
        assert one.key != other.key
        assert one.key not in repr(one)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/coder/v1/models", BODY),
        ("/v1/messages", BODY),
        ("/boss/v1/messages", BODY),
        ("/coder/v1/messages?beta=true", BODY),
        ("/coder/v1/messages", {**BODY, "tools": []}),
        ("/coder/v1/messages", {"model": "m"}),
        ("/coder/v1/messages", [BODY]),
        ("/coder/v1/messages", b"{"),
        ("/coder/v1/messages", b"[" * 100_000),
    ],
)
def test_nothing_else_passes(path, body):
    """Only what the tools ask reaches Claude."""
    upstream = Claude()
    gateway = Gateway(upstream)
    with serve(gateway.respond) as address:
        assert asked(address, path=path, body=body)[0] == 404
    assert upstream.asked == []


def test_a_request_that_is_too_long_is_not_read():
    """A length is believed, and bounded."""
    upstream = Claude()
    gateway = Gateway(upstream)
    with serve(gateway.respond) as address:
        assert asked(address, content_length=str(MAX_BYTES + 1))[0] == 413
    assert upstream.asked == []


def test_a_refusal_reaches_the_tool():
    """The models' doing: the tool is to tell the orchestrator."""
    gateway = Gateway(Claude(Refused("400 prompt is too long")))
    with serve(gateway.respond) as address:
        status, body = asked(address)
        assert (status, body["error"]["message"]) == (400, "400 prompt is too long")
        assert gateway.faults == []


@pytest.mark.parametrize(
    "failure", [ApiError("no credit", remedy="pay"), SpecError(["no such bug"]), ValueError("a bug")]
)
def test_a_fault_is_kept_for_the_trial(failure):
    """The tool hears no reason, the trial does: it cannot be measured."""
    gateway = Gateway(Claude(failure))
    with serve(gateway.respond) as address:
        status, body = asked(address)
    assert status == 503
    assert str(failure) not in json.dumps(body)
    assert str(failure) in str(gateway.faults[0])
    assert isinstance(gateway.faults[0], SpecError if isinstance(failure, SpecError) else ApiError)
