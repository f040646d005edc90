"""`zhiyin update`: looks for a newer release where it is told to, fetches and verifies its installer, installs nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import human_bytes, print_json, say
from desktop_app.updates import ReleaseFile, fetch_installer, how_to_install, installed_as, offered, read_release


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("address", metavar="ADDRESS", help="of the release's update.json: a web address, or a file")
    parser.add_argument("--download", type=Path, metavar="FOLDER", help="fetch this computer's installer into a folder")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Say what is offered, and fetch it where that was asked for."""
    release = read_release(arguments.address)
    file = offered(release) if release.newer else None
    path = None
    if file is not None and arguments.download is not None:
        path = fetch_installer(arguments.address, file, arguments.download, lambda count: None)
    if arguments.json:
        facts = {"version": release.version, "newer": release.newer, "installed_as": installed_as()}
        print_json(facts | {"file": None if file is None else msgspec.to_builtins(file), "path": path and str(path)})
        return 0
    if not release.newer:
        print(f"{release.version} is offered; this Zhiyin is not older.")
        return 0
    print(f"Zhiyin {release.version} is offered.")
    if release.notes:
        print(release.notes.rstrip())
    say(
        _next_step(file)
        if path is None or file is None
        else f"Checked. To install it: {how_to_install(file, path, release)}"
    )
    return 0


def _next_step(file: ReleaseFile | None) -> str:
    if file is not None:
        return f"{file.name} ({human_bytes(file.size)}) is for this computer; --download FOLDER fetches it."
    if installed_as() == "source":
        return "This Zhiyin runs from its sources: fetch their new state with git."
    return f"The release has no installer of this kind ({installed_as()})."
