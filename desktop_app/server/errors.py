"""Failures as HTTP answers, each in the shape of the protocol that was spoken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response

from desktop_app.engine.client import EngineDied
from models.errors import ZhiyinError

_STATUS = {
    "context-full": 400,
    "failed": 400,
    "bad-grammar": 400,
    "bad-schema": 400,
    "template-limit": 400,
    "ambiguous-model": 400,
    "does-not-fit": 503,
    "out-of-memory": 503,
    "engine-died": 503,
}
"""By an error's code; what is not here is a fault on our side."""
_OPENAI_CODES = {"context-full": "context_length_exceeded", "does-not-fit": "model_does_not_fit"}
_OPENAI_TYPES = {
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class APIError(Exception):
    """An error answer to a client."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        """Take the HTTP status, a sentence, and for OpenAI's clients a code and the parameter that is wrong."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers: Mapping[str, str] = {}


def as_api_error(error: Exception) -> APIError:
    """Return what a client is told of an error of the engine or the library."""
    if isinstance(error, APIError):
        return error
    if isinstance(error, ZhiyinError):
        code = "engine-died" if isinstance(error, EngineDied) else error.code
        return APIError(_STATUS.get(code, 500), str(error), code=_OPENAI_CODES.get(code))
    return APIError(500, "The server made a mistake of its own; its log says more.")


def model_not_found(name: str) -> APIError:
    """Return the error for a model that is not here; programs look for these words of Ollama's."""
    return APIError(404, f"model '{name}' not found", code="model_not_found", param="model")


def error_response(error: APIError, connection: HTTPConnection) -> Response:
    """Return the answer in the shape of the protocol that the request's path belongs to."""
    return Response(
        msgspec.json.encode(error_body(error, connection)),
        error.status,
        media_type="application/json",
        headers=dict(error.headers),
    )


def error_body(error: APIError, connection: HTTPConnection) -> dict[str, Any]:
    """Return the JSON of an error."""
    path = connection.url.path
    if path.startswith("/api/"):
        return ollama_error(error)
    if path.startswith("/v1/messages") or "anthropic-version" in connection.headers:
        return anthropic_error(error)
    return openai_error(error)


def openai_error(error: APIError) -> dict[str, Any]:
    """Return an error as OpenAI's API writes it."""
    kind = _OPENAI_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def anthropic_error(error: APIError) -> dict[str, Any]:
    """Return an error as Anthropic's API writes it."""
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": None}


def ollama_error(error: APIError) -> dict[str, Any]:
    """Return an error as Ollama writes it."""
    return {"error": error.message}
