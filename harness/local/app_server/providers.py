"""OpenAI-compatible servers: which models they offer, and one chat completion, not streamed."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from harness.local.app_server.errors import Refusal
from harness.local.stack.ports import LOOPBACK
from harness.local.stack.providers import context_length, models_in
from harness.redact import without_password

LIST_S = 10.0
COMPLETION_S = 580.0  # a small model on a busy machine


class ProviderError(Exception):
    """A provider did not answer with a completion. ``status`` is its HTTP status, 502 where none came."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Provider:
    """An OpenAI-compatible server; its models' handles begin with ``name``."""

    name: str
    url: str
    key: str = field(default="", repr=False)

    def models(self) -> dict[str, int | None]:
        """Return each model that it offers, with its context window in tokens where it tells.

        Raises:
            ProviderError: It cannot be reached, or lists nothing.
        """
        models = models_in(self._send("/models", None, LIST_S))
        if models is None:
            raise ProviderError(502, f"{self.place} answers, but lists no models")
        return {each["id"]: context_length(each) for each in models}

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one chat completion request.

        Raises:
            ProviderError: It refused, failed, or answered with something else.
        """
        answer = self._send("/chat/completions", request, COMPLETION_S)
        try:
            choice = answer["choices"][0]
            message, calls = choice["message"], choice["message"].get("tool_calls") or []
            well_formed = isinstance(message, dict) and all(
                isinstance(call["function"]["name"], str) and isinstance(call["function"]["arguments"], str)
                for call in calls
            )
        except (KeyError, IndexError, TypeError, AttributeError):
            well_formed = False
        if not well_formed:
            raise ProviderError(502, f"{self.place} answered with what is no chat completion")
        return answer

    @property
    def place(self) -> str:
        """The provider in words, without a password."""
        return f"the provider {self.name} at {without_password(self.url)}"

    def _send(self, path: str, body: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key or 'none'}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, data, headers)  # noqa: S310  (http and https only, see stack/providers.py)
        # Never to this machine through a proxy that the environment names.
        direct = [urllib.request.ProxyHandler({})] if urlsplit(self.url).hostname in LOOPBACK else []
        try:
            with urllib.request.build_opener(*direct).open(request, timeout=timeout_s) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ProviderError(error.code, f"{self.place}: {error.code} {_reason(error)}") from None
        except (OSError, http.client.HTTPException):
            raise ProviderError(502, f"{self.place} cannot be reached") from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ProviderError(502, f"{self.place} answered with what is no JSON object")
        return answer


class Providers:
    """The providers of one translator, and the handles of their models: ``<provider>/<model>``."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = {each.name: each for each in providers}

    def handles(self) -> dict[str, int | None]:
        """Return the handle of each model with its context window, None where it is unknown."""
        return {
            f"{provider.name}/{model}": window
            for provider in self._providers.values()
            for model, window in _offered(provider).items()
        }

    def find(self, handle: str) -> tuple[Provider, str, int | None]:
        """Return provider, model and context window of a handle; raise ``Refusal`` if nobody offers it."""
        name, _, model = handle.partition("/")
        provider = self._providers.get(name)
        if provider is not None and model in (models := _offered(provider)):
            return provider, model, models[model]
        raise Refusal(404, f"there is no model {handle!r}; offered by: {', '.join(self._providers)}")


def _offered(provider: Provider) -> dict[str, int | None]:
    try:
        return provider.models()
    except ProviderError as error:
        raise Refusal(424, str(error), model=True) from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)
        told = body["error"]["message"] if isinstance(body["error"], dict) else body["error"]
    except (ValueError, KeyError, TypeError, OSError):
        told = error.reason
    return " ".join(str(told).split())[:300]
