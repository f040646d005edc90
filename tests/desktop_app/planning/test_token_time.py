"""Seconds of a token: the operations against llama.cpp's own graphs, the sum against what models took on one computer."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from desktop_app.engine.graph.library import load_library
from desktop_app.engine.graph.runner import GraphRunner
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.candidates import model_of_config, model_of_gguf
from desktop_app.planning.configuration import Computer, Model
from desktop_app.planning.planner import option
from desktop_app.planning.token_time import _operations_besides
from desktop_app.system.read_speed import ReadSpeed
from models.config import Config
from tests.benchmarks.bench_speed_prediction import OTHERS
from tests.support.graph_models import ARCHITECTURES, graph_case
from tests.support.model_shapes import SHAPES
from tests.support.sparse_gguf import sparse_gguf

_EMPTY = {b"NONE", b"RESHAPE", b"TRANSPOSE", b"VIEW", b"PERMUTE"}
_OP_FIELD = 80
"""Offset of `op` in `struct ggml_tensor`: type, buffer, ne[4], nb[4]."""


@llama.llama_log_callback
def _say_nothing(level: int, text: bytes, _: object) -> None:
    pass


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    llama.llama_log_set(_say_nothing, None)
    llama.llama_backend_init()
    yield
    llama.llama_log_set(llama.llama_log_callback(0), None)


def operations_of_llama_cpp(path: Path) -> int:
    """Return how many operations llama.cpp computes for one token, views left out."""
    name_of = load_library("ggml-base").ggml_op_name
    name_of.restype = ctypes.c_char_p
    found = []

    def asked(tensor: int, ask: bool, _: object) -> bool:
        if ask:
            found.append(name_of(ctypes.c_int.from_address(tensor + _OP_FIELD)))
        return False

    callback = llama.ggml_backend_sched_eval_callback(asked)
    model_params = llama.llama_model_default_params()
    model_params.use_extra_bufts, model_params.n_gpu_layers = False, 0
    model = llama.llama_model_load_from_file(str(path).encode(), model_params)
    params = llama.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.cb_eval = 256, 32, 32, callback
    context = llama.llama_init_from_model(model, params)
    found.clear()
    assert llama.llama_decode(context, llama.llama_batch_get_one((ctypes.c_int32 * 1)(5), 1)) == 0
    llama.llama_free(context)
    llama.llama_model_free(model)
    return sum(name not in _EMPTY for name in found)


@pytest.mark.parametrize(
    "name", ["SmolLM2-135M", "Qwen2.5-0.5B", "Qwen3-0.6B", "Gemma-3-270M", "RWKV-7-0.1B", "RWKV-6-1.6B", "Qwen3.5-0.8B",
             "Granite-4.0-H-1B", "Phi-4-mini", "small mixture"],
)  # fmt: skip
def test_operations_agree_with_llama_cpp(name: str, tmp_path: Path) -> None:
    path = tmp_path / "shape.gguf"
    sparse_gguf(small(name), "Q4_K_M", path)
    model = model_of_gguf(path)
    ours = model.candidates[0].operations
    ours += _operations_besides(model.architecture, model.parameters, _blocks(model))
    assert ours == pytest.approx(operations_of_llama_cpp(path), rel=0.12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_operations_of_our_own_graphs(architecture: str, tmp_path: Path) -> None:
    path = graph_case(architecture, tmp_path).path
    model = model_of_gguf(path)
    runner = load_runner(path, LoadSettings(context=64, gpu_layers=0, threads=1), lambda part: None)
    assert isinstance(runner, GraphRunner)
    with closing(runner):
        runner.decode(runner.tokenize("", add_special=True, special=False))
        runner.decode([5])
        program = next(reversed(runner._model._programs._kept.values()))  # type: ignore[attr-defined]
        graph = program._builder.graph
        library = load_library("ggml-base")
        library.ggml_op_name.restype, library.ggml_graph_node.restype = ctypes.c_char_p, ctypes.c_void_p
        count = library.ggml_graph_n_nodes(ctypes.c_void_p(graph))
        nodes = [library.ggml_graph_node(ctypes.c_void_p(graph), node) for node in range(count)]
        found = [library.ggml_op_name(ctypes.c_int.from_address(node + _OP_FIELD)) for node in nodes]
    ours = model.candidates[0].operations
    ours += _operations_besides(model.architecture, model.parameters, _blocks(model))
    assert ours == pytest.approx(sum(name not in _EMPTY for name in found), rel=0.12)


def small(name: str) -> Mapping[str, Any]:
    """Return a shape with few blocks of each kind and few tokens."""
    config = dict({**SHAPES, **OTHERS}[name])
    if "num_hidden_layers" not in config:
        return config
    config["num_hidden_layers"] = min(8, config["num_hidden_layers"])
    for key in ("layer_types", "layers_block_type"):
        if key in config:
            config[key] = config[key][:8]
    return config | {"vocab_size": 4096}


def _blocks(model: Model) -> int:
    count = model.parameters["block_count"]
    assert isinstance(count, int)
    return count


MEASURED: tuple[tuple[str, str, float, Mapping[str, tuple[float, float]]], ...] = (
    ("Gemma-2-2B", "Q4_K_M", 19.8, {"F32": (46.2, 0.0), "F16": (62.9, 4.1), "Q6_K": (56.7, 3.2), "Q4_K": (46.2, 0.3)}),
    (
        "Gemma-3-270M",
        "Q4_K_M",
        72.7,
        {
            "F32": (29.0, 0.0),
            "F16": (39.2, 3.9),
            "Q8_0": (42.8, 2.4),
            "Q6_K": (41.7, 3.2),
            "Q5_0": (25.1, 3.0),
            "Q4_K": (35.4, 1.0),
        },
    ),
    ("Granite-3.3-2B", "Q6_K", 17.3, {"F32": (32.9, 0.0), "F16": (39.1, 0.0), "Q6_K": (37.8, 1.9)}),
    ("Granite-4.0-H-1B", "Q6_K", 22.3, {"F32": (28.1, 0.0), "F16": (40.5, 3.4), "Q6_K": (45.8, 3.7)}),
    (
        "Hunyuan-1.8B",
        "Q4_K_M",
        28.6,
        {"F32": (38.9, 0.0), "F16": (50.6, 2.8), "Q6_K": (55.4, 3.3), "Q4_K": (44.5, 0.3)},
    ),
    ("LLaMA-1.17B", "Q4_K_M", 42.4, {"F32": (30.9, 5.2), "F16": (39.1, 3.1), "Q6_K": (40.2, 2.9), "Q4_K": (34.4, 0.0)}),
    ("LLaMA-1.17B", "Q8_0", 26.5, {"F32": (28.7, 0.0), "F16": (33.7, 2.1), "Q8_0": (32.4, 1.9)}),
    ("Llama-3.2-1B", "Q4_0", 37.2, {"F32": (32.7, 0.6), "F16": (41.8, 2.6), "Q6_K": (42.5, 3.0), "Q4_0": (32.6, 0.0)}),
    (
        "MiniCPM-2B",
        "Q5_K_M",
        13.5,
        {
            "F32": (42.2, 0.0),
            "F16": (59.1, 4.7),
            "Q8_0": (53.5, 3.3),
            "Q6_K": (55.8, 3.3),
            "Q5_K": (35.3, 3.6),
            "Q5_0": (29.0, 3.0),
        },
    ),
    (
        "Qwen3.5-0.8B",
        "Q4_K_M",
        29.8,
        {"F32": (30.6, 0.0), "F16": (46.7, 5.3), "Q6_K": (48.5, 3.0), "Q4_K": (40.9, 0.3)},
    ),
    ("RWKV-4-0.4B", "Q4_K_M", 92.6, {"F32": (35.7, 0.0), "F16": (40.9, 4.9), "Q6_K": (42.5, 2.8), "Q4_K": (35.8, 0.0)}),
    ("RWKV-6-1.6B", "Q8_0", 20.3, {"F32": (39.4, 0.0), "F16": (58.4, 4.6), "Q8_0": (54.2, 4.0)}),
    (
        "SmolLM2-360M",
        "Q4_K_M",
        65.3,
        {
            "F32": (35.0, 0.0),
            "F16": (39.2, 0.0),
            "Q8_0": (44.3, 2.9),
            "Q6_K": (46.6, 3.0),
            "Q5_0": (28.2, 2.9),
            "Q4_K": (41.4, 0.3),
        },
    ),
    ("SmolLM2-360M", "Q8_0", 67.4, {"F32": (36.9, 0.0), "F16": (41.7, 3.1), "Q8_0": (44.7, 3.4)}),
    (
        "small mixture",
        "Q4_K_M",
        125.3,
        {"F32": (37.9, 7.9), "F16": (48.7, 6.6), "Q6_K": (47.3, 2.7), "Q4_K": (42.7, 0.1)},
    ),
)
"""Shape, quantization, tokens per second on a virtual computer with two cores, and what was measured of it at that time: GB/s
and ns for each row, by type, all of them in the program's own memory."""
_MAPPED = {"F32": 1.63, "F16": 1.34, "Q8_0": 1.21, "Q6_K": 1.21, "Q5_K": 1.02, "Q5_0": 1.08}
"""Times as fast these were read in a file's pages there, measured side by side. The others are repacked there."""


@pytest.mark.parametrize(("name", "quant", "measured", "speeds"), MEASURED, ids=str)
def test_speeds_agree_with_what_was_measured(
    name: str, quant: str, measured: float, speeds: Mapping[str, tuple[float, float]]
) -> None:
    rows = {type_: row * 1e-9 for type_, (_, row) in speeds.items()}
    rates = {type_: rate * 1e9 * _MAPPED.get(type_, 1.0) for type_, (rate, _) in speeds.items()}
    speed = ReadSpeed(rates, 2, rows, repacked=("Q4_0", "Q4_K"), copied=1e9 * speeds["F16"][0])
    assert predicted(name, quant, speed) == pytest.approx(measured, rel=0.25)


def predicted(name: str, quant: str, speed: ReadSpeed) -> float:
    model = model_of_config(Config({**SHAPES, **OTHERS}[name]), quants=(quant,))
    computer = Computer(free_bytes=1 << 40, total_bytes=1 << 40, process_bytes=0, speed=speed, threads=speed.threads)
    found = option(model, model.candidates[0], computer, 512).tokens_per_second
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["SmolLM2-360M", "Llama-3.2-1B", "Gemma-3-270M"])
def test_one_thread_waits_for_nobody(name: str) -> None:
    """It is told of half the speed, and writes with more than half of it."""
    speeds = {"F16": 60e9, "F32": 40e9, "Q8_0": 50e9}
    both = ReadSpeed(speeds, 2, dict.fromkeys(speeds, 4e-9))
    alone = ReadSpeed({type_: rate / 2 for type_, rate in speeds.items()}, 1, dict.fromkeys(speeds, 8e-9))
    assert predicted(name, "Q8_0", alone) > 0.5 * predicted(name, "Q8_0", both)
