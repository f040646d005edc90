"""Vectors of texts by an embedding model, for all protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from desktop_app.engine.protocol import Embed, Tokenize
from desktop_app.engine.results import Vectors
from desktop_app.server.errors import APIError, as_api_error
from desktop_app.server.model_pool import LoadedModel

_MOST_TEXTS = 2048
"""As OpenAI's service takes at once."""


def checked_texts(given: str | list[str], where: str = "input") -> tuple[str, ...]:
    """Return texts of which vectors are asked; raises APIError where there are none or too many."""
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not texts or len(texts) > _MOST_TEXTS:
        message = f"Invalid value for '{where}': it must be a text, or 1 to {_MOST_TEXTS} texts."
        raise APIError(400, message, code="invalid_value", param=where)
    return texts


async def vectors_of(loaded: LoadedModel, texts: tuple[str, ...], dimensions: int | None) -> tuple[Vectors, int]:
    """Return a vector of each text, and the number of their tokens.

    Raises:
        APIError: the model makes none, or of other dimensions.
    """
    if not loaded.info.embedding:
        raise APIError(400, f"{loaded.model.label} writes texts and makes no vectors; choose an embedding model.")
    if dimensions not in {None, 0, loaded.info.embedding}:
        message = f"This model makes vectors of {loaded.info.embedding} dimensions only."
        raise APIError(400, message, code="invalid_value", param="dimensions")
    try:
        vectors = await asyncio.wrap_future(loaded.engine.submit(Embed(texts)).future)
        counts = [asyncio.wrap_future(loaded.engine.submit(Tokenize(text)).future) for text in texts]
        return vectors, sum(len(tokenized.ids) for tokenized in await asyncio.gather(*counts))
    except Exception as error:
        raise as_api_error(error) from error


def rows_of(vectors: Vectors) -> Sequence[bytes]:
    """Return the bytes of each vector: float32, little-endian."""
    size = 4 * vectors.dimensions
    return [vectors.data[at : at + size] for at in range(0, len(vectors.data), size)]
