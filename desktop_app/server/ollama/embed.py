"""Ollama's `/api/embed`, and `/api/embeddings`, which takes one text."""

from __future__ import annotations

import time

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.server.body import read_json
from desktop_app.server.ollama.options import keep_seconds
from desktop_app.server.serving import exchange, json_response, services, unless_gone
from desktop_app.server.vectors import checked_texts, vectors_of


class EmbedRequest(Struct):
    """The body of a request for vectors."""

    model: str
    input: str | list[str] = ""
    dimensions: int | None = None
    keep_alive: str | float | None = None


class EmbeddingsRequest(Struct):
    """The body of a request for one vector."""

    model: str
    prompt: str = ""
    keep_alive: str | float | None = None


async def embed(request: Request) -> Response:
    """Answer `POST /api/embed`."""
    asked = await read_json(request, EmbedRequest)
    began = time.perf_counter()
    rows, tokens = await _rows(request, asked.model, asked.input, asked.keep_alive, asked.dimensions)
    return json_response(
        {
            "model": asked.model,
            "embeddings": rows,
            "total_duration": round((time.perf_counter() - began) * 1e9),
            "prompt_eval_count": tokens,
        }
    )


async def embeddings(request: Request) -> Response:
    """Answer `POST /api/embeddings`."""
    asked = await read_json(request, EmbeddingsRequest)
    rows, _ = await _rows(request, asked.model, asked.prompt, asked.keep_alive, None)
    return json_response({"embedding": rows[0]})


async def _rows(
    request: Request, model: str, given: str | list[str], keep_alive: str | float | None, dimensions: int | None
) -> tuple[list[list[float]], int]:
    texts = checked_texts(given)
    async with services(request).pool.use(model, keep_seconds(keep_alive)) as loaded:
        noted = exchange(request)
        noted.model = loaded.model.label
        vectors, noted.prompt_tokens = await unless_gone(request, vectors_of(loaded, texts, dimensions))
    return vectors.rows(), noted.prompt_tokens
