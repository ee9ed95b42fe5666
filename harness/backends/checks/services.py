"""The cheapest real calls: does Letta answer and offer the models, does Claude answer for this account.

Each call is made once, without retries. A question of one token goes to each Claude model, and of one short
sentence to each orchestrator model that costs money: nothing less shows an empty account.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial

from harness.backends import endpoints
from harness.backends.checks.finding import Finding
from harness.backends.claude import messages_api
from harness.backends.endpoints import Endpoints
from harness.backends.letta.client import Server, require_server
from harness.backends.retries import Transport
from harness.errors import ApiError, HarnessError
from harness.local.stack import app_server_install, letta_install
from harness.local.stack.providers import list_models
from harness.redact import unlogged, without_password
from harness.tasks.loader import near
from harness.tasks.pair import Orchestrator, Pair
from harness.text import shorten

SERVER_VERSIONS = (letta_install.VERSION, app_server_install.RELEASE)
LIST_TIMEOUT_S = 30.0
SPEAK_TIMEOUT_S = 120.0
SOON_DAYS = 90
FREE = ("local/",)
HELLO = "Answer with the one word ok."
OPENAI_URL = "https://api.openai.com/v1"


def letta(where: Endpoints, orchestrators: Sequence[Orchestrator] = ()) -> Iterator[Finding]:
    """Check the Letta server, its version, and that these orchestrators can live in it."""
    with unlogged():
        server = _server(where, LIST_TIMEOUT_S)
        try:
            version = server.version()
        except ApiError as error:
            yield Finding("letta", "error", error.message, error.remedy)
            return
        seen = f"{version} at {server.base_url}"
        if version in SERVER_VERSIONS:
            yield Finding("letta", "ok", seen)
        else:
            seen += f"; the harness was written for {' and '.join(SERVER_VERSIONS)}"
            yield Finding("letta", "warning", seen, "look at the first trial closely")
        try:
            for each in orchestrators:
                require_server(each, version, server.base_url)
        except ApiError as error:
            yield Finding("letta", "error", error.message, error.remedy)
            return
        try:
            offered = server.models()
        except ApiError as error:
            yield Finding("letta models", "warning", error.message, error.remedy)
            return
    yield Finding("letta models", "ok", f"{len(offered)} offered (`harness models` lists them)")
    for handle in dict.fromkeys(each.model for each in orchestrators):
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
        seen = f"{handle}: its turn ended with {turn.stop}"
        return Finding("orchestrator", "error", seen, "see Letta's log")
    return Finding("orchestrator", "ok", f"{handle} answers")


def claude_model(where: Endpoints, model: str) -> Finding:
    """Check that a Claude model answers for this account."""
    with unlogged():
        failure = messages_api.probe(where.claude_url, where.claude_key, model)
    place = f"{model} at {without_password(where.claude_url)}"
    if failure is None:
        return Finding("claude", "ok", f"{place} answers")
    found, answer = failure
    seen = f"{place}: {found.meaning} (ANTHROPIC_API_KEY): {shorten(answer, 200)}"
    return Finding("claude", "warning" if found.passing else "error", seen, found.remedy)


def claude_models(where: Endpoints, wanted: Iterable[str], today: date) -> Iterator[Finding]:
    """Check how long the models in use are offered. Other endpoints than Anthropic's may list none."""
    with unlogged():
        try:
            offered = messages_api.offered(where.claude_url, where.claude_key)
        except ApiError:
            return
    for model in dict.fromkeys(wanted):
        ends = offered.get(model)
        if ends is not None and (ends - today).days < SOON_DAYS:
            yield Finding("claude", "warning", f"{model} ends on {ends}", "choose a newer model")
        elif ends is not None:
            yield Finding("claude", "ok", f"{model} is offered until {ends}")


def stand_ins(where: Endpoints, models: Iterable[str]) -> Iterator[Finding]:
    """Check that the embedded stack serves the models of coders and testers."""
    served = [model["id"] for model in list_models(where.claude_url)]
    for model in models:
        if model in served:
            yield Finding("stand-in", "ok", f"{model} is served by the embedded stack")
        else:
            seen = f"the embedded stack does not serve {model!r}{near(model, served)}"
            yield Finding("stand-in", "error", seen, "fetch it with harness up --models, or correct the pair")


def openai(environment: Mapping[str, str]) -> Finding:
    """Check that OpenAI accepts the key: listing models costs nothing, and does not show an empty account."""
    key = environment.get("OPENAI_API_KEY", "").strip()
    url = environment.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL
    display, error = without_password(url), partial(Finding, "openai", "error")
    if not url.startswith(("http://", "https://")):
        return error(f"{display} is no address", "correct OPENAI_BASE_URL")
    request = urllib.request.Request(  # noqa: S310  (http and https only, see above)
        f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LIST_TIMEOUT_S) as answer:  # noqa: S310
            count = len(json.load(answer)["data"])
    except urllib.error.HTTPError as refusal:
        with refusal:
            bad_key = refusal.code in (401, 403)
            remedy = "set OPENAI_API_KEY to a valid key" if bad_key else "see OPENAI_BASE_URL"
            return error(f"{display}: {refusal.code} {refusal.reason}", remedy)
    except (OSError, ValueError, KeyError, TypeError):
        return error(f"no list of models at {display}", "check OPENAI_BASE_URL, the network")
    return Finding("openai", "ok", f"{count} models at {display}; what counts is the key of the Letta server")


def of_pairs(pairs: Sequence[Pair], environment: Mapping[str, str], *, ask: bool = True) -> Iterator[Finding]:
    """Check all that these pairs need: each server, model and key once.

    With ``ask`` the models are asked something, too, which costs a fraction of a cent each.
    """
    places, lettas = [], []
    for pair in pairs:
        try:
            places.append((pair, endpoints.live(pair, environment)))
            lettas.append(places[-1])
        except HarnessError as error:
            yield Finding(f"pair {pair.name}", "error", error.message, error.remedy)
            with suppress(HarnessError):  # Claude's key is missing, say: Letta can be asked all the same
                lettas.append((pair, endpoints.letta_alone(environment)))
    orchestrated = [(pair, where) for pair, where in lettas if not pair.is_direct]
    for where, group in _grouped(orchestrated, lambda where: (where.letta_url, where.letta_key)):
        orchestrators = [pair.orchestrator for pair in group]
        found = list(letta(where, orchestrators))
        yield from found
        if ask and not any(each.level == "error" for each in found):
            handles = dict.fromkeys(each.model for each in orchestrators)
            yield from (orchestrator(where, each) for each in handles if not each.startswith(FREE))
    billed = [(pair, where) for pair, where in places if ask and pair.backend == "anthropic"]
    for where, group in _grouped(billed, lambda where: (where.claude_url, where.claude_key)):
        models = list(dict.fromkeys(model for pair in group for model in pair.writers))
        yield from (claude_model(where, model) for model in models)
        yield from claude_models(where, models, datetime.now(UTC).date())
    local = [(pair, where) for pair, where in places if pair.backend == "local"]
    for where, group in _grouped(local, lambda where: (where.claude_url, where.claude_key)):
        yield from stand_ins(where, dict.fromkeys(model for pair in group for model in pair.writers))


def _grouped(
    places: Iterable[tuple[Pair, Endpoints]], account: Callable[[Endpoints], tuple[str, str]]
) -> Iterable[tuple[Endpoints, list[Pair]]]:
    groups: dict[tuple[str, str], tuple[Endpoints, list[Pair]]] = {}
    for pair, where in places:
        groups.setdefault(account(where), (where, []))[1].append(pair)
    return groups.values()


def _server(where: Endpoints, timeout_s: float) -> Server:
    return Server(where.letta_url, where.letta_key, Transport(attempts=1), timeout_s=timeout_s)
