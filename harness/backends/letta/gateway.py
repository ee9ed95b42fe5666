"""The requests of the tools in Letta's sandbox, passed on to Claude with the real key.

The child process holds a key that is good for this trial only (``loopback.py``). What passes is recorded and
repeated like every request of this process: start it inside of the recording, and stop it first. Only the
fields that the tools send pass, to ``/coder/v1/messages`` and ``/tester/v1/messages``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.agents.messages import Claude, Refused
from harness.agents.transcript import Role
from harness.backends.loopback import JSON, Response, error_response
from harness.errors import ApiError, HarnessError

PATH = re.compile(r"/(coder|tester)/v1/messages")
FIELDS = {"max_tokens", "messages", "model", "system"}
OPTIONS = {"output_config", "seed", "temperature", "thinking"}


class Gateway:
    """The way of Letta's tools to Claude. ``faults``: why it could not answer; each ends the trial."""

    def __init__(self, claude: Claude) -> None:
        self.faults: list[HarnessError] = []
        self._claude = claude

    def respond(self, path: str, _headers: Mapping[str, str], raw: bytes) -> Response:
        """Answer one request; see ``loopback.Respond``."""
        match, body = PATH.fullmatch(path), _parse(raw)
        if match is None or body is None:
            return error_response(404, "not_found_error", "only what the tools ask is passed on")
        role: Role = "coder" if match[1] == "coder" else "tester"
        try:
            return 200, JSON, self._claude.forward(role, body)
        except Refused as error:
            return error_response(400, "invalid_request_error", str(error))
        except HarnessError as error:
            self.faults.append(error)
        except Exception as error:  # noqa: BLE001  (a bug must not look like a model's failure)
            self.faults.append(ApiError(f"the gateway failed: {type(error).__name__}: {error}"))
        return error_response(503, "api_error", "Claude could not answer")


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and FIELDS <= set(body) <= FIELDS | OPTIONS else None
