"""The requests of the Claude CLI, passed on to its endpoint with the real key.

The CLI holds a key that is good for one call only (``loopback.py``). Unlike ``letta/gateway.py`` it may send
what it likes: its requests are full of session ids, dates and folders, and no part of a recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.backends.loopback import Response, error_response
from harness.backends.retries import ENDPOINT
from harness.cassette.content_encoding import Undecodable, decode
from harness.errors import ApiError, HarnessError, UnusableAnswer
from harness.redact import without_password

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
PASSED_ON = ("anthropic-beta", "anthropic-version", "content-type", "user-agent")
TIMEOUT_S = 600.0


class CliProxy:
    """The way to one endpoint. ``faults``: why it could not be reached."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.faults: list[HarnessError] = []
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key

    def respond(self, path: str, headers: Mapping[str, str], raw: bytes) -> Response:
        """Answer one request; see ``loopback.Respond``."""
        import httpx

        if urlsplit(path).path not in PATHS:
            return error_response(401, "authentication_error", "only the Messages API can be reached here")
        given = {name: value for name, value in headers.items() if name in PASSED_ON}
        given |= {"accept-encoding": "identity", "x-api-key": self._api_key}
        address, where = f"{self._base_url}{path}", without_password(self._base_url)
        try:
            with httpx.stream("POST", address, content=raw, headers=given, timeout=TIMEOUT_S) as answer:
                body = decode(b"".join(answer.iter_raw()), answer.headers.get("content-encoding", ""))
        except httpx.HTTPError as error:
            why = type(error).__name__
            self.faults.append(
                ApiError(f"{where} cannot be reached: {why}", remedy="check ANTHROPIC_BASE_URL")
            )
            return error_response(502, "api_error", "the endpoint cannot be reached")
        except Undecodable as error:
            self.faults.append(
                UnusableAnswer(f"an answer of {where} cannot be used: {error}", remedy=ENDPOINT)
            )
            return error_response(502, "api_error", "the endpoint's answer cannot be used")
        return answer.status_code, answer.headers.get("content-type", ""), body
