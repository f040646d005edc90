"""The server's routes, and what stands in front of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desktop_app.server.access import Access, AccessRules
from desktop_app.server.activity import Activity
from desktop_app.server.anthropic import messages as anthropic
from desktop_app.server.errors import APIError, error_response
from desktop_app.server.model_pool import ModelPool
from desktop_app.server.ollama import chat as ollama
from desktop_app.server.ollama import embed as ollama_embed
from desktop_app.server.ollama import models as ollama_models
from desktop_app.server.openai.chat import chat_completions
from desktop_app.server.openai.completions import completions
from desktop_app.server.openai.embeddings import embeddings
from desktop_app.server.openai.models import list_models, show_model
from desktop_app.server.openai.responses import responses
from desktop_app.server.openapi import openapi
from desktop_app.server.serving import Services

ROUTES = (
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
    Route("/v1/responses", responses, methods=["POST"]),
    Route("/v1/embeddings", embeddings, methods=["POST"]),
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{name:path}", show_model, methods=["GET"]),
    Route("/v1/messages", anthropic.messages, methods=["POST"]),
    Route("/v1/messages/count_tokens", anthropic.count_tokens, methods=["POST"]),
    Route("/api/chat", ollama.chat, methods=["POST"]),
    Route("/api/generate", ollama.generate, methods=["POST"]),
    Route("/api/embed", ollama_embed.embed, methods=["POST"]),
    Route("/api/embeddings", ollama_embed.embeddings, methods=["POST"]),
    Route("/api/tags", ollama_models.tags, methods=["GET"]),
    Route("/api/show", ollama_models.show, methods=["POST"]),
    Route("/api/ps", ollama_models.running, methods=["GET"]),
    Route("/api/version", ollama_models.server_version, methods=["GET"]),
    Route("/openapi.json", openapi, methods=["GET"]),
    Route("/", ollama_models.alive, methods=["GET"]),
)


def application(pool: ModelPool, activity: Activity, rules: AccessRules) -> Starlette:
    """Return the server's application; it ends the pool's engines when it ends."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await pool.close()

    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(_Recorder, activity=activity), Middleware(Access, rules=rules)],
        exception_handlers={APIError: _refused, HTTPException: _no_route, Exception: _mistake},
        lifespan=lifespan,
    )
    app.state.services = Services(pool, activity)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, APIError)  # noqa: S101 - for mypy: it is registered for these
    return error_response(error, request)


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = (
        f"Invalid URL ({request.method} {request.url.path})"
        if status == 404
        else f"{request.method} is not allowed here"
    )
    refusal = APIError(status, message, code="unknown_url" if status == 404 else None)
    if isinstance(error, HTTPException) and error.headers:
        refusal.headers = error.headers
    return error_response(refusal, request)


async def _mistake(request: Request, error: Exception) -> Response:
    """Answer where the server itself is at fault; Starlette passes the error on to the log."""
    return error_response(APIError(500, "The server made a mistake of its own; its log says more."), request)


class _Recorder:
    """Notes each request and how it ended."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        noted = scope["zhiyin.exchange"] = self._activity.begin(agent.decode("latin-1"), scope["path"])
        status = 499

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._activity.end(noted, status if sys.exc_info()[0] is None else 500)
