"""A loopback gateway to Claude, for the tools that run in Letta's sandbox.

The child process holds a key that is good for this gateway and this trial only; the real one is put in here.
What passes is recorded like every request of this process, and repeated after passing faults like them. Start
it inside of the recording, and stop it first.

Only the four fields that the tools send pass, to ``/coder/v1/messages`` and ``/tester/v1/messages``.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from harness.agents.messages import Refused
from harness.agents.transcript import Role
from harness.backends.loopback import JSON, error_answer, shown_key
from harness.errors import ApiError, HarnessError

ADDRESS = re.compile(r"/(coder|tester)/v1/messages")
FIELDS = {"max_tokens", "messages", "model", "system"}


class Upstream(Protocol):
    """What the gateway needs of a backend."""

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request of the Messages API on; gives the answer's body.

        Raises:
            Refused: The request itself was unacceptable, such as a prompt that is too long.
            ApiError: The service could not be used.
        """


class Gateway:
    """The way of Letta's tools to Claude.

    Attributes:
        key: What its callers have to show.
        url: Where it listens, once it is served.
        faults: Why it could not answer; each ends the trial.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.key = f"only-for-this-trial-{secrets.token_urlsafe(24)}"
        self.url = ""
        self.faults: list[HarnessError] = []
        self._upstream = upstream

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, str, bytes]:
        """See ``LoopbackApp.answer``."""
        return self._answer(path, shown_key(headers), raw)

    def _answer(self, path: str, shown: str, raw: bytes) -> tuple[int, str, bytes]:
        if not hmac.compare_digest(shown.encode(), self.key.encode()):
            return error_answer(
                401, "authentication_error", "this gateway is for the tools of a running trial"
            )
        match, body = ADDRESS.fullmatch(path), _parsed(raw)
        if match is None or body is None:
            return error_answer(
                404, "not_found_error", "this gateway passes on nothing else than the tools ask"
            )
        role: Role = "coder" if match[1] == "coder" else "tester"
        try:
            return 200, JSON, self._upstream.forward(role, body)
        except Refused as error:
            return error_answer(400, "invalid_request_error", str(error))
        except HarnessError as error:
            self.faults.append(error)
        except Exception as error:  # noqa: BLE001  (a bug must not look like a model's failure)
            self.faults.append(ApiError(f"the gateway failed: {type(error).__name__}: {error}"))
        return error_answer(503, "api_error", "Claude could not be reached")


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and set(body) == FIELDS else None
