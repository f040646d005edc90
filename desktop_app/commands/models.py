"""`zhiyin models`: list, info, set, rename, import, found, duplicates, newer, folders, pack, unpack, remove."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from converter.gguf_header import ArrayLength, read_gguf_header
from desktop_app.commands.model_duplicates import print_duplicates
from desktop_app.commands.model_folders import add_folders, change_folders
from desktop_app.commands.model_newer import print_newer
from desktop_app.commands.model_settings import add_rename, add_set, rename, set_values
from desktop_app.commands.options import add_json, add_model
from desktop_app.commands.session import ask_which
from desktop_app.commands.terminal import counted, human_bytes, print_json, print_table, say
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import BrokenModel, InstalledModel
from desktop_app.library.other_programs import found_models
from desktop_app.library.packs import SUFFIX, pack, read_pack, unpack
from desktop_app.paths import models_folder, qualities_file
from desktop_app.quality.kept import Qualities, in_words
from models.dynamic_rotary import RULE
from models.visible import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    add_json(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the facts as JSON")
    actions.add_parser("list", parents=[shared], help="list the installed models (the default)")
    add_model(actions.add_parser("info", parents=[shared], help="show a model's metadata"))
    remover = actions.add_parser("remove", parents=[shared], help="move a model to the system's bin")
    add_model(remover)
    remover.add_argument("--delete", action="store_true", help="delete it for good")
    add_set(actions.add_parser("set", parents=[shared], help="set what counts for one model alone, or show it"))
    add_rename(actions.add_parser("rename", parents=[shared], help="give a model another name"))
    importer = actions.add_parser("import", parents=[shared], help="add a GGUF file where it lies")
    importer.add_argument("file", type=Path, metavar="FILE", help="a GGUF file; of a split model, the first one")
    actions.add_parser(
        "found", parents=[shared], help="list the models that other programs keep here; import takes their paths"
    )
    actions.add_parser(
        "duplicates", parents=[shared], help="list the models that are here twice, by their files' SHA-256"
    )
    actions.add_parser("newer", parents=[shared], help="ask the hosts which models they publish anew")
    add_folders(
        actions.add_parser(
            "folders", parents=[shared], help="list, add or take off folders whose models are read there"
        )
    )
    packer = actions.add_parser("pack", parents=[shared], help="write a model into one file for another computer")
    add_model(packer)
    packer.add_argument("--out", type=Path, metavar="FILE", help=f"where to; without it NAME{SUFFIX} here")
    unpacker = actions.add_parser("unpack", parents=[shared], help="add the model of such a file")
    unpacker.add_argument("file", type=Path, metavar="FILE", help=f"…{SUFFIX}")
    importer.add_argument("--copy", action="store_true", help="copy it into the models folder")


def run(arguments: argparse.Namespace) -> int:
    """Do the action."""
    library = Library(models_folder())
    if arguments.action in _FURTHER:
        _FURTHER[arguments.action](library, arguments)
    elif arguments.action == "remove":
        _remove(library, arguments.model, for_good=arguments.delete)
    elif arguments.action == "found":
        _print_found(as_json=arguments.json)
    elif arguments.action == "pack":
        _pack(library, arguments)
    elif arguments.action == "unpack":
        read_pack(arguments.file)
        _print_models([library.import_file(unpack(arguments.file, models_folder()))], as_json=arguments.json)
    elif arguments.action == "import":
        model = library.import_file(arguments.file, copy=arguments.copy)
        _print_models([model], as_json=arguments.json)
    else:
        listing = library.listing()
        _print_models(listing.models, as_json=arguments.json)
        for broken in listing.broken:
            say(f"zhiyin: {broken.error}")
    return 0


def _remove(library: Library, name: str, *, for_good: bool) -> None:
    model = ask_which(lambda: library.find_installed(name))
    removal = library.removal(model)
    frees = removal.frees
    library.remove(removal, for_good=for_good)
    what = f"its file {visible(str(model.path))} stays"
    if removal.files and for_good:
        what = f"{human_bytes(frees)} are free again"
    elif removal.files:
        what = f"it is in the system's bin, and {human_bytes(frees)} are free again when that is emptied"
    if isinstance(model, BrokenModel) and not removal.files:
        what = "its file was gone" if not model.path.exists() else what
    say(f"Removed {model.name}; {what}.")


def _print_found(*, as_json: bool) -> None:
    others = found_models()
    if as_json:
        print_json([asdict(model) | {"path": str(model.path)} for model in others])
        return
    print_table(
        (model.program, visible(model.name), human_bytes(model.bytes), visible(str(model.path))) for model in others
    )
    if not others:
        say("No models of other programs were found.")


def _pack(library: Library, arguments: argparse.Namespace) -> None:
    model = ask_which(lambda: library.find(arguments.model))
    target = arguments.out or Path(f"{model.name}{SUFFIX}")
    made = pack(model.path, target, origin=model.origin)
    if arguments.json:
        print_json({"path": str(target), **msgspec.to_builtins(made)})
    else:
        print(visible(str(target)))
        say(f"{counted(len(made.files), 'file')}, {human_bytes(sum(file.size for file in made.files.values()))}.")


def _print_models(models: list[InstalledModel], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(model) for model in models])
    else:
        print_table((m.label, m.file_type or "?", human_bytes(m.bytes), m.architecture, str(m.path)) for m in models)


def _info(library: Library, arguments: argparse.Namespace) -> None:
    model = ask_which(lambda: library.find(arguments.model))
    header = read_gguf_header(model.path, arrays=False)
    beyond_trained_context = RULE in header.parameters
    facts = {**asdict(model), "tensors": len(header.tensors), "beyond_trained_context": beyond_trained_context}
    facts["metadata"] = _plain(header.metadata)
    kept = Qualities(qualities_file()).of(model.path)
    facts["quality"] = None if kept is None else asdict(kept)
    if arguments.json:
        print_json(facts)
        return
    rows = [("name", model.name), ("path", str(model.path)), ("size", human_bytes(model.bytes))]
    rows += [("quantization", model.file_type or "?"), ("tensors", str(len(header.tensors)))]
    if kept is not None:
        rows.append(("quality", f"{in_words(kept.same_top)} KL divergence from {kept.reference}: {kept.kl_mean:.4f}"))
    if beyond_trained_context:
        trained = header.parameter("context_length")
        rows.append(
            ("context", f"{trained} tokens; past them, where asked for, Zhiyin computes positions as the publisher")
        )
    print_table([*rows, *((key, str(value)) for key, value in _plain(header.metadata).items())])


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        key: f"{value.length} values" if isinstance(value, ArrayLength) else value for key, value in metadata.items()
    }


_FURTHER = {
    "info": _info,
    "set": set_values,
    "rename": rename,
    "duplicates": print_duplicates,
    "newer": print_newer,
    "folders": change_folders,
}
"""Actions that do their own printing."""
