"""`zhiyin engine`: engine parts, ggml's plug-ins for graphics cards, which are added as files."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import human_bytes, print_json, say
from desktop_app.engine.client import Engine
from desktop_app.engine.parts.packing import pack_part
from desktop_app.engine.parts.store import AUTOMATIC, PROCESSOR, Part, PartStore, part_store
from desktop_app.engine.protocol import Devices
from desktop_app.system.devices import EnginePart
from models.errors import ZhiyinError, error_from_data

_ENGINE_SECONDS = 300
"""The first start after a change tries the parts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="show the parts that are here, and whether they work")
    added = actions.add_parser("add", help="take a part from a file, and use it")
    added.add_argument("file", type=Path, metavar="FILE", help="zhiyin-engine-….zip")
    added.add_argument("--unsigned", action="store_true", help="take a part that is not signed, such as one built here")
    removed = actions.add_parser("remove", help="delete a part")
    removed.add_argument("part", metavar="PART", help="vulkan, cuda, or the longer name that the list shows")
    packed = actions.add_parser(
        "pack", help="write a part that is here into one file, for a computer without a network"
    )
    packed.add_argument("part", metavar="PART", help="as of remove")
    packed.add_argument("file", type=Path, metavar="FILE", help="what to write: zhiyin-engine-….zip")
    used = actions.add_parser("use", help="choose what computes")
    used.add_argument("part", metavar="PART", help=f"a part, {AUTOMATIC} (all that work) or {PROCESSOR} (none)")
    actions.add_parser("rollback", help="use what was used before the last change")
    built = actions.add_parser("build", help="build a part from the sources of llama.cpp (in a checkout of Zhiyin)")
    built.add_argument("part", choices=("vulkan", "cuda", "rpc"), metavar="PART", help="vulkan, cuda or rpc")
    for action in actions.choices.values():
        add_json(action)  # each shows what is here then


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked, and show what is here then."""
    store = part_store()
    match arguments.action:
        case "add":
            store.add(arguments.file, unsigned=arguments.unsigned)
        case "remove":
            store.remove(arguments.part)
        case "pack":
            if not pack_part(store.find(arguments.part), arguments.file):
                say("It is not signed by the makers of Zhiyin: add it there with --unsigned.")
        case "use":
            store.use(arguments.part)
        case "rollback":
            store.roll_back()
        case "build":
            store.add(_build(arguments.part), unsigned=True)
    _show(store, as_json=arguments.json)
    return 0


def _show(store: PartStore, *, as_json: bool) -> None:
    """Print the parts, with what became of them in an engine that is started now."""
    parts = store.parts()
    states = _states() if parts else {}
    facts = [_facts(part, states.get(part.manifest.id)) for part in parts]
    if as_json:
        print_json({"mode": store.mode, "parts": facts})
        return
    for fact in facts:
        reason = f": {fact['reason']}" if fact["reason"] else ""
        print(f"{fact['part']:8} {fact['id']:36} {human_bytes(fact['bytes']):>10}  {fact['state']}{reason}")
    if not parts:
        say("No engine parts were added; the engine computes with what it came with.")


def _states() -> dict[str, EnginePart]:
    with Engine() as engine:
        return {state.id: state for state in engine.submit(Devices()).result(_ENGINE_SECONDS).parts}


def _facts(part: Part, state: EnginePart | None) -> dict[str, Any]:
    return {
        "part": part.manifest.part,
        "id": part.manifest.id,
        "bytes": part.manifest.size,
        "state": "off" if state is None else state.state,
        "reason": "" if state is None or state.failure is None else str(error_from_data(state.failure)),
    }


def _build(part: str) -> Path:
    """Run the recipe of packaging/engine/ with this Python, and return the archive."""
    recipe = Path(__file__).parents[2] / "packaging" / "engine" / "build.py"
    if not recipe.is_file():
        raise ZhiyinError(
            "Engine parts are built in a checkout of Zhiyin; take a ready one with `zhiyin engine add FILE` instead."
        )
    say("Building takes a minute for rpc, some for Vulkan, and for CUDA about an hour for each kind of card.")
    done = subprocess.run([sys.executable, str(recipe), part], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ZhiyinError("The part {part} could not be built; what CMake printed says why.", part=part)
    return Path(done.stdout.splitlines()[-1])
