"""`zhiyin models folders`: the folders that models are read from, the one of new models first."""

from __future__ import annotations

import argparse
from pathlib import Path

from desktop_app.commands.terminal import print_json, print_table
from desktop_app.library.further_folders import add_folder, further_folders, take_off_folder
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from models.visible import visible


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--add", type=Path, metavar="FOLDER", help="have its models on the list; nothing in it is changed"
    )
    parser.add_argument("--remove", type=Path, metavar="FOLDER", help="take it off the list; its files stay")


def change_folders(library: Library, arguments: argparse.Namespace) -> None:
    """Change the list if asked to, and print it."""
    if arguments.add is not None:
        add_folder(arguments.add)
    if arguments.remove is not None:
        take_off_folder(arguments.remove)
    folders = further_folders()
    if arguments.json:
        further = [{"path": str(folder), "is_there": folder.is_dir()} for folder in folders]
        print_json({"new_models": str(models_folder()), "further": further})
        return
    print_table(
        [
            (visible(str(models_folder())), "new models go here"),
            *((visible(str(folder)), "read" if folder.is_dir() else "not there now") for folder in folders),
        ]
    )
