"""Layers on a GPU: what it computes, what it holds, and that nothing else changes. Skipped where ggml has no GPU.

CONTRIBUTING.md says how to build llama.cpp with a GPU's part, and how to try it on a computer without one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desktop_app.engine.backends import devices, prepare_environment
from desktop_app.engine.client import Engine
from desktop_app.engine.generation import generate
from desktop_app.engine.graph.runner import GraphRunner
from desktop_app.engine.llama import log as llama_log
from desktop_app.engine.load import load_runner
from desktop_app.engine.parts.loading import load_base
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings, Stats, Unload
from desktop_app.engine.runner import Runner
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.configuration import Accelerator, Computer, RunConfiguration
from desktop_app.planning.planner import option
from desktop_app.system.devices import Device
from tests.support.graph_models import ARCHITECTURES, GraphCase, graph_case

ON_CPU = LoadSettings(context=400, threads=2, kv_type="f32", batch=32, gpu_layers=0)
GREEDY = SamplingSettings(temperature=0, max_tokens=16)
MEGABYTE = 1 << 20
GPU_ERROR = 5e-3
"""Of the largest logit. GPUs round the factors of products to 16 bits; on the CPU these models are within 1e-4."""
STARTER_LAYERS = 30


@pytest.fixture(scope="module", autouse=True)
def base() -> None:
    """What an engine process loads first: the processor's variant where `LLAMA_CPP_LIB_PATH` names engine parts."""
    prepare_environment()
    load_base()


@pytest.fixture(autouse=True)
def gpus() -> list[Device]:
    """The GPUs that layers can be put on."""
    found = [device for device in devices() if device.takes_layers]
    if not found:
        pytest.skip("ggml has no GPU here: CONTRIBUTING.md says how to build llama.cpp with one")
    return found


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GraphCase:
    if not any(device.takes_layers for device in devices()):
        pytest.skip("ggml has no GPU here")
    return graph_case(request.param, tmp_path_factory.mktemp(request.param))


Open = Callable[[Path, LoadSettings], Runner]


@pytest.fixture
def opened() -> Iterator[Open]:
    runners = []

    def open_runner(path: Path, settings: LoadSettings) -> Runner:
        runner = load_runner(path, settings, lambda part: None)
        runners.append(runner)
        return runner

    yield open_runner
    for runner in runners:
        runner.close()


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def on_gpu(layers: int, split: tuple[float, ...] = ()) -> LoadSettings:
    return replace(ON_CPU, gpu_layers=layers, tensor_split=split)


def prompt_of(runner: Runner, words: int = 40) -> list[int]:
    ids = runner.tokenize("hello world 你好 " * words, add_special=False, special=True)[:words]
    return runner._model.with_special(ids) if isinstance(runner, GraphRunner) else ids


@pytest.mark.parametrize("layers", [1, 2, -1])
def test_graphs_compute_what_the_reference_does(case: GraphCase, opened: Open, layers: int) -> None:
    runner = opened(case.path, on_gpu(layers))
    ids = prompt_of(runner) + [5, 6, 7, 8, 9, 10, 11] * 6
    assert error(runner.all_logits(ids), case.logits(ids)) < GPU_ERROR


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_cache_on_a_gpu_may_be_of_a_smaller_type(opened: Open, tmp_path: Path, kv_type: str) -> None:
    case = graph_case("chatglm1", tmp_path)
    ids = prompt_of(opened(case.path, ON_CPU))
    here, there = (
        opened(case.path, replace(settings, kv_type=kv_type)).all_logits(ids) for settings in (ON_CPU, on_gpu(-1))
    )
    assert error(there, here) < GPU_ERROR


@pytest.mark.parametrize("quant", ["Q8_0", "Q4_K_M", "Q4_0", "F16"])
def test_quantized_weights_are_used_on_a_gpu_as_they_are(opened: Open, tmp_path: Path, quant: str) -> None:
    case = graph_case("chatglm1", tmp_path, quant)
    ids = prompt_of(opened(case.path, ON_CPU))
    here, there = (opened(case.path, settings).all_logits(ids) for settings in (ON_CPU, on_gpu(-1)))
    assert error(there, here) < 4 * GPU_ERROR  # the CPU rounds activations to 8 bits besides


def test_a_reply_and_a_conversation_go_on_on_a_gpu(case: GraphCase, opened: Open) -> None:
    runner = opened(case.path, on_gpu(-1))
    assert isinstance(runner, GraphRunner)
    prompt = prompt_of(runner)
    for turn in range(2):
        reply = generate(runner, prompt, GREEDY, lambda text: None, lambda part: None)
        assert reply.reason in ("length", "end", "stop")
        assert error(runner._model.logits, case.logits(list(runner.tokens))[-1]) < GPU_ERROR
        prompt = [*runner.tokens, 5 + turn, 6]


def test_a_state_moves_between_processor_and_gpu(case: GraphCase, opened: Open, tmp_path: Path) -> None:
    first: Runner | None = None
    for layers in (-1, 1, 0, 2):
        runner = opened(case.path, on_gpu(layers))
        if first is None:
            runner.decode(prompt_of(runner))
        else:
            assert runner.load_state(tmp_path / "state") == len(first.tokens)
        runner.decode((7,))
        runner.decode((8,))
        assert isinstance(runner, GraphRunner)
        assert error(runner._model.logits, case.logits(list(runner.tokens))[-1]) < GPU_ERROR
        runner.save_state(tmp_path / "state")
        first = runner


def test_layers_go_to_the_gpus_that_were_asked_for(case: GraphCase, opened: Open, gpus: list[Device]) -> None:
    if len(gpus) < 2:
        pytest.skip("there is one GPU only")
    ids = prompt_of(opened(case.path, ON_CPU))
    for split in ((1.0, 2.0), (2.0, 1.0), (0.0, 3.0)):
        runner = opened(case.path, on_gpu(3, split))
        assert error(runner.all_logits(ids), case.logits(ids)) < GPU_ERROR


@pytest.mark.parametrize("layers", [1, STARTER_LAYERS // 2, -1])
def test_llama_cpp_computes_the_same_on_a_gpu(opened: Open, starter_gguf: Path, layers: int) -> None:
    cpu = opened(starter_gguf, ON_CPU)
    ids = cpu.tokenize("The capital of France is Paris, and that of Italy is", add_special=True, special=False)
    expected, found = cpu.all_logits(ids), opened(starter_gguf, on_gpu(layers)).all_logits(ids)
    assert np.abs(found - expected).mean() < 0.1 * expected.std()
    assert np.array_equal(found[-1].argsort()[-1:], expected[-1].argsort()[-1:])


@pytest.mark.parametrize("room", [70, 140, 1 << 20], ids=["some layers", "most layers", "all layers"])
def test_devices_hold_what_was_planned(
    opened: Open, starter_gguf: Path, gpus: list[Device], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and cache to the byte, buffers within what a small model may differ by; llama.cpp's log has its own numbers."""
    said: deque[str] = deque()
    monkeypatch.setattr(llama_log, "log_lines", said)
    monkeypatch.setattr(llama_log, "_WARNING", 0)
    model = model_of_gguf(starter_gguf)
    accelerators = tuple(Accelerator(gpu.name, room * MEGABYTE, room * MEGABYTE, True) for gpu in gpus)
    computer = Computer(1 << 40, 1 << 40, 0, accelerators=accelerators)
    planned = option(model, model.candidates[0], computer, 2048)
    assert planned.gpu_layers > 0
    opened(starter_gguf, planned_load(planned))
    main, *on_gpus = planned.shares
    assert allocated(said, "model") == pytest.approx(sum(share.weights for share in on_gpus), abs=MEGABYTE)
    assert allocated(said, "KV") == pytest.approx(sum(share.cache for share in on_gpus), abs=MEGABYTE)
    assert allocated(said, "compute") <= sum(share.compute for share in on_gpus) + MEGABYTE
    assert allocated(said, "compute") >= sum(share.compute for share in on_gpus) - 30 * MEGABYTE
    assert allocated(said, "KV", "CPU") == pytest.approx(main.cache, abs=MEGABYTE)


def planned_load(planned: RunConfiguration) -> LoadSettings:
    return LoadSettings(
        context=planned.context, batch=planned.batch, gpu_layers=planned.gpu_layers, tensor_split=planned.tensor_split
    )


def allocated(log: Iterable[str], what: str, device: str = "(?!CPU|[A-Za-z]+_Host)[A-Z]") -> float:
    """Return the bytes of a kind of buffer on all GPUs, or in main memory."""
    found = re.findall(rf": +{device}\S* +{what} buffer size = +([0-9.]+) MiB", "\n".join(log))
    return sum(map(float, found)) * MEGABYTE


def test_the_engine_answers_from_a_gpu_and_gives_its_memory_back(starter_gguf: Path) -> None:
    question = Generate(({"role": "user", "content": "Tell me the capital of France."},), GREEDY)
    size = starter_gguf.stat().st_size
    with Engine() as engine:
        held = []
        for _ in range(3):
            engine.submit(Load(starter_gguf, LoadSettings(context=512))).result(120)
            assert "Paris" in engine.submit(question).result(120).text
            engine.submit(Unload()).result(60)
            held.append(_held(engine))
        assert abs(held[2] - held[0]) < size / 2


def _held(engine: Engine) -> int:
    """Return what the process and the GPUs with memory of their own hold; other programs change what is free of main memory."""
    stats = engine.submit(Stats()).result(60)
    listed = list(stats.devices)
    own = [gpu.total_bytes - gpu.free_bytes for gpu in listed if gpu.takes_layers and not gpu.unified_memory]
    return int(stats.private_bytes) + sum(own)
