"""The cheapest real calls: does Letta answer and offer the models, does Claude answer for this account.

Each call is made once, without retries. A question of one token goes to each Claude model, and of one short
sentence to each orchestrator model that costs money: nothing less shows an empty account.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from harness.backends import endpoints
from harness.backends.checks.finding import Finding
from harness.backends.claude import messages_api
from harness.backends.claude.api_errors import diagnose
from harness.backends.endpoints import Endpoints
from harness.backends.letta.client import Server
from harness.backends.retries import Transport
from harness.errors import ApiError, HarnessError
from harness.redact import unlogged, without_password
from harness.tasks.loader import near
from harness.tasks.trial import Orchestrator, Pair
from harness.text import shorten

SERVER_VERSION = "0.16.8"
LIST_TIMEOUT_S = 30.0
SPEAK_TIMEOUT_S = 120.0
SOON_DAYS = 90
FREE = ("local/",)
HELLO = "Answer with the one word ok."
OPENAI_URL = "https://api.openai.com/v1"


def letta(where: Endpoints, handles: Sequence[str] = ()) -> Iterator[Finding]:
    """Check the Letta server, its version, and that it offers these models.

    Args:
        where: Its address and key.
        handles: The orchestrator models that are to be used.
    """
    with unlogged():
        server = _server(where, LIST_TIMEOUT_S)
        try:
            version = server.version()
        except ApiError as error:
            yield Finding("letta", "error", error.message, error.remedy)
            return
        if version == SERVER_VERSION:
            yield Finding("letta", "ok", f"{version} at {server.base_url}")
        else:
            seen = f"{version} at {server.base_url}; the harness was written for {SERVER_VERSION}"
            yield Finding("letta", "warning", seen, "look at the first trial closely")
        try:
            offered = server.models()
        except ApiError as error:
            yield Finding("letta models", "warning", error.message, error.remedy)
            return
    yield Finding("letta models", "ok", f"{len(offered)} offered (`harness models` lists them)")
    for handle in dict.fromkeys(handles):
        if handle not in offered:
            yield Finding(
                "orchestrator",
                "error",
                f"Letta at {server.base_url} does not offer {handle!r}{near(handle, offered)}",
                "correct the pair's orchestrator, or start Letta with the key of that provider; "
                "`harness models` lists what is offered",
            )


def orchestrator(where: Endpoints, handle: str) -> Finding:
    """Check that a model answers through Letta, with the server's own key; the agent is deleted at once."""
    with unlogged():
        server = _server(where, SPEAK_TIMEOUT_S)
        try:
            with server.agent("pair-harness doctor", Orchestrator(model=handle), HELLO, {}) as agent:
                turn = agent.say(HELLO, [])
        except ApiError as error:
            return Finding("orchestrator", "error", f"{handle}: {error.message}", error.remedy)
    if turn.stop in ("error", "llm_api_error"):
        return Finding(
            "orchestrator", "error", f"{handle}: its turn ended with {turn.stop}", "see Letta's log"
        )
    return Finding("orchestrator", "ok", f"{handle} answers")


def claude_model(where: Endpoints, model: str, key: str) -> Finding:
    """Check that a Claude model answers for this account.

    Args:
        where: Address and key.
        model: The model.
        key: The name of the variable that holds the key.
    """
    with unlogged():
        failure = messages_api.probe(where.claude_url, where.claude_key, model)
    place = f"{model} at {without_password(where.claude_url)}"
    if failure is None:
        return Finding("claude", "ok", f"{place} answers")
    found = diagnose(failure.status, failure.text, key=where.claude_key)
    return Finding(
        "claude",
        "warning" if found.passing else "error",
        f"{place}: {found.meaning} ({key}): {shorten(failure.text, 200)}",
        found.remedy,
    )


def claude_models(where: Endpoints, wanted: Iterable[str], today: date) -> Iterator[Finding]:
    """Check how long the models in use are offered. Other endpoints than Anthropic's may list none."""
    with unlogged():
        try:
            offered = {each.name: each for each in messages_api.offered(where.claude_url, where.claude_key)}
        except ApiError:
            return
    for model in dict.fromkeys(wanted):
        ends = offered[model].retires if model in offered else None
        if ends is not None:
            if (ends - today).days < SOON_DAYS:
                yield Finding("claude", "warning", f"{model} ends on {ends}", "choose a newer model")
            else:
                yield Finding("claude", "ok", f"{model} is offered until {ends}")


def openai(environment: Mapping[str, str]) -> Finding:
    """Check that OpenAI accepts the key: listing models costs nothing, and does not show an empty account."""
    key = environment.get("OPENAI_API_KEY", "").strip()
    url = environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL
    display = without_password(url)
    if not url.startswith(("http://", "https://")):
        return Finding("openai", "error", f"{display} is no address", "correct OPENAI_BASE_URL")
    request = urllib.request.Request(  # noqa: S310  (http and https only, see above)
        f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LIST_TIMEOUT_S) as answer:  # noqa: S310
            count = len(json.load(answer)["data"])
    except urllib.error.HTTPError as error:
        with error:
            refused = error.code in (401, 403)
            remedy = "set OPENAI_API_KEY to a valid key" if refused else "see OPENAI_BASE_URL"
            return Finding("openai", "error", f"{display}: {error.code} {error.reason}", remedy)
    except (OSError, ValueError, KeyError, TypeError):
        remedy = "check OPENAI_BASE_URL, the network"
        return Finding("openai", "error", f"no list of models at {display}", remedy)
    return Finding("openai", "ok", f"{count} models at {display}; what counts is the key of the Letta server")


def of_pairs(pairs: Sequence[Pair], environment: Mapping[str, str], *, ask: bool = True) -> Iterator[Finding]:
    """Check all that these pairs need: each server, model and key once.

    Args:
        pairs: The pairs.
        environment: The variables.
        ask: Also ask the models something, which costs a fraction of a cent each.
    """
    places = []
    for pair in pairs:
        try:
            places.append((pair, endpoints.live(pair, environment)))
        except HarnessError as error:
            yield Finding(f"pair {pair.name}", "error", error.message, error.remedy)
    servers: dict[tuple[str, str], list[tuple[Pair, Endpoints]]] = {}
    for pair, where in places:
        servers.setdefault((where.letta_url, where.letta_key), []).append((pair, where))
    for group in servers.values():
        handles = list(dict.fromkeys(pair.orchestrator.model for pair, _ in group))
        where = group[0][1]
        found = list(letta(where, handles))
        yield from found
        if ask and not any(each.level == "error" for each in found):
            yield from (orchestrator(where, each) for each in handles if not each.startswith(FREE))
    if ask:
        yield from _claudes(places)


def _claudes(places: Sequence[tuple[Pair, Endpoints]]) -> Iterator[Finding]:
    asked = {
        (where.claude_url, where.claude_key, model): where
        for pair, where in places
        if pair.backend == "anthropic"
        for model in (pair.coder, pair.tester)
    }
    for (_, _, model), where in asked.items():
        yield claude_model(where, model, "ANTHROPIC_API_KEY")
    accounts = {(url, key): where for (url, key, _), where in asked.items()}
    for account, where in accounts.items():
        models = [model for (url, key, model) in asked if (url, key) == account]
        yield from claude_models(where, models, datetime.now(UTC).date())


def _server(where: Endpoints, timeout_s: float) -> Server:
    return Server(where.letta_url, where.letta_key, Transport(attempts=1), timeout_s=timeout_s)
