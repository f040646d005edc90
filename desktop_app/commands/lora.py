"""Adapters on the command line: which base and which adapters are meant, and the plan that is shown first."""

from __future__ import annotations

import argparse
from pathlib import Path

from converter.checkpoint.adapter_folder import is_adapter
from converter.checkpoint.lora import Adapter
from converter.hub.address import MODELSCOPE_PREFIX
from converter.hub.manifest import read_manifest, verified_files
from converter.merging import check_by_configuration
from converter.pipeline import ConversionPlan
from desktop_app.commands.source import fetch, local_path
from desktop_app.commands.terminal import human_bytes, say
from desktop_app.library.catalogue import names_on_hubs
from desktop_app.paths import downloads_folder
from models.errors import ZhiyinError


def add_lora_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--base",
        metavar="DIR_OR_REPO",
        help="the model that adapters belong to (default: the one that the adapter names)",
    )
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="DIR_OR_REPO",
        help="an adapter to merge into the model; may be repeated, in the order of their training",
    )
    parser.add_argument(
        "--as-adapter", action="store_true", help="write the adapter as a file of its own, for zhiyin chat --adapter"
    )
    parser.set_defaults(wrong_usage=parser.error)


def sources(arguments: argparse.Namespace) -> tuple[Path, tuple[Path, ...]]:
    """Return the model and the adapters that are meant; repositories are fetched, and SOURCE may be either.

    Raises:
        ZhiyinError: an adapter does not say what it belongs to, or that cannot be had.
    """
    if arguments.source is None and not arguments.lora:
        arguments.wrong_usage("the following arguments are required: SOURCE")
    adapters = [local_path(arguments, given) for given in arguments.lora]
    base = None
    if arguments.source is not None:
        source = local_path(arguments, arguments.source)
        if is_adapter(source):
            adapters.insert(0, source)
        else:
            base = source
    if base is not None and arguments.base is not None:
        arguments.wrong_usage("SOURCE is a model already: give it or --base, and adapters with --lora")
    if arguments.as_adapter and len(adapters) != 1:
        arguments.wrong_usage("--as-adapter needs exactly one adapter")
    if base is None:
        base = _base(arguments, Adapter(adapters[0]))
    return base, tuple(adapters)


def show_plan(plan: ConversionPlan) -> None:
    """Say what will be merged and written."""
    for step in plan.steps:
        say(str(step))
    say(f"Result: {plan.out} ({plan.recipe.name}, {human_bytes(plan.size)})")


def _base(arguments: argparse.Namespace, adapter: Adapter) -> Path:
    """Return the base that was given, or the one that an adapter names: a folder that is here, or a repository."""
    name = arguments.base or adapter.base_name
    if not name:
        raise ZhiyinError("{path} does not say which model it was trained on; name it with --base.", path=adapter.path)
    if arguments.base and Path(name).exists():
        return Path(name)
    here = next((folder for folder in (Path(name), adapter.path / name) if (folder / "config.json").is_file()), None)
    if here is not None:
        return here
    from converter.hub.repository import is_repository

    if not is_repository(name):
        if arguments.base:
            raise ZhiyinError(
                "{name} is not here; name the folder or repository of that model with --base.", name=name[:200]
            )
        raise ZhiyinError(
            "{name}, which {adapter} was trained on, is not here; name the folder or repository of that model with --base.",
            name=name[:200],
            adapter=adapter.path,
        )
    source = name
    if not arguments.base:
        source = _fetched_before(arguments, name)
        which = "which" if source == name else f"and {source}, which was fetched before,"
        say(f"{adapter.path} was trained on {name}, {which} is taken as its base (another one: --base).")
    configured = fetch(arguments, f"{source}/config.json").source.parent
    if arguments.as_adapter:
        return configured
    check_by_configuration(configured, adapter)
    return fetch(arguments, source).source


def _fetched_before(arguments: argparse.Namespace, name: str) -> str:
    """Return the source that most of a model came from already, on either hub; the name itself where nothing of it is here."""
    from converter.hub.hosts import find_host

    if arguments.endpoint or arguments.revision or name.startswith(MODELSCOPE_PREFIX):
        return name

    def here(source: str) -> int:
        note = read_manifest(downloads_folder() / find_host(source, "", "", False).folder)
        return sum(entry["size"] for entry in verified_files(note).values())

    return max((source for other in names_on_hubs(name) for source in (other, MODELSCOPE_PREFIX + other)), key=here)
