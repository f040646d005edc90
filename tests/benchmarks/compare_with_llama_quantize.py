"""Compares every tensor's bytes with llama.cpp's own llama-quantize, for every type.

    python -m tests.benchmarks.compare_with_llama_quantize PATH/TO/llama-quantize [--facts] [FOLDER ...]

Each checkpoint is converted to F32 by us and quantized by llama-quantize, and converted directly by us; FOLDER names a real
checkpoint to compare besides the random ones. `--facts` notes the types that llama-quantize chose in tests/data.
It is built from the sources inside the llama-cpp-python sdist (the same version, so the same bytes):

    cmake -S vendor/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF
    cmake --build build --target llama-quantize
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

from converter.pipeline import ConvertRequest, convert
from converter.recipes import recipe_names
from tests.support.quantize_facts import notes, sources, write_importance

FACTS = Path(__file__).parents[1] / "data" / "llama_quantize_types.json"


def tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    return {tensor.name: (tensor.tensor_type.name, tensor.data.tobytes()) for tensor in gguf.GGUFReader(path).tensors}


def differences(ours: Path, theirs: Path) -> list[str]:
    """Return a line for each tensor that differs."""
    a, b = tensors(ours), tensors(theirs)
    lines = [f"{name}: only in one file" for name in sorted(a.keys() ^ b.keys())]
    for name in sorted(a.keys() & b.keys()):
        if a[name][0] != b[name][0]:
            lines.append(f"{name}: {a[name][0]} here, {b[name][0]} there")
        elif a[name][1] != b[name][1]:
            lines.append(f"{name}: the {a[name][0]} bytes differ")
    return lines


def main(program: str, *named: str) -> int:
    bad = compared = 0
    facts: dict[str, dict[str, str]] = {}
    write_facts = "--facts" in named
    named = tuple(name for name in named if name != "--facts")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for label, source in sources(folder, named):
            wide = folder / "wide.gguf"
            convert(ConvertRequest(source, wide, "F32", tokenizer="none"))
            matrix = write_importance(wide, folder / "importance.gguf")
            for quant in recipe_names():
                for imatrix in (None, matrix):
                    ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
                    convert(ConvertRequest(source, ours, quant, tokenizer="none", imatrix=imatrix))
                    option = [] if imatrix is None else ["--imatrix", str(imatrix)]
                    subprocess.run([program, *option, wide, theirs, quant, "2"], check=True, capture_output=True)
                    lines = differences(ours, theirs)
                    types = {name: type_ for name, (type_, _) in tensors(theirs).items()}
                    facts[f"{label}, {quant}{', importance' if imatrix else ''}"] = notes(types)
                    compared += len(tensors(ours))
                    bad += len(lines)
                    for line in lines[:8]:
                        print(f"{label}, {quant}{', importance' if imatrix else ''}: {line}", flush=True)
            print(f"{label}: done", flush=True)
    print(f"{compared} tensors compared, {bad} differ")
    if write_facts:
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in facts.items()]
        FACTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
