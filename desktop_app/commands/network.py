"""`zhiyin network`: the offline switch, and the list of every connection that was made."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

import msgspec

from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import human_bytes, print_json, print_table, say
from desktop_app.connections import connections
from desktop_app.network import ASKED, OFFLINE, ONLINE, POSITIONS, own_networks, position, switch

_WORDS = {
    ONLINE: "online: connections are made for what you ask for; the window also looks once a day whether your models were "
    "published anew, and asks a host for words as you type them.",
    ASKED: "asked: connections are made for what you ask for, and for nothing else.",
    OFFLINE: "offline: no connection is made.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("position", nargs="?", choices=POSITIONS, help="move the switch; without it: show")
    parser.add_argument(
        "--own",
        metavar="NETWORKS",
        help="networks of your own whose engines stay reachable offline, as 192.168.1.0/24,10.0.0.7; none: no network",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Move the switch if asked to; print it and the connections."""
    if arguments.position is not None or arguments.own is not None:
        switch(arguments.position, "" if arguments.own == "none" else arguments.own)
    networks = [str(network) for network in own_networks()]
    now = position()
    entries = connections()
    if arguments.json:
        print_json(
            {
                "position": now,
                "own_networks": networks,
                "connections": [msgspec.to_builtins(entry) for entry in entries],
            }
        )
        return 0
    print(_WORDS[now])
    if networks:
        print(f"own networks, open to engines and workers that you name also offline: {', '.join(networks)}")
    if arguments.position is None and arguments.own is None:
        print_table(
            (
                datetime.fromtimestamp(entry.time, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
                f"{entry.host}:{entry.port}",
                f"{human_bytes(entry.received)}, {entry.state}",
                entry.what,
            )
            for entry in entries
        )
        say(f"{len(entries)} connections, {human_bytes(sum(entry.received for entry in entries))} in all.")
    return 0
