"""The planner on simulated computers: what it chooses, why, and that it never plans beyond what fits."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from desktop_app.library.catalogue import catalogue
from desktop_app.planning import planner
from desktop_app.planning.candidates import model_of_config
from desktop_app.planning.configuration import Accelerator, Computer, Model, RunConfiguration
from desktop_app.planning.footprint import RunShape, footprint
from desktop_app.planning.planner import plan
from desktop_app.system.link import Link
from desktop_app.system.read_speed import ReadSpeed
from models.config import Config

GB = 10**9
MB = 10**6

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072,
}
LLAMA_1B = LLAMA_8B | {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "tie_word_embeddings": True,
}
LLAMA_13B = LLAMA_8B | {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
}
RWKV7_3B = {
    "architectures": ["RWKV7ForCausalLM"],
    "hidden_size": 2560,
    "intermediate_size": 10240,
    "num_hidden_layers": 32,
    "vocab_size": 65536,
    "head_dim": 64,
}


def speed(bytes_per_second: float) -> ReadSpeed:
    """A reading speed of eight threads that wait for each other; alone they read a ninth more."""
    return ReadSpeed({"F16": bytes_per_second / 0.9, "Q4_K": bytes_per_second * 0.8 / 0.9}, 8)


def laptop(memory: float, *gpus: Accelerator, used: float = 2.5) -> Computer:
    """A laptop with `memory` GB, of which the system and a browser use some; its processor reads 40 GB/s.

    Linux lets a process lock 8 MB; ggml repacks the types that it repacks for AVX2.
    """
    return Computer(
        free_bytes=int((memory - used) * GB),
        total_bytes=int(memory * GB),
        process_bytes=57 * MB,
        speed=speed(40 * GB),
        accelerators=gpus,
        repacked=frozenset({"Q4_0", "Q4_K", "IQ4_NL", "Q2_K"}),
        threads=8,
        lockable_bytes=8 * MB,
    )


def cuda(number: int, total: float, used: float = 0.4) -> Accelerator:
    return Accelerator(
        f"CUDA{number}",
        int((total - used) * GB),
        int(total * GB),
        read_bytes_per_second=250 * GB,
        pinned_host_memory=True,
    )


def without_lock_limit(computer: Computer, threads: int) -> Computer:
    """Windows and macOS, where a process may lock what it likes."""
    return replace(computer, lockable_bytes=computer.total_bytes, threads=threads)


COMPUTERS = {
    "8 GB laptop": laptop(8),
    "16 GB Windows": without_lock_limit(laptop(16), 6),
    "16 GB laptop": laptop(16),
    "16 GB, 6 GB CUDA": laptop(16, cuda(0, 6)),
    "16 GB Mac": without_lock_limit(
        laptop(16, Accelerator("Metal", int(10.9 * GB), int(10.9 * GB), True, 100 * GB)), 4
    ),
    "32 GB, 8 + 4 GB CUDA": laptop(32, cuda(0, 8), cuda(1, 4)),
    "16 GB, integrated GPU": laptop(16, Accelerator("Vulkan0", 8 * GB, 8 * GB, True, 45 * GB, True, False)),
}
MODELS = {"1B": LLAMA_1B, "8B": LLAMA_8B, "13B": LLAMA_13B, "RWKV-7 3B": RWKV7_3B}


def model(config: dict[str, Any], *quants: str) -> Model:
    return model_of_config(Config(config), quants=quants)


CHOICES = """
8 GB laptop           | 1B        | Q8_0   | 8192 | ram   | 0  | 512 | 8 | mapped
8 GB laptop           | 8B        | Q4_K_S | 2048 | tight | 0  | 128 | 8 | read
8 GB laptop           | 13B       | -      | -    | -     | -  | -   | - | -
8 GB laptop           | RWKV-7 3B | Q6_K   | 0    | ram   | 0  | 512 | 8 | mapped
16 GB Windows         | 1B        | Q8_0   | 8192 | ram   | 0  | 512 | 6 | mapped, locked
16 GB Windows         | 8B        | Q4_K_M | 8192 | ram   | 0  | 512 | 6 | read
16 GB Windows         | 13B       | Q4_K_M | 4096 | tight | 0  | 512 | 6 | read
16 GB Windows         | RWKV-7 3B | Q6_K   | 0    | ram   | 0  | 512 | 6 | mapped, locked
16 GB laptop          | 1B        | Q8_0   | 8192 | ram   | 0  | 512 | 8 | mapped
16 GB laptop          | 8B        | Q4_K_M | 8192 | ram   | 0  | 512 | 8 | read
16 GB laptop          | 13B       | Q4_K_M | 4096 | tight | 0  | 512 | 8 | read
16 GB laptop          | RWKV-7 3B | Q6_K   | 0    | ram   | 0  | 512 | 8 | mapped
16 GB, 6 GB CUDA      | 1B        | Q8_0   | 8192 | gpu   | 17 | 512 | 8 | mapped
16 GB, 6 GB CUDA      | 8B        | Q6_K   | 8192 | ram   | 23 | 512 | 8 | mapped
16 GB, 6 GB CUDA      | 13B       | Q4_K_M | 4096 | ram   | 19 | 512 | 8 | mapped
16 GB, 6 GB CUDA      | RWKV-7 3B | Q8_0   | 0    | gpu   | 33 | 512 | 8 | mapped
16 GB Mac             | 1B        | Q8_0   | 8192 | gpu   | 17 | 512 | 4 | mapped
16 GB Mac             | 8B        | Q8_0   | 8192 | gpu   | 33 | 512 | 4 | mapped
16 GB Mac             | 13B       | Q4_K_S | 4096 | gpu   | 41 | 512 | 4 | mapped
16 GB Mac             | RWKV-7 3B | Q8_0   | 0    | gpu   | 33 | 512 | 4 | mapped
32 GB, 8 + 4 GB CUDA  | 1B        | Q8_0   | 8192 | gpu   | 17 | 512 | 8 | mapped
32 GB, 8 + 4 GB CUDA  | 8B        | Q8_0   | 8192 | gpu   | 33 | 512 | 8 | mapped
32 GB, 8 + 4 GB CUDA  | 13B       | Q5_K_M | 4096 | ram   | 34 | 512 | 8 | mapped
32 GB, 8 + 4 GB CUDA  | RWKV-7 3B | Q8_0   | 0    | gpu   | 33 | 512 | 8 | mapped
16 GB, integrated GPU | 1B        | Q8_0   | 8192 | gpu   | 17 | 512 | 8 | read
16 GB, integrated GPU | 8B        | Q4_K_M | 8192 | gpu   | 33 | 512 | 8 | read
16 GB, integrated GPU | 13B       | Q4_K_M | 4096 | ram   | 29 | 512 | 8 | read
16 GB, integrated GPU | RWKV-7 3B | Q8_0   | 0    | gpu   | 33 | 512 | 8 | read
"""
"""Computer, model -> quantization, context (0: no limit), verdict, layers on GPUs (the head counts as one), batch, threads, what
becomes of the processor's weights."""


def rows() -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in CHOICES.strip().splitlines()]


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]}-{row[1]}")
def test_choices(row: list[str]) -> None:
    best = plan(model(MODELS[row[1]]), COMPUTERS[row[0]]).best
    assert ([] if best is None else choice(best)) == [cell for cell in row[2:] if cell != "-"]


def choice(option: RunConfiguration) -> list[str]:
    weights = ("mapped" if option.mapped else "read") + (", locked" if option.locked else "")
    found = (option.quant, option.context, option.verdict, option.gpu_layers, option.batch, option.threads, weights)
    return [str(value) for value in found]


def test_every_computer_and_model_is_in_the_table() -> None:
    assert {(row[0], row[1]) for row in rows()} == {(c, m) for c in COMPUTERS for m in MODELS}


def all_options(name: str, computer: Computer) -> list[RunConfiguration]:
    found = plan(model(MODELS[name]), computer)
    return [*([found.best] if found.best else []), *found.alternatives]


@pytest.mark.parametrize("computer", COMPUTERS)
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_planned_beyond_what_fits(name: str, computer: str) -> None:
    here = COMPUTERS[computer]
    for option in all_options(name, here):
        if option.shortfall:
            continue
        main, *gpus = option.shares
        sharing = {gpu.name for gpu in here.accelerators if gpu.unified_memory}
        assert main.total + sum(share.total for share in gpus if share.device in sharing) < here.free_bytes
        free = {gpu.name: gpu.free_bytes for gpu in here.accelerators}
        assert all(share.total < free[share.device] for share in gpus)


def test_layers_are_counted_once() -> None:
    for name, config in MODELS.items():
        for option in all_options(name, COMPUTERS["32 GB, 8 + 4 GB CUDA"]):
            assert option.shares[0].layers + option.gpu_layers == config["num_hidden_layers"] + (option.gpu_layers > 0)
            assert sum(option.tensor_split) == option.gpu_layers


@pytest.mark.parametrize("computer", COMPUTERS)
def test_every_weight_is_on_one_device(computer: str) -> None:
    wanted = model(LLAMA_8B)
    for candidate in wanted.candidates:
        planned = planner.option(wanted, candidate, COMPUTERS[computer], 4096)
        assert sum(share.weights for share in planned.shares) == sum(tensor.bytes for tensor in candidate.tensors)


def test_of_several_gpus_the_last_has_the_last_blocks_and_the_head() -> None:
    """As llama.cpp lays them out, whichever GPU is larger."""
    wanted = model(LLAMA_8B, "Q8_0")
    sizes = {tensor.name: tensor.bytes for tensor in wanted.candidates[0].tensors}
    block = sum(size for name, size in sizes.items() if name.startswith("blk.31."))
    head = sizes["output.weight"] + sizes["output_norm.weight"]
    for gpus in ((cuda(0, 8), cuda(1, 4)), (cuda(0, 4), cuda(1, 8))):
        _, first, last = planner.option(wanted, wanted.candidates[0], laptop(32, *gpus), 4096).shares
        assert first.weights == first.layers * block
        assert last.weights == (last.layers - 1) * block + head


def test_a_model_that_one_gpu_holds_is_not_spread() -> None:
    best = plan(model(LLAMA_1B), laptop(32, cuda(0, 4), cuda(1, 8))).best
    assert best is not None and best.tensor_split == (0.0, 17.0)


def worker(number: int, memory: float, bytes_per_second: float = 118 * MB, round_trip: float = 3e-4) -> Accelerator:
    link = Link(f"10.0.0.{number}:50052", round_trip, bytes_per_second)
    return Accelerator(f"RPC{number}", int(memory * GB), int(memory * GB), link=link)


def test_workers_come_after_this_computers_gpus() -> None:
    eight = model(LLAMA_8B, "Q4_K_M")
    together = plan(eight, laptop(16, worker(0, 24), cuda(0, 8))).best
    assert together is not None
    assert [share.device for share in together.shares] == ["RAM", "CUDA0"]
    larger = plan(model(LLAMA_13B, "Q8_0"), laptop(8, worker(0, 8), worker(1, 16)), context=4096).best
    assert larger is not None
    assert {share.device for share in larger.shares} == {"RAM", "RPC0", "RPC1"}
    assert plan(model(LLAMA_13B, "Q8_0"), laptop(8), context=4096).best is None


def test_the_way_to_a_worker_takes_time() -> None:
    def seconds(link: Accelerator) -> float:
        best = plan(model(LLAMA_8B, "Q4_K_M"), laptop(16, link), context=4096).best
        assert best is not None
        assert best.tokens_per_second
        return 1 / best.tokens_per_second

    near, far = seconds(worker(0, 24, 1e12, 0.0)), seconds(worker(0, 24, 1 * MB, 0.01))
    assert far - near == pytest.approx(2 * 0.01 + 2 * 4 * 4096 / MB, rel=1e-3)


def test_integrated_graphics_are_left_alone_where_only_their_buffers_would_not_fit() -> None:
    wanted = model(LLAMA_8B, "Q4_K_M")
    needed = planner.option(wanted, wanted.candidates[0], laptop(32), 4096).bytes
    gpu = Accelerator("Vulkan0", 3 * GB, 3 * GB, True)
    for spare, used in ((50 * MB, False), (1000 * MB, True)):
        here = laptop(16, gpu, used=16 - (needed + spare) / GB - 0.05 * 16)
        planned = planner.option(wanted, wanted.candidates[0], here, 4096)
        assert (planned.shortfall, planned.gpu_layers > 0) == (0, used)


def test_where_memory_is_short_prompts_are_computed_in_smaller_parts() -> None:
    wanted = model(LLAMA_8B, "Q4_K_M")
    needed = {}
    for batch in (512, 256, 128):
        run = RunShape(4096, batch=batch)
        foot = footprint(wanted.architecture, wanted.parameters, wanted.candidates[0].tensors, run, wanted.tokens)
        needed[batch] = foot.total + laptop(16).process_bytes
    assert needed[512] > needed[256] + 20 * MB > needed[128] + 40 * MB
    for batch, bytes_ in needed.items():
        here = laptop(16, used=16 - (bytes_ + 10 * MB) / GB - 0.05 * 16)
        planned = planner.option(wanted, wanted.candidates[0], here, 4096)
        assert (planned.shortfall, planned.batch) == (0, batch)


def test_the_reason_names_what_would_be_better() -> None:
    found = plan(model(LLAMA_8B), COMPUTERS["16 GB laptop"])
    assert str(found.reason).startswith(
        "Q4_K_M, on the processor with 8 threads, 8192 tokens of context: 6.2 GB of 12.7 GB free in main memory"
    )
    assert "Q5_K_M would fit too, but write only" in str(found.reason)
    assert "Q5_K_M would lack 201 MB" in str(plan(model(LLAMA_13B), laptop(16, used=2.6)).reason)


def test_what_does_not_fit_is_refused_with_the_smallest_that_would() -> None:
    found = plan(model(LLAMA_8B, "Q4_K_M"), laptop(8), context=8192)
    assert found.best is None
    assert str(found.reason).startswith(
        "Even Q4_K_M with 8192 tokens of context needs 6.2 GB, 1.1 GB more than is free now"
    )
    full = plan(model(LLAMA_8B, "Q4_K_M"), laptop(8, used=7.9), context=8192)
    assert re.match(
        "Even Q4_K_M with 8192 tokens of context needs 6.2 GB, but no memory can be spared now: 6.[3-9] GB have to become free",
        str(full.reason),
    )
    nothing = plan(model(LLAMA_13B), COMPUTERS["8 GB laptop"])
    assert nothing.best is None
    assert "choose a smaller model" in str(nothing.reason)


def test_a_quantized_cache_and_a_shorter_context_are_only_offered() -> None:
    found = plan(model(LLAMA_8B, "Q4_K_M"), laptop(9), context=8192)
    assert found.best is None
    assert "a q8_0 cache fits" in str(found.reason)
    assert "a context of 4096 fits" in str(found.reason)
    assert all(option.kv_type == "f16" for option in all_options("8B", laptop(8)))


def test_what_loads_took_here_counts() -> None:
    plain = plan(model(LLAMA_1B), laptop(8)).best
    learned = plan(model(LLAMA_1B), replace(laptop(8), corrections={"RAM": 200 * MB})).best
    assert plain is not None and learned is not None
    assert learned.shares[0].total - plain.shares[0].total == 200 * MB


def test_a_mixture_of_experts_reads_only_those_in_use() -> None:
    config = LLAMA_8B | {"architectures": ["Qwen3MoeForCausalLM"], "num_experts": 64, "num_experts_per_tok": 4}
    config |= {"moe_intermediate_size": 768, "head_dim": 128, "norm_topk_prob": True}
    candidate = model(config, "Q4_K_M").candidates[0]
    assert sum(read.bytes for read in candidate.read.values()) < 0.2 * sum(tensor.bytes for tensor in candidate.tensors)


def test_a_family_that_breaks_with_four_bits_is_not_offered_any() -> None:
    rwkv4 = {"architectures": ["RwkvForCausalLM"], "hidden_size": 768, "intermediate_size": 3072, "vocab_size": 50277}
    found = model(rwkv4 | {"num_hidden_layers": 12, "attention_hidden_size": 768})
    assert [candidate.quant for candidate in found.candidates] == ["Q8_0"]


def test_quality_is_not_given_up_for_a_speed_that_nobody_feels() -> None:
    """gpt-oss's experts have four bits in every quantization: what is left to choose changes neither size nor speed much."""
    measured = {"F16": 17.3, "Q8_0": 14.7, "Q6_K": 14.3, "Q5_K": 12.8, "Q4_K": 12.2, "Q4_0": 11.9}
    here = replace(laptop(32), speed=ReadSpeed({name: speed * GB for name, speed in measured.items()}))
    found = plan(model_of_config(Config(catalogue().shapes["gpt-oss-20B"])), here)
    assert found.best is not None and not found.best.comfortable
    assert found.best.quant == "Q8_0"
    dense = plan(model(LLAMA_8B), here).best
    assert dense is not None and dense.quant == "Q4_K_M"


def test_a_tied_embedding_is_counted_again_where_the_processor_computes_with_a_copy() -> None:
    """ggml repacks some types, by rows of eight; a GPU that computes the logits has its own copy anyway."""

    def weights(here: Computer, config: dict[str, Any] = LLAMA_1B) -> int:
        wanted = model(config, "Q8_0")
        return sum(share.weights for share in planner.option(wanted, wanted.candidates[0], here, 4096).shares)

    arm = replace(laptop(16), repacked=frozenset({"Q8_0"}))
    assert weights(arm) - weights(laptop(16)) == LLAMA_1B["vocab_size"] * LLAMA_1B["hidden_size"] * 34 // 32
    for other in ({"tie_word_embeddings": False}, {"vocab_size": 128257}):
        assert weights(arm, LLAMA_1B | other) == weights(laptop(16), LLAMA_1B | other)
    card = cuda(0, 8)
    assert weights(replace(arm, accelerators=(card,))) == weights(laptop(16, card))


def test_only_what_llama_cpp_locks_is_said_to_be_locked() -> None:
    """What the processor repacks lies in memory of its own, which llama.cpp never locks."""
    wanted, here = model(LLAMA_8B, "Q8_0", "Q4_K_M"), without_lock_limit(laptop(64), 8)
    exact, small = (planner.option(wanted, candidate, here, 4096) for candidate in wanted.candidates)
    assert (exact.mapped, exact.locked, small.mapped, small.locked) == (True, True, False, False)
    unlocked = planner.option(wanted, wanted.candidates[0], replace(here, lockable_bytes=exact.bytes - 1), 4096)
    assert (unlocked.mapped, unlocked.locked) == (True, False)


QWEN_7B = {
    "architectures": ["QWenLMHeadModel"],
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "kv_channels": 128,
    "layer_norm_epsilon": 1e-6,
    "max_position_embeddings": 32768,
    "seq_length": 8192,
    "use_dynamic_ntk": True,
    "use_logn_attn": True,
    "vocab_size": 151936,
}


def test_a_context_past_the_trained_length_is_planned_where_it_is_asked_for() -> None:
    qwen, computer = model(QWEN_7B, "Q4_K_M"), laptop(64)
    by_itself, asked = plan(qwen, computer).best, plan(qwen, computer, context=16384)
    assert by_itself is not None and asked.best is not None
    assert (by_itself.context, by_itself.beyond_trained_context) == (8192, False)
    assert (asked.best.context, asked.best.beyond_trained_context) == (16384, True)
    assert "16384 tokens of context, more than it was trained with" in str(asked.reason)
    assert asked.best.shares[0].cache == 2 * by_itself.shares[0].cache


def test_models_that_end_at_their_trained_length_are_planned_no_longer() -> None:
    found = plan(model(LLAMA_13B, "Q4_K_M"), laptop(64), context=16384).best
    assert found is not None
    assert (found.context, found.beyond_trained_context) == (4096, False)


def test_keys_that_are_turned_anew_count() -> None:
    internlm = LLAMA_13B | {"architectures": ["InternLMForCausalLM"], "rotary": {"base": 10000, "type": "dynamic"}}
    llama = LLAMA_13B | {"rope_scaling": {"type": "dynamic", "factor": 1.0}, "bias": True}
    both = [plan(model(config, "Q4_K_M"), laptop(64), context=16384).best for config in (internlm, llama)]
    assert both[0] is not None and both[1] is not None
    assert both[0].shares[0].compute - both[1].shares[0].compute == 16384 * 5120 * 2
