"""`zhiyin logits`: every position's logits, for comparing models and files."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from desktop_app.commands.options import add_json, add_model, add_threads
from desktop_app.commands.session import add_adapter_argument, find_model, load, loaded
from desktop_app.commands.terminal import print_json, say
from desktop_app.engine.protocol import LOGIT_ROWS, LoadSettings, Logits, Tokenize
from models.errors import BadFile

_SMALLEST_CONTEXT = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="a text, which is turned into tokens first")
    source.add_argument("--ids", type=_ids, metavar="1,2,3", help="token ids as they are")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npy", help="float32 [tokens, vocabulary]")
    add_threads(parser)
    add_adapter_argument(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write float32 [n_tokens, n_vocab]."""
    out = arguments.out.resolve()
    if not out.parent.is_dir():
        raise BadFile("{folder} is not a folder; make it or choose another --out.", folder=out.parent)
    if out.exists() and not out.is_file():
        raise BadFile("{path} is not an ordinary file; choose another --out.", path=out)
    # An F32 cache and no GPU, most of which round factors to 16 bits: so two models' logits differ by their weights alone.
    context = max(_SMALLEST_CONTEXT, len(arguments.ids or ()))
    settings = LoadSettings(
        context=context, threads=arguments.threads, kv_type="f32", gpu_layers=0, logit_rows=LOGIT_ROWS
    )
    with loaded(arguments.model, settings, arguments.adapter) as engine:
        ids = arguments.ids or tuple(engine.submit(Tokenize(arguments.text)).result().ids)
        if len(ids) > context:
            load(engine, find_model(arguments.model), replace(settings, context=len(ids)), arguments.adapter)
        shape = engine.submit(Logits(ids, out)).result().shape
    if arguments.json:
        print_json({"path": str(out), "ids": ids, "shape": shape})
    else:
        say(f"Wrote {shape[0]} x {shape[1]} logits to {out}.")
    return 0


def _ids(text: str) -> tuple[int, ...]:
    try:
        ids = tuple(int(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,2,3") from None
    if not ids:
        raise argparse.ArgumentTypeError("there are no ids")
    return ids
