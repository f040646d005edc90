"""`zhiyin models set` and `rename`: settings of one model's own, and another name for it."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import Any

from desktop_app.commands.options import add_model, context_length, integer, real
from desktop_app.commands.session import ask_which
from desktop_app.commands.terminal import print_json, print_table, say
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel, ModelSettings
from desktop_app.library.model_settings import MOST_THREADS, store_model_settings
from desktop_app.library.renaming import rename_model
from desktop_app.settings import RANGES, SAMPLED
from models.visible import visible

_SAMPLING_HELP = {
    "temperature": "0: always the most probable token",
    "top_k": "choose among the N most probable tokens; 0: all",
    "top_p": "choose among the most probable tokens that make up N",
    "min_p": "leave out what is less probable than N times the most probable",
    "repeat_penalty": "above 1: avoid the last 64 tokens",
    "seed": "makes replies repeatable; -1: another one each time",
    "max_tokens": "longest reply in tokens; 0: no limit",
}


def add_set(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `set`."""
    add_model(parser)
    parser.add_argument("--context", type=context_length, metavar="N", help="context length in tokens")
    parser.add_argument("--threads", type=integer(0, MOST_THREADS), metavar="N", help="0: as many as are fastest here")
    parser.add_argument("--instructions", metavar="TEXT", help="the system message of its chats")
    for name in SAMPLED:
        low, high = RANGES[name]
        kind = real(low, high) if name not in ("top_k", "seed", "max_tokens") else integer(int(low), int(high))
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=_SAMPLING_HELP[name])
    parser.add_argument("--reset", action="store_true", help="first forget what was set for it")


def add_rename(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rename`."""
    add_model(parser)
    parser.add_argument("name", metavar="NAME", help="how it is called from now on")


def set_values(library: Library, arguments: argparse.Namespace) -> None:
    """Store what the options say, and print what is set for the model."""
    model = _listed(library, arguments.model)
    own = ModelSettings(name=model.own.name, former=model.own.former) if arguments.reset else model.own
    sampling = {name: value for name in SAMPLED if (value := getattr(arguments, name)) is not None}
    given = {
        name: value
        for name in ("context", "threads", "instructions")
        if (value := getattr(arguments, name)) is not None
    }
    changed = replace(own, sampling={**own.sampling, **sampling}, **given)
    if changed != model.own:
        store_model_settings(model.identifier, changed)
    values = _values(changed)
    if arguments.json:
        print_json({"model": model.label, "path": str(model.path), **values})
    elif values:
        print_table((name, visible(str(value))) for name, value in values.items())
    else:
        say(f"Nothing is set for {model.label}.")


def rename(library: Library, arguments: argparse.Namespace) -> None:
    """Give a model another name."""
    model = _listed(library, arguments.model)
    path = rename_model(model, arguments.name)
    if arguments.json:
        print_json({"name": arguments.name.strip().removesuffix(".gguf"), "path": str(path)})
    else:
        say(f"{model.label} is called {visible(arguments.name.strip())} now; its file is {visible(str(path))}.")


def _values(own: ModelSettings) -> dict[str, Any]:
    kept = {**asdict(own), **own.sampling}
    usual = asdict(ModelSettings())
    return {
        name: value
        for name, value in kept.items()
        if name not in ("sampling", "former", "name") and (name in SAMPLED or value != usual[name])
    }


def _listed(library: Library, name: str) -> InstalledModel:
    """Return the model of the list with a name or path.

    Raises:
        ZhiyinError: there is none; a file that is not on the list has no settings.
    """
    model = ask_which(lambda: library.find_installed(name))
    if not isinstance(model, InstalledModel):
        raise model.error
    return model
