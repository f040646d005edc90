"""Adapters merged in the one pass: the numbers, and what is refused before any work."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converter.checkpoint.lora import Adapter
from converter.checkpoint.merged import MergedCheckpoint
from converter.checkpoint.safetensors import SafetensorsFile
from converter.pipeline import ConvertRequest, convert, plan
from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import BadFile, ZhiyinError
from tests.reference.llama import forward
from tests.reference.lora import scaling, with_adapter
from tests.support.adapters import ALL, PREFIX, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.logits import engine_logits
from tests.support.random_llama import random_llama

DATA = Path(__file__).parents[1] / "data" / "lora"
IDS = list(range(5, 125, 5))


@dataclass
class Variant:
    """One kind of adapter, or several in order."""

    adapters: list[dict[str, Any]]
    config: list[dict[str, Any]]
    scales: list[Any]
    base: dict[str, Any] = field(default_factory=dict)


def plain(**adapter: Any) -> dict[str, Any]:
    return {"targets": ALL, **adapter}


PATTERN_SCALES = {
    f"model.layers.{layer}.{module}": scale
    for layer in (0, 1)
    for module, scale in {
        "self_attn.q_proj": scaling(8, 2),
        "self_attn.v_proj": scaling(24, 4),
        "mlp.down_proj": scaling(5 if layer == 1 else 8, 6),
    }.items()
}
VARIANTS = {
    "alpha/r": Variant([plain()], [{}], [scaling(8, 4)]),
    "rsLoRA": Variant([plain()], [{"use_rslora": True}], [scaling(8, 4, rslora=True)]),
    "DoRA": Variant([plain(dora=True)], [{"use_dora": True}], [scaling(8, 4)]),
    "patterns": Variant(
        [{"targets": ("q_proj", "v_proj", "down_proj"), "ranks": {"q_proj": 2, "down_proj": 6}}],
        [
            {
                "alpha_pattern": {"v_proj": 24, r"layers\.1\.mlp\.down_proj": 5},
                "rank_pattern": {"q_proj": 2, "down_proj": 6},
            }
        ],
        [PATTERN_SCALES],
    ),
    "extended vocabulary": Variant([plain(tokens=141)], [{"modules_to_save": ["embed_tokens", "lm_head"]}], [2.0]),
    "two in order": Variant(
        [plain(tokens=140), plain(seed=1, dora=True, tokens=141)], [{}, {"use_dora": True}], [2.0, 2.0]
    ),
    "embeddings": Variant([{"targets": ("embed_tokens", "lm_head", "o_proj")}], [{}], [2.0]),
    "tied, extended": Variant([plain(tokens=141)], [{}], [2.0], {"tie_word_embeddings": True}),
}


@pytest.mark.parametrize("name", VARIANTS, ids=str)
def test_merged_logits_agree_with_the_reference(name: str, engine: Engine, tmp_path: Path) -> None:
    """W + scale·B·A in float64, through a NumPy forward pass, against the converted file in the engine."""
    variant = VARIANTS[name]
    config, weights = random_llama(5, **variant.base)
    base = write_checkpoint(tmp_path / "base", config, weights, shards=2)
    expected: dict[str, np.ndarray] = dict(weights)
    folders = []
    for number, options in enumerate(variant.adapters):
        tensors = random_adapter(expected, **options)
        folders.append(write_adapter(tmp_path / f"lora{number}", tensors, torch=number == 1, **variant.config[number]))
        expected = with_adapter(expected, tensors, scales=variant.scales[number])
    out = tmp_path / "merged.gguf"
    convert(ConvertRequest(base, lora=tuple(folders), out=out, quant="F32", tokenizer="none"))
    rows = expected["model.embed_tokens.weight"].shape[0]
    ids = [*IDS, rows - 1]
    found = engine_logits(engine, out, ids, tmp_path / "logits.npy")
    described = config | {"tie_word_embeddings": "lm_head.weight" not in expected, "vocab_size": rows}
    wanted = forward(described, expected, ids)
    assert found.shape == (len(ids), rows)
    assert np.abs(found - wanted).max() < 1e-4
    if rows == config["vocab_size"]:
        assert np.abs(wanted - forward(config, weights, ids)).max() > 0.1, "the adapter changes something"


@pytest.mark.parametrize(
    "variant", ["plain", "rslora", "dora", "patterns", "vocabulary", "two", "embeddings", "biases"]
)
def test_merged_logits_agree_with_peft(variant: str, engine: Engine, tmp_path: Path) -> None:
    """Adapters that PEFT saved, against the logits of its merge_and_unload (tests/data/lora/make.py)."""
    config, stored = json.loads((DATA / "base.json").read_text()), np.load(DATA / "base.npz")
    weights = {name: stored[name] for name in stored if variant == "biases" or not name.endswith(".bias")}
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = tuple(sorted(path.parent for path in (DATA / variant).glob("*/adapter_config.json")))
    out = tmp_path / "merged.gguf"
    convert(ConvertRequest(base, lora=lora, out=out, quant="F32", tokenizer="none"))
    found = engine_logits(engine, out, IDS, tmp_path / "logits.npy")
    wanted = np.load(DATA / variant / "logits.npy")
    print(f"{variant}: {np.abs(found - wanted).max():.1e}")
    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize("variant", ["fan_in_fan_out", "fan_in_fan_out_dora"])
def test_layers_stored_in_by_out_agree_with_peft(variant: str, tmp_path: Path) -> None:
    """GPT-2's layers, whose weights lie transposed: merged weights of merge_and_unload."""
    stored = np.load(DATA / variant / "weights.npz")
    name = "transformer.h.0.attn.c_attn.weight"
    write_safetensors(tmp_path / "model.safetensors", {name: stored["base"]})
    adapter = Adapter(DATA / variant / "0")
    base = SafetensorsFile(tmp_path / "model.safetensors")
    merged = MergedCheckpoint(base, (adapter,), Config({}), tmp_path, {}, ())
    assert np.abs(merged.read(name) - stored["merged"]).max() < 1e-6
    assert np.abs(stored["base"] - stored["merged"]).max() > 0.01


def test_quantizing_sees_the_merged_values(tmp_path: Path) -> None:
    """The bytes are those of the merged checkpoint quantized: nothing is rounded in between."""
    config, weights = random_llama(5)
    tensors = random_adapter(weights, ALL)
    base = write_checkpoint(tmp_path / "base", config, weights, dtype="BF16")
    lora = write_adapter(tmp_path / "lora", tensors)
    once = convert(ConvertRequest(base, lora=(lora,), out=tmp_path / "a.gguf", quant="Q8_0", tokenizer="none"))
    import ml_dtypes

    rounded = {name: weight.astype(ml_dtypes.bfloat16).astype(np.float32) for name, weight in weights.items()}
    whole = {name: w.astype(np.float32) for name, w in with_adapter(rounded, tensors, scales=2.0).items()}
    merged = write_checkpoint(tmp_path / "merged", config, whole)
    twice = convert(ConvertRequest(merged, out=tmp_path / "b.gguf", quant="Q8_0", tokenizer="none"))
    first, second = (np.frombuffer(result.path.read_bytes()[-once.size // 2 :], np.uint8) for result in (once, twice))
    assert (first != second).mean() < 1e-3, "float32 sums differ in the last bit, which rarely moves a rounded value"


def test_tied_embeddings_come_apart_when_only_the_head_is_changed(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_llama(5, tie_word_embeddings=True)
    head = {**weights, "lm_head.weight": weights["model.embed_tokens.weight"]}
    tensors = random_adapter(head, ("lm_head",))
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", tensors)
    convert(ConvertRequest(base, lora=(lora,), out=tmp_path / "m.gguf", quant="F32", tokenizer="none"))
    found = engine_logits(engine, tmp_path / "m.gguf", IDS, tmp_path / "logits.npy")
    wanted = forward(config | {"tie_word_embeddings": False}, with_adapter(head, tensors, scales=2.0), IDS)
    assert np.abs(found - wanted).max() < 1e-4


def test_the_adapters_tokenizer_and_name_count(smollm2_outline: Path, tmp_path: Path) -> None:
    """Chinese-LLaMA's way: the adapter brings a longer tokenizer with its embeddings."""
    config = json.loads((smollm2_outline / "config.json").read_text())
    tokenizer = json.loads((smollm2_outline / "tokenizer.json").read_text("utf-8"))
    new = len(tokenizer["model"]["vocab"])
    token = tokenizer["added_tokens"][0] | {"id": new, "content": "<新词>"}
    tokenizer["added_tokens"].append(token)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((new + 1, config["hidden_size"])).astype(np.float16)
    lora = write_adapter(
        tmp_path / "tea-lora",
        {f"{PREFIX}model.embed_tokens.weight": embeddings},
        base_model_name_or_path="HuggingFaceTB/SmolLM2",
    )
    (lora / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    found = plan(ConvertRequest(smollm2_outline, lora=(lora,), quant="Q8_0"))
    assert found.out.name == "tea-135M-lora-Q8_0.gguf"
    assert any(f"{new + 1:,} tokens from here" in str(step) for step in found.steps)
    head = found.parts[0].layout.header
    assert "<新词>".encode() in head
    assert b"general.base_model.0.repo_url" in head


# What is refused, naming both sides.

FLOAT8 = ml_dtypes.float8_e5m2


def base_of(folder: Path, seed: int = 5, **changes: Any) -> tuple[Path, dict[str, np.ndarray]]:
    config, weights = random_llama(seed, **changes)
    return write_checkpoint(folder, config, weights), weights


def refused(base: Path, *lora: Path) -> str:
    """Return the sentence; nothing may have been written."""
    out = base.parent / "out.gguf"
    with pytest.raises(ZhiyinError) as caught:
        convert(ConvertRequest(base, lora=lora, out=out, quant="F16", tokenizer="none"))
    assert not list(base.parent.glob("*out.gguf*"))
    assert str(caught.value).count(". ") == 0, "one sentence"
    return str(caught.value)


def test_an_adapter_of_another_size_is_refused(tmp_path: Path) -> None:
    base, _ = base_of(tmp_path / "llama-7b", hidden_size=64)
    _, wide = random_llama(5, hidden_size=80)
    lora = write_adapter(tmp_path / "lora-13b", random_adapter(wide))
    said = refused(base, lora)
    assert all(word in said for word in ("llama-7b", "lora-13b", "width 80", "width 64"))


def test_the_sizes_of_llama_are_called_by_their_names(tmp_path: Path) -> None:
    """A 13B adapter on a 7B base, by the true widths."""
    config, _ = random_llama(hidden_size=64)
    config |= {"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 1}
    names = {"self_attn.q_proj": (4096, 4096), "mlp.gate_proj": (96, 4096)}
    weights = {f"model.layers.0.{name}.weight": np.zeros(shape, FLOAT8) for name, shape in names.items()}
    weights["model.embed_tokens.weight"] = np.zeros((128, 4096), FLOAT8)
    base = write_checkpoint(tmp_path / "base", config, weights)
    pair = {"lora_A.weight": np.zeros((4, 5120), np.float32), "lora_B.weight": np.zeros((5120, 4), np.float32)}
    tensors = {f"{PREFIX}model.layers.0.self_attn.q_proj.{part}": values for part, values in pair.items()}
    said = refused(base, write_adapter(tmp_path / "lora", tensors))
    assert "5120, as LLaMA 13B" in said
    assert "4096, as LLaMA 7B" in said


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    base, _ = base_of(tmp_path / "base")
    tensors = {
        f"{PREFIX}transformer.h.0.attn.c_attn.lora_A.weight": np.zeros((4, 64), np.float32),
        f"{PREFIX}transformer.h.0.attn.c_attn.lora_B.weight": np.zeros((192, 4), np.float32),
    }
    said = refused(base, write_adapter(tmp_path / "lora", tensors, base_model_name_or_path="openai-community/gpt2"))
    assert all(
        word in said for word in ("transformer.h.0.attn.c_attn", "LLaMA", "openai-community/gpt2", "all of its 1")
    )


def test_more_layers_than_the_base_are_refused(tmp_path: Path) -> None:
    base, _ = base_of(tmp_path / "base")
    _, deep = random_llama(5, num_hidden_layers=3)
    assert "2 of its 6 tensors" in refused(base, write_adapter(tmp_path / "lora", random_adapter(deep)))


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    base, _ = base_of(tmp_path / "base")
    _, other = random_llama(5, vocab_size=130)
    said = refused(base, write_adapter(tmp_path / "lora", random_adapter(other, ("lm_head",))))
    assert "130 tokens" in said
    assert "has 128" in said


def test_embeddings_without_their_head_are_refused(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    tensors = random_adapter(weights, tokens=140)
    del tensors[f"{PREFIX}lm_head.weight"]
    assert "140 tokens, but the output head has 128" in refused(base, write_adapter(tmp_path / "lora", tensors))


def test_merging_twice_is_refused(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    tensors = random_adapter(weights, tokens=140)
    lora = write_adapter(tmp_path / "lora", tensors)
    merged = with_adapter(weights, tensors, scales=2.0)
    config, _ = random_llama(5, vocab_size=140)
    again = write_checkpoint(
        tmp_path / "merged", config, {n: w.astype(np.float32) for n, w in merged.items()}, dtype="F16"
    )
    assert "has been merged into it" in refused(again, lora)
    assert "order is wrong" in refused(base, write_adapter(tmp_path / "b", random_adapter(weights, tokens=141)), lora)


def test_alpaca_plus_needs_llama_plus_first(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "llama-7b-hf")
    plus = write_adapter(tmp_path / "chinese-alpaca-plus-lora-7b", random_adapter(weights, tokens=49954))
    said = refused(base, plus)
    assert "Chinese-Alpaca-Plus" in said
    assert "llama-7b-hf with its 128 tokens" in said
    llama = write_adapter(tmp_path / "chinese-llama-plus-lora-7b", random_adapter(weights, tokens=49953))
    found = plan(ConvertRequest(base, lora=(llama, plus), quant="Q8_0", tokenizer="none"))
    assert any("49,953" in str(step) for step in found.steps)
    assert any("49,954" in str(step) for step in found.steps)
    alone = write_adapter(tmp_path / "chinese-alpaca-lora-7b", random_adapter(weights, tokens=49954))
    assert plan(ConvertRequest(base, lora=(alone,), quant="Q8_0", tokenizer="none")).steps


def test_bases_of_other_layouts_are_refused(tmp_path: Path) -> None:
    good, weights = base_of(tmp_path / "good")
    lora = write_adapter(tmp_path / "lora", random_adapter(weights))
    gguf = convert(ConvertRequest(good, out=tmp_path / "g.gguf", quant="F16", tokenizer="none")).path
    assert "--as-adapter" in refused(gguf, lora)
    assert "is an adapter itself" in refused(lora, lora)
    assert "does not exist" in refused(tmp_path / "nowhere", lora)


def test_a_tokenizer_without_embeddings_is_refused(smollm2_outline: Path, tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    lora = write_adapter(tmp_path / "lora", random_adapter(weights))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (lora / name).write_bytes((smollm2_outline / name).read_bytes())
    said = refused(base, lora)
    assert "tokenizer of 49152 tokens" in said
    assert "only 128" in said


def test_what_a_configuration_leaves_out_is_pefts_default(tmp_path: Path) -> None:
    _, weights = base_of(tmp_path / "base")
    folder = write_adapter(tmp_path / "lora", random_adapter(weights))
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}', "utf-8")
    assert Adapter(folder).scale("model.layers.0.self_attn.q_proj", 4) == 2.0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa"),
        ({"layer_replication": [[0, 4]]}, "layer_replication"),
        ({"use_dora": True}, "no magnitudes"),
        ({"alpha_pattern": {"((a{9}){9}){9}": 3}}, "too intricate"),
        ({"alpha_pattern": {"[": 3}}, "malformed"),
        ({"lora_alpha": "8"}, "must be a number"),
    ],
)
def test_adapters_of_other_kinds_are_refused(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    assert words in refused(base, write_adapter(tmp_path / "lora", random_adapter(weights), **config))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(next(iter(t))), "one half"),
        (lambda t: t.update({next(iter(t)): np.zeros((3, 64), np.float32)}), "do not fit"),
        (lambda t: t.update({"base_model.model.x.lora_C.bias": np.zeros(3, np.float32)}), "no part of a LoRA"),
        (lambda t: t.update({"base_model.model.x.weight": np.zeros(3, np.float32)}), "does not have"),
        (lambda t: t.clear(), "no tensors"),
    ],
)
def test_damaged_adapters_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    tensors = random_adapter(weights)
    change(tensors)
    assert words in refused(base, write_adapter(tmp_path / "lora", tensors))


def test_an_adapter_that_was_saved_empty_is_refused(tmp_path: Path) -> None:
    """The 443 bytes of adapter_model.bin that many training programs of 2023 wrote."""
    base, _ = base_of(tmp_path / "base")
    assert "saved without them" in refused(base, write_adapter(tmp_path / "lora", {}, torch=True))


def test_adapters_without_their_files_are_refused(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    assert "no adapter_config.json" in refused(base, base)
    lora = write_adapter(tmp_path / "lora", random_adapter(weights))
    (lora / "adapter_model.safetensors").unlink()
    assert "has no weights" in refused(base, lora)
    with pytest.raises(BadFile, match="--base"):
        convert(ConvertRequest(write_adapter(tmp_path / "x", random_adapter(weights)), out=tmp_path / "out.gguf"))


def test_a_model_with_an_adapter_beside_it_is_a_model(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base")
    write_adapter(base, random_adapter(weights))
    assert convert(ConvertRequest(base, out=tmp_path / "m.gguf", quant="F16", tokenizer="none")).tensors == 21
