"""A text as chunks of tokens, the way llama.cpp's tools for perplexity and importance matrices cut it.

The text is cut into chunks of the context's length; the tokens that begin every input of the model stand in place of a chunk's
first ones. Source: tools/perplexity and tools/imatrix of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Tokenize
from models.errors import BadFile, ZhiyinError
from models.regular_file import read_regular
from models.system_reasons import system_reason

CONTEXT = 512
"""Tokens in a chunk, as published values have it."""


def cut_chunks(engine: Engine, text: str, context: int, file: Path) -> list[tuple[int, ...]]:
    """Return a text's tokens in chunks of `context`; what is left at the end is not used.

    Args:
        engine: with the model loaded.
        text: plain; markup in it is no control token.
        context: tokens in a chunk.
        file: where the text is from, for the error.

    Raises:
        ZhiyinError: there are fewer than two chunks.
    """
    beginning = engine.submit(Tokenize("")).result().ids
    ids = beginning + engine.submit(Tokenize(text, add_special=False, special=False)).result().ids
    return chunks_of(ids, len(beginning), context, file)


def chunks_of(ids: Sequence[int], beginning: int, context: int, file: Path) -> list[tuple[int, ...]]:
    """Return tokens in chunks, each of which begins with the first `beginning` ones; as `cut_chunks`."""
    if len(ids) < 2 * context:
        raise ZhiyinError(
            "{path} has {count} tokens, but two chunks of {context} are the least; take a longer text or a smaller "
            "--ctx.",
            path=file,
            count=len(ids),
            context=context,
        )
    starts = range(0, len(ids) - context + 1, context)
    return [(*ids[:beginning], *ids[start + beginning : start + context]) for start in starts]


def read_text(path: Path) -> str:
    """Return a text file's content.

    Raises:
        BadFile: it cannot be read, is not in UTF-8, or is empty.
    """
    try:
        text = read_regular(path).decode("utf-8")
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    except UnicodeDecodeError as error:
        raise BadFile(
            "{path} is not a text in UTF-8 (byte {offset} is part of no character); choose another file or convert it.",
            path=path,
            offset=error.start,
        ) from error
    if not text.strip():
        raise BadFile("{path} is empty; choose a file with a text of some thousand words.", path=path)
    return text
