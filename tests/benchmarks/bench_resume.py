"""What it costs to go on with a chat after a restart, and to switch between two: `python -m tests.benchmarks.bench_resume`.

    uv run python -m tests.benchmarks.bench_resume [--model FILE.gguf] [--rounds 10] [--rounded]

A chat about a text of 4,000 tokens is answered; the engine is started again, and another answer is asked for, so that one
token is read: what is above a decode step is the cost of the resume. Beside it the same without what was kept, and the time
that reading the chat's files into the cache takes alone. Then two chats of 2,000 tokens take turns, in an engine that keeps
two chats as the window's does. A decode step is the mean of the very reply that is timed; no tokens are guessed. Printed are
medians and ratios of one run.

With --rounded: what keeping the rows in 8 bits would change. Replies of 100 tokens at temperature 0 after a cache whose rows went
through Q8_0, beside those after the exact one: how many are the same to the end, and the divergence of the first token.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType as Type

from converter.ggml import dequantize, quantize
from converter.ggml_types import row_bytes
from converter.gguf_header import read_gguf_header
from desktop_app.engine.backends import prepare_environment
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings, Stats, Text, Tokenize, Update
from desktop_app.engine.results import Reply
from desktop_app.library.installed import Library
from desktop_app.planning.load_plan import SWITCHED
from desktop_app.sequences import common_prefix

ROOT = Path(__file__).parents[2]
CONTEXT = 8192
LONG, SHORT = 4000, 2000
REPLY = SamplingSettings(temperature=0, max_tokens=24, guesses=False)
Messages = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rounded", action="store_true")
    options = parser.parse_args()
    starter = Library(Path(tempfile.mkdtemp())).starter()
    model = options.model or (starter.path if starter is not None else Path())
    if options.rounded:
        rounded(model, options.rounds)
        return
    with tempfile.TemporaryDirectory() as name:
        restart(model, Path(name) / "states", options.rounds)
        switch(model, Path(name) / "more", options.rounds)


def restart(model: Path, states: Path, rounds: int) -> None:
    """Print what another answer costs after a restart."""
    chat = states / "chat.npz"
    with loaded(model, 1) as engine:
        messages = [question(engine, "LICENSE", LONG)]
        ask(engine, messages, chat)
        engine.submit(Stats()).result()  # it is answered when the files are written
    size = sum(file.stat().st_size for file in states.rglob("*.kv"))
    resumed, ratios, readings = [], [], []
    for _ in range(rounds):
        with loaded(model, 1) as engine:
            reply, first, step = ask(engine, messages, chat)
            assert reply.reused_tokens == reply.prompt_tokens - 1, "it was read again"
        reading = taking_up(model, chat)
        resumed.append(first)
        readings.append(reading)
        ratios.append((first - reading) / step)
    with loaded(model, 1) as engine:
        _, unaided, _ = ask(engine, messages, None)
        kept, _, _ = ask(engine, messages, None)  # its last token is computed alone, too: batches round otherwise
    assert kept.text == reply.text, "another reply than from what was never on the disk"
    print(f"restart, {reply.prompt_tokens:,} tokens, {size / 1e6:.0f} MB on disk")
    print(f"  first token: {ms(resumed)}, of which the files take {ms(readings)}; read again: {unaided * 1e3:.0f} ms")
    print(f"  decode steps above reading the files: {statistics.median(ratios):.2f} (at most 1.5)")
    print(f"  read again / resumed: {unaided / statistics.median(resumed):.0f}")


def switch(model: Path, states: Path, rounds: int) -> None:
    """Print what another answer costs right after another chat."""
    ratios, firsts = [], []
    with loaded(model, *SWITCHED) as engine:
        texts = [[question(engine, name, SHORT)] for name in ("LICENSE", "docs/server.md")]
        chats = [(messages, states / f"{number}.npz") for number, messages in enumerate(texts)]
        for messages, file in chats * 2:
            ask(engine, messages, file)
        for messages, file in chats * rounds:
            reply, first, step = ask(engine, messages, file)
            assert reply.reused_tokens == reply.prompt_tokens - 1, "it was read again"
            engine.submit(Stats()).result()
            firsts.append(first)
            ratios.append(first / step)
    print(f"switching between two chats of {reply.prompt_tokens:,} tokens")
    print(f"  first token: {ms(firsts)}; decode steps: {statistics.median(ratios):.2f} (at most 1.2)")


def loaded(model: Path, parallel: int) -> Engine:
    """Return an engine that has answered something, so that its graphs are built."""
    engine = Engine()
    engine.submit(Load(model, LoadSettings(context=CONTEXT, parallel=parallel))).result()
    engine.submit(Generate(({"role": "user", "content": "hi"},), REPLY)).result()
    return engine


def question(engine: Engine, name: str, tokens: int) -> dict[str, str]:
    """Return a question about so many tokens of a file."""
    text = (ROOT / name).read_text("utf-8") * 3
    count = len(engine.submit(Tokenize(text)).result().ids)
    return {"role": "user", "content": f"{text[: len(text) * tokens // count]}\n\nWhat is this about?"}


def ask(engine: Engine, messages: Messages, state: Path | None) -> tuple[Reply, float, float]:
    """Return a reply, the seconds to its first token, and those of each further one."""
    first: list[float] = []

    def listen(update: Update) -> None:
        if isinstance(update, Text) and not first:
            first.append(time.perf_counter() - start)

    start = time.perf_counter()
    reply = engine.submit(Generate(tuple(messages), REPLY, state=state), listen).result()
    return reply, first[0], reply.seconds / max(1, reply.tokens)


def taking_up(model: Path, chat: Path) -> float:
    """Return the seconds that a chat's files take from the disk into the cache."""
    from desktop_app.engine.llama.runner import LlamaRunner
    from desktop_app.engine.state.blocks import _Head
    from desktop_app.engine.state.chat_states import model_identity, resume

    prepare_environment()
    runner = LlamaRunner(read_gguf_header(model, arrays=False), LoadSettings(context=CONTEXT), lambda part: None)
    files = {file.name.partition("-")[0]: file for file in sorted(chat.with_suffix("").glob("*.kv"))}
    tokens: list[int] = []
    for _, file in sorted(files.items()):  # of several replies one
        with file.open("rb") as opened:
            tokens += np.frombuffer(_Head.of(opened).tokens, np.int32).tolist()
    identity = model_identity(model, (), runner.memory_kind)
    start = time.perf_counter()
    resume(runner.sequences[0], chat, identity, tokens)
    seconds = time.perf_counter() - start
    assert list(runner.tokens) == tokens
    runner.close()
    return seconds


def rounded(model: Path, rounds: int) -> None:
    """Print what rounding the rows to Q8_0 changes."""
    from desktop_app.engine.llama.runner import LlamaRunner
    from desktop_app.engine.state.cells import Assembly

    prepare_environment()
    runner = LlamaRunner(read_gguf_header(model, arrays=False), LoadSettings(context=2048), lambda part: None)
    text = (ROOT / "docs/engine.md").read_text("utf-8")
    ids = runner.tokenize(text, add_special=True, special=False)
    same, agreed, divergences = 0, [], []
    for number in range(rounds):
        prompt = ids[number * 700 : number * 700 + 1000]
        runner.truncate(0)
        runner.decode(prompt[:-1])
        cells = runner.sequences[0].cells()
        assert cells is not None
        state = Assembly(cells.layout, len(prompt) - 1, 0, 1)
        for target, rows in zip(state.rows, cells.rows, strict=True):
            target[:] = _through_q8(rows)
        exact, logits = _continued(runner, prompt[-1])
        runner.sequences[0].restore_cells(prompt[:-1], state)
        other, rounded_logits = _continued(runner, prompt[-1])
        same += exact == other
        agreed.append(common_prefix(exact, other))
        divergences.append(_divergence(logits, rounded_logits))
    print(f"{rounds} replies of 100 tokens after 1,000: {same} the same; the others part after {sorted(agreed)} tokens")
    print(
        f"  divergence of the first token: {statistics.median(divergences):.2e} (median), {max(divergences):.2e} (most)"
    )


def _through_q8(rows: np.ndarray) -> np.ndarray:
    values = rows.view(np.float16).astype(np.float32).reshape(-1, 32)
    small = np.empty((len(values), row_bytes(Type.Q8_0, 32)), np.uint8)
    quantize(values, Type.Q8_0, small)
    return dequantize(small, Type.Q8_0, 32).astype(np.float16).reshape(len(rows), -1).view(np.uint8)


def _continued(runner: Any, token: int) -> tuple[list[int], np.ndarray]:
    runner.decode((token,))
    first, reply = runner.logits().copy(), []
    for _ in range(100):
        reply.append(int(runner.logits().argmax()))
        runner.decode((reply[-1],))
    return reply, first


def _divergence(exact: np.ndarray, other: np.ndarray) -> float:
    one, two = (logits - logits.max() for logits in (exact.astype(np.float64), other.astype(np.float64)))
    one, two = one - np.log(np.exp(one).sum()), two - np.log(np.exp(two).sum())
    return float((np.exp(one) * (one - two)).sum())


def ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.0f} ms"


if __name__ == "__main__":
    main()
