"""LLaMA as Meta publishes it gives the same file as the same model in Hugging Face's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.open import open_checkpoint, read_config
from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from models.errors import BadFile
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.torch_files import write_torch

NAMES = {
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}
CUT_BY_INPUTS = ("attention.wo", "feed_forward.w2")


def write_meta(
    folder: Path, config: dict[str, Any], weights: dict[str, np.ndarray], files: int, *, by_tokens: bool, **params: Any
) -> Path:
    """Write the same weights as Meta would, cut among `files`."""
    folder.mkdir()
    said = {"dim": config["hidden_size"], "n_layers": config["num_hidden_layers"], "vocab_size": -1, "multiple_of": 32}
    said |= {"n_heads": config["num_attention_heads"], "n_kv_heads": config["num_key_value_heads"], "norm_eps": 1e-5}
    (folder / "params.json").write_text(json.dumps({**said, **params}), "utf-8")
    parts: list[dict[str, np.ndarray]] = [{"rope.freqs": np.ones(8, np.float32)} for _ in range(files)]
    for name, tensor in weights.items():
        own, whole = name.replace("model.layers", "layers"), tensor
        for public, theirs in NAMES.items():
            own = own.replace(public, theirs)
        heads = {"wq": config["num_attention_heads"], "wk": config["num_key_value_heads"]}.get(own.split(".")[-2], 0)
        if heads:  # in the order of transformers' convert_llama_weights_to_hf.py, backwards
            half = len(whole) // heads // 2
            whole = np.stack([whole.reshape(heads, 2, half, -1)[:, i] for i in (0, 1)], 2).reshape(whole.shape)
        by_inputs = any(part in own for part in CUT_BY_INPUTS) or ("tok_embeddings" in own and not by_tokens)
        cut = [whole] * files if whole.ndim == 1 else np.split(whole, files, axis=int(by_inputs))
        for part, piece in zip(parts, cut, strict=True):
            part[own] = np.ascontiguousarray(piece)
    for number, part in enumerate(parts):
        write_torch(folder / f"consolidated.{number:02}.pth", part)
    return folder


@pytest.mark.parametrize(("files", "by_tokens"), [(1, True), (2, False), (2, True)])
def test_the_same_file_as_from_hugging_faces_layout(files: int, by_tokens: bool, tmp_path: Path) -> None:
    config, weights = random_llama()
    public = write_checkpoint(tmp_path / "public", config, weights)
    meta = write_meta(tmp_path / "meta", config, weights, files, by_tokens=by_tokens)
    data, sizes = [], []
    for source in (public, meta):
        out = tmp_path / f"{source.name}.gguf"
        result = convert(ConvertRequest(source, out, "F32", tokenizer="none"))
        assert not result.warnings
        header = read_gguf_header(out)
        data.append(out.read_bytes()[header.data_offset :])
        sizes.append({k: v for k, v in header.metadata.items() if k.startswith("llama") and "context" not in k})
    assert data[0] == data[1]
    assert sizes[0] == sizes[1]


def test_an_adapter_merges_as_into_hugging_faces_layout(tmp_path: Path) -> None:
    config, weights = random_llama()
    lora = write_adapter(tmp_path / "lora", random_adapter(weights))
    public = write_checkpoint(tmp_path / "public", config, weights)
    meta = write_meta(tmp_path / "meta", config, weights, 2, by_tokens=False)
    data = []
    for source in (public, meta):
        out = tmp_path / f"{source.name}.gguf"
        convert(ConvertRequest(source, out, "F32", tokenizer="none", lora=(lora,)))
        data.append(out.read_bytes()[read_gguf_header(out).data_offset :])
    assert data[0] == data[1]


@pytest.mark.parametrize(
    ("params", "context"),
    [
        ({"norm_eps": 1e-6}, 2048),
        ({"norm_eps": 1e-5}, 4096),
        ({"rope_theta": 1000000.0}, 16384),
        ({"rope_theta": 500000.0}, 8192),
        ({"rope_theta": 500000.0, "use_scaled_rope": True}, 131072),
    ],
)
def test_the_trained_length_is_that_of_the_generation(params: dict[str, Any], context: int, tmp_path: Path) -> None:
    meta = write_meta(tmp_path / "meta", *random_llama(), 1, by_tokens=True, **params)
    checkpoint = open_checkpoint(meta)
    config = read_config(meta, checkpoint)
    assert config.int("max_position_embeddings") == context
    assert ("rope_scaling" in config) is ("use_scaled_rope" in params)
    checkpoint.close()


@pytest.mark.parametrize("params", [{"n_heads": 5}, {"n_heads": None}])
def test_parameters_that_do_not_fit_are_refused(params: dict[str, Any], tmp_path: Path) -> None:
    meta = write_meta(tmp_path / "meta", *random_llama(), 1, by_tokens=True, **params)
    with pytest.raises(BadFile, match=r"params\.json"):
        open_checkpoint(meta)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    config, weights = random_llama()
    meta = write_meta(tmp_path / "meta", config, weights, 2, by_tokens=True)
    (meta / "consolidated.01.pth").unlink()
    with pytest.raises(BadFile):
        convert(ConvertRequest(meta, tmp_path / "out.gguf", "F32", tokenizer="none"))


@pytest.mark.parametrize("held", [{"norm.weight": (4, 4)}, {"norm.weight": (4,)}, {"blocks.0.ln0.weight": (4,)}])
def test_files_of_another_model_are_refused(held: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    meta = write_meta(tmp_path / "meta", *random_llama(), 1, by_tokens=True)
    write_torch(meta / "consolidated.00.pth", {name: np.ones(shape, np.float32) for name, shape in held.items()})
    with pytest.raises(BadFile, match="LLaMA"):
        open_checkpoint(meta)
