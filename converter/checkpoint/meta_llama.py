"""LLaMA in Meta's own layout (consolidated.NN.pth and params.json), seen as the checkpoint that Hugging Face's layout would be.

Source: Meta's llama and llama-models repositories, model.py: matrices are cut among the files for as many GPUs, by outputs or by
inputs, and the elements that rotate together are neighbours in queries and keys; in Hugging Face's layout they are half a head
apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converter.checkpoint import StoredTensor
from converter.checkpoint.source_file import Rows
from converter.checkpoint.torch_pickle import TorchPickleFile
from models.config import Config
from models.errors import BadFile
from models.untrusted_json import read_object

_FILES = "consolidated.*.pth"
_PARTS = {
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
_ENDS = {"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"}
_NEEDED = (
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.0.mlp.gate_proj.weight",
)
"""What the sizes are read off."""
_CUT_BY_INPUTS = ("self_attn.o_proj", "mlp.down_proj")
_FIRST_65B_WIDTH = 8192
_SMALL_WIDTH = 3072


def is_meta_layout(folder: Path) -> bool:
    """Tell whether a folder holds LLaMA as Meta publishes it, and not Hugging Face's layout beside it."""
    has_both = (folder / "params.json").is_file() and any(folder.glob(_FILES))
    return has_both and not (folder / "config.json").is_file()


class MetaCheckpoint:
    """The files of one model, each with a part of every matrix."""

    def __init__(self, folder: Path) -> None:
        """Open the files; only headers are read.

        Raises:
            BadFile: a file is damaged or missing, or params.json does not fit the weights.
        """
        self.path = folder
        self._files = [TorchPickleFile(path) for path in sorted(folder.glob(_FILES))]
        names = {_public_name(name): name for name in self._files[0].tensors if not name.endswith("rope.freqs")}
        shapes = {name: self._files[0].tensors[own].shape for name, own in names.items()}
        if (
            not all(self._is_alike(own) for own in names.values())
            or len(shapes.get("model.norm.weight", ())) != 1
            or any(len(shapes.get(name, ())) != 2 for name in _NEEDED)
        ):
            raise _not_one_model(folder)
        self._own = names
        self._width = shapes["model.norm.weight"][0]
        self.tensors: Mapping[str, StoredTensor] = {name: self._joined(name) for name in names}
        self.config = self._config(Config(read_object(folder / "params.json"), str(folder / "params.json")))

    def read(self, name: str) -> np.ndarray:
        """Return one tensor, joined of the files' parts."""
        parts = [file.read(self._own[name]) for file in self._files]
        axis = self._axis(name)
        joined = parts[0] if axis is None or len(parts) == 1 else np.concatenate(parts, axis)
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(name.split(".")[-2])
        return joined if heads is None else _halves(joined, self.config.int(heads))

    def rows(self, name: str) -> Rows:
        """Return one tensor; joined of the files' parts, it is in memory whole."""
        return self.read(name)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        for file in self._files:
            file.check()

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files:
            file.close()

    def _is_alike(self, own: str) -> bool:
        """Tell whether every file holds a part of a tensor, of one type and one number of dimensions."""
        parts = [file.tensors[own] for file in self._files if own in file.tensors]
        kinds = {(part.dtype, len(part.shape)) for part in parts}
        return len(parts) == len(self._files) and len(kinds) == 1

    def _axis(self, name: str) -> int | None:
        """Return the axis along which a tensor is cut among the files; None: each holds all of it."""
        shape = self._files[0].tensors[self._own[name]].shape
        if len(shape) != 2:
            return None
        if any(part in name for part in _CUT_BY_INPUTS):
            return 1
        # LLaMA 1 and 2 cut the embeddings by columns, Llama 3 by tokens.
        return 1 if "embed_tokens" in name and shape[1] < self._width else 0

    def _joined(self, name: str) -> StoredTensor:
        own, axis = self._own[name], self._axis(name)
        first = self._files[0].tensors[own]
        shapes = [file.tensors[own].shape for file in self._files]
        if len({tuple(n for at, n in enumerate(shape) if at != axis) for shape in shapes}) > 1:
            raise _not_one_model(self.path)
        if axis is None:
            return first
        rows, columns = first.shape
        total = sum(shape[axis] for shape in shapes)
        return StoredTensor(first.dtype, (total, columns) if axis == 0 else (rows, total))

    def _config(self, params: Config) -> Config:
        """Return what config.json would say."""
        heads = params.int("n_heads", minimum=1)
        kv_heads = params.int("n_kv_heads", default=heads, minimum=1)
        for kind, count in (("q_proj", heads), ("k_proj", kv_heads)):
            rotated = [tensor.shape for name, tensor in self.tensors.items() if name.endswith(f".{kind}.weight")]
            if any(len(shape) != 2 or shape[0] % (2 * count) for shape in rotated):
                raise BadFile(
                    "{path} speaks of {count} heads, which does not fit the weights; download both again.",
                    path=params.origin,
                    count=count,
                )
        config: dict[str, Any] = {
            "architectures": ["LlamaForCausalLM"],
            "_name_or_path": self.path.resolve().name,
            "hidden_size": self._width,
            "intermediate_size": self.tensors["model.layers.0.mlp.gate_proj.weight"].shape[0],
            "num_hidden_layers": params.int("n_layers", minimum=1),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "rms_norm_eps": params.float("norm_eps", default=1e-5),
            "rope_theta": params.float("rope_theta", default=10000.0),
            "vocab_size": self.tensors["model.embed_tokens.weight"].shape[0],
            "max_position_embeddings": _context(params, self._width),
        }
        if params.bool("use_scaled_rope", default=False):
            config["rope_scaling"] = {"rope_type": "llama3", "factor": 32.0 if self._width <= _SMALL_WIDTH else 8.0}
        return Config(config, params.origin)


def _not_one_model(folder: Path) -> BadFile:
    return BadFile(
        "{folder}: the files {files} are not of one LLaMA, or one is missing; download them all.",
        folder=folder,
        files=_FILES,
    )


def _context(params: Config, width: int) -> int:
    """Return the trained length, which no file names: Llama 3.1 and later, 3, Code Llama, 2, 1."""
    base = params.float("rope_theta", default=10000.0)
    if params.bool("use_scaled_rope", default=False):
        return 131072
    if base > 10000:
        return 16384 if base == 1e6 else 8192
    first = params.float("norm_eps", default=1e-5) < 1e-5 or (width == _FIRST_65B_WIDTH and "n_kv_heads" not in params)
    return 2048 if first else 4096


def _public_name(name: str) -> str:
    """Return Hugging Face's name of a tensor; names that are not LLaMA's stay."""
    stem, _, kind = name.rpartition(".")
    if stem in _ENDS:
        return f"{_ENDS[stem]}.{kind}"
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", stem)
    return f"model.layers.{layer[1]}.{_PARTS[layer[2]]}.{kind}" if layer and layer[2] in _PARTS else name


def _halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Bring the elements of a head that rotate together from beside each other to half a head apart."""
    size = weight.shape[0] // heads
    return weight.reshape(heads, size // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)
