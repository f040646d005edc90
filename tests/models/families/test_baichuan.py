"""Baichuan and Baichuan2 against NumPy, and Baichuan-7B against its publisher's own code."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from models.config import Config
from models.families import family_of
from models.families.baichuan import normalised_rows
from tests.conftest import oracles
from tests.reference.baichuan import forward
from tests.support.agreement import converted, largest_error, random_ids
from tests.support.logits import engine_logits
from tests.support.random_baichuan import FIRST_7B, FIRST_13B, SECOND_7B, SECOND_13B, random_baichuan
from tests.support.torch_files import write_torch_checkpoint

CASES = {
    "Baichuan-7B": (FIRST_7B, 32, "baichuan"),
    "Baichuan-13B": (FIRST_13B, 40, "baichuan"),
    "Baichuan2-7B": (SECOND_7B, 32, "baichuan"),
    "Baichuan2-13B": (SECOND_13B, 40, "baichuan"),
    "rotary, 3 layers": (FIRST_7B, 3, "llama"),
    "rotary, as many layers as 13B": (SECOND_7B, 40, "llama"),
    "ALiBi, 3 layers": (FIRST_13B, 3, "refact"),
    "ALiBi, as many layers as 7B": (SECOND_13B, 32, "refact"),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    published, layers, architecture = CASES[case]
    config, weights = random_baichuan(published, layers)
    assert largest_error(engine, tmp_path, config, weights, forward, count=100) < 1e-4
    assert read_gguf_header(tmp_path / "model.gguf").architecture == architecture


@pytest.mark.parametrize("heads", [4, 5])
def test_alibi_slopes_of_any_number_of_heads(heads: int, engine: Engine, tmp_path: Path) -> None:
    config, weights = random_baichuan(FIRST_13B, 2, heads=heads)
    assert largest_error(engine, tmp_path, config, weights, forward, count=300) < 1e-4


def test_logits_agree_with_the_publishers_code(engine: Engine, tmp_path: Path) -> None:
    source = oracles() / "baichuan-7b"
    expected = np.load(source / "expected.npz")
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(source, out, "F32", tokenizer="none"))
    found = engine_logits(engine, out, expected["ids"].tolist(), tmp_path / "logits.npy")
    assert np.abs(found - expected["logits"]).max() < 1e-4


def test_bin_shards_as_13b_publishes_them(engine: Engine, tmp_path: Path) -> None:
    config, weights = random_baichuan(SECOND_13B, 40)
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in weights.items()}
    result = converted(tmp_path, config, half, write=write_torch_checkpoint, shards=3)
    ids = random_ids(config, 80)
    found = engine_logits(engine, result.path, ids, tmp_path / "logits.npy")
    assert np.abs(found - forward(config, {n: a.astype(np.float32) for n, a in half.items()}, ids)).max() < 1e-4


def test_rows_of_zeros_stay_zeros() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(normalised_rows(rows), [[0.6, 0.8], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("said", "architecture", "normalised"),
    [
        ({**FIRST_7B, "hidden_size": 4096, "vocab_size": 64000}, "baichuan", False),
        ({**FIRST_13B, "hidden_size": 5120, "vocab_size": 64000, "num_hidden_layers": 40}, "baichuan", False),
        # the same sizes after a library wrote its own defaults into the configuration, or left some out
        (
            {
                **FIRST_13B,
                "hidden_size": 5120,
                "vocab_size": 125696,
                "num_hidden_layers": 40,
                "max_position_embeddings": 4096,
            },
            "baichuan",
            True,
        ),
        ({"architectures": ["BaichuanForCausalLM"], "hidden_size": 4096, "vocab_size": 125696}, "baichuan", True),
    ],
)
def test_generations_and_sizes_are_told_apart(said: dict, architecture: str, normalised: bool) -> None:
    config, _ = random_baichuan(
        {"num_attention_heads": 32, **said} if said["hidden_size"] == 4096 else {**said, "num_attention_heads": 40}, 1
    )
    config = Config({**config, "num_hidden_layers": said.get("num_hidden_layers", 32)})
    blueprint = family_of(config).blueprint(config, None)
    head = next(tensor for tensor in blueprint.tensors if tensor.name == "output.weight")
    assert (blueprint.architecture, head.transform is normalised_rows) == (architecture, normalised)
    assert blueprint.parameters["context_length"] in (2048, 4096)
