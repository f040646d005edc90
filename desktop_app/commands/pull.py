"""`zhiyin pull`: a model from the Hub, ready for chatting."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from converter.hub_files import Wish
from converter.hub_note import earlier_conversion, note_conversion
from converter.pipeline import ConvertRequest, convert, plan
from converter.recipes import recipe_names
from desktop_app.automatic import choose_quant
from desktop_app.commands.options import add_json, add_threads
from desktop_app.commands.source import add_hub_arguments, fetch, free_memory, show_progress
from desktop_app.library import InstalledModel, Library
from desktop_app.paths import models_folder
from desktop_app.terminal import ProgressLine, print_json, say
from desktop_app.trial import try_out

if TYPE_CHECKING:
    from converter.hub import Download


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
        model = _converted(done, quant, arguments.threads)
    facts = {**asdict(model), "repository": done.repository, "commit": done.commit}
    if arguments.json:
        print_json(facts)
    else:
        print(model.name)
    return 0


def _converted(done: Download, quant: str, threads: int) -> InstalledModel:
    """Convert into the models folder, unless the very same was converted before."""
    planned = plan(ConvertRequest(done.source, quant=quant, threads=threads, choose=choose_quant))
    for warning in planned.warnings:
        say(f"Note: {warning}")
    types = planned.recipe.name
    out, current = earlier_conversion(done.folder, done.commit, types)
    if out is None or not current:
        out = _convert(done.source, out or _unused(models_folder() / planned.out.name), types, threads)
        note_conversion(done.folder, done.commit, types, out)
    else:
        say(f"{out} was converted from it before.")
    return Library(models_folder()).find(str(out))


def _convert(source: Path, out: Path, types: str, threads: int) -> Path:
    line = ProgressLine()
    try:
        request = ConvertRequest(source, out, types, threads=threads)
        return convert(request, lambda progress: show_progress(line, progress, "tensors"), trial=try_out).path
    finally:
        line.clear()


def _unused(path: Path) -> Path:
    """Return a path at which there is no file: another publisher's model may have the same name."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return path if not path.exists() else next(other for other in numbered if not other.exists())
