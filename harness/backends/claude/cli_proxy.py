"""A loopback passage to the Messages API for the Claude CLI, which holds a key that is good for it only.

Unlike ``gateway.py`` it lets through whatever the CLI says: its requests are its own affair, full of
session ids, dates and folders, and no part of a recording. The real key, if there is one, is put in here.

Not covered: streams are passed on when they are whole.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from harness.backends.loopback import error_answer, shown_key
from harness.errors import ApiError, HarnessError
from harness.redact import without_password

PATHS = ("/v1/messages", "/v1/messages/count_tokens")
PASSED_ON = ("anthropic-beta", "anthropic-version", "content-type", "user-agent")
TIMEOUT_S = 600.0


class CliProxy:
    """The way to one endpoint; see ``gateway.serving``.

    Attributes:
        faults: Why it could not be reached.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        self.key = f"only-for-this-call-{secrets.token_urlsafe(24)}"
        self.url = ""
        self.faults: list[HarnessError] = []
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body for one request; never raises."""
        import httpx

        known = hmac.compare_digest(shown_key(headers).encode(), self.key.encode())
        if not known or urlsplit(path).path not in PATHS:
            return error_answer(401, "authentication_error", "this is for the Claude CLI of a running trial")
        given = {name: value for name, value in headers.items() if name in PASSED_ON}
        given |= {"accept-encoding": "identity", "x-api-key": self._api_key}
        try:
            answer = httpx.post(f"{self._base_url}{path}", content=raw, headers=given, timeout=TIMEOUT_S)
        except httpx.HTTPError as error:
            where = without_password(self._base_url)
            self.faults.append(
                ApiError(
                    f"{where} cannot be reached: {type(error).__name__}", remedy="check ANTHROPIC_BASE_URL"
                )
            )
            return error_answer(502, "api_error", "the endpoint cannot be reached")
        return answer.status_code, answer.headers.get("content-type", ""), answer.content
