"""`/openapi.json`: what the server takes, described from the very structures that decode the requests."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.server.anthropic.messages import Conversation, MessagesRequest
from desktop_app.server.ollama.chat import ChatRequest as OllamaChatRequest
from desktop_app.server.ollama.chat import GenerateRequest
from desktop_app.server.ollama.embed import EmbeddingsRequest as OllamaEmbeddingsRequest
from desktop_app.server.ollama.embed import EmbedRequest
from desktop_app.server.ollama.models import ShowRequest
from desktop_app.server.openai.chat import ChatRequest
from desktop_app.server.openai.completions import CompletionRequest
from desktop_app.server.openai.embeddings import EmbeddingsRequest
from desktop_app.server.openai.responses import ResponsesRequest
from desktop_app.server.serving import json_response

BODIES: dict[str, type[msgspec.Struct]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/embeddings": EmbeddingsRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": Conversation,
    "/api/chat": OllamaChatRequest,
    "/api/generate": GenerateRequest,
    "/api/embed": EmbedRequest,
    "/api/embeddings": OllamaEmbeddingsRequest,
    "/api/show": ShowRequest,
}
"""The structure of each POST request's body."""
_READ = ("/v1/models", "/api/tags", "/api/ps", "/api/version")
_REFUSALS = {
    "400": "The request is wrong",
    "401": "The key is missing or wrong",
    "403": "The host or origin may not ask",
    "404": "There is no such model",
    "413": "The request is too large",
    "503": "The model does not fit in memory, or its engine ended",
}
_TEMPLATE = "#/components/schemas/{name}"


async def openapi(request: Request) -> Response:
    """Answer `GET /openapi.json`."""
    return json_response(description())


def description() -> dict[str, Any]:
    """Return the description, in OpenAPI 3.1."""
    schemas, components = msgspec.json.schema_components(tuple(BODIES.values()), ref_template=_TEMPLATE)
    paths: dict[str, Any] = {path: {"get": _operation(path, None)} for path in _READ}
    paths |= {path: {"post": _operation(path, schema)} for path, schema in zip(BODIES, schemas, strict=True)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Zhiyin", "version": version("zhiyin")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    types = ["application/json"]
    if body is not None:
        types.append("application/x-ndjson" if path.startswith("/api/") else "text/event-stream")
    good = {"description": "The answer, whole or streamed", "content": {type_: {} for type_ in types}}
    refusals = {
        status: {
            "description": text,
            "content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}},
        }
        for status, text in _REFUSALS.items()
    }
    operation: dict[str, Any] = {
        "operationId": path.strip("/").replace("/", "_"),
        "responses": {"200": good} | refusals,
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation
