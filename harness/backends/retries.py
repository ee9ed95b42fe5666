"""Transport retries: send an HTTP request again after a passing fault, and count it.

The SDKs' own retries are switched off, because they hide the count, sleep again on replay, and know nothing
of other workers: when a request is sent again is the ``Limiter``'s to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Literal, TypeVar

from harness.agents.transcript import Role
from harness.backends.limiter import PATIENCE_S, Limiter, Pacing, Result, Turn
from harness.cassette.content_encoding import Undecodable
from harness.errors import UnusableAnswer
from harness.text import shorten

T = TypeVar("T")
ATTEMPTS = 5
TOTAL_S = 300.0
LOOK_AGAIN_S = 1.0  # a pause may end early
ENDPOINT = "mend the endpoint, or what stands between it and this machine"
SPEND_CAP = "enforced_spend_limit_reached"  # the code of a 429 that no wait mends


class Transport:
    """Sends a trial's requests, again after passing faults.

    Attributes:
        retries: How many requests were repeated, by role.
        lost: How many were sent and not answered, by role; they may have to be paid.
        waited: Called with the seconds that a request has waited for its service.

    Args:
        limiter: Says when a request may be sent. Default: one of this trial's own, which gives nothing up.
        attempts: Of one request.
        patient: What the service had no room for is no attempt.
    """

    def __init__(
        self, limiter: Pacing | None = None, *, attempts: int = ATTEMPTS, patient: bool = False
    ) -> None:
        self.retries: dict[Role, int] = {"orchestrator": 0, "coder": 0, "tester": 0}
        self.lost: dict[Role, int] = dict(self.retries)
        self.waited: Callable[[float], object] = lambda _: None
        self._limiter = limiter or Limiter(gives_up=False)
        self._patient = patient
        self._attempts = attempts

    def send(
        self,
        role: Role,
        request: Callable[[], T],
        *,
        service: str = "",
        safe_to_repeat: bool = True,
        is_first: bool = False,
    ) -> T:
        """Call ``request``, and again after 408, 409, 429, 5xx or a connection fault; count it for the role.

        ``service`` is who answers, as messages name it: an address, with a model if limits are its own.
        With ``safe_to_repeat=False`` the server may have acted on a request whose answer was lost; a lost
        connection is repeated only if it was never made. (An answered failure is repeated all the same: Letta
        rolls back a request that failed.) A connection that was never made is not repeated where the request
        ``is_first``, a question whether anybody is there.

        Raises:
            UnusableAnswer: It was answered with what cannot be decoded; asking again would cost as much.
            ApiError: The service was given up.
        """
        began, failures = time.monotonic(), 0
        while True:
            sent = self._wait_for(service)
            try:
                answer = decoded(request)
            except UnusableAnswer:
                self._limiter.answered(service, sent, "other", None, "")
                raise
            except Exception as error:
                result = "other" if is_first and never_connected(error) else result_of(error)
                self._limiter.answered(service, sent, result, _retry_after(error), _one_line(error))
                is_lost = status_of(error) is None and not _never_sent(error)
                self.lost[role] += is_lost
                failures += not (result == "throttled" and self._patient)
                if (
                    result not in ("failed", "throttled")
                    or (is_lost and not safe_to_repeat)
                    or failures >= self._attempts
                    or time.monotonic() - began > (TOTAL_S if result == "failed" else PATIENCE_S)
                ):
                    raise
                self.retries[role] += 1
            else:
                self._limiter.answered(service, sent, "ok", None, "")
                return answer

    def _wait_for(self, service: str) -> Turn:
        """Wait until a request may be sent."""
        wait_s, turn = self._limiter.admit(service)
        while wait_s > 0:
            time.sleep(min(wait_s, LOOK_AGAIN_S))
            self.waited(min(wait_s, LOOK_AGAIN_S))
            wait_s, turn = self._limiter.admit(service, turn)
        return turn


def decoded(request: Callable[[], T]) -> T:
    """Call ``request``; raise UnusableAnswer if the recorder cannot decode what came back."""
    try:
        return request()
    except Undecodable as error:
        raise UnusableAnswer(f"an answer cannot be used: {error}", remedy=ENDPOINT) from None


def unusable(service: Literal["letta", "claude"], what: str, why: object, remedy: str) -> UnusableAnswer:
    """Return the error for an answer of another form than the service's; ``why`` may be what it raised."""
    match why:
        case KeyError():
            reason = f"it has no {why.args[0]!r}"
        case AttributeError() if isinstance(why.obj, str | list | dict | int | float | None):
            reason = f"it has {type(why.obj).__name__} where something with {why.name!r} belongs"
        case AttributeError():
            reason = f"it has no {why.name!r}"
        case ValueError():
            reason = f"it is labelled as JSON, and is none: {why}"
        case _:
            reason = str(why)
    return UnusableAnswer(f"{what}: {' '.join(reason.split())[:200]}", remedy=remedy, service=service)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an SDK's error, or None when no answer came."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def result_of(error: Exception) -> Result:
    """Return what an SDK's error means for the service that was asked."""
    status = status_of(error)
    if status is None:
        return "failed" if type(error).__name__ in {"APIConnectionError", "APITimeoutError"} else "other"
    if status == 429:
        return "refused" if SPEND_CAP in str(getattr(error, "body", "")) else "throttled"
    if status == 529:
        return "throttled"
    if status in (408, 409) or status >= 500:
        return "failed"
    return "refused" if status in (401, 402, 403, 404) else "other"


def _never_sent(error: Exception) -> bool:
    """Return True for a connection that never stood, and for what is no fault of a connection."""
    return result_of(error) != "failed" or never_connected(error)


def never_connected(error: Exception) -> bool:
    """Return True for an SDK's error of a connection that never stood."""
    return type(error.__cause__).__name__ in {"ConnectError", "ConnectTimeout", "PoolTimeout"}


def _one_line(error: Exception) -> str:
    return shorten(" ".join(str(error).split()), 200)


def _retry_after(error: Exception) -> float | None:
    """Return the seconds that an answer asks to wait, told as such or as a date; None if there are none."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:
        with suppress(ValueError, TypeError):
            return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
        return None
    return max(0.0, seconds) if isfinite(seconds) else None
