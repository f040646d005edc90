"""Weights that ggml repacks for the processor are in memory once, whichever runner loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf.constants import GGMLQuantizationType

from converter.gguf_header import read_gguf_header
from desktop_app.engine.client import Engine
from desktop_app.engine.llama import runner as llama_runner
from desktop_app.engine.protocol import Load, LoadSettings, Stats
from desktop_app.planning.load_plan import LoadPlanner
from tests.support.logits import engine_logits
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

_SIZES = {"num_attention_heads": 8, "num_key_value_heads": 8}
LLAMA = SHAPES["SmolLM2-135M"] | _SIZES | {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 14}
CHATGLM = SHAPES["ChatGLM-6B"] | _SIZES | {"hidden_size": 768, "inner_hidden_size": 3072, "num_layers": 12}


@pytest.mark.parametrize("quant", ["Q4_0", "Q4_K_M", "F16"])
@pytest.mark.parametrize("shape", [LLAMA, CHATGLM], ids=["llama.cpp", "graph runner"])
def test_a_model_is_in_memory_once(shape: dict[str, Any], quant: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    _, layout = sparse_gguf(shape, quant, path)
    with Engine() as engine:
        before = engine.submit(Stats()).result(60).resident_bytes
        engine_logits(engine, path, list(range(1, 60)), tmp_path / "logits.npy")
        added = engine.submit(Stats()).result(60).resident_bytes - before
    assert 0.9 * layout.size < added < 1.05 * layout.size + 64e6  # logits of guessed tokens are 3 MB of it


def test_an_embedding_that_is_the_head_too_is_planned_as_often_as_it_is_in_memory(tmp_path: Path) -> None:
    """Where ggml repacks its type (Q4_0 on most processors, on ARM Q8_0 and Q6_K as well) llama.cpp holds it twice."""
    path = tmp_path / "model.gguf"
    shape = LLAMA | {"vocab_size": 3 << 16, "num_hidden_layers": 2}
    sparse_gguf(shape, "Q4_0", path, embedding=GGMLQuantizationType.Q4_0)
    with Engine() as engine:
        before = engine.submit(Stats()).result(60).resident_bytes
        planned = LoadPlanner(engine).plan(path, LoadSettings(gpu_layers=0), context=512)
        engine.submit(Load(path, planned.settings)).result(60)
        added = engine.submit(Stats()).result(60).resident_bytes - before
    if not planned.settings.gpu_layers:
        main = planned.plan.chosen.shares[0]
        assert abs(added - main.weights - main.cache) < 50e6


@pytest.mark.parametrize(
    ("gpu_layers", "gpus", "pinned", "integrated", "mapped"),
    [
        (0, [], False, False, False),
        (-1, [7], False, False, True),  # all on a GPU
        (5, [7], False, False, False),  # Metal: the processor's layers are repacked
        (5, [7], True, False, True),  # CUDA, Vulkan: they lie in memory that the GPU reads
        (-1, [7], True, True, False),  # integrated: slow to load from a map
    ],
)
def test_beside_a_gpu_the_file_is_mapped_where_llama_cpp_uses_it_as_it_is(
    gpu_layers: int,
    gpus: list[int],
    pinned: bool,
    integrated: bool,
    mapped: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sparse_gguf(LLAMA, "Q4_0", tmp_path / "model.gguf")
    monkeypatch.setattr(llama_runner, "repacks_any", lambda header: True)
    monkeypatch.setattr(llama_runner, "has_pinned_memory", lambda gpu: pinned)
    monkeypatch.setattr(llama_runner, "loads_from_maps", lambda gpu: not integrated)
    header = read_gguf_header(tmp_path / "model.gguf")
    assert llama_runner._maps_file(header, LoadSettings(gpu_layers=gpu_layers), gpus) is mapped
    assert not llama_runner._maps_file(header, LoadSettings(gpu_layers=gpu_layers, mmap=False), gpus)
