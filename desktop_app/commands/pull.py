"""`zhiyin pull`: a model from the Hub, ready for chatting."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from converter.hub_files import Wish
from converter.pipeline import ConvertRequest, convert, plan
from converter.recipes import recipe_names
from desktop_app.automatic import choose_quant
from desktop_app.commands.options import add_json, add_threads
from desktop_app.commands.source import add_hub_arguments, fetch, free_memory, show_progress
from desktop_app.library import InstalledModel, Library
from desktop_app.paths import models_folder
from desktop_app.terminal import ProgressLine, print_json, say
from desktop_app.trial import try_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("repository", metavar="REPO", help="ORG/NAME, or ORG/NAME/FILE where it holds several models")
    parser.add_argument("--quant", default="auto", help="auto, Q8_0, Q4_K_M …: which file to take, or how to convert")
    add_hub_arguments(parser)
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch, then register a GGUF file or convert a checkpoint into the models folder."""
    quant = arguments.quant if arguments.quant == "auto" else arguments.quant.upper()
    memory = free_memory() if quant == "auto" else 0
    wish = Wish(memory=memory) if quant == "auto" else Wish((quant,), checkpoint=quant in recipe_names())
    done = fetch(arguments, arguments.repository, wish)
    if done.source.suffix.lower() == ".gguf":
        model = Library(models_folder()).import_file(done.source)
    else:
        model = _converted(done.source, quant, arguments.threads)
    facts = {**asdict(model), "repository": done.repository, "commit": done.commit}
    if arguments.json:
        print_json(facts)
    else:
        print(model.name)
    return 0


def _converted(source: Path, quant: str, threads: int) -> InstalledModel:
    """Convert into the models folder, unless the very file is there already."""
    request = ConvertRequest(source, quant=quant, threads=threads, choose=choose_quant)
    planned = plan(request)
    out = models_folder() / planned.out.name
    library = Library(models_folder())
    if out.is_file() and out.stat().st_size == planned.size:
        say(f"{out} is there already.")
        return library.find(str(out))
    line = ProgressLine()
    try:
        result = convert(
            ConvertRequest(source, out, planned.recipe.name, threads=threads),
            lambda progress: show_progress(line, progress, "tensors"),
            trial=try_out,
        )
    finally:
        line.clear()
    for warning in planned.warnings:
        say(f"Note: {warning}")
    return library.find(str(result.path))
