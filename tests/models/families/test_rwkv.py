"""RWKV-4 to 7: converted files compute what the publisher's package and the papers' formulas compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert, plan
from desktop_app.engine.client import Engine
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LOGIT_ROWS, LoadSettings
from models.config import Config
from models.errors import UnsupportedModel
from models.families import config_of_tensors, family_of
from tests.conftest import oracles
from tests.reference import rwkv6_fla
from tests.reference.rwkv import forward
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.logits import engine_logits
from tests.support.random_rwkv import random_rwkv
from tests.support.torch_files import write_torch

VERSIONS = ("4", "5.0", "5.1", "5.2", "6", "7")
EXPECTED = Path(__file__).parent / "data"
"""Logits of the publisher's package `rwkv` 0.8.32 (torch, CPU, fp32) for random_rwkv(version, 7)."""


def converted(folder: Path, tensors: dict[str, np.ndarray], quant: str = "F32") -> Path:
    write_safetensors(folder / "RWKV-x.safetensors", tensors)
    out = folder / f"model-{quant}.gguf"
    convert(ConvertRequest(folder / "RWKV-x.safetensors", out, quant, tokenizer="none"))
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_logits_agree_with_the_publishers_package(version: str, engine: Engine, tmp_path: Path) -> None:
    expected = np.load(EXPECTED / f"rwkv-{version}.npz")
    found = engine_logits(
        engine, converted(tmp_path, random_rwkv(version, 7)), expected["ids"].tolist(), tmp_path / "logits.npy"
    )
    assert np.abs(found - expected["logits"]).max() < 1e-4


@pytest.mark.parametrize("version", VERSIONS)
def test_logits_agree_with_the_reference(version: str, engine: Engine, tmp_path: Path) -> None:
    tensors = random_rwkv(version, 3, layers=3)
    ids = np.random.default_rng(1).integers(0, 96, 150).tolist()
    found = engine_logits(engine, converted(tmp_path, tensors), ids, tmp_path / "logits.npy")
    assert np.abs(found - forward(version, tensors, ids)).max() < 1e-4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sequence_at_once_equals_token_by_token(version: str, tmp_path: Path) -> None:
    path = converted(tmp_path, random_rwkv(version, 4))
    ids = np.random.default_rng(3).integers(0, 96, 100).tolist()
    found = []
    for batch in (1, 64):
        runner = load_runner(
            path, LoadSettings(context=0, threads=1, batch=batch, logit_rows=LOGIT_ROWS), lambda part: None
        )
        found.append(runner.all_logits(ids))
        runner.close()
    assert np.abs(found[0] - found[1]).max() < 1e-4


@pytest.mark.parametrize("name", ["rwkv-4", "rwkv-5.2"])
def test_logits_agree_with_a_trained_model(name: str, engine: Engine, tmp_path: Path) -> None:
    source = oracles() / name
    expected = np.load(source / "expected.npz")
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(source / "model.pth", out, "F32", tokenizer="none"))
    found = engine_logits(engine, out, expected["ids"].tolist(), tmp_path / "logits.npy")
    assert np.abs(found[-1] - expected["logits"][-1]).max() < 1e-4


@pytest.mark.parametrize("version", VERSIONS)
def test_quantized_to_8_bits_the_most_probable_token_stays(version: str, engine: Engine, tmp_path: Path) -> None:
    tensors = random_rwkv(version, 5)
    # Random heads answer with near ties; this one favours a token clearly.
    tensors["head.weight"] = 3 * tensors["emb.weight"]
    ids = np.random.default_rng(2).integers(0, 96, 1000).tolist()
    exact = engine_logits(engine, converted(tmp_path, tensors), ids, tmp_path / "logits.npy")
    found = engine_logits(engine, converted(tmp_path, tensors, "Q8_0"), ids, tmp_path / "logits.npy")
    assert (found.argmax(1) == exact.argmax(1)).mean() >= 0.99


TEXT = (Path(__file__).parents[3] / "LICENSE").read_bytes()[:2000]


def changed_answers(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return where Q8_0 changes a trained model's most probable byte, and how far its two best were apart in F32."""
    logits = {}
    for quant in ("F32", "Q8_0"):
        out = folder / f"{quant}.gguf"
        convert(ConvertRequest(oracles() / name / "model.pth", out, quant, tokenizer="none"))
        runner = load_runner(out, LoadSettings(context=0, threads=1, logit_rows=LOGIT_ROWS), lambda part: None)
        logits[quant] = runner.all_logits(list(TEXT))
        runner.close()
    weights = np.exp(logits["F32"] - logits["F32"].max(1, keepdims=True))
    best = np.sort(weights / weights.sum(1, keepdims=True), axis=1)
    return logits["F32"].argmax(1) != logits["Q8_0"].argmax(1), best[:, -1] - best[:, -2]


def test_quantized_to_8_bits_a_trained_rwkv4_keeps_its_answers(tmp_path: Path) -> None:
    changed, _ = changed_answers("rwkv-4", tmp_path)
    for start in range(0, len(TEXT), 1000):
        assert changed[start : start + 1000].mean() <= 0.01


def test_quantized_to_8_bits_a_trained_rwkv5_changes_near_ties_only(tmp_path: Path) -> None:
    # 12 layers of width 64, where even BF16 changes 0.6 % of the answers: half of Q8_0's come from rounding the weights, evenly
    # from all matrices, half from llama.cpp's rounding of what they are multiplied with.
    changed, gap = changed_answers("rwkv-5.2", tmp_path)
    assert changed.mean() <= 0.03
    assert changed[gap > 0.02].mean() <= 0.01


@pytest.mark.parametrize("version", VERSIONS)
def test_version_and_sizes_are_read_off_the_tensors(version: str) -> None:
    shapes = {name: tensor.shape for name, tensor in random_rwkv(version, hidden=192, layers=3).items()}
    config = config_of_tensors(shapes, "x.pth")
    assert config is not None
    assert config.str("rwkv_version") == version
    assert (config.int("hidden_size"), config.int("num_hidden_layers"), config.int("vocab_size")) == (192, 3, 96)
    assert version == "4" or config.int("head_size") == 64


def hugging_face(version: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename to the layout of transformers (4 to 6) or of fla (7), which stores low-rank factors as linear layers."""
    renamed = {}
    for name, value in tensors.items():
        tensor = value
        target = name.replace(".att.", ".attn." if version == "7" else ".attention.")
        if version != "7":
            target = target.replace(".ffn.", ".feed_forward.").replace(".ln0.", ".pre_ln.")
            for letter, word in {"k": "key", "v": "value", "r": "receptance", "g": "gate"}.items():
                target = target.replace(f".time_mix_{letter}", f".time_mix_{word}")
            target = target.replace("emb.", "embeddings.")
            renamed[target if target == "head.weight" else f"rwkv.{target}"] = tensor
            continue
        part = target.rsplit(".", 1)[1]
        if len(part) == 2 and part[0] in "wavg" and part[1] in "012":
            ending = {"0": "2.bias", "1": "0.weight", "2": "2.weight"}[part[1]]
            target = f"{target[:-2]}{part[0]}_lora.lora.{ending}"
            tensor = value.ravel() if part[1] == "0" else value.T
        for own, theirs in {
            "emb.": "embeddings.", "ln_out.": "norm.", "head.": "lm_head.", "blocks.": "layers.", ".ln0.": ".pre_norm.",
            ".ln1.": ".attn_norm.", ".ln2.": ".ffn_norm.", "attn.receptance": "attn.r_proj", "attn.key": "attn.k_proj",
            "attn.value": "attn.v_proj", "attn.output": "attn.o_proj", ".ln_x.": ".g_norm.",
        }.items():  # fmt: skip
            target = target.replace(own, theirs)
        renamed[target if target.startswith("lm_head") else f"model.{target}"] = tensor
    return renamed


def early(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return RWKV-7 as its first Hugging Face files had it: other words, and the mixes of a layer in one tensor."""
    renamed = {}
    for name, tensor in hugging_face("7", tensors).items():
        if ".attn.x_" not in name:
            renamed[name.replace(".layers.", ".blocks.").replace(".attn.", ".attention.")] = tensor
    for layer in range(2):
        mixes = [tensors[f"blocks.{layer}.att.x_{mix}"] for mix in "rwkvag"]
        renamed[f"model.blocks.{layer}.attention.x_x"] = np.stack(mixes)
    return renamed


def of_fla(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return RWKV-6 as fla holds it: linear layers, and the five mixes of a layer in tensors of the order r, w, k, v, g."""
    renamed = {}
    for own_name, tensor in tensors.items():
        name = own_name
        for own, theirs in {
            "emb.": "embeddings.", "ln_out.": "norm.", "head.": "lm_head.", "blocks.": "layers.", ".att.": ".attn.",
            ".ln0.": ".pre_norm.", ".ln1.": ".attn_norm.", ".ln2.": ".ffn_norm.", ".ln_x.": ".g_norm.",
            "attn.receptance.": "attn.r_proj.linear.", "attn.key.": "attn.k_proj.linear.", "attn.value.": "attn.v_proj.linear.",
            "attn.gate.": "attn.g_proj.linear.", "attn.output.": "attn.o_proj.", "ffn.key.": "ffn.key.linear.",
            "ffn.receptance.": "ffn.receptance.linear.", "ffn.time_maa_k": "ffn.key.mu", "ffn.time_maa_r": "ffn.receptance.mu",
            "time_maa_x": "x_proj.0.mu", "time_faaaa": "bonus",
        }.items():  # fmt: skip
            name = name.replace(own, theirs)
        if "time_" not in name:
            renamed[name if name.startswith("lm_head") else f"model.{name}"] = (
                tensor.ravel() if "mu" in name else tensor
            )
    for layer in range(2):
        own, theirs = f"blocks.{layer}.att.time_", f"model.layers.{layer}.attn."
        order = [["w", "k", "v", "r", "g"].index(mix) for mix in "rwkvg"]
        first, second = tensors[f"{own}maa_w1"], tensors[f"{own}maa_w2"]
        columns = np.split(first, 5, axis=1)
        renamed |= {
            f"{theirs}x_proj.0.linear.weight": np.concatenate([columns[i] for i in order], 1).T,
            f"{theirs}x_proj.2.weight": np.concatenate([second[i] for i in order], 0).T,
            f"{theirs}x_bias": np.stack([tensors[f"{own}maa_{mix}"].ravel() for mix in "rwkvg"]),
            f"{theirs}w_proj.linear.lora.0.weight": tensors[f"{own}decay_w1"].T,
            f"{theirs}w_proj.linear.lora.2.weight": tensors[f"{own}decay_w2"].T,
            f"{theirs}w_proj.linear.lora.2.bias": tensors[f"{own}decay"].ravel(),
        }
    return renamed


CLASSES = {"4": "RwkvForCausalLM", "5.2": "Rwkv5ForCausalLM", "6": "Rwkv6ForCausalLM", "7": "RWKV7ForCausalLM"}


@pytest.mark.parametrize("version", CLASSES)
def test_hugging_face_layouts_give_the_same_file(version: str, tmp_path: Path) -> None:
    tensors = random_rwkv(version, 1)
    same_file(tmp_path, tensors, CLASSES[version], hugging_face(version, tensors))


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("version", CLASSES)
def test_a_head_that_is_not_stored_is_the_embedding(version: str, said: bool, tmp_path: Path) -> None:
    tensors = random_rwkv(version, 1)
    tied = tensors | {"head.weight": tensors["emb.weight"]}
    stored = hugging_face(version, {name: value for name, value in tensors.items() if name != "head.weight"})
    warnings = same_file(tmp_path, tied, CLASSES[version], stored, tie_word_embeddings=said)
    assert [warning for warning in warnings if "has no head.weight" in warning] == [
        "The checkpoint has no head.weight, and config.json does not tie it to "
        f"{'rwkv' if version != '7' else 'model'}.embeddings.weight, which takes its place: answers make sense only where the "
        "model was trained so."
    ] * (not said)


def test_the_first_layout_of_rwkv7_gives_the_same_file(tmp_path: Path) -> None:
    tensors = random_rwkv("7", 1)
    same_file(tmp_path, tensors, "Rwkv7ForCausalLM", early(tensors))


def test_flas_layout_of_rwkv6_gives_the_same_file(tmp_path: Path) -> None:
    tensors = random_rwkv("6", 1)
    same_file(tmp_path, tensors, "RWKV6ForCausalLM", of_fla(tensors))


def test_flas_layout_of_rwkv6_computes_flas_formulas(engine: Engine, tmp_path: Path) -> None:
    tensors = of_fla(random_rwkv("6", 8))
    folder = write_checkpoint(tmp_path / "checkpoint", {"architectures": ["RWKV6ForCausalLM"], "num_heads": 2}, tensors)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(folder, out, "F32", tokenizer="none"))
    ids = np.random.default_rng(1).integers(0, 96, 40).tolist()
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    assert np.abs(found - rwkv6_fla.forward(tensors, ids)).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "config", "inner"),
    [
        ("RwkvForCausalLM", {}, 512),
        ("Rwkv5ForCausalLM", {"intermediate_size": None}, 448),
        ("Rwkv6ForCausalLM", {"intermediate_size": None}, 448),
        (
            "RWKV6ForCausalLM",
            {"num_heads": 2, "hidden_ratio": 3.5, "proj_low_rank_dim": 8, "gate_low_rank_dim": 16},
            448,
        ),
        ("RWKV7ForCausalLM", {"intermediate_size": None, "hidden_ratio": 4.0}, 512),
    ],
)
def test_a_configuration_alone_gives_the_sizes(name: str, config: dict, inner: int) -> None:
    whole = Config({"architectures": [name], "hidden_size": 128, "vocab_size": 96, "num_hidden_layers": 2, **config})
    sizes = family_of(whole).blueprint(whole, None).parameters
    assert sizes["feed_forward_length"] == inner
    assert sizes.get("wkv.head_size", 64) == 64


def same_file(
    tmp_path: Path, tensors: dict[str, np.ndarray], name: str, renamed: dict[str, np.ndarray], **said: Any
) -> list[str]:
    """Hold the converted file to that of the publisher's layout; return the conversion's warnings."""
    original = converted(tmp_path, tensors)
    folder = write_checkpoint(tmp_path / "checkpoint", {"architectures": [name]} | said, renamed)
    out = tmp_path / "hugging-face.gguf"
    result = convert(ConvertRequest(folder, out, "F32", tokenizer="none"))
    headers = [read_gguf_header(path) for path in (original, out)]
    data = [path.read_bytes()[header.data_offset :] for path, header in zip((original, out), headers, strict=True)]
    assert data[0] == data[1]
    prefix = headers[0].architecture
    sizes = [{k: v for k, v in header.metadata.items() if k.startswith(prefix)} for header in headers]
    assert sizes[0] == sizes[1]
    return [str(warning) for warning in result.warnings]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_single_pth_is_a_source(version: str, tmp_path: Path) -> None:
    tensors = random_rwkv(version, 1)
    write_torch(tmp_path / "RWKV-x.pth", tensors)
    out = tmp_path / "pth.gguf"
    convert(ConvertRequest(tmp_path / "RWKV-x.pth", out, "F32", tokenizer="none"))
    original = converted(tmp_path, tensors)
    data = [path.read_bytes()[read_gguf_header(path).data_offset :] for path in (original, out)]
    assert data[0] == data[1]


@pytest.mark.parametrize(
    ("version", "changes", "named"),
    [
        ("7", {"blocks.0.ffn.s_emb.weight": (96, 32)}, "RWKV-7a"),
        ("7", {"blocks.0.ffn.s_emb.weight": (96, 32), "blocks.0.qkv.qq.weight": (96, 32)}, "RWKV-7b"),
        ("6", {"blocks.0.att.time_faaaa": None}, "x060a"),
        ("6", {f"blocks.0.att.{name}.weight": (64, 128) for name in ("receptance", "key")}, "expand_k"),
        ("7", {"model.layers.1.attn.q_proj.weight": (128, 128)}, "hybrid"),
        ("4", {"blocks.0.ln0.weight": None}, "converted"),
        ("6", {"emb.weight": None, "blocks.0.att.receptance.bone": (8, 128)}, "only some weights"),
        ("6", {"blocks.0.att.receptance.lora_A": (8, 128)}, "LoRA"),
    ],
)
def test_variants_that_nothing_runs_are_refused_by_name(version: str, changes: dict, named: str) -> None:
    shapes = {name: tensor.shape for name, tensor in random_rwkv(version).items()} | changes
    with pytest.raises(UnsupportedModel, match=rf"^x\.pth .*{named}"):
        config_of_tensors({name: shape for name, shape in shapes.items() if shape is not None}, "x.pth")


def test_a_tuned_state_alone_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedModel, match="state"):
        config_of_tensors({f"blocks.{layer}.att.time_state": (2, 64, 64) for layer in range(3)}, "x.pth")


@pytest.mark.parametrize(
    ("version", "quant", "warned"),
    [("4", "Q6_K", True), ("4", "Q4_0", True), ("4", "Q8_0", False), ("4", "F16", False), ("7", "Q4_0", False)],
)
def test_fewer_bits_than_the_family_needs_are_warned_of(version: str, quant: str, warned: bool, tmp_path: Path) -> None:
    write_torch(tmp_path / "RWKV-x.pth", random_rwkv(version))
    planned = plan(ConvertRequest(tmp_path / "RWKV-x.pth", quant=quant, tokenizer="none"))
    warnings = [str(warning) for warning in planned.warnings]
    sentence = (
        f"{quant} has too few bits for RWKV-4, whose answers it spoils; Q8_0 is the smallest quantization that leaves them "
        "intact."
    )
    assert (sentence in warnings) is warned
    assert any("too few bits" in warning for warning in warnings) is warned
