"""Writes PyTorch files without torch: the zip format, opcode by opcode."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

_STORAGES = {
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
}


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor_pickle(tensors: Mapping[str, np.ndarray], words: Mapping[str, str] | None = None) -> bytes:
    """Pickle {name: tensor} and the words beside them; storages are named by their numbers."""
    out = b"\x80\x02}("
    for key, (name, array) in enumerate(tensors.items()):
        strides = tuple(stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides)
        storage = b"(" + text("storage") + f"ctorch\n{_STORAGES[array.dtype]}\n".encode() + text(str(key)) + text("cpu")
        storage += number(array.size) + b"tQ"
        arguments = b"(" + storage + number(0) + numbers(array.shape) + numbers(strides) + b"\x89Nt"
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return out + b"".join(text(key) + text(word) for key, word in (words or {}).items()) + b"u."


def write_torch(path: Path, tensors: Mapping[str, np.ndarray], words: Mapping[str, str] | None = None) -> None:
    """Write what torch.save would write for a plain dict of contiguous tensors, with words beside them."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(tensors, words))
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")


def write_legacy_torch(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write what torch.save wrote before version 1.6: pickles, then the storages."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    begin = [pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, machine)]
    contents = tensor_pickle(tensors).replace(b"tQ", b"NtQ")  # storages that are no views
    keys = pickle.dumps([str(key) for key in range(len(tensors))], protocol=2)
    storages = [struct.pack("<q", array.size) + array.tobytes() for array in tensors.values()]
    path.write_bytes(b"".join([*begin, contents, keys, *storages]))


def write_torch_checkpoint(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], *, shards: int = 1
) -> Path:
    """Write config.json and pytorch_model.bin, or `shards` of it with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    names, weight_map = list(tensors), {}
    for number_ in range(shards):
        file = "pytorch_model.bin" if shards == 1 else f"pytorch_model-{number_ + 1:05}-of-{shards:05}.bin"
        part = {name: tensors[name] for name in names[number_::shards]}
        write_torch(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    if shards > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index), "utf-8")
    return folder


def write_pickle(path: Path, data: bytes) -> None:
    """Write a zip file around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
