"""Adapters that other programs than PEFT saved, told by the names of their tensors, and refused with a true sentence.

Sources of the names: kohya's sd-scripts and LyCORIS, diffusers, Apple's mlx-lm, torchtune, Lit-GPT, NVIDIA's NeMo and Megatron
Bridge, AdapterHub's adapters, OpenDelta, llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from converter.checkpoint import Checkpoint
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.gguf_header import is_named_gguf
from models.errors import UnsupportedModel, ZhiyinError

_PROGRAMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("LyCORIS", re.compile(r"\.(hada_w[12]|lokr_w[12]|lokr_t2|oft_blocks|diff_b?$|glora_)")),
    ("kohya's sd-scripts", re.compile(r"^lora_(unet|te\d?|transformer)_|\.lora_(down|up)\.")),
    ("diffusers", re.compile(r"^(unet|text_encoder)\..*lora|\.lora\.(down|up)\.|_lora\.(down|up)\.")),
    ("torchtune", re.compile(r"\.lora_[ab]\.weight$")),
    ("mlx-lm", re.compile(r"\.lora_[ab]$")),
    ("NeMo", re.compile(r"\.adapter_layer\.|\.adapter\.linear_(in|out)\.|\.lora_(kqv|dense|hto4h|4htoh)_adapter\.")),
    ("AdapterHub's adapters", re.compile(r"\.loras\.|\.adapters\..*adapter_(down|up)")),
    ("Lit-GPT", re.compile(r"^(transformer|lm_head)\..*\.(attn|qkv|proj|fc(_[12])?)\.lora_[AB]$")),
)
_WEIGHTS: dict[str, Callable[[Path], Checkpoint]] = {
    ".safetensors": SafetensorsFile,
    ".bin": TorchPickleFile,
    ".pt": TorchPickleFile,
    ".pth": TorchPickleFile,
}


def refuse_other_programs(path: Path, weights: Checkpoint) -> None:
    """Refuse tensors of an adapter that another program saved.

    Raises:
        UnsupportedModel: they are; the sentence names it.
    """
    for program, pattern in _PROGRAMS:
        foreign = next((name for name in weights.tensors if pattern.search(name)), None)
        if foreign is not None:
            raise UnsupportedModel(
                "{path} is an adapter of {program} (its tensor {tensor} says so), and Zhiyin merges those that PEFT saves; merge "
                "it with {program}, then convert the result.",
                path=path,
                program=program,
                tensor=foreign[:100],
            )


def refuse_other_adapters(path: Path) -> None:
    """Refuse a file or folder that is not laid out as PEFT does, where it holds an adapter of another program.

    Raises:
        UnsupportedModel: it does.
    """
    if is_named_gguf(path):
        raise UnsupportedModel(
            "{path} is an adapter in GGUF already, which is put on a loaded model: use it with `zhiyin chat --adapter`.",
            path=path,
        )
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        reader = _WEIGHTS.get(file.suffix)
        if reader is None or not file.is_file():
            continue
        try:
            weights = reader(file)
        except ZhiyinError:
            continue  # whatever it is, it tells nothing
        weights.close()
        refuse_other_programs(file, weights)
