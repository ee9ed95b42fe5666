"""The local model server: OpenAI- and Anthropic-compatible endpoints over two models, on loopback only.

    python -m harness.local.models.server --port 8284

    GET  /health               up, and both models loaded
    GET  /v1/models            `scripted` and `smollm2-135m-instruct`
    POST /v1/chat/completions  OpenAI: the orchestrator, through Letta (see `openai_api`)
    POST /v1/messages          Anthropic: coder and tester (see `anthropic_api`)

Any key is accepted, in either header. Each API has its own loaded model, because their prompts would
otherwise push each other out of the prefix cache.
"""

from __future__ import annotations

import argparse
import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.local.models import anthropic_api, openai_api
from harness.local.models.chat import RequestError, TextModel
from harness.local.models.requests import digest

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response


def build_app(orchestrator: TextModel, coder: TextModel) -> Starlette:
    """Build the application around one text model for each API."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def models(_: Request) -> JSONResponse:
        return JSONResponse(openai_api.models())

    async def answer(api: ModuleType, request: Request, model: TextModel) -> tuple[Any, dict[str, Any], int]:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None  # each API refuses it with its own error body
        try:
            # In a thread, so that /health and the other API are served meanwhile.
            return body, await run_in_threadpool(api.answer, body, model), 200
        except RequestError as problem:
            return body, api.error(problem), problem.status

    async def chat_completions(request: Request) -> JSONResponse:
        _, completion, status = await answer(openai_api, request, orchestrator)
        return JSONResponse(completion, status)

    async def messages(request: Request) -> Response:
        body, message, status = await answer(anthropic_api, request, coder)
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
    """Load both models and serve until terminated."""
    parser = argparse.ArgumentParser(description="Serve the local models on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port

    import uvicorn

    from harness.local.models.smollm import SmolLM, weights_path

    weights = weights_path()
    app = build_app(SmolLM(weights), SmolLM(weights))
    # Nobody waits for a half generated answer once the stack goes down.
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="info", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
