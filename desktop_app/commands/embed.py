"""`zhiyin embed`: vectors of texts, by an embedding model; multilingual-e5-small comes with the application."""

from __future__ import annotations

import argparse

from desktop_app.commands.options import add_json, add_model, add_threads, whole
from desktop_app.commands.session import loaded
from desktop_app.commands.terminal import print_json
from desktop_app.engine.protocol import LONGEST_CONTEXT, Embed, LoadSettings
from desktop_app.library.embedding_model import NAME, bundled_embedding_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument("text", nargs="+", metavar="TEXT", help="any text; markup of control tokens in it stays text")
    parser.add_argument(
        "--role",
        choices=("query", "document"),
        default="",
        help="put in front what the model was trained with for questions or for passages",
    )
    parser.add_argument(
        "--ctx",
        type=whole(16, LONGEST_CONTEXT),
        default=0,
        metavar="N",
        help="tokens of the longest text; what is longer is cut",
    )
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one vector a line."""
    settings = LoadSettings(context=arguments.ctx, threads=arguments.threads)
    model = bundled_embedding_model() if arguments.model == NAME else None
    with loaded(arguments.model if model is None else str(model), settings) as engine:
        rows = engine.submit(Embed(tuple(arguments.text), arguments.role)).result().rows()
    if arguments.json:
        print_json({"model": arguments.model, "vectors": rows})
    else:
        for row in rows:
            print(" ".join(f"{value:.7g}" for value in row))
    return 0
