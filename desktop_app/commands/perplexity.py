"""`zhiyin perplexity`: how well a model predicts a text, as llama.cpp's tool of that name measures it.

The text is cut into chunks of the context's length; the tokens that begin every input of the model stand in place of a chunk's
first ones. The second half of each chunk is scored, because after few tokens nobody could predict much. Source: tools/perplexity
of llama.cpp.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from converter.gguf_header import read_gguf_header
from desktop_app.commands.options import add_json, add_model, whole
from desktop_app.commands.session import find_model, loaded
from desktop_app.commands.terminal import ProgressLine, print_json, print_table
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LOGIT_ROWS, LONGEST_CONTEXT, LoadSettings, Score, Tokenize
from desktop_app.planning.footprint import recurrent_state
from models.dynamic_rotary import is_beyond_trained_context
from models.errors import BadFile, ZhiyinError
from models.regular_file import read_regular

_CONTEXT = 512
_SMALLEST_CONTEXT = 8


@dataclass(frozen=True)
class Perplexity:
    """What was found."""

    perplexity: float
    """exp of the mean loss."""
    error: float
    """Its standard error."""
    context: int
    chunks: int
    scored_tokens: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="a text file in UTF-8, such as wiki.test.raw")
    parser.add_argument(
        "--ctx",
        type=whole(_SMALLEST_CONTEXT, LONGEST_CONTEXT),
        default=_CONTEXT,
        metavar="N",
        help=f"tokens in a chunk (default: {_CONTEXT}, as published values have it)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the perplexity."""
    text = _read_text(arguments.file)
    _check_context(arguments.model, arguments.ctx)
    line = ProgressLine()
    begin = time.monotonic()

    def show(done: int, chunks: int, so_far: float) -> None:
        left = (time.monotonic() - begin) / done * (chunks - done)
        line.show(done / chunks, f"chunk {done} of {chunks}, perplexity {so_far:.4f} so far, {left:.0f} s left")

    with loaded(arguments.model, LoadSettings(context=arguments.ctx, logit_rows=LOGIT_ROWS)) as engine:
        chunks = _chunks(engine, text, arguments.ctx, arguments.file)
        begin = time.monotonic()
        try:
            found = measure(engine, chunks, show)
        finally:
            line.clear()
    if arguments.json:
        print_json(asdict(found))
    else:
        print_table(
            [
                ("perplexity", f"{found.perplexity:.4f} ± {found.error:.4f}"),
                ("scored", f"{found.scored_tokens} tokens in {found.chunks} chunks of {found.context}"),
            ]
        )
    return 0


def measure(
    engine: Engine, chunks: Sequence[Sequence[int]], on_chunk: Callable[[int, int, float], None] = lambda *_: None
) -> Perplexity:
    """Return the perplexity of the second half of each chunk.

    Args:
        engine: with the model loaded.
        chunks: token ids, all of the same number.
        on_chunk: hears of the chunks that are done, of all chunks, and of the perplexity so far.
    """
    context = len(chunks[0])
    losses: list[float] = []
    for number, chunk in enumerate(chunks, 1):
        losses += engine.submit(Score(tuple(chunk), context // 2)).result().losses
        on_chunk(number, len(chunks), math.exp(math.fsum(losses) / len(losses)))
    count = len(losses)
    mean = math.fsum(losses) / count
    variance = math.fsum((loss - mean) ** 2 for loss in losses) / count
    perplexity = math.exp(mean)
    return Perplexity(perplexity, perplexity * math.sqrt(variance / (count - 1)), context, len(chunks), count)


def _chunks(engine: Engine, text: str, context: int, file: Path) -> list[list[int]]:
    """Return the text's tokens in chunks; what is left at the end is not used."""
    beginning = engine.submit(Tokenize("")).result().ids
    ids = beginning + engine.submit(Tokenize(text, add_special=False, special=False)).result().ids
    if len(ids) < 2 * context:
        raise ZhiyinError(
            "{path} has {count} tokens, but two chunks of {context} are the least; take a longer text or a smaller "
            "--ctx.",
            path=file,
            count=len(ids),
            context=context,
        )
    starts = range(0, len(ids) - context + 1, context)
    return [beginning + ids[start + len(beginning) : start + context] for start in starts]


def _read_text(path: Path) -> str:
    try:
        text = read_regular(path).decode("utf-8")
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise BadFile(
            "{path} is not a text in UTF-8 (byte {offset} is part of no character); choose another file or convert it.",
            path=path,
            offset=error.start,
        ) from error
    if not text.strip():
        raise BadFile("{path} is empty; choose a file with a text of some thousand words.", path=path)
    return text


def _check_context(model: str, context: int) -> None:
    header = read_gguf_header(find_model(model).path, arrays=False)
    if recurrent_state(header.architecture, header.parameters):
        return  # no length is too long for them, whatever they were trained with
    trained = header.parameter("context_length")
    if isinstance(trained, int) and 0 < trained < context and not is_beyond_trained_context(header.parameters, context):
        raise ZhiyinError(
            "{name} was trained for {context} tokens of context; give --ctx {context} or less.",
            name=model,
            context=trained,
        )
