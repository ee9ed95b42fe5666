"""A Letta agent through ``letta-client``, which is imported here only.

Written against the self-hosted V1 server 0.16.8, whose routes `local/app_server/` speaks.
*Client tools*: Letta pauses with ``requires_approval`` and the caller answers with the tool's return.
*Server tools*: registered in Letta, which runs them in a child process of its own and reports calls and
returns when the turn has ended.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from harness.agents.messages import Turn
from harness.agents.tools import ROLES
from harness.agents.transcript import Returned
from harness.backends.letta.turns import turn_of
from harness.backends.retries import Transport, decoded, never_connected, status_of, unusable
from harness.errors import ApiError
from harness.redact import without_password
from harness.tasks.pair import NOT_IN_NAMES, LettaServer, Orchestrator
from harness.text import well_formed

if TYPE_CHECKING:
    from letta_client import Letta

T = TypeVar("T")
Kind = Literal["agent", "block", "tool"]
DEFAULT_URL = "http://localhost:8283"
CLOUD_URL = "https://api.letta.com"
TIMEOUT_S = 3600.0  # a turn may be many calls of a slow model; --max-turn-time may end it sooner
STOP_S = 10.0
LABEL = "pair-harness"
MOST_BLOCKS = 1_000  # of one agent: a server that says the same page again and again never ends
# What the client, or who reads its objects, raises for an answer of another form.
ODD_ANSWERS = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
# Letta has a class of settings for each of these providers; all others take those of OpenAI.
SETTINGS_OF_THEIR_OWN = frozenset(
    {"anthropic", "azure", "bedrock", "deepseek", "google_ai", "google_vertex", "groq", "together", "xai"}
)


def ignore(_agent_id: str) -> None:
    """Take no notice of an agent that was made."""


@contextmanager
def deleted_at_the_end(delete: Callable[[], None], *, outlives: bool = False) -> Iterator[None]:
    """Call ``delete`` when the block has ended; with ``outlives``, only if it has failed."""
    try:
        yield
    except BaseException as error:
        # After a replay miss, a BaseException, there is nothing real to delete; after Ctrl-C there is.
        if isinstance(error, Exception | KeyboardInterrupt | SystemExit):
            # The first error is the one to report; a second from cleaning up would hide it.
            with suppress(ApiError, OSError):
                delete()
        raise
    if not outlives:
        delete()


class Server:
    """A Letta server. Every method raises ``ApiError`` if it refuses, fails or cannot be reached."""

    def __init__(
        self, base_url: str, api_key: str, transport: Transport, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.base_url = without_password(base_url)
        self._client = _client(base_url, api_key, timeout_s)
        self._transport = transport

    def version(self) -> str:
        """Return the server's version; a server that is not there is reported at once."""
        found = self._send(lambda: getattr(self._client.health(), "version", None), is_first=True)
        if not isinstance(found, str):
            raise _no_letta(self.base_url, "it tells no version")
        return found

    def models(self) -> list[str]:
        """List the handles of the models that it offers to orchestrators, sorted."""
        return self.ask(lambda client: sorted({str(model.handle) for model in client.models.list()}))

    def ask(self, request: Callable[[Letta], T]) -> T:
        """Use the client for what is no trial: listing what is there, tidying up."""
        answer: T = self._send(lambda: request(self._client))
        return answer

    def remove(self, kind: Kind, thing_id: str) -> None:
        """Delete an agent, a tool or a block, unless it is gone already."""
        import letta_client

        def request() -> None:
            with suppress(letta_client.NotFoundError):
                getattr(self._client, f"{kind}s").delete(thing_id)

        self._send(request)

    def stop(self, agent_id: str) -> None:
        """End a turn that nobody waits for: Letta would go on, ask its model and write into the memory.

        An answer that is on its way is still carried out. No turn is under way (409), the agent is gone, or
        the server keeps no record of turns (400): that is no fault, and nothing to ask again for. Asked once,
        and not for long: the server may be what hangs.
        """
        import letta_client

        def request() -> None:
            nothing_to_end = (
                letta_client.BadRequestError,
                letta_client.NotFoundError,
                letta_client.ConflictError,
            )
            with suppress(*nothing_to_end):
                self._client.agents.messages.cancel(agent_id, timeout=STOP_S)

        self._send(request, once=True)

    def has_agent(self, agent_id: str) -> bool:
        """Return True if there is such an agent."""
        import letta_client

        def request() -> bool:
            try:
                return bool(self._client.agents.retrieve(agent_id).id)
            except letta_client.NotFoundError:
                return False

        return bool(self._send(request))

    def register(self, definitions: Iterable[Mapping[str, Any]], source: str) -> tuple[str, ...]:
        """Create or update tools from Python text with a function of each name; return their lasting ids."""
        upsert = functools.partial(
            self._client.tools.with_raw_response.upsert, source_code=source, tags=[LABEL]
        )
        return tuple(
            self._create(functools.partial(upsert, json_schema=dict(each)), f"the tool {each['name']}")
            for each in definitions
        )

    @contextmanager
    def agent(  # noqa: PLR0913  (what an agent is)
        self,
        name: str,
        orchestrator: Orchestrator,
        system: str,
        blocks: dict[str, str],
        secrets: Mapping[str, str] | None = None,
        *,
        created: Callable[[str], None] = ignore,
    ) -> Iterator[Agent]:
        """Create an agent that exists as long as the block runs.

        Its memory is ``blocks``, label -> text. With ``secrets``, those of the server tools, it gets these
        tools. ``created`` is called with its id.
        """
        memory_blocks = [{"label": label, "value": value} for label, value in blocks.items()]
        more = {} if secrets is None else {"tools": list(ROLES), "secrets": dict(secrets)}
        agent_id = self.create_agent(name, orchestrator, system=system, memory_blocks=memory_blocks, **more)
        with deleted_at_the_end(functools.partial(self.remove, "agent", agent_id)):
            created(agent_id)
            yield Agent(functools.partial(self._send, model=orchestrator.model), self._client, agent_id)

    def create_agent(self, name: str, orchestrator: Orchestrator, **body: Any) -> str:
        """Create an agent, and return its id; ``body`` are further fields of the request."""
        create = functools.partial(
            self._client.agents.with_raw_response.create,
            name=NOT_IN_NAMES.sub("_", name),
            model=orchestrator.model,
            agent_type="letta_v1_agent",
            include_base_tools=False,
            tags=[LABEL],
            **_options(orchestrator),
            **body,
        )
        return self._create(create, f"the model {orchestrator.model}")

    def existing_agent(self, agent_id: str, max_steps: int) -> Agent:
        """Return an agent that is there, whose model is asked so many times a turn at most."""
        return Agent(self._send, self._client, agent_id, max_steps)

    def _create(self, request: Callable[[], Any], about: str) -> str:
        """Send a request that creates something; return its id, all that is read of the answer."""
        created = self._send(lambda: _json(request()), about=about)
        thing_id = created.get("id") if isinstance(created, dict) else None
        if not isinstance(thing_id, str):
            raise _no_letta(self.base_url, "it tells no id of what was created")
        return thing_id

    def _send(
        self,
        request: Any,
        *,
        about: str = "",
        model: str = "",
        once: bool = False,
        **repeat: bool,
    ) -> Any:
        """Send a request, which ``model`` answers if it is a message; ``repeat`` as in ``Transport.send``."""
        import letta_client

        try:
            if once:
                return decoded(request)
            service = f"Letta at {self.base_url}" + (f" ({model})" if model else "")
            return self._transport.send("orchestrator", request, service=service, **repeat)
        except letta_client.APIError as error:
            raise _api_error(error, self.base_url, about) from None
        except ODD_ANSWERS as error:
            raise _no_letta(self.base_url, error) from None


class Agent:
    """One agent, made by ``Server.agent``. Its methods are those of ``loop.Agent``, with the same errors."""

    def __init__(
        self, send: Callable[..., Any], client: Letta, agent_id: str, max_steps: int | None = None
    ) -> None:
        self.id = agent_id
        self._send = send
        self._client = client
        self._options: dict[str, Any] = {} if max_steps is None else {"max_steps": max_steps}

    def say(self, text: str, tools: Sequence[dict[str, Any]]) -> Turn:
        """Send a user message."""
        message = [{"role": "user", "content": text}]
        return self._turn(message, tools, **self._options)

    def work(self, text: str, max_steps: int) -> Turn:
        """Send a user message, never twice: a turn that failed is forgotten, but its tools wrote files."""
        message = [{"role": "user", "content": text}]
        return self._turn(message, once=True, max_steps=max_steps)

    def answer(self, returns: Sequence[Returned], tools: Sequence[dict[str, Any]]) -> Turn:
        """Send the returns of all the tool calls that the agent waits for."""
        approvals = [
            {
                "type": "tool",
                "tool_call_id": each.call_id,
                "tool_return": each.text,
                "status": "success" if each.ok else "error",
            }
            for each in returns
        ]
        approval = [{"type": "approval", "approvals": approvals}]
        return self._turn(approval, tools, **self._options)

    def blocks(self) -> dict[str, str]:
        """Return its memory, label -> text, sorted by label."""

        def request() -> dict[str, str]:
            found = islice(self._client.agents.blocks.list(self.id), MOST_BLOCKS)
            return dict(sorted((str(each.label), well_formed(each.value)) for each in found))

        blocks: dict[str, str] = self._send(request)
        return blocks

    def _turn(
        self,
        messages: list[Any],
        tools: Sequence[dict[str, Any]] | None = None,
        *,
        once: bool = False,
        **options: Any,
    ) -> Turn:
        create = self._client.agents.messages.with_raw_response.create
        # As it is: of its own arguments the client would look up the type of every key.
        body = {} if tools is None else {"client_tools": list(tools)}
        body |= {**options, "messages": messages}
        response = self._send(
            lambda: _json(create(self.id, extra_body=body)), safe_to_repeat=False, once=once
        )
        try:
            return turn_of(response)
        except TypeError as error:
            raise _no_letta("the address", error) from None


def require_server(orchestrator: Orchestrator, version: str, base_url: str) -> None:
    """Raise ApiError if a server is not of the kind that the orchestrator is to live in."""
    kind: LettaServer = "app-server" if version.startswith("App Server") else "v1"
    if kind != orchestrator.server:
        starts = f"harness up --letta {orchestrator.server}"
        raise ApiError(
            f"the pair is for `server: {orchestrator.server}`, and at {base_url} answers Letta {version}",
            remedy=f"start the other one ({starts}) or set LETTA_BASE_URL; or change `server:` of the pair",
        )


@functools.cache
def _client(base_url: str, api_key: str, timeout_s: float) -> Letta:
    """Return the one client of this process for an endpoint and a timeout."""
    from letta_client import Letta

    return Letta(base_url=base_url, api_key=api_key or "none", max_retries=0, timeout=timeout_s)


def _options(orchestrator: Orchestrator) -> dict[str, Any]:
    """Return the fields of a new agent that are sent only if they are set."""
    options: dict[str, Any] = {}
    if orchestrator.context_window is not None:
        options["context_window_limit"] = orchestrator.context_window
    if orchestrator.temperature is not None:
        provider = orchestrator.model.partition("/")[0]
        kind = provider if provider in SETTINGS_OF_THEIR_OWN else "openai"
        options["model_settings"] = {"provider_type": kind, "temperature": orchestrator.temperature}
    return options


def _json(answer: Any) -> Any:
    """Return the JSON value of an answer, whatever it is labelled as; the text of what is none."""
    value = answer.parse(to=object)
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _no_letta(where: str, why: object) -> ApiError:
    return unusable("letta", f"what answers at {where} is no Letta server", why, "correct LETTA_BASE_URL")


def _api_error(error: Exception, base_url: str, about: str) -> ApiError:
    status = status_of(error)
    if status is None and type(error).__name__ == "APITimeoutError" and not never_connected(error):
        return ApiError(
            f"Letta at {base_url} took a request and did not answer",
            remedy="see the server's log, and that of what serves the model",
        )
    if status is None:
        return ApiError(
            f"Letta at {base_url} cannot be reached",
            remedy="start it with `harness up`, or set LETTA_BASE_URL (and LETTA_API_KEY)",
        )
    body = getattr(error, "body", None)
    inner = body.get("error") if isinstance(body, dict) else None
    if isinstance(inner, dict) and str(inner.get("type")).startswith("llm_"):
        remedy = (
            "the model behind Letta failed: check its key, credit and base URL in the server's environment"
        )
    elif status in (401, 403):
        remedy = "set LETTA_API_KEY to a key of that server"
    elif status == 404 and about:
        remedy = "correct the orchestrator's model in the pair; it must be a handle that the server offers"
    else:
        remedy = "see the server's log"
    where = f" ({about})" if about else ""
    said = f"Letta at {base_url}{where}: {status} {_message(body) or error}"
    return ApiError(said, remedy=remedy, service="letta")


def _message(body: Any) -> str:
    if isinstance(body, dict):
        parts = [_message(body[key]) for key in ("error", "message", "detail") if body.get(key)]
        return ": ".join(dict.fromkeys(part.rstrip(".") for part in parts))
    return " ".join(str(body).split())[:300] if body else ""
