"""GGUF files of a few hundred bytes: good ones, with nothing to compute in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter


def tiny_gguf(path: Path, architecture: str = "llama", *, kind: str = "", part: int = 0, parts: int = 0) -> Path:
    """Write a file with one tensor.

    Args:
        path: where; its folder is made.
        architecture: `general.architecture`.
        kind: `general.type`; "": none.
        part: its number, from 0, where it is one of several.
        parts: how many there are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, architecture)
    if kind:
        writer.add_type(kind)
    if parts:
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", parts)
        writer.add_int32("split.tensors.count", parts)
    writer.add_tensor(f"blk.{part}.attn_norm.weight", np.full(8, part, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
