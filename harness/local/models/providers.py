"""Model servers of the user's as orchestrators: Ollama, LM Studio, llama-server, vLLM or another.

Letta has a provider for most of them, each with demands of its own on the list of models. Here a server only
has to speak OpenAI's chat completions: its models are listed and asked as ``NAME/model``, in Letta
``local/NAME/model``, and requests and answers pass through unchanged but for the model's name. What such a
server makes of an offered tool is its own.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from harness.local.models.chat import EngineFailure, RequestError
from harness.local.models.engine import ANSWER_S, CONTEXT
from harness.local.stack.providers import authorization, chat_url, context_length, list_models


class Refused(RequestError):
    """A server of the user's refused a request; status and text are its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Providers:
    """The model servers of the user's, by name."""

    def __init__(self, urls: Mapping[str, str], keys: Mapping[str, str]) -> None:
        self._urls = urls
        self._keys = keys

    def models(self) -> Iterator[dict[str, Any]]:
        """Yield the models of all servers that answer, as ``GET /v1/models`` lists them."""
        for name, url in self._urls.items():
            for model in list_models(url, self._keys.get(name, "")):
                shared = {"object": "model", "created": 0, "owned_by": name}
                yield {
                    "id": f"{name}/{model['id']}",
                    **shared,
                    "max_model_len": context_length(model) or CONTEXT,
                }

    def serve(self, body: Any) -> bool:
        """Return True if a request is for a model of one of these servers."""
        model = body.get("model") if isinstance(body, dict) else None
        return isinstance(model, str) and "/" in model and model.partition("/")[0] in self._urls

    def answer(self, body: Mapping[str, Any]) -> Any:
        """Pass a request on; raise Refused or EngineFailure without an answer."""
        name, _, model = body["model"].partition("/")
        content = json.dumps({**body, "model": model}).encode()
        headers = {"Content-Type": "application/json", **authorization(self._keys.get(name, ""))}
        request = urllib.request.Request(chat_url(self._urls[name]), content, headers)  # noqa: S310  (http or https)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as problem:
            raise Refused(problem.code, f"{name}: {problem.read(2000).decode(errors='replace')}") from None
        except (OSError, ValueError) as problem:
            raise EngineFailure(f"{name} at {self._urls[name]} does not answer: {problem}") from None
