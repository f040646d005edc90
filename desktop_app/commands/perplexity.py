"""`zhiyin perplexity`: how well a model predicts a text, as llama.cpp's tool of that name measures it.

The second half of each chunk of the text is scored, because after few tokens nobody could predict much. Source: tools/perplexity
of llama.cpp.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from desktop_app.commands.options import add_json, add_model, integer
from desktop_app.commands.session import find_model, loaded
from desktop_app.commands.terminal import ProgressLine, counted, print_json, print_table
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LOGIT_ROWS, LONGEST_CONTEXT, LoadSettings, Score
from desktop_app.quality.chunks import CONTEXT, cut_chunks, read_text
from desktop_app.quality.measurement import check_context

_SMALLEST_CONTEXT = 8


@dataclass(frozen=True)
class Perplexity:
    """The measured perplexity."""

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
        type=integer(_SMALLEST_CONTEXT, LONGEST_CONTEXT),
        default=CONTEXT,
        metavar="N",
        help=f"tokens in a chunk (default: {CONTEXT}, as published values have it)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the perplexity."""
    text = read_text(arguments.file)
    check_context(find_model(arguments.model).path, arguments.ctx)
    line = ProgressLine()
    begin = time.monotonic()

    def show(done: int, chunks: int, so_far: float) -> None:
        left = (time.monotonic() - begin) / done * (chunks - done)
        line.show(done / chunks, f"chunk {done} of {chunks}, perplexity {so_far:.4f} so far, {left:.0f} s left")

    with loaded(arguments.model, LoadSettings(context=arguments.ctx, logit_rows=LOGIT_ROWS)) as engine:
        chunks = cut_chunks(engine, text, arguments.ctx, arguments.file)
        begin = time.monotonic()
        try:
            measured = measure(engine, chunks, show)
        finally:
            line.clear()
    if arguments.json:
        print_json(asdict(measured))
    else:
        print_table(
            [
                ("perplexity", f"{measured.perplexity:.4f} ± {measured.error:.4f}"),
                (
                    "scored",
                    f"{measured.scored_tokens} tokens in {counted(measured.chunks, 'chunk')} of {measured.context}",
                ),
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
