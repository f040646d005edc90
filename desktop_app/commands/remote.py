"""`zhiyin remote`: servers on other computers whose models are used here, with their keys."""

from __future__ import annotations

import argparse
import getpass
import sys

import msgspec

from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import print_json, print_table, say
from desktop_app.paths import remotes_file
from desktop_app.remote.addresses import Remote, Remotes, keep_key_for, key_for, read_address
from desktop_app.remote.engine import list_models
from models.errors import ZhiyinError
from models.system_errors import cannot_write
from models.visible import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_json(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the facts as JSON")
    actions.add_parser("list", parents=[shared], help="list the servers and their models (the default)")
    adder = actions.add_parser("add", parents=[shared], help="add a server, or read its list of models again")
    adder.add_argument(
        "url", metavar="URL", help="as http://192.168.1.5:8080/v1; llama-server, vLLM, Ollama and others"
    )
    adder.add_argument(
        "--key", action="store_true", help="ask for a key, or read it from a pipe; it is kept in the keyring"
    )
    remover = actions.add_parser("remove", parents=[shared], help="forget a server and its key")
    remover.add_argument("url", metavar="URL", help="its address")


def run(arguments: argparse.Namespace) -> int:
    """Do the action."""
    remotes = Remotes()
    try:
        if arguments.action == "add":
            _print([_added(remotes, read_address(arguments.url), arguments.key)], as_json=arguments.json)
        elif arguments.action == "remove":
            _remove(remotes, read_address(arguments.url))
        else:
            _print(list(remotes.all()), as_json=arguments.json)
    except OSError as error:
        raise cannot_write(remotes_file(), error) from error
    return 0


def _added(remotes: Remotes, address: str, asks_key: bool) -> Remote:
    """Ask a server for its models, and keep it; a key that it refuses is not kept."""
    key = _typed_key() if asks_key else key_for(address)
    remote = list_models(address, key)
    if asks_key:
        keep_key_for(address, key)
    remotes.put(remote)
    return remote


def _typed_key() -> str:
    key = getpass.getpass("Key: ", sys.stderr) if sys.stdin.isatty() else sys.stdin.readline()
    return key.strip()


def _remove(remotes: Remotes, address: str) -> None:
    if all(remote.address != address for remote in remotes.all()):
        raise ZhiyinError("There is no server {address} on the list; `zhiyin remote` shows it.", address=address)
    remotes.remove(address)


def _print(remotes: list[Remote], *, as_json: bool) -> None:
    if as_json:
        print_json({"remotes": [msgspec.to_builtins(remote) for remote in remotes]})
        return
    print_table(
        (remote.address, visible(model.name), f"{model.context} tokens" if model.context else "")
        for remote in remotes
        for model in remote.models
    )
    for remote in remotes:
        if not remote.models:
            say(f"{remote.address} has no model now.")
