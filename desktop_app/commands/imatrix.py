"""`zhiyin imatrix`: an importance matrix, as llama-imatrix makes it, for `zhiyin convert --imatrix`."""

from __future__ import annotations

import argparse
from pathlib import Path

from converter.gguf_header import is_gguf
from desktop_app.commands.options import add_json, add_model, integer
from desktop_app.commands.session import find_model
from desktop_app.commands.terminal import ProgressLine, counted, print_json, print_table, say
from desktop_app.engine.protocol import LONGEST_CONTEXT
from desktop_app.engine.results import Coverage
from desktop_app.quality.chunks import CONTEXT, read_text
from desktop_app.quality.importance import ImportanceRequest, make_importance
from desktop_app.quality.references import runnable
from desktop_app.quality.texts import BUILT_IN
from models.errors import BadFile

PHASES = {
    "convert": "converting to F16",
    "load": "loading",
    "read": "reading the text",
    "sensitivity": "measuring the tensors",
    "probe": "measuring the answers",
}
_SMALLEST_CONTEXT = 16
"""llama.cpp passes over smaller batches."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="a text in UTF-8 (default: our own: 中文, English, chats, code, mathematics)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: MODEL.imatrix.gguf in the current folder")
    parser.add_argument(
        "--ctx",
        type=integer(_SMALLEST_CONTEXT, LONGEST_CONTEXT),
        default=CONTEXT,
        metavar="N",
        help=f"tokens in a chunk (default: {CONTEXT})",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what it covers."""
    given = Path(arguments.model)
    source = given if given.exists() and not (given.is_file() and is_gguf(given)) else find_model(arguments.model).path
    text = None if arguments.text is None else read_text(arguments.text)
    out = (arguments.out or Path(f"{source.stem}.imatrix.gguf")).resolve()
    if not out.parent.is_dir():
        raise BadFile("{folder} is not a folder; make it or choose another --out.", folder=out.parent)
    line = ProgressLine()
    try:
        with runnable(source) as model:
            request = ImportanceRequest(model, out, text, arguments.text or BUILT_IN, arguments.ctx)
            made = make_importance(request, lambda part, phase: line.show(part, PHASES[phase]))
    finally:
        line.clear()
    if arguments.json:
        print_json({"path": str(out), "entries": made.entries, "chunks": made.chunks, "experts": made.experts})
        return 0
    say(f"{counted(made.entries, 'tensor')}, from {counted(made.chunks, 'chunk')} of {arguments.ctx} tokens.")
    _print_experts(made)
    print(out)
    return 0


def _print_experts(made: Coverage) -> None:
    """Print how many tokens the experts of each tensor saw."""
    if not made.experts:
        return
    rows = [("tensor", "experts", "unseen", "fewest tokens", "most")]
    for name, counts in made.experts.items():
        rows.append((name, str(len(counts)), str(counts.count(0)), str(min(counts)), str(max(counts))))
    print_table(rows)
    unseen = sum(counts.count(0) for counts in made.experts.values())
    if unseen:
        say(
            f"{unseen} experts saw no token: they are quantized as without an importance matrix; a longer --text may reach them."
        )
