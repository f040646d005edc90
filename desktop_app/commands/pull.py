"""`zhiyin pull`: a model from the Hub or ModelScope, ready for chatting."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_app.commands.options import add_json, add_threads
from desktop_app.commands.source import add_hub_arguments, fetch, show_progress
from desktop_app.commands.terminal import ProgressLine, print_json, say
from desktop_app.library.install import InstallRequest, install_checkpoint, wish_for
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from models.sentence import Sentence

if TYPE_CHECKING:
    from converter.hub.repository import Download


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "repository",
        metavar="REPO",
        help="ORG/NAME, or ORG/NAME/FILE where it holds several models; modelscope:ORG/NAME is on ModelScope",
    )
    parser.add_argument("--quant", default="auto", help="auto, Q8_0, Q4_K_M …: which file to take, or how to convert")
    add_hub_arguments(parser)
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch, then register a GGUF file or convert a checkpoint into the models folder."""
    quant = arguments.quant if arguments.quant == "auto" else arguments.quant.upper()
    done = fetch(arguments, arguments.repository, wish_for(quant))
    ready = done.made or (done.source if done.source.suffix.lower() == ".gguf" else None)
    path = ready or _converted(done, quant, arguments.threads)
    model = Library(models_folder()).import_file(path)
    facts = {**asdict(model), "repository": done.repository, "commit": done.commit}
    if arguments.json:
        print_json(facts)
    else:
        print(model.name)
    return 0


def _converted(done: Download, quant: str, threads: int) -> Path:
    line = ProgressLine()
    request = InstallRequest(done.repository, quant, threads=threads)
    try:
        made = install_checkpoint(
            request,
            done.source,
            done,
            lambda progress: show_progress(line, progress, "tensors"),
            on_planned=lambda planned: _say_notes(planned.warnings),
        )
    finally:
        line.clear()
    if made.conversion is None:
        _say_notes(made.warnings)
        say(f"{made.path} was converted from it before.")
    return made.path


def _say_notes(warnings: Iterable[Sentence]) -> None:
    for warning in warnings:
        say(f"Note: {warning}")
