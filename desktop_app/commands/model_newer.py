"""`zhiyin models newer`: which models their hosts publish anew."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from desktop_app.commands.terminal import print_json, print_table, say
from desktop_app.library.installed import Library
from models.errors import ZhiyinError
from models.visible import visible


def print_newer(library: Library, arguments: argparse.Namespace) -> None:
    """Ask the host of each download, and print what is others' bytes there now; raises the last error where none answered."""
    from desktop_app.library.newer import look

    errors: list[ZhiyinError] = []

    def failed(folder: str, error: ZhiyinError) -> None:
        errors.append(error)
        say(f"zhiyin: {error}")

    newer_ones = look(failed)
    if arguments.json:
        print_json([{"folder": folder, **asdict(newer)} for folder, newer in newer_ones.items()])
        return
    print_table(
        (newer.repository, newer.commit[:12], ", ".join(map(visible, newer.files)) or "its files")
        for newer in newer_ones.values()
    )
    if newer_ones:
        say("To have them: zhiyin pull NAME.")
    elif not errors:
        say("No model that was downloaded is published anew.")
