"""Transport retries: which faults are repeated, how often, and that they are counted."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import no_wait

from harness.backends.retries import Transport


class Response:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class StatusError(Exception):
    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.body = body
        self.response = Response(**headers)


class APIConnectionError(Exception):
    """Called like the SDKs' own."""


class ConnectError(Exception):
    """Called like httpx's own."""


def failing(*errors: Exception) -> Any:
    left = list(errors)

    def request() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return request


def lost() -> Exception:
    return APIConnectionError("lost")


def never_connected() -> Exception:
    error = APIConnectionError("refused")
    error.__cause__ = ConnectError("refused")
    return error


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_passing_faults_are_repeated(status) -> None:
    """A request is sent again after these statuses, and the repetition is counted for its role."""
    transport = Transport(no_wait())
    assert transport.send("coder", failing(StatusError(status), StatusError(status))) == "answer"
    assert transport.retries == {"orchestrator": 0, "coder": 2, "tester": 0}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_lasting_faults_are_not(status) -> None:
    """Nothing is repeated that would fail the same way."""
    transport = Transport(no_wait())
    with pytest.raises(StatusError):
        transport.send("coder", failing(StatusError(status)))
    assert transport.retries["coder"] == 0


def test_a_spend_cap_is_not_repeated() -> None:
    """429 for a spent budget does not pass by waiting."""
    body = {"error": {"details": {"error_code": "enforced_spend_limit_reached"}}}
    transport = Transport(no_wait())
    with pytest.raises(StatusError):
        transport.send("coder", failing(StatusError(429, body)))
    assert transport.retries["coder"] == 0


def test_attempts_are_bounded() -> None:
    """After the last attempt the SDK's own error comes through."""
    transport = Transport(no_wait(), attempts=3)
    with pytest.raises(StatusError):
        transport.send("tester", failing(*[StatusError(500)] * 9))
    assert transport.retries["tester"] == 2


def test_lost_connections_are_repeated() -> None:
    """A connection that broke is a passing fault."""
    transport = Transport(no_wait())
    assert transport.send("coder", failing(lost())) == "answer"


def test_what_may_have_happened_is_not_repeated() -> None:
    """A message that the server may have acted on is not sent twice."""
    with pytest.raises(APIConnectionError):
        Transport(no_wait()).send("orchestrator", failing(lost()), safe_to_repeat=False)


@pytest.mark.parametrize("error", [never_connected(), StatusError(429), StatusError(500), StatusError(529)])
def test_what_cannot_have_happened_is_repeated(error) -> None:
    """A failure that was answered, and a connection that never stood, are repeated even then."""
    assert Transport(no_wait()).send("orchestrator", failing(error), safe_to_repeat=False) == "answer"


def test_nobody_there_is_told_at_once() -> None:
    """The first question of a trial waits for no server that is not there, but for one that stumbles."""
    transport = Transport(no_wait())
    with pytest.raises(APIConnectionError):
        transport.send("orchestrator", failing(never_connected()), is_first=True)
    assert transport.retries["orchestrator"] == 0
    for passing in (lost(), StatusError(503)):
        assert transport.send("orchestrator", failing(passing), is_first=True) == "answer"


@pytest.mark.parametrize("value", ["0", "0.01", "Wed, 21 Oct 2026 07:28:00 GMT", "-3", "soon"])
def test_retry_after_is_heeded_or_ignored(value) -> None:
    """A waiting time in any form never breaks the retry, and never makes it wait past the bound."""
    transport = Transport(no_wait())
    assert transport.send("coder", failing(StatusError(429, retry_after=value))) == "answer"


def test_a_retry_is_counted_and_not_logged(caplog, capsys) -> None:
    """A log line of the library for each repetition would show what the request failed with, and no more."""
    with caplog.at_level("DEBUG"):
        Transport(no_wait()).send("coder", failing(StatusError(500)))
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
