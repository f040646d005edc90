"""The processor's variants of the engine's base part, forced one after the other, write the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BASE = Path(__file__).parents[2] / "dist" / "engine" / "base"
VARIANTS = {
    "sse42": {"sse4_2"},
    "sandybridge": {"avx"},
    "haswell": {"avx2", "fma", "f16c", "bmi2"},
    "zen4": {"avx512f", "avx512_vnni", "avx512_vbmi", "avx512_bf16"},
}
"""Those that are tried, and what the processor must have for them."""
MOST, MEAN, AGREE = 2.0, 0.3, 0.9
"""How far logits may be apart, and how often the likeliest token is the same: each variant sums in its own order, and rounds
activations to 8 bits before. With the starter 1.1, 0.16 and 0.96 were measured."""
BEGINNING = 30
"""Characters that every text begins with; later, where two words are nearly as likely, they part."""
TEXT = "The sea is a large body of salt water. Ships cross it, fish live in it, and the moon moves it twice a day."

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(sys.platform != "linux", reason="the variants' names and the processor's flags are Linux'"),
    pytest.mark.skipif(not list(BASE.glob("libggml-cpu-*.so")), reason="packaging/engine/build.py base comes first"),
]


def has(flags: set[str]) -> bool:
    lines = Path("/proc/cpuinfo").read_text("ascii").splitlines()
    return flags <= set(next(line for line in lines if line.startswith("flags")).split())


def forced(variant: str, folder: Path) -> dict[str, str]:
    """Return the environment of an engine that finds this variant alone."""
    folder.mkdir()
    for path in BASE.glob("lib*"):
        if not path.name.startswith("libggml-cpu-") or path.name == f"libggml-cpu-{variant}.so":
            (folder / path.name).symlink_to(path)
    return os.environ | {"LLAMA_CPP_LIB_PATH": str(folder)}


def run(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "desktop_app.cli", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_variant_writes_the_same(starter_gguf: Path, data_home: Path, tmp_path: Path) -> None:
    """Fifty tokens at temperature 0: another text only where the numbers are as near as rounding leaves them."""
    here = [variant for variant, flags in VARIANTS.items() if has(flags)]
    assert "sse42" in here
    texts, logits = {}, {}
    for variant in here:
        environment = forced(variant, tmp_path / variant)
        ask = (
            "chat",
            "-m",
            str(starter_gguf),
            "--prompt",
            "Write about the sea.",
            "--temperature",
            "0",
            "--max-tokens",
            "50",
        )
        texts[variant] = run(environment, *ask)
        out = tmp_path / f"{variant}.npy"
        run(environment, "logits", str(starter_gguf), "--text", TEXT, "--out", str(out))
        logits[variant] = np.load(out)
    for variant in here[1:]:
        apart = np.abs(logits[variant] - logits["sse42"])
        agree = float((logits[variant].argmax(1) == logits["sse42"].argmax(1)).mean())
        same = texts[variant] == texts["sse42"]
        assert texts[variant][:BEGINNING] == texts["sse42"][:BEGINNING]
        assert agree >= AGREE
        print(
            f"{variant}: {'the same text' if same else 'another text'}, logits {apart.max():.4f} apart, mean {apart.mean():.5f}"
        )
        assert apart.max() < MOST
        assert apart.mean() < MEAN
