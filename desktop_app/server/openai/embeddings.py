"""`/v1/embeddings`: vectors of texts. Source of names and shapes: OpenAI's API reference."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.server.body import read_json
from desktop_app.server.serving import exchange, json_response, services, unless_gone
from desktop_app.server.vectors import checked_texts, rows_of, vectors_of


class EmbeddingsRequest(Struct, forbid_unknown_fields=True):
    """The body of a request."""

    model: str
    input: str | list[str]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: Any = None


async def embeddings(request: Request) -> Response:
    """Answer `POST /v1/embeddings`."""
    asked = await read_json(request, EmbeddingsRequest)
    texts = checked_texts(asked.input)
    async with services(request).pool.use(asked.model) as loaded:
        noted = exchange(request)
        noted.model = loaded.model.label
        vectors, tokens = await unless_gone(request, vectors_of(loaded, texts, asked.dimensions))
        noted.prompt_tokens = tokens
    encoded: list[Any] = vectors.rows()
    if asked.encoding_format == "base64":
        encoded = [base64.b64encode(row).decode() for row in rows_of(vectors)]
    data = [{"object": "embedding", "index": number, "embedding": row} for number, row in enumerate(encoded)]
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_response({"object": "list", "data": data, "model": noted.model, "usage": used})
