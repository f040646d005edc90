"""Predicted bytes against llama.cpp's own allocation: it lays out models of real shapes without their weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest
from gguf.constants import GGMLQuantizationType

from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.configuration import Computer
from desktop_app.planning.footprint import Footprint, RunShape, TensorSize, footprint, kv_cache
from desktop_app.planning.planner import option
from desktop_app.sequences import MOST_GUESSES, rounded_context
from models.dynamic_rotary import RULE
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

MEGABYTE = 1 << 20
_lines: list[str] = []


@llama.llama_log_callback
def _remember(level: int, text: bytes, _: object) -> None:
    _lines.append(text.decode("utf-8", "replace"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    llama.llama_log_set(_remember, None)
    llama.llama_backend_init()
    yield
    llama.llama_log_set(llama.llama_log_callback(0), None)


OF_THE_GRAPH_RUNNER = ("ChatGLM-6B", "RWKV-4-0.4B")
RUNS = (RunShape(4096), RunShape(16384), RunShape(2048, batch=128), RunShape(4096, kv_type="q8_0"))


def allocated(path: Path, run: RunShape) -> dict[str, float]:
    """Return llama.cpp's own sizes in bytes: cache, compute, output."""
    _lines.clear()
    model_params = llama.llama_model_default_params()
    model_params.no_alloc = True
    model_params.use_extra_bufts = False
    model_params.load_mode = llama.LLAMA_LOAD_MODE_NONE
    model = llama.llama_model_load_from_file(str(path).encode(), model_params)
    assert model is not None, _lines[-3:]
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = run.context, run.batch, run.batch
    params.type_k = params.type_v = int(GGMLQuantizationType[run.kv_type.upper()])
    guesses = not (llama.llama_model_is_recurrent(model) or llama.llama_model_is_hybrid(model))
    params.n_outputs_max = 1 + MOST_GUESSES * guesses
    context = llama.llama_init_from_model(model, params)
    assert context is not None, _lines[-3:]
    log = "".join(_lines)
    layers = llama.llama_model_n_layer(model)
    llama.llama_free(context)
    llama.llama_model_free(model)
    sizes = {
        part: sum(float(number) for number in re.findall(rf"{words} *= *([0-9.]+) MiB", log)) * MEGABYTE
        for part, words in {
            "compute": "compute buffer size",
            "output": "output buffer size",
            "state": "RS buffer size",
        }.items()
    }
    caches = [float(size) * MEGABYTE for size in re.findall(r"llama_kv_cache: size = +([0-9.]+) MiB", log)]
    rows = params.n_outputs_max  # llama.cpp begins with room for one
    return sizes | {"cache": sum(caches) + sizes["state"], "layers": float(layers), "rows": float(rows)}


def predicted(name: str, run: RunShape, path: Path) -> Footprint:
    blueprint, layout = sparse_gguf(SHAPES[name], "Q4_K_M", path)
    sizes = [TensorSize(tensor.name, tensor.size) for tensor in layout.tensors]
    parameters = {key: value for key, value in blueprint.parameters.items() if key != RULE}  # as llama.cpp reads them
    return footprint(blueprint.architecture, parameters, sizes, run)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.context}-{run.kv_type}-{run.batch}")
@pytest.mark.parametrize("name", [name for name in SHAPES if name not in OF_THE_GRAPH_RUNNER])
def test_agrees_with_llama_cpp(name: str, run: RunShape, tmp_path: Path) -> None:
    path = tmp_path / "shape.gguf"
    ours = predicted(name, run, path)
    theirs = allocated(path, run)
    assert len(ours.blocks) == theirs["layers"]
    assert sum(ours.cache) == pytest.approx(theirs["cache"], abs=0.01 * MEGABYTE)
    assert ours.output / theirs["rows"] == pytest.approx(theirs["output"], abs=0.01 * MEGABYTE)
    # Never less than it takes; with a quantized cache llama.cpp saves a vector or two that the formula leaves in.
    assert (
        0.99 * theirs["compute"]
        <= ours.compute
        <= (1.03 if run.kv_type == "f16" else 1.1) * theirs["compute"] + 2 * MEGABYTE
    )


def test_a_grouped_cache_counts_key_and_value_heads_only() -> None:
    parameters = {"block_count": 2, "attention.head_count": 32, "attention.head_count_kv": 8, "embedding_length": 4096}
    assert kv_cache(parameters, 1000, "f16") == [2 * 1024 * 8 * 128 * 2] * 2
    assert kv_cache(parameters, 1024, "q8_0") == [2 * 1024 * 8 * 128 // 32 * 34] * 2


def test_blocks_may_differ() -> None:
    parameters = {
        "block_count": 2,
        "attention.head_count": 4,
        "attention.head_count_kv": [1, 4],
        "embedding_length": 32,
    }
    assert kv_cache(parameters, 256, "f16") == [2 * 256 * 8 * 2, 2 * 256 * 32 * 2]


def test_nonsense_in_a_file_counts_nothing() -> None:
    parameters = {"block_count": "many", "embedding_length": -1, "attention.head_count": True}
    result = footprint("llama", parameters, [TensorSize("blk.7.attn_q.weight", 8)], RunShape(512))
    assert (result.blocks, result.cache, result.weights) == ((), (), 8)


def test_contexts_are_rounded_up() -> None:
    assert [rounded_context(count) for count in (1, 256, 257)] == [256, 256, 512]


def test_models_that_make_vectors_have_no_cache() -> None:
    parameters = {"block_count": 6, "embedding_length": 384, "attention.head_count": 12, "feed_forward_length": 1536}
    assert sum(footprint("bert", parameters, [], RunShape(512)).cache) == 0
    assert sum(footprint("llama", parameters, [], RunShape(512)).cache) > 0


def test_a_vocabulary_without_merge_rules_takes_less(tmp_path: Path) -> None:
    """Gemma 3 has 262,144 tokens: with rules that it lacks, a twentieth of the whole model."""
    shape = {**SHAPES["SmolLM2-135M"], "num_hidden_layers": 1, "vocab_size": 2000}
    sizes = {}
    for kind, more in (("llama", {}), ("gpt2", {"tokenizer.ggml.merges": ["a b"]})):
        tokenizer = {"tokenizer.ggml.model": kind, "tokenizer.ggml.tokens": [f"t{n}" for n in range(2000)]}
        path = tmp_path / f"{kind}.gguf"
        sparse_gguf(shape, "Q8_0", path, tokenizer | more)
        model = model_of_gguf(path)
        found = option(model, model.candidates[0], Computer(1 << 40, 1 << 40, 0), 512)
        sizes[kind] = found.bytes
    assert sizes["gpt2"] - sizes["llama"] == 2000 * 80
