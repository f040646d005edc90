"""`zhiyin tokenize`: the token ids of a text."""

from __future__ import annotations

import argparse

from desktop_app.commands.options import add_json, add_model
from desktop_app.commands.session import loaded
from desktop_app.commands.terminal import print_json
from desktop_app.engine.protocol import LoadSettings, Tokenize


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument("text", metavar="TEXT", help="any text; markup such as <|im_start|> becomes its token")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the ids, special tokens that the model expects at the ends included."""
    with loaded(arguments.model, LoadSettings(context=512)) as engine:
        ids = engine.submit(Tokenize(arguments.text)).result().ids
    if arguments.json:
        print_json({"ids": ids})
    else:
        print(" ".join(map(str, ids)))
    return 0
