"""`zhiyin embed`: vectors of texts, by an embedding model; multilingual-e5-small comes with the application."""

from __future__ import annotations

import argparse

from desktop_app.commands.options import add_json, add_model, add_threads, integer
from desktop_app.commands.session import find_model, load
from desktop_app.commands.terminal import print_json
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LONGEST_CONTEXT, Embed, LoadSettings
from desktop_app.library.embedding_model import NAME, bundled_embedding_model
from desktop_app.library.installed_model import InstalledModel
from desktop_app.remote.addresses import Remote, RemoteModel, read_address
from desktop_app.remote.engine import RemoteEngine
from models.errors import ZhiyinError


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
        type=integer(16, LONGEST_CONTEXT),
        default=0,
        metavar="N",
        help="tokens of the longest text; what is longer is cut",
    )
    parser.add_argument(
        "--remote", metavar="URL", help="MODEL is one of a server with OpenAI's protocol; the texts are sent there"
    )
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one vector a line."""
    if not all(text.strip() for text in arguments.text):
        raise ZhiyinError("A text without a word has no vector; give each text at least one.")
    rows = _local(arguments) if arguments.remote is None else _remote(arguments)
    if arguments.json:
        print_json({"model": arguments.model, "vectors": rows})
    else:
        for row in rows:
            print(" ".join(f"{value:.7g}" for value in row))
    return 0


def _local(arguments: argparse.Namespace) -> list[list[float]]:
    model = _model(arguments.model)
    with Engine() as engine:
        load(engine, model, LoadSettings(context=arguments.ctx, threads=arguments.threads), ())
        return engine.submit(Embed(tuple(arguments.text), arguments.role)).result().rows()


def _remote(arguments: argparse.Namespace) -> list[list[float]]:
    if arguments.role or arguments.ctx or arguments.threads:
        raise ZhiyinError(
            "--role, --ctx and --threads belong to models of this computer; leave them out with --remote."
        )
    engine = RemoteEngine(Remote(read_address(arguments.remote)), RemoteModel(arguments.model))
    return engine.submit(Embed(tuple(arguments.text))).result().rows()


def _model(name: str) -> InstalledModel:
    """Return the model that the user named, which may be the one that comes along."""
    bundled = bundled_embedding_model() if name == NAME else None
    model = find_model(name if bundled is None else str(bundled), also=(NAME,))
    if not model.measures:
        raise ZhiyinError(
            "{name} writes texts and makes no vectors; choose an embedding model, such as {other}.",
            name=name,
            other=NAME,
        )
    return model
