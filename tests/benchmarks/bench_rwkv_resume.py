"""RWKV: what it costs to go on with a long chat after a restart, with its state on disk and without.

    uv run python -m tests.benchmarks.bench_rwkv_resume [--words 1000 10000] [--shapes]

A random RWKV-7 with the World vocabulary (4 layers, width 512) reads a question of that many words; the engine is started again,
and a second question is asked. Printed are the seconds from that question to its first token, both ways and their ratio, with the
bytes of the state's file. The state is read from disk, but the text is rendered and tokenized as a whole either way.

With --shapes, files of RWKV-6 1.6B and 7B without their weights (`tests/support/sparse_gguf.py`; 4 GB of memory are needed): the
bytes that a chat takes on disk beside those of its states in memory, and the seconds to write them and to take them up.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.client import Engine
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings
from desktop_app.engine.state.chat_states import resume, store
from models.vocab.rwkv_world import WORLD_SIZE
from tests.support.checkpoints import write_safetensors
from tests.support.random_rwkv import random_rwkv
from tests.support.sparse_gguf import sparse_gguf

WORDS = ("river", "stone", "of", "the", "music", "friend", "light")
ONE = SamplingSettings(temperature=0, max_tokens=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--shapes", action="store_true")
    options = parser.parse_args()
    if options.shapes:
        prepare_environment()
        with tempfile.TemporaryDirectory() as name:
            for size, (layers, width) in {"1.6B": (24, 2048), "7B": (32, 4096)}.items():
                measure_shape(Path(name), size, layers, width)
        return
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


def measure_shape(folder: Path, size: str, layers: int, width: int) -> None:
    config = {"architectures": ["Rwkv6ForCausalLM"], "hidden_size": width, "num_hidden_layers": layers}
    model, file = folder / f"{size}.gguf", folder / f"{size}.npz"
    sparse_gguf(config | {"vocab_size": WORLD_SIZE}, "Q4_K_M", model)
    runner = load_runner(model, LoadSettings(context=0, threads=1, batch=16), lambda part: None)
    rng, tokens = np.random.default_rng(1), list(range(100))
    runner.decode(tokens)
    state = np.frombuffer(runner.states()[-1][1], np.float32).copy()
    matrices = state[len(state) - layers * (width * 64 + 3) :].reshape(layers, -1)[
        :, 3:
    ]  # each after its type and size
    matrices[:] = rng.standard_normal(matrices.shape)
    runner.restore(tokens, [(50, state.tobytes()), (100, state.tobytes())])
    times = [time.perf_counter()]
    store(runner, file, "bench")
    times.append(time.perf_counter())
    runner.truncate(0)
    resume(runner, file, "bench", [*tokens, 1])
    times.append(time.perf_counter())
    kept = sum(len(data) for _, data in runner.states())
    seconds = np.diff(times)
    print(f"{size}: {len(state) * 4 / 1e6:.1f} MB a state, {kept / 1e6:.1f} MB of states in memory")
    print(f"  {file.stat().st_size / 1e6:.1f} MB on disk, written in {seconds[0]:.3f} s, resumed in {seconds[1]:.3f} s")
    runner.close()


def ask(model: Path, messages: list[dict[str, str]], state: str) -> tuple[str, int, float]:
    """Return the reply, the prompt's tokens, and the seconds to the reply, of a fresh engine."""
    with Engine() as engine:
        engine.submit(Load(model, LoadSettings(context=0, threads=1))).result()
        engine.submit(Generate(({"role": "user", "content": "hi"},), ONE)).result()  # the first graphs are built
        start = time.perf_counter()
        reply = engine.submit(Generate(tuple(messages), ONE, state=state)).result()
        return reply.text, reply.prompt_tokens, time.perf_counter() - start


if __name__ == "__main__":
    main()
