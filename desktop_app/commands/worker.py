"""`zhiyin worker`: lends this computer's devices to another one in the network, which computes layers of its models here."""

from __future__ import annotations

import argparse
import socket
import time

from converter.hub.permission import is_this_computer
from desktop_app.commands.options import add_threads
from desktop_app.commands.terminal import say
from desktop_app.engine.lender import Lender
from desktop_app.engine.parts.store import part_store
from desktop_app.engine.workers import DEFAULT_PORT, WorkerFailed, networks, split_address
from models.errors import ZhiyinError
from models.system_reasons import system_reason

_WORDS = {
    "begun": "{host} uses this computer.",
    "ended": "{host} is done.",
    "refused": "{host} is not allowed, and was refused.",
    "full": "{host} was refused: too many use this computer already.",
    "failed": "{host}: the process that computes did not start; see the log `worker`.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--listen",
        default=f"127.0.0.1:{DEFAULT_PORT}",
        metavar="HOST:PORT",
        help=f"listen on this address of this computer (default: 127.0.0.1:{DEFAULT_PORT}); port 0: any that is free",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="ADDR",
        help="who may connect, as 192.168.1.7 or 192.168.1.0/24; may be repeated; llama.cpp's protocol has no password and "
        "no encryption, so name computers of your own only",
    )
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Lend until Ctrl+C."""
    host, port = split_address(arguments.listen)
    is_local = is_this_computer(host) and host not in ("0.0.0.0", "::")  # noqa: S104 - it is refused here
    allowed = networks(arguments.allow or (["127.0.0.1", "::1"] if is_local else []))
    if not allowed:
        raise WorkerFailed(
            "Say who may connect to {host}: --allow 192.168.1.7; llama.cpp's protocol knows no password.", host=host
        )
    part_store().rpc()  # says what is missing before anybody connects
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ZhiyinError(
            "Nothing can listen on {host} port {port} ({reason}); choose another address or port, or end the program that "
            "uses it.",
            host=host,
            port=port,
            reason=system_reason(error),
        ) from error
    with listener:
        name = f"[{host}]" if ":" in host else host
        print(f"{name}:{listener.getsockname()[1]}", flush=True)
        if not is_local:
            say(
                "This protocol is not authenticated and not encrypted: whoever is allowed can use this computer's memory and "
                "read what is sent. Use it in a network of your own only."
            )
        Lender(listener, allowed, arguments.threads, _report).serve()
    return 0


def _report(host: str, what: str) -> None:
    say(f"{time.strftime('%H:%M:%S')} {_WORDS[what].format(host=host)}")
