"""Adapters for models that take images: each custom of naming their part for text fits each of the base's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from converter.lora_file import plan_adapter
from converter.merging import open_merged
from converter.plan import ConvertRequest
from tests.data.transformers.weights import values
from tests.support.adapters import PREFIX, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint

CASES = json.loads((Path(__file__).parents[1] / "data" / "transformers" / "cases.json").read_text("utf-8"))
WHOLE = {"gemma3_text": "Gemma3ForConditionalGeneration", "qwen3_5_text": "Qwen3_5ForConditionalGeneration"}
CUSTOMS = {
    "alone": lambda name: name,
    "today's": lambda name: name.replace("model.", "model.language_model.", 1),
    "earlier": lambda name: f"language_model.{name}",
}
TOWER = "model.vision_tower.encoder.layers.0.self_attn.q_proj"


def base_of(folder: Path, family: str, custom: str) -> tuple[Path, dict[str, np.ndarray]]:
    text = CASES[family]["config"]
    config = {
        "architectures": [WHOLE[family]],
        "model_type": family.removesuffix("_text"),
        "text_config": text,
        "vision_config": {"hidden_size": 8},
        "tie_word_embeddings": text["tie_word_embeddings"],
    }
    weights = {name: values(name, shape) for name, shape in CASES[family]["shapes"].items()}
    named = {CUSTOMS[custom](name): array for name, array in weights.items()}
    return write_checkpoint(folder, config, named | {f"{TOWER}.weight": np.ones((8, 8), np.float32)}), weights


def adapter_of(folder: Path, weights: dict[str, np.ndarray], custom: str, targets: tuple[str, ...]) -> Path:
    tensors = random_adapter(weights, targets)
    return write_adapter(
        folder, {PREFIX + CUSTOMS[custom](name.removeprefix(PREFIX)): a for name, a in tensors.items()}
    )


@pytest.mark.parametrize("family", WHOLE)
@pytest.mark.parametrize("of_base", CUSTOMS)
@pytest.mark.parametrize("of_adapter", CUSTOMS)
def test_every_custom_fits_every_base(tmp_path: Path, family: str, of_base: str, of_adapter: str) -> None:
    base, weights = base_of(tmp_path / "base", family, of_base)
    name = next(name for name in weights if name.endswith("mlp.down_proj.weight"))
    lora = adapter_of(tmp_path / "lora", weights, of_adapter, ("down_proj",))
    tensors = random_adapter(weights, ("down_proj",))
    merged = open_merged(base, (lora,))
    module = PREFIX + name.removesuffix(".weight")
    change = tensors[f"{module}.lora_B.weight"] @ tensors[f"{module}.lora_A.weight"]
    scale = merged.adapters[0].low_rank[name].scale
    np.testing.assert_allclose(merged.read(name), weights[name] + scale * change, atol=1e-5)
    assert not merged.notes
    planned = plan_adapter(ConvertRequest(base, lora=(lora,), as_adapter=True))
    assert planned.tensors == 2 * len(merged.adapters[0].low_rank)


@pytest.mark.parametrize("custom", CUSTOMS)
def test_layers_other_than_the_first_and_the_vocabulary_fit(tmp_path: Path, custom: str) -> None:
    base, weights = base_of(tmp_path / "base", "gemma3_text", "today's")
    lora = adapter_of(tmp_path / "lora", weights, custom, ("layers.3.mlp.up_proj",))
    assert list(open_merged(base, (lora,)).adapters[0].low_rank) == ["model.layers.3.mlp.up_proj.weight"]
    lora = adapter_of(tmp_path / "words", weights, custom, ("embed_tokens",))
    assert list(open_merged(base, (lora,)).adapters[0].low_rank) == ["model.embed_tokens.weight"]


def test_changes_of_the_images_part_go_with_it(tmp_path: Path) -> None:
    base, weights = base_of(tmp_path / "base", "gemma3_text", "today's")
    tensors = random_adapter(weights) | random_adapter({f"{TOWER}.weight": np.ones((8, 8), np.float32)})
    merged = open_merged(base, (write_adapter(tmp_path / "lora", tensors),))
    assert all("vision" not in name for name in merged.adapters[0].low_rank)
    assert "changes the parts for images or sound, too (1 tensors)" in str(merged.notes[0])
