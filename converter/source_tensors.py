"""What the tensors of a checkpoint are held to: all that its family calls for is there, and what is left out is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from converter.checkpoint import Checkpoint, shape_text
from converter.checkpoint.merged import MergedCheckpoint
from converter.checkpoint.prepared import PreparedCheckpoint
from models.config import Config
from models.errors import BadFile
from models.family import Blueprint, Source
from models.sentence import Sentence

_NO_WEIGHTS = re.compile(
    r"inv_freq$|masked_bias$|position_ids$|\.attn\.bias$|^(lm_head|output|transformer\.output_layer)\.weight$"
)
"""Tables that runners compute themselves, and heads that are tied to the embeddings."""
_LAYER = re.compile(r"(?:^|\.)layers\.(\d{1,6})\.")
_MULTI_TOKEN = re.compile(r"(?:^|\.)mtp\.")
_JOINS = re.compile(r"\.(?:eh_proj|enorm|hnorm)\.")
"""What layers for multi-token prediction have: they join the last state with the next token's embedding. llama.cpp runs them in
contexts of their own, but hands their inputs out to C++ alone (its `llama-ext.h`)."""


def check_sources(checkpoint: MergedCheckpoint | PreparedCheckpoint, blueprint: Blueprint, config: Config) -> None:
    """Raise `BadFile` when the checkpoint is not what its configuration says, or the tensors that this was read off."""
    implied = config.origin == str(checkpoint.path)
    for tensor in blueprint.tensors:
        for source in tensor.sources:
            stored = checkpoint.tensors.get(source.name)
            if stored is None:
                raise _lacking(checkpoint, blueprint, source, implied=implied)
            if stored.shape != source.shape:
                raise _of_other_shape(checkpoint.path, source, stored.shape, implied=implied)
            if tensor.encoding is not None and stored.dtype.name != "uint8":
                raise BadFile(
                    "{path}: tensor {tensor} holds {type} instead of bytes; download it again.",
                    path=checkpoint.path,
                    tensor=source.name,
                    type=stored.dtype.name,
                )


def _lacking(
    checkpoint: MergedCheckpoint | PreparedCheckpoint, blueprint: Blueprint, source: Source, *, implied: bool
) -> BadFile:
    absent = None if checkpoint.listed is None else checkpoint.listed.absent_as(source.name)
    if absent is not None:
        return absent
    if implied:
        return BadFile(
            "{path} has no tensor {tensor}, without which it is not whole; download it all.",
            path=checkpoint.path,
            tensor=source.name,
        )
    other = _instead(checkpoint, blueprint, source.name)
    if other is not None:
        return BadFile(
            "{path} has no tensor {tensor}, which its config.json calls for, but it has {other}: another program laid it out; "
            "save it anew as the model's own code does (transformers' save_pretrained), or get the original.",
            path=checkpoint.path,
            tensor=source.name,
            other=other[:100],
        )
    return BadFile(
        "{path} has no tensor {tensor}, which its config.json calls for; download it all.",
        path=checkpoint.path,
        tensor=source.name,
    )


def _instead(checkpoint: Checkpoint, blueprint: Blueprint, name: str) -> str | None:
    """Return a tensor that no family asks for, of the part of the model that lacks one."""
    used = {source.name for tensor in blueprint.tensors for source in tensor.sources}
    part = ".".join(name.split(".")[:-2]) + "."
    others = (other for other in checkpoint.tensors if other.startswith(part) and other not in used)
    return next((other for other in others if other.endswith("weight") or "weight." in other), None)


def _of_other_shape(path: Path, source: Source, shape: Sequence[int], *, implied: bool) -> BadFile:
    if implied:
        return BadFile(
            "{path}: tensor {tensor} has the shape {shape}, but the others call for {wanted}; download it again.",
            path=path,
            tensor=source.name,
            shape=shape_text(shape),
            wanted=shape_text(source.shape),
        )
    if 0 in shape:
        return BadFile(
            "{path}: tensor {tensor} is empty: DeepSpeed's ZeRO-3 keeps weights in pieces, and they were not gathered when it "
            "was saved; make the checkpoint anew of the training's (zero_to_fp32.py), or get it again.",
            path=path,
            tensor=source.name,
        )
    return BadFile(
        "{path}: tensor {tensor} has the shape {shape}, but config.json calls for {wanted}; weights and configuration are of "
        "different models.",
        path=path,
        tensor=source.name,
        shape=shape_text(shape),
        wanted=shape_text(source.shape),
    )


def left_out(checkpoint: Checkpoint, blueprint: Blueprint) -> tuple[Sentence, ...]:
    """Return a sentence on tensors that the file has no place for: they may be why a model answers otherwise than it should."""
    used = {source.name for tensor in blueprint.tensors for source in tensor.sources}
    unused = [name for name in checkpoint.tensors if name not in used and not _NO_WEIGHTS.search(name)]
    blocks = blueprint.parameters.get("block_count")
    guessing = {layer for name in unused if (layer := _layer_behind(name, blocks)) and _JOINS.search(name)}
    further = [layer for name in unused if (layer := _layer_behind(name, blocks)) and layer not in guessing]
    names = [name for name in unused if not (_layer_behind(name, blocks) or _MULTI_TOKEN.search(name))]
    notes = []
    if further:
        notes.append(
            Sentence(
                "config.json says {count} layers and the weights have {more}: those behind them were left out. Correct "
                "num_hidden_layers if all of them belong to the model.",
                count=blocks,
                more=max(further) + 1,
            )
        )
    if len(names) + len(further) < len(unused):
        notes.append(
            Sentence(
                "The layers with which this model guesses further tokens were left out, because llama.cpp lets no other "
                "program run them; it writes the same without them."
            )
        )
    if names:
        shown = ", ".join(name[:80] for name in names[:3]) + (" …" if len(names) > 3 else "")
        notes.append(
            Sentence(
                "Left out, since this architecture has no place for it: {names} (tensors: {count}).",
                names=shown,
                count=len(names),
            )
        )
    return tuple(notes)


def _layer_behind(name: str, blocks: object) -> int:
    """Return the number of a tensor's layer where it lies behind the last one, else 0."""
    layer = _LAYER.search(name)
    return int(layer[1]) if layer is not None and isinstance(blocks, int) and int(layer[1]) >= max(1, blocks) else 0
