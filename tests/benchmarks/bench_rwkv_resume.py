"""RWKV: what it costs to go on with a long chat after a restart, with its state on disk and without.

    uv run python -m tests.benchmarks.bench_rwkv_resume [--words 1000 10000]

A random RWKV-7 with the World vocabulary (4 layers, width 512) reads a question of that many words; the engine is started again,
and a second question is asked. Printed are the seconds from that question to its first token, both ways and their ratio, with the
bytes of the state's file. The state is read from disk, but the text is rendered and tokenized as a whole either way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings
from models.vocab.rwkv_world import WORLD_SIZE
from tests.support.checkpoints import write_safetensors
from tests.support.random_rwkv import random_rwkv

WORDS = ("river", "stone", "of", "the", "music", "friend", "light")
ONE = SamplingSettings(temperature=0, max_tokens=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, nargs="+", default=[1000, 10000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "RWKV-x-world.safetensors"
        write_safetensors(source, random_rwkv("7", hidden=512, layers=4, rows=WORLD_SIZE))
        model = folder / "model.gguf"
        convert(ConvertRequest(source, model, "Q8_0"))
        for words in options.words:
            measure(model, words, folder / f"{words}.npz")


def measure(model: Path, words: int, file: Path) -> None:
    question = " ".join(np.random.default_rng(words).choice(WORDS, words))
    messages = [{"role": "user", "content": question}]
    text, _, _ = ask(model, messages, str(file))
    messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "and then?"}]
    _, tokens, again = ask(model, messages, "")
    _, _, resumed = ask(model, messages, str(file))
    print(
        f"{tokens:,} tokens: {again * 1e3:.0f} ms read again, {resumed * 1e3:.0f} ms resumed, ratio {again / resumed:.1f}"
    )
    print(f"  {file.stat().st_size / 1e6:.2f} MB on disk")


def ask(model: Path, messages: list[dict[str, str]], state: str) -> tuple[str, int, float]:
    """Return the reply, the prompt's tokens, and the seconds to the reply, of a fresh engine."""
    with Engine() as engine:
        engine.submit(Load(str(model), LoadSettings(context=0, threads=1))).result()
        engine.submit(Generate(({"role": "user", "content": "hi"},), ONE)).result()  # the first graphs are built
        start = time.perf_counter()
        reply = engine.submit(Generate(tuple(messages), ONE, state=state)).result()
        return reply["text"], reply["prompt_tokens"], time.perf_counter() - start


if __name__ == "__main__":
    main()
