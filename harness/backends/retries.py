"""Transport retries: send an HTTP request again after a passing fault, and count it.

The SDKs' own retries are switched off, because they hide the count and sleep again on replay. The
retry loop itself is stamina's (backoff with jitter, a hook that can ask for a given wait).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from harness.agents.transcript import Role
from harness.cassette.content_encoding import Undecodable
from harness.errors import ApiError, UnusableAnswer

T = TypeVar("T")
ATTEMPTS = 5
TOTAL_S = 300.0
LONGEST_WAIT_S = 60.0
ENDPOINT = "mend the endpoint, or what stands between it and this machine"
SPEND_CAP = "enforced_spend_limit_reached"  # the code of a 429 that no wait mends


class Transport:
    """Sends requests, again after passing faults. ``retries``: how many were repeated, by role."""

    def __init__(self, *, attempts: int = ATTEMPTS, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self.retries: dict[Role, int] = {"orchestrator": 0, "coder": 0, "tester": 0}
        self._attempts = attempts
        self._longest_wait_s = longest_wait_s

    def send(self, role: Role, request: Callable[[], T], *, safe_to_repeat: bool = True) -> T:
        """Call ``request``, and again after 408, 409, 429, 5xx or a connection fault; count it for the role.

        With ``safe_to_repeat=False`` the server may have acted on a request whose answer was lost; a lost
        connection is repeated only if it was never made. (An answered failure is repeated all the same: Letta
        rolls back a request that failed.)

        Raises:
            UnusableAnswer: It was answered with what cannot be decoded; asking again would cost as much.
        """
        import stamina.instrumentation

        # Its default hooks log "stamina.retry_scheduled" with the request's error, which is no news to a
        # user: what was repeated is counted, and an error that stays says how often.
        stamina.instrumentation.set_on_retry_hooks(())

        def wait(error: Exception) -> bool | float:
            if not _passing(error, safe_to_repeat=safe_to_repeat):
                return False
            asked = _retry_after(error)
            return True if asked is None else min(asked, self._longest_wait_s)

        attempts = stamina.retry_context(
            on=wait,
            attempts=self._attempts,
            timeout=TOTAL_S,
            wait_initial=min(0.5, self._longest_wait_s),
            wait_max=min(16.0, self._longest_wait_s),
            wait_jitter=min(1.0, self._longest_wait_s),
        )
        for attempt in attempts:
            with attempt:
                if attempt.num > 1:
                    self.retries[role] += 1
                return decoded(request)
        raise ApiError("no attempt was made")  # stamina always makes one or raises


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
        case AttributeError() if isinstance(why.obj, str):
            reason = "it is not labelled as JSON"
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


def _passing(error: Exception, *, safe_to_repeat: bool) -> bool:
    status = status_of(error)
    if status is None:
        return type(error).__name__ in {"APIConnectionError", "APITimeoutError"} and (
            safe_to_repeat
            or type(error.__cause__).__name__ in {"ConnectError", "ConnectTimeout", "PoolTimeout"}
        )
    if status == 429:
        return SPEND_CAP not in str(getattr(error, "body", ""))
    return status in (408, 409) or status >= 500


def _retry_after(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None
