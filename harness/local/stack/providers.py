"""The option ``--provider NAME=URL`` of `harness up`: OpenAI-compatible servers of the user's."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.redact import without_password

LOCAL = "local"  # the embedded model server
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TIMEOUT_S = 5.0
# Where a server says how many tokens a model takes: vLLM, LM Studio and others; Ollama does not.
_LENGTHS = (
    "max_model_len",
    "loaded_context_length",
    "context_length",
    "context_window",
    "max_context_length",
)


def parse(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Parse the values of ``--provider``, each ``NAME=URL``; return each name with its ``api_root``.

    Raises:
        UsageError: One is malformed, or a name stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, url = text.partition("=")
        if not NAME.fullmatch(name) or not url.startswith(("http://", "https://")) or " " in url:
            raise UsageError(
                f"--provider {without_password(text)}: expected NAME=URL",
                remedy="write it as ollama=http://127.0.0.1:11434/v1",
            )
        if name in found or name == LOCAL:
            taken = "is the embedded model server" if name == LOCAL else "stands twice"
            raise UsageError(f"--provider {name}: this name {taken}", remedy="choose another name")
        found[name] = api_root(url)
    return tuple(sorted(found.items()))


def key_variable(name: str) -> str:
    """Return the environment variable that holds the key of a provider."""
    return f"{name.upper().replace('-', '_')}_API_KEY"


def chat_url(url: str) -> str:
    """Return the address of a server's chat completions."""
    return f"{api_root(url)}/chat/completions"


def list_models(url: str, key: str = "") -> list[dict[str, Any]]:
    """Return the models that a server lists; none if it does not answer as OpenAI's API does."""
    request = urllib.request.Request(f"{api_root(url)}/models", headers=authorization(key))  # noqa: S310  (parsed)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            return models_in(json.load(response)) or []
    except (OSError, http.client.HTTPException, ValueError):
        return []


def models_in(answer: Any) -> list[dict[str, Any]] | None:
    """Return the models that an answer lists, each with its id; None if it is no such answer."""
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return None
    return [each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)]


def context_length(model: Mapping[str, Any]) -> int | None:
    """Return how many tokens a model of such a list takes; None where its server does not say."""
    meta = model.get("meta")
    told = [model.get(key) for key in _LENGTHS]
    told.append(meta.get("n_ctx_train") if isinstance(meta, dict) else None)  # llama-server
    return next((length for length in told if type(length) is int and length > 0), None)


def authorization(key: str) -> dict[str, str]:
    """Return the header that carries a key; most local servers ask for none."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def api_root(url: str) -> str:
    """Return the address below which a server's API lies: with the ``/v1`` that people give or leave out."""
    url = url.rstrip("/")
    return url if re.search(r"/v\d", urlsplit(url).path) else f"{url}/v1"
