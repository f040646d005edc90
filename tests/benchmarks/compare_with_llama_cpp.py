"""Compares whole conversions with llama.cpp's: convert_hf_to_gguf.py, then llama-quantize, for every type, byte by byte.

    python -m tests.benchmarks.compare_with_llama_cpp LLAMA_CPP_SOURCE LLAMA_QUANTIZE [--python PYTHON] [--only TEXT] [FOLDER ...]

The checkpoints have random weights and sizes that reach every fallback rule; FOLDER names real ones to compare besides. PYTHON
must have torch, transformers and sentencepiece. `compare_with_llama_quantize.py` says how llama-quantize is built; it also
compares with importance matrices. Metadata is compared too: the keys that differ are printed once for each checkpoint.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf

from converter.pipeline import ConvertRequest, convert
from converter.recipes import recipe_names
from desktop_app.library.installed import Library
from tests.benchmarks.bench_convert import write_vocabulary
from tests.benchmarks.compare_with_llama_quantize import differences, tensors
from tests.support.checkpoints import checkpoint_of_gguf, write_checkpoint
from tests.support.quantize_facts import SHAPES
from tests.support.random_latent import random_deepseek, random_deepseek3, random_minicpm3
from tests.support.random_llama import (
    Checkpoint,
    random_llama,
    random_mixtral,
    random_qwen2,
    random_qwen2_moe,
    random_qwen3,
    random_qwen3_moe,
)
from tests.support.random_relatives import (
    random_ernie,
    random_gemma2,
    random_gemma3,
    random_granite,
    random_hunyuan,
    random_phi3,
    random_qwen35,
    random_smollm3,
)

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
PIECES = 320
SMOLLM_TOKENS = 49152
MIXTURE = {"num_hidden_layers": 3, "hidden_size": 256, "vocab_size": SMOLLM_TOKENS}
FEW = ("F16", "Q8_0", "Q4_K_M")
"""Enough for SmolLM2, which is here for its tokenizer and large."""
TYPES = {"F32": "f32", "F16": "f16", "BF16": "bf16"}


def checkpoints() -> Iterator[tuple[str, str, Checkpoint]]:
    """Yield a name, the type of the weights and a checkpoint; vocabularies of 320 are sentencepiece's, the others SmolLM2's."""
    dtypes = ("F32", "BF16", "F16")
    for number, (name, changes) in enumerate(SHAPES.items()):
        sized: dict[str, Any] = {**changes, "vocab_size": PIECES}
        yield f"llama, {name}", dtypes[number % 3], random_llama(**sized)
        yield f"qwen2, {name}", dtypes[(number + 1) % 3], random_qwen2(**sized)
    yield "llama, frequency factors", "BF16", random_llama(vocab_size=PIECES, rope_scaling=LLAMA3, head_dim=32)
    for experts in (4, 8):
        sized = {"vocab_size": PIECES, "num_local_experts": experts, "num_hidden_layers": 9, "hidden_size": 256}
        yield f"mixtral, {experts} experts", "BF16", random_mixtral(**sized, intermediate_size=288)
    yield "qwen3, tied", "BF16", random_qwen3(vocab_size=SMOLLM_TOKENS, tie_word_embeddings=True)
    yield "qwen2_moe, 8 experts", "F32", random_qwen2_moe(**MIXTURE, moe_intermediate_size=288)
    # Not tied: llama.cpp's loader wants output.weight of a qwen2moe, so we write it, and its own converter does not.
    yield "qwen2_moe, 4 experts", "BF16", random_qwen2_moe(**MIXTURE, num_experts=4)
    yield "qwen3_moe, 8 experts", "BF16", random_qwen3_moe(**MIXTURE, moe_intermediate_size=256, num_attention_heads=8)
    yield from of_2024_and_later()


def of_2024_and_later() -> Iterator[tuple[str, str, Checkpoint]]:
    """Yield the families with layouts of their own, with rows that whole blocks fill and rows that they do not."""
    sizes: dict[str, Any] = {"num_hidden_layers": 9, "hidden_size": 256, "intermediate_size": 512}
    pieces, tokens = {**sizes, "vocab_size": PIECES}, {**sizes, "vocab_size": SMOLLM_TOKENS}
    latent = {"kv_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64}
    yield "minicpm3", "BF16", random_minicpm3(**pieces, **latent, q_lora_rank=96)
    # llama.cpp's converter gives models of as many layers queries of one matrix only.
    yield "deepseek2, lite", "BF16", random_deepseek(**{**tokens, "num_hidden_layers": 27}, **latent)
    yield "deepseek2, V3", "BF16", random_deepseek3(**tokens, **latent, moe_intermediate_size=256)
    yield "hunyuan", "BF16", random_hunyuan(**tokens, pad_token_id=0, max_position_embeddings=32768)
    yield "ernie", "BF16", random_ernie(**pieces)
    yield "granite", "BF16", random_granite(**tokens)
    yield "smollm3", "BF16", random_smollm3(**{**tokens, "num_hidden_layers": 5})
    yield "phi3", "BF16", random_phi3(**pieces)
    yield "gemma2", "BF16", random_gemma2(**{**pieces, "num_hidden_layers": 8}, model_max_length=512)
    yield "gemma3", "BF16", random_gemma3(**{**pieces, "num_hidden_layers": 7})
    delta = {"linear_key_head_dim": 16, "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 2}
    yield "qwen35", "BF16", random_qwen35(**{**tokens, "num_hidden_layers": 8}, **delta)


def sources(folder: Path, named: list[Path]) -> Iterator[tuple[str, str, Path]]:
    starter = Library(folder).starter()
    if starter is None:
        raise SystemExit("the dependency group `starter` is not installed")
    smollm = checkpoint_of_gguf(starter.path, folder / "SmolLM2-135M-Instruct", shards=2, dtype="F32")
    yield "SmolLM2", "F32", smollm
    for label, dtype, (config, weights) in checkpoints():
        path = write_checkpoint(folder / label.replace(", ", "-"), config, weights, dtype=dtype)
        if config["vocab_size"] == PIECES:
            write_vocabulary(path / "tokenizer.model", PIECES)
        else:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                (path / file).write_bytes((smollm / file).read_bytes())
        yield label, dtype, path
    for path in named:
        yield str(path), "BF16", path


def metadata(path: Path) -> dict[str, Any]:
    fields = gguf.GGUFReader(path).fields.items()
    return {name: entry.contents() for name, entry in fields if not name.startswith("GGUF.")}


def print_metadata(label: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Print the keys that differ."""
    for key in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(key, "-"), theirs.get(key, "-")
        if a != b and not (isinstance(a, float) and isinstance(b, float) and abs(a - b) < 1e-6 * abs(b)):
            print(f"{label}: {key}: {str(a)[:70]} here, {str(b)[:70]} there", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("quantize", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default="")
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args()
    bad = compared = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for label, dtype, source in sources(folder, given.folders):
            if given.only not in label:
                continue
            wide = folder / "wide.gguf"
            script = [given.python, given.source / "convert_hf_to_gguf.py", source, "--outfile", wide]
            script += ["--no-mtp"] if label == "qwen35" else []  # layers that guess further tokens are left out here
            subprocess.run([*script, "--outtype", TYPES[dtype]], check=True, capture_output=True)
            for quant in FEW if label == "SmolLM2" else recipe_names():
                ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
                convert(ConvertRequest(source, ours, quant))
                subprocess.run([given.quantize, wide, theirs, quant, "2"], check=True, capture_output=True)
                lines = differences(ours, theirs)
                compared += len(tensors(ours))
                bad += len(lines)
                for line in lines[:8]:
                    print(f"{label}, {quant}: {line}", flush=True)
                if quant == "Q4_K_M":
                    print_metadata(label, metadata(ours), metadata(theirs))
            print(f"{label} ({dtype}): done", flush=True)
    print(f"{compared} tensors compared, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
