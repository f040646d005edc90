"""Measures conversion against llama.cpp's own pipeline on a generated 1.1B BF16 checkpoint: time and peak memory.

    python -m tests.benchmarks.bench_convert FOLDER [--peer LLAMA_CPP_SOURCE LLAMA_QUANTIZE] [--types Q4_K_M,Q8_0,Q4_0]

FOLDER gets the checkpoint (2.2 GB, kept for the next run) and, for a while, the results. The peer's converter needs torch: name
a python that has it with --python.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from tests.support.checkpoints import write_safetensors

SHARDS = 3
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "torch_dtype": "bfloat16",
}
OURS = """
import sys
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
source, out, quant, threads = sys.argv[1:]
convert(ConvertRequest(Path(source), Path(out), quant, tokenizer="none", threads=int(threads)))
"""


def shapes() -> dict[str, tuple[int, ...]]:
    hidden, inner = 2048, 5632
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (32000, hidden),
        "lm_head.weight": (32000, hidden),
    }
    for layer in range(22):
        prefix = f"model.layers.{layer}."
        found |= {
            f"{prefix}input_layernorm.weight": (hidden,),
            f"{prefix}post_attention_layernorm.weight": (hidden,),
            f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}self_attn.k_proj.weight": (256, hidden),
            f"{prefix}self_attn.v_proj.weight": (256, hidden),
            f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}mlp.gate_proj.weight": (inner, hidden),
            f"{prefix}mlp.up_proj.weight": (inner, hidden),
            f"{prefix}mlp.down_proj.weight": (hidden, inner),
        }
    return found | {"model.norm.weight": (hidden,)}


def generate(folder: Path) -> Path:
    """Write the checkpoint, unless it is there."""
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names, weight_map = list(shapes().items()), {}
    for number in range(SHARDS):
        file = f"model-{number + 1:05}-of-{SHARDS:05}.safetensors"
        part = names[number * len(names) // SHARDS : (number + 1) * len(names) // SHARDS]
        scaled = {n: (rng.standard_normal(s, np.float32) * 0.02).astype(ml_dtypes.bfloat16) for n, s in part}
        write_safetensors(folder / file, scaled)
        weight_map |= dict.fromkeys(scaled, file)
    write_vocabulary(folder / "tokenizer.model", CONFIG["vocab_size"])  # type: ignore[arg-type]
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def write_vocabulary(path: Path, size: int) -> None:
    """Write a sentencepiece model of made-up pieces: the peer converts nothing without a tokenizer."""
    control, byte = 3, 6
    names = [("<unk>", 2), ("<s>", control), ("</s>", control)]
    names += [(f"<0x{n:02X}>", byte) for n in range(256)]
    names += [(f"piece{n}", 1) for n in range(size - len(names))]
    data = bytearray()
    for name, kind in names:
        text = name.encode()
        piece = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -1.0) + b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(piece)]) + piece
    data += b"\x12\x05\x18\x02\x98\x02\x01"  # trainer_spec: model_type = BPE, byte_fallback
    path.write_bytes(data)


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    processor_seconds: float
    """Of all threads: what a busy computer does not distort much."""
    peak: float
    """MB resident."""
    anonymous: float
    """MB resident at most without mapped files, which the system can take back."""

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of one command after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.processor_seconds + other.processor_seconds,
            max(self.peak, other.peak),
            max(self.anonymous, other.anonymous),
        )

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s ({self.processor_seconds:.1f} s of processor), peak {self.peak:.0f} MB "
            f"({self.anonymous:.0f} MB without mapped files)"
        )


def measured(command: list[str], cwd: Path | None = None) -> Cost:
    """Run a command and measure it.

    The peak is read from /proc while it runs: `ru_maxrss` of a child begins with its parent's memory.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = anonymous = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        with suppress(OSError, ValueError):
            text = Path(f"/proc/{process.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            peak = max(peak, int(fields.get("VmHWM", "0").split()[0]))
            anonymous = max(anonymous, int(fields.get("RssAnon", "0").split()[0]))
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed ({process.returncode})")
    seconds = time.perf_counter() - start
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak / 1024, anonymous / 1024)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", nargs=2, type=Path, metavar=("SOURCE", "LLAMA_QUANTIZE"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--types", default="Q4_K_M,Q8_0,Q4_0")
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    source = generate(given.folder / "checkpoint-1.1b")
    root = Path(__file__).parents[2]
    for quant in given.types.split(","):
        out, wide = given.folder / "ours.gguf", given.folder / "wide.gguf"
        ours = measured([sys.executable, "-c", OURS, str(source), str(out), quant, given.threads], root)
        print(f"{quant}: ours {ours}", flush=True)
        if given.peer:
            script = given.peer[0] / "convert_hf_to_gguf.py"
            first = measured([given.python, str(script), str(source), "--outfile", str(wide), "--outtype", "bf16"])
            second = measured([str(given.peer[1]), str(wide), str(given.folder / "theirs.gguf"), quant, given.threads])
            theirs = first + second
            print(
                f"{quant}: theirs {first.seconds:.1f} + {second.seconds:.1f} s ({first.processor_seconds:.1f} + "
                f"{second.processor_seconds:.1f} s of processor): {theirs}, {wide.stat().st_size / 1e9:.2f} GB "
                f"between; ours takes {ours.seconds / theirs.seconds:.2f} of the time, "
                f"{ours.processor_seconds / theirs.processor_seconds:.2f} of the processor's, "
                f"{ours.peak / theirs.peak:.2f} of the memory",
                flush=True,
            )
        for path in (out, wide, given.folder / "theirs.gguf"):
            path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
