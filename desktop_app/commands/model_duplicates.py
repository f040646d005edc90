"""`zhiyin models duplicates`: models that are here twice."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from desktop_app.commands.terminal import human_bytes, print_json, print_table, say
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel


def print_duplicates(library: Library, arguments: argparse.Namespace) -> None:
    """Print the groups of models that hold the same bytes, those of other programs included."""
    from desktop_app.library.duplicates import duplicates, everything_here, taken_twice

    groups = duplicates(everything_here(library.models()))
    if arguments.json:
        print_json([[asdict(model) | {"path": str(model.path)} for model in group] for group in groups])
        return
    print_table(
        (
            str(number),
            model.label if isinstance(model, InstalledModel) else f"{model.program}: {model.name}",
            human_bytes(model.bytes),
            str(model.path),
        )
        for number, group in enumerate(groups, 1)
        for model in group
    )
    say(f"{human_bytes(taken_twice(groups))} are taken twice." if groups else "No model is here twice.")
