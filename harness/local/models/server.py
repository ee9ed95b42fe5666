"""The local model server: OpenAI- and Anthropic-compatible endpoints over local models, on loopback only.

    python -m harness.local.models.server --port 8284 NAME=PATH.gguf ...

    GET  /health               up
    GET  /v1/models            `scripted`, the models, and those of the user's servers (see `providers`)
    POST /v1/chat/completions  OpenAI: the orchestrator, through Letta (see `openai_api`)
    POST /v1/messages          Anthropic: coder and tester (see `anthropic_api`)

Any key is accepted, in either header. A model is loaded when it is first asked.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.local.models import anthropic_api, openai_api
from harness.local.models.chat import RequestError, TextModel
from harness.local.models.engine import Models, load_binary, load_package
from harness.local.models.providers import Providers
from harness.local.models.requests import digest
from harness.local.stack.providers import key_variable

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response


def build_app(served: Mapping[str, TextModel], providers: Providers) -> Starlette:
    """Build the application around models, and servers of the user's."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def models(_: Request) -> JSONResponse:
        listed = openai_api.models(served)
        theirs = await run_in_threadpool(lambda: list(providers.models()))
        return JSONResponse({**listed, "data": listed["data"] + theirs})

    async def answer(api: ModuleType, request: Request) -> tuple[Any, dict[str, Any], int]:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None  # each API refuses it with its own error body
        try:
            # In a thread, so that others are served meanwhile.
            if api is openai_api and providers.serve(body):
                return body, await run_in_threadpool(providers.answer, body), 200
            return body, await run_in_threadpool(api.answer, body, served), 200
        except RequestError as problem:
            return body, api.error(problem), problem.status

    async def chat_completions(request: Request) -> JSONResponse:
        _, completion, status = await answer(openai_api, request)
        return JSONResponse(completion, status)

    async def messages(request: Request) -> Response:
        body, message, status = await answer(anthropic_api, request)
        headers = {"request-id": f"req_{digest(body)}"}
        if status == 200 and body.get("stream"):
            return Response(anthropic_api.stream(message), media_type="text/event-stream", headers=headers)
        return JSONResponse(message, status, headers=headers)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/messages", messages, methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve the models until terminated."""
    parser = argparse.ArgumentParser(description="Serve local models on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--llama-server", type=Path, help="in place of the package xllamacpp")
    parser.add_argument("--logs", type=Path, help="of the llama-servers")
    parser.add_argument("--provider", action="append", default=[], metavar="NAME=URL", help="another server")
    parser.add_argument("models", nargs="*", metavar="NAME=PATH")
    options = parser.parse_args()

    import uvicorn

    files = {name: Path(path) for name, _, path in (each.partition("=") for each in options.models)}
    urls = {name: url for name, _, url in (each.partition("=") for each in options.provider)}
    keys = {name: os.environ.get(key_variable(name), "").strip() for name in urls}
    load = load_binary(options.llama_server, options.logs) if options.llama_server else load_package
    app = build_app(Models(files, load), Providers(urls, keys))
    # Nobody waits for a half generated answer once the stack goes down.
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="info", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
