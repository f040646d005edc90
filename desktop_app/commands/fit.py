"""`zhiyin fit`: what this computer can run of a model, with the bytes of each part, and why."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converter.checkpoint.open import open_checkpoint, read_config
from converter.recipes import find_recipe
from desktop_app.candidates import model_of_config, model_of_gguf
from desktop_app.commands.options import add_json, whole
from desktop_app.commands.session import find_model
from desktop_app.computer import computer_now
from desktop_app.engine.client import Engine
from desktop_app.loads import Loads
from desktop_app.paths import loads_file
from desktop_app.planner import Model, Option, plan
from desktop_app.terminal import human_bytes, print_json, print_table, say
from models.errors import ZhiyinError
from models.footprint import KV_TYPES

_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
_VERDICTS = {"gpu": "fits on the GPU", "ram": "fits", "tight": "tight", "too_large": "too large"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE_OR_MODEL", help="an installed model, a GGUF file or a checkpoint")
    parser.add_argument("--ctx", type=whole(1), metavar="N", help="tokens of context (default: 8192 where that fits)")
    parser.add_argument("--quant", metavar="Q", help="only this quantization")
    parser.add_argument("--kv-type", choices=KV_TYPES, default="f16", help="type of the key-value cache")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; exit 1 where nothing fits."""
    model = find_planned(arguments.source, arguments.quant)
    with Engine() as engine:
        computer = computer_now(engine)
    found = plan(model, computer, context=arguments.ctx, kv_type=arguments.kv_type)
    lesson = Loads(loads_file()).lesson()
    if arguments.json:
        options = [_facts(option) for option in found.alternatives]
        best = _facts(found.best) if found.best is not None else None
        print_json({"best": best, "reason": found.reason, "lesson": lesson, "alternatives": options})
        return 0 if found.best is not None else 1
    if found.best is None:
        raise ZhiyinError(found.reason)
    say(found.reason)
    if lesson:
        say(lesson)
    _print_shares(found.best)
    rows = [_row(option) for option in sorted((found.best, *found.alternatives), key=lambda o: (-o.context, -o.bytes))]
    print()
    print_table([("quantization", "context", "memory", "GPU layers", "tokens/s", ""), *rows])
    return 0


def find_planned(source: str, quant: str | None = None) -> Model:
    """Return what may be chosen from for a model's name, a GGUF file or a checkpoint.

    Raises:
        ZhiyinError: there is no such thing, or it is damaged.
    """
    path = Path(source).expanduser()
    if not path.exists() or path.suffix == ".gguf":
        return model_of_gguf(find_model(source).path)
    checkpoint = None
    if path.is_file() or any(entry.suffix in _WEIGHTS for entry in path.iterdir()):
        checkpoint = open_checkpoint(path)
    quants = (find_recipe(quant).name,) if quant else ()
    return model_of_config(read_config(path, checkpoint), checkpoint, quants)


def _facts(option: Option) -> dict[str, Any]:
    return asdict(option) | {"bytes": option.bytes, "missing": option.missing, "verdict": option.verdict}


def _print_shares(option: Option) -> None:
    rows: list[tuple[str, ...]] = [
        ("", "layers", "weights", "state" if option.recurrent else "cache", "buffers", "together", "free")
    ]
    for share in option.shares:
        sizes = (share.weights, share.cache, share.compute, share.total, share.free)
        rows.append((share.device, str(share.layers), *map(human_bytes, sizes)))
    print_table(rows)


def _row(option: Option) -> tuple[str, ...]:
    context = "any" if option.recurrent else str(option.context)
    cache = "" if option.kv_type == "f16" else f" ({option.kv_type} cache)"
    speed = "?" if option.tokens_per_second is None else f"{option.tokens_per_second:.3g}"
    verdict = _VERDICTS[option.verdict]
    lacking = f", {human_bytes(option.missing)} lacking" if option.missing else ""
    return (option.quant + cache, context, human_bytes(option.bytes), str(option.gpu_layers), speed, verdict + lacking)
