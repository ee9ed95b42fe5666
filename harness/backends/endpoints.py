"""The addresses and keys of Letta and Claude, from the environment or the embedded stack.

    LETTA_BASE_URL      default: Letta's cloud if LETTA_API_KEY is set, else http://localhost:8283
    LETTA_API_KEY       needed by Letta's cloud only
    ANTHROPIC_BASE_URL  default: https://api.anthropic.com
    ANTHROPIC_API_KEY   needed by the backend ``anthropic`` when it runs live, unless the address is yours
    ORCH_MODEL          orchestrator of the pair that is made without a pairs file
    CLAUDE_MODEL        its coder

The backend ``claude-code`` uses ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY together if the first is set, and
else the login of the Claude CLI: a key alone is never used. The backend ``local`` is the embedded stack's
own endpoint: it gets no key of yours. The backend ``mock`` has no endpoint; its Letta is the embedded
stack's, if that runs and LETTA_BASE_URL is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.backends.claude.messages_api import DEFAULT_URL as CLAUDE_URL
from harness.backends.letta.client import CLOUD_URL
from harness.backends.letta.client import DEFAULT_URL as LETTA_URL
from harness.errors import ApiError, StackError
from harness.tasks.pair import Pair

NO_KEY = "no-key"
NOBODY = "http://letta.invalid"
NOT_RECORDED = ""  # the name of a service whose requests are no part of a recording


@dataclass(frozen=True)
class Endpoints:
    """The addresses that a trial's requests go to.

    Attributes:
        claude_url: Empty where the Claude CLI uses its own login.
        services: Base URL -> the service's name in a cassette; ``NOT_RECORDED`` is one of them.
        live: False in a replay, which does not wait either.

    Raises:
        ApiError: An address or a key cannot be one.
    """

    letta_url: str
    letta_key: str = field(repr=False)
    claude_url: str
    claude_key: str = field(repr=False)
    services: Mapping[str, str] = field(default_factory=dict)
    live: bool = True

    def __post_init__(self) -> None:
        places = {"LETTA": (self.letta_url, self.letta_key), "ANTHROPIC": (self.claude_url, self.claude_key)}
        for name, (url, key) in places.items():
            if url and not url.startswith(("http://", "https://")):
                wrong = f"{name}_BASE_URL is no address: it must begin with http:// or https://"
                raise ApiError(wrong, remedy="correct it")
            if not (key.isascii() and key.isprintable()) or " " in key:
                raise ApiError(f"{name}_API_KEY holds a blank, a line break or another character no key has")


def live(pair: Pair, environment: Mapping[str, str]) -> Endpoints:
    """Return the real endpoints of a pair.

    Raises:
        ApiError: A key is missing or malformed, or the embedded stack does not run.
    """
    letta_url, letta_key = letta_of(pair, environment)
    claude_url, claude_key = _get(environment, "ANTHROPIC_BASE_URL"), _get(environment, "ANTHROPIC_API_KEY")
    if pair.backend == "local":
        claude_url, claude_key = _local(pair, "anthropic_base_url"), NO_KEY
    elif pair.backend == "claude-code":
        claude_key = (claude_key if claude_url else "") or NO_KEY
    elif pair.backend == "mock":
        claude_url, claude_key = "http://mock.invalid", NO_KEY
    elif not (claude_key or claude_url):
        raise ApiError(
            f"the pair {pair.name} runs Claude live, and ANTHROPIC_API_KEY is not set",
            remedy="set it, or ANTHROPIC_BASE_URL to a local server, or choose a pair whose backend is local",
        )
    else:
        # A local server asks for no key.
        claude_url, claude_key = claude_url or CLAUDE_URL, claude_key or NO_KEY
    services = {letta_url: "letta"}
    if claude_url:
        # The CLI's own requests are no part of a recording.
        services[claude_url] = NOT_RECORDED if pair.backend == "claude-code" else pair.backend
    return Endpoints(letta_url, letta_key, claude_url, claude_key, services)


def letta_of(pair: Pair, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the address and the key of the Letta server that a pair's orchestrator lives in.

    Raises:
        ApiError: A key is malformed, or the embedded stack does not run.
    """
    # The fixed policy needs no Letta: whatever is set for one is not looked at.
    url, key = (NOBODY, "") if pair.is_direct else _letta(environment)
    if not url and pair.backend == "local":
        url = _local(pair, "letta_base_url")
    elif not url and pair.backend == "mock":
        url = _embedded("letta_base_url")
    return url or LETTA_URL, key or NO_KEY


def anywhere(environment: Mapping[str, str]) -> Endpoints:
    """Return the endpoints for a command without a pair: the environment's, else the embedded stack's."""
    letta_url, letta_key = _letta(environment)
    if not letta_url:
        try:
            letta_url = _embedded("letta_base_url") or LETTA_URL
        except StackError:  # not installed
            letta_url = LETTA_URL
    claude_url = _get(environment, "ANTHROPIC_BASE_URL") or CLAUDE_URL
    claude_key = _get(environment, "ANTHROPIC_API_KEY")
    return Endpoints(letta_url, letta_key or NO_KEY, claude_url, claude_key)


def letta_alone(environment: Mapping[str, str]) -> Endpoints:
    """Return ``anywhere`` for a question to Letta, whatever is wrong with Claude's variables."""
    return anywhere({name: value for name, value in environment.items() if not name.startswith("ANTHROPIC_")})


def claude_alone(environment: Mapping[str, str]) -> Endpoints:
    """Return ``anywhere`` for a question to Claude, whatever is wrong with Letta's variables."""
    return anywhere({name: value for name, value in environment.items() if not name.startswith("LETTA_")})


def replayed(pair: Pair) -> Endpoints:
    """Return addresses that cannot exist: should a request get past the player, it reaches nobody."""
    return Endpoints(NOBODY, NO_KEY, f"http://{pair.backend}.invalid", NO_KEY, live=False)


def add_stack_fault(error: ApiError, pair: Pair) -> None:
    """Add to a live trial's error the end of the log of a server of the embedded stack that has ended."""
    if pair.backend != "local" and not pair.orchestrator.model.startswith("local/"):
        return
    from harness.local.stack.status import fault

    try:
        ended = fault()
    except StackError:  # not installed
        return
    if ended is not None:
        error.message += f"; {ended.message}"
        error.remedy = "harness up, then the same command with --record=once: what is recorded stays"


def _get(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip()


def _letta(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the URL and key of Letta that the environment names; either may be empty."""
    key = _get(environment, "LETTA_API_KEY")
    return _get(environment, "LETTA_BASE_URL") or (CLOUD_URL if key else ""), key


def _embedded(name: str) -> str:
    """Return an address of the embedded stack; empty if it does not run."""
    from harness.local.stack.status import status

    return str(getattr(status(), name))


def _local(pair: Pair, name: str) -> str:
    url = _embedded(name)
    if not url:
        raise ApiError(
            f"the pair {pair.name} needs the embedded stack, which does not run", remedy="harness up"
        )
    return url
