"""Small models of the graph runner's architectures, converted with their true vocabularies, and what they should compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.pipeline import ConvertRequest, convert
from tests.reference import chatglm1, rwkv
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_glm import random_chatglm1
from tests.support.random_rwkv import random_rwkv
from tests.support.sentencepieces import processor, trained, with_pieces

ARCHITECTURES = ("chatglm1", "rwkv4", "rwkv5")


@dataclass(frozen=True)
class GraphCase:
    """A converted file and its reference."""

    path: Path
    logits: Callable[[Sequence[int]], np.ndarray]
    """Ids to float64 logits [n, rows]."""
    rows: int


def graph_case(architecture: str, folder: Path, quant: str = "F32") -> GraphCase:
    """Make a random model of an architecture."""
    return _chatglm1(folder, quant) if architecture == "chatglm1" else _rwkv(architecture, folder, quant)


def _rwkv(architecture: str, folder: Path, quant: str) -> GraphCase:
    version, rows, hidden = {"rwkv4": ("4", 50277, 64), "rwkv5": ("5.0", 65536, 128)}[architecture]
    tensors = random_rwkv(version, 3, hidden=hidden, layers=2, rows=rows, size=64)  # heads as published: GPUs need them
    write_safetensors(folder / "RWKV-x.safetensors", tensors)
    out = folder / f"{architecture}.gguf"
    convert(ConvertRequest(folder / "RWKV-x.safetensors", out, quant))
    return GraphCase(out, lambda ids: rwkv.forward(version, tensors, ids), rows)


def _chatglm1(folder: Path, quant: str) -> GraphCase:
    control = ["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"]
    blanks = [f"<|blank_{count}|>" for count in range(80, 1, -1)]
    pieces = [(text, 3) for text in control] + [(text, 4) for text in ("<|tab|>", *blanks)]
    pieces += [(f"<0x{byte:02X}>", 6) for byte in range(256)]
    model = with_pieces(trained("unigram", 300, user_defined_symbols=["<n>"], pad_id=3), pieces, byte_fallback=True)
    library = processor(model)
    ids = {
        f"{name}_token_id": library.piece_to_id(piece)
        for name, piece in {"mask": "[MASK]", "gmask": "[gMASK]", "bos": "<sop>", "eos": "<eop>"}.items()
    }
    rows = library.get_piece_size()
    config, weights = random_chatglm1(1, vocab_size=rows, hidden_size=128, inner_hidden_size=512, **ids)
    checkpoint = write_checkpoint(folder / "checkpoint", config, weights)
    (checkpoint / "ice_text.model").write_bytes(model)
    out = folder / "chatglm1.gguf"
    convert(ConvertRequest(checkpoint, out, quant))
    return GraphCase(out, lambda ids: chatglm1.forward(config, weights, ids), rows)
