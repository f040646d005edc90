"""`zhiyin serve`: a server for other programs, with OpenAI's, Anthropic's and Ollama's protocols."""

from __future__ import annotations

import argparse
import math
import time

from desktop_app.commands.options import add_threads, add_workers, context_length, integer, real
from desktop_app.commands.session import add_adapter_argument, find_model
from desktop_app.commands.terminal import say
from desktop_app.engine.protocol import MOST_SEQUENCES
from desktop_app.paths import models_folder
from desktop_app.server.process import PORT
from models.errors import ZhiyinError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="listen on this address (default: 127.0.0.1, this computer only)",
    )
    parser.add_argument(
        "--port", type=integer(0, 65535), default=PORT, metavar="P", help=f"0: any that is free (default: {PORT})"
    )
    parser.add_argument("-m", "--model", help="load this model at once: a name, or a GGUF file (default: on demand)")
    parser.add_argument(
        "--ctx", type=context_length, metavar="N", help="context length in tokens (default: what fits, up to 8192)"
    )
    parser.add_argument(
        "--parallel",
        type=integer(1, MOST_SEQUENCES),
        metavar="N",
        help="requests that a model answers at once, each with a context of its own (default: what fits, up to 4)",
    )
    parser.add_argument(
        "--idle",
        type=real(0, 1e6),
        default=5.0,
        metavar="MINUTES",
        help="unload a model that nobody asked for so long; 0: never (default: 5)",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name of this computer; may be repeated",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin ask, as in https://chat.example; may be repeated (default: none)",
    )
    add_threads(parser)
    add_workers(parser)
    add_adapter_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C."""
    from desktop_app.library.installed import Library
    from desktop_app.server.activity import Exchange
    from desktop_app.server.model_pool import ModelPool, PoolSettings
    from desktop_app.server.run import Listening, serve_models

    model = find_model(arguments.model) if arguments.model else None
    if arguments.adapter and model is None:
        raise ZhiyinError("--adapter needs the model that it is for; name it with -m.")
    settings = PoolSettings(
        context=arguments.ctx,
        parallel=arguments.parallel,
        threads=arguments.threads,
        keep_seconds=60 * arguments.idle or math.inf,
        adapters=tuple(arguments.adapter),
        workers=tuple(arguments.worker),
    )

    def report(exchange: Exchange) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(exchange.begun))
        tokens = f"{exchange.model} {exchange.prompt_tokens}+{exchange.tokens} tokens, " if exchange.model else ""
        say(f"{clock} {exchange.status} {exchange.path} {tokens}{exchange.seconds:.1f} s, {exchange.program}")

    def ready(address: str, key: str) -> None:
        print(address, flush=True)
        if key:
            say(f"Clients have to send the key {key}")

    names, origins = frozenset(arguments.allow_host), frozenset(arguments.allow_origin)
    pool = ModelPool(Library(models_folder()), settings, model)
    serve_models(Listening(arguments.host, arguments.port, names, origins), pool, ready, report)
    return 0
