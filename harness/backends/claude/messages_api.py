"""Claude through the ``anthropic`` SDK, which is imported here only.

Any endpoint that speaks the Messages API will do (``ANTHROPIC_BASE_URL``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from harness.agents.messages import Answer, Refused
from harness.agents.transcript import Role, Usage
from harness.backends.claude.api_errors import Diagnosis, diagnose
from harness.backends.retries import SPEND_CAP, Transport, status_of, unusable
from harness.errors import ApiError
from harness.redact import without_password
from harness.text import well_formed

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types import Message

T = TypeVar("T")
DEFAULT_URL = "https://api.anthropic.com"
TIMEOUT_S = 600.0
LOCAL_TIMEOUT_S = 3600.0  # a model on this machine answers one after the other, and slowly beside other work
PROBE_TIMEOUT_S = 60.0
# Fields that other endpoints of the Messages API take.
LOCAL_FIELDS = {"seed", "temperature"}
# Requests that are refused for what a model put into them; other 4xx are infrastructure errors.
CONTENT = re.compile(
    r"(?i)\b(prompt|input|messages?|request)\b.{0,60}?\b(too (long|large)|exceeds?)\b"
    r"|context (window|length|limit|size)|content filter|blocked by .{0,20}content"
)
# ... unless a pair's settings ask for too much, or an account's limits or a proxy are at fault.
NOT_CONTENT = re.compile(
    r"(?i)max_(completion_)?tokens|in the completion|output_config|thinking|budget_tokens"
    r"|rate.?limit|per.minute|subscription|\bbeta\b|proxy|firewall"
)
PROMPT_OF = re.compile(r"(?i)maximum context length is (\d+).{0,200}?\((\d+) in the messages", re.DOTALL)
# Of an error's type, where its HTTP status is that of an answer.
STATUSES = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}
# Reasons for which a whole answer ends; after any other one, half a file must not be taken for a file. Some
# local servers give none.
WHOLE = {"end_turn", "stop_sequence", "stop", "tool_use", None}


class MessagesApi:
    """Claude behind the Messages API."""

    def __init__(
        self, base_url: str, api_key: str, transport: Transport, *, timeout_s: float | None = None
    ) -> None:
        self._display_url = without_password(base_url)
        self._client = _client(base_url, api_key, timeout_s or TIMEOUT_S)
        self._transport = transport

    def ask(self, role: Role, model: str, system: str, prompt: str, options: Mapping[str, Any]) -> Answer:
        """Send one system prompt and one user message; see ``Claude.ask``."""
        message = self._send(
            role,
            model,
            lambda: _no_error(
                self._client.messages.create(
                    model=model,
                    system=system,
                    messages=[{"role": "user", "content": prompt}],
                    **_arguments(options),
                )
            ),
        )
        try:
            return _answer(message, model)
        except (AttributeError, KeyError, TypeError) as error:
            raise _no_api(self._display_url, error) from None

    def forward(self, role: Role, body: Mapping[str, Any]) -> bytes:
        """Pass a request on as it is; see ``Claude.forward``."""
        create = self._client.messages.with_raw_response.create
        return bytes(
            self._send(role, str(body["model"]), lambda: create(**_arguments(body))).http_response.content
        )

    def _send(self, role: Role, model: str, request: Callable[[], T]) -> T:
        import anthropic

        service = f"Claude ({model} at {self._display_url})"
        try:
            return self._transport.send(role, request, service=service)
        except anthropic.APIError as error:
            status = status_of(error)
            if isinstance(error.body, dict) and is_for_content(status, str(error)):
                raise Refused(_reason(error)) from None
            raise ApiError(
                f"{service}: {_reason(error)}",
                remedy=diagnose(status, str(error)).remedy,
                service="claude" if status else "",
            ) from None
        except (ValueError, RecursionError) as error:
            raise _no_api(self._display_url, error) from None


def is_for_content(status: int | None, text: str) -> bool:
    """Return True if a request was refused for what a model put into it, not for a pair's settings."""
    if status not in (400, 413, 422) or not CONTENT.search(text):
        return False
    if room := PROMPT_OF.search(text):
        return int(room[2]) >= int(room[1])
    return NOT_CONTENT.search(text) is None


def _no_api(url: str, why: Exception, what: str = "is no Messages API") -> ApiError:
    return unusable("claude", f"what answers at {url} {what}", why, "correct ANTHROPIC_BASE_URL")


def probe(base_url: str, api_key: str, model: str) -> tuple[Diagnosis, str] | None:
    """Ask a model for one token, the cheapest call that shows an empty account; None if it answers.

    Else the diagnosis, and the service's own words.
    """
    import anthropic

    client = _client(base_url, api_key, PROBE_TIMEOUT_S)
    try:
        message = client.messages.create(
            model=model, max_tokens=1, messages=[{"role": "user", "content": "Hello"}]
        )
        _answer(message, model)
    except anthropic.APIError as error:
        status, text = status_of(error), _reason(error)
        # The code, such as which limit was reached, stands beside the message.
        capped = SPEND_CAP if SPEND_CAP in str(error.body) else ""
        if code := getattr(error, "error_code", None) or capped:
            text += f" ({code})"
    except (AttributeError, KeyError, TypeError, ValueError):
        status, text = 200, "what answers there is no Messages API"
    else:
        return None
    return diagnose(status, text, key=api_key), text


def offered(base_url: str, api_key: str) -> dict[str, date | None]:
    """List the models of an endpoint, each with the day on which it ends, if that is known. Costs nothing.

    Raises:
        ApiError: It lists none, or cannot be reached.
    """
    import anthropic

    client = _client(base_url, api_key, PROBE_TIMEOUT_S)
    try:
        listed = {str(each.id): each.retires_at for each in client.models.list(limit=100)}
    except anthropic.APIError as error:
        raise ApiError(
            f"Claude's models at {without_password(base_url)}: {_reason(error)}",
            remedy=diagnose(status_of(error), str(error), key=api_key).remedy,
        ) from None
    except (ValueError, AttributeError, TypeError) as error:
        raise _no_api(without_password(base_url), error, "lists no models") from None
    return {name: ends.date() if isinstance(ends, datetime) else None for name, ends in listed.items()}


def _arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a request as the SDK takes them, those that Claude's API has not among them."""
    given = {name: value for name, value in fields.items() if name not in LOCAL_FIELDS}
    local = {name: value for name, value in fields.items() if name in LOCAL_FIELDS}
    return given | ({"extra_body": local} if local else {})


def _no_error(message: Message) -> Message:
    """Return a message; raise the APIStatusError for one that is an error, answered as if all were well."""
    import anthropic
    import httpx2

    error = getattr(message, "error", None)
    if getattr(message, "type", None) != "error" or not isinstance(error, dict):
        return message
    status = STATUSES.get(str(error.get("type")), 400)
    response = httpx2.Response(status, request=httpx2.Request("POST", DEFAULT_URL))
    raise anthropic.APIStatusError(str(error.get("message", "")), response=response, body={"error": error})


def _answer(message: Message, model: str) -> Answer:
    if isinstance(message, str):
        raise TypeError("it is not labelled as JSON")
    if not isinstance(message.content, list):
        raise TypeError("its content is no list")
    if message.usage is None:
        raise TypeError("it has no 'usage'")
    return Answer(
        text=well_formed("".join(block.text for block in message.content if block.type == "text")),
        model=model,
        usage=Usage.from_messages(vars(message.usage)),
        cut_off=message.stop_reason not in WHOLE,
    )


@functools.cache
def _client(base_url: str, api_key: str, timeout_s: float) -> Anthropic:
    """Return the one client of this process for an endpoint and a timeout: building one takes about 50 ms."""
    from anthropic import Anthropic

    return Anthropic(base_url=base_url, api_key=api_key, max_retries=0, timeout=timeout_s)


def _reason(error: Exception) -> str:
    status = status_of(error)
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else None
    text = str(said or getattr(error, "message", error))
    cause = error.__cause__
    if status is None and cause is not None:
        text = f"{text.rstrip('.')} ({cause})"
    return f"{status} {text}" if status else text
