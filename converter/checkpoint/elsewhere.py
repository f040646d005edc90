"""What is said of a folder without weights that can be read: they lie further down, or are another program's.

Sources of the names: torch.distributed.checkpoint, DeepSpeed, Flax, TensorFlow and ONNX as transformers and optimum save them,
OpenVINO, Core ML, NeMo, TensorRT-LLM, LiteRT and MLX.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from models.errors import BadFile

_MOST_ENTRIES, _DEEPEST, _MOST_NAMED = 2000, 2, 4
_DEEPSPEED = "_model_states.pt"
_PROGRAMS = {
    ".distcp": "PyTorch's distributed checkpoint",
    ".msgpack": "Flax",
    ".h5": "TensorFlow",
    ".keras": "Keras",
    ".onnx": "ONNX",
    ".mlmodel": "Core ML",
    ".nemo": "NeMo",
    ".engine": "TensorRT-LLM",
    ".tflite": "LiteRT",
    ".task": "LiteRT",
    ".npz": "MLX",
}
"""Endings of files -> who writes them."""
_OPENVINO = "openvino_model.xml"


def without_weights(folder: Path, endings: Collection[str]) -> BadFile:
    """Return the sentence about a folder that holds no weights; `endings`: of files that are some."""
    files = [*islice(_files(folder, _DEEPEST), _MOST_ENTRIES)]
    if not files:
        return BadFile("{path} is an empty folder; download the whole checkpoint.", path=folder)
    below = sorted({file.parent for file in files if file.parent != folder and _is_whole(file, endings)})
    if below:
        return BadFile(
            "{path} holds no weights itself, but folders in it do: {names}; name the one that is meant.",
            path=folder,
            names=", ".join(path.name for path in below[:_MOST_NAMED]) + (" …" if len(below) > _MOST_NAMED else ""),
        )
    capitals = next((file for file in files if file.suffix not in endings and file.suffix.lower() in endings), None)
    if capitals is not None:
        return BadFile("{path} is not taken for weights because of its capital letters; rename it.", path=capitals)
    if state := next((file for file in files if file.name.endswith(_DEEPSPEED)), None):
        return BadFile(
            "{path} holds training states of DeepSpeed ({file}) and no weights; make weights of them first "
            "(zero_to_fp32.py, which DeepSpeed puts beside them).",
            path=folder,
            file=state.name,
        )
    for file in files:
        program = "OpenVINO" if file.name == _OPENVINO else _PROGRAMS.get(file.suffix)
        if program is not None:
            return BadFile(
                "{path} holds weights as {program} saves them ({file}), which Zhiyin does not read; save the model as "
                "safetensors (transformers' save_pretrained), or get the original repository.",
                path=folder,
                program=program,
                file=file.name,
            )
    return BadFile("{path} holds no weights (*.safetensors, *.bin, *.pth); download the whole checkpoint.", path=folder)


def _is_whole(file: Path, endings: Collection[str]) -> bool:
    return file.suffix in endings and (file.parent / "config.json").is_file()


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files of a folder and of those in it, its own first."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_dir(), entry.name))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), depth - 1) if depth else ()
        else:
            yield Path(entry.path)
