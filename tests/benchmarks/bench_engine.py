"""Generation through the engine process against a bare llama-cpp-python decode loop: `python -m tests.benchmarks.bench_engine`.

Same file, threads, context, sampling and number of tokens (256), none guessed. The bare loop has a process of its own, so that
neither side's waiting threads or settings touch the other. The two take turns in the order ABBA, a turn of each makes a round,
and the median of the rounds' ratios counts: what else the computer does then meets both alike. Our time is the client's, from
the first text that arrives to the reply's end; detokenizing, JSON and pipes are ours to pay.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings, Text, Update
from desktop_app.library.installed import Library
from desktop_app.system.threads import usual_threads

CONTEXT = 1024
MESSAGES = ({"role": "user", "content": "Write a long story about a fox who learns to read."},)
SAMPLINGS = {
    "greedy": SamplingSettings(temperature=0, guesses=False),
    "drawn (temperature 0.7, top-k 40, top-p 0.9)": SamplingSettings(
        0.7, top_k=40, top_p=0.9, min_p=0, seed=1, guesses=False
    ),
}


class OurEngine:
    """The engine process and its client."""

    def __init__(self, engine: Engine, path: Path, threads: int) -> None:
        self._engine = engine
        engine.submit(Load(path, LoadSettings(context=CONTEXT, threads=threads))).result()
        self.prompt_tokens = 0

    def turn(self, sampling: SamplingSettings) -> float:
        """Return the tokens per second of a reply as its listener sees it."""
        first: list[float] = []

        def listen(update: Update) -> None:
            if isinstance(update, Text) and not first:
                first.append(time.perf_counter())

        reply = self._engine.submit(Generate(MESSAGES, sampling), listen).result()
        seconds = time.perf_counter() - first[0]
        assert reply.tokens == sampling.max_tokens, f"the model ended after {reply.tokens} tokens"
        self.prompt_tokens = reply.prompt_tokens
        return (sampling.max_tokens - 1) / seconds


class BareLoop:
    """The fastest that llama-cpp-python's low-level API allows, in a process with nothing else in it."""

    def __init__(self, path: Path, threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        self._process = spawn.Process(target=bare_process, args=(other, path, threads))
        self._process.start()

    def turn(self, sampling: SamplingSettings, prompt_tokens: int) -> float:
        """Return tokens per second after a prompt of so many tokens."""
        self._pipe.send((sampling, prompt_tokens))
        seconds: float = self._pipe.recv()
        return (sampling.max_tokens - 1) / seconds

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def bare_process(pipe: Connection, path: Path, threads: int) -> None:
    """Answer every prompt with the seconds that the tokens after the first one took."""
    import llama_cpp.llama_cpp as llama

    from desktop_app.engine.backends import has_working_repack

    @llama.llama_log_callback
    def silent(level: int, text: bytes, _: object) -> None:
        """llama.cpp's log would drown the result."""

    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    model_params = llama.llama_model_default_params()
    model_params.use_extra_bufts = has_working_repack()
    model = llama.llama_model_load_from_file(str(path).encode(), model_params)
    params = llama.llama_context_default_params()
    params.n_ctx = CONTEXT
    params.n_threads = params.n_threads_batch = threads
    context = llama.llama_init_from_model(model, params)
    one = (llama.llama_token * 1)()
    while (turn := pipe.recv()) is not None:
        sampling, prompt_tokens = turn
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        ids = (llama.llama_token * prompt_tokens)(*range(1, prompt_tokens + 1))
        llama.llama_decode(context, llama.llama_batch_get_one(ids, prompt_tokens))
        chain = bare_chain(sampling)
        one[0] = llama.llama_sampler_sample(chain, context, -1)
        start = time.perf_counter()
        for _ in range(sampling.max_tokens - 1):
            llama.llama_decode(context, llama.llama_batch_get_one(one, 1))
            one[0] = llama.llama_sampler_sample(chain, context, -1)
        llama.llama_decode(context, llama.llama_batch_get_one(one, 1))  # the next turn of a chat needs the last one too
        pipe.send(time.perf_counter() - start)
        llama.llama_sampler_free(chain)


def bare_chain(sampling: SamplingSettings) -> object:
    """Return llama.cpp's samplers in a chain, which keeps its candidates' memory: faster than the greedy sampler alone."""
    import llama_cpp.llama_cpp as llama

    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    samplers = [llama.llama_sampler_init_greedy()]
    if sampling.temperature:
        samplers = [
            llama.llama_sampler_init_top_k(sampling.top_k),
            llama.llama_sampler_init_top_p(sampling.top_p, 1),
            llama.llama_sampler_init_temp(sampling.temperature),
            llama.llama_sampler_init_dist(sampling.seed),
        ]
    for sampler in samplers:
        llama.llama_sampler_chain_add(chain, sampler)
    return chain


def main() -> None:
    """Print both speeds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the starter model)")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=256, help="fewer where other programs come and go")
    arguments = parser.parse_args()
    starter = Library(Path(tempfile.mkdtemp())).starter()
    path = arguments.model or (starter.path if starter else parser.error("the starter model is not installed"))
    threads = usual_threads()
    with Engine() as engine:
        ours, bare = OurEngine(engine, path, threads), BareLoop(path, threads)
        for name, settings in SAMPLINGS.items():
            sampling = replace(settings, max_tokens=arguments.tokens)
            ours.turn(sampling)  # the first turns only warm up
            bare.turn(sampling, ours.prompt_tokens)
            report(name, [one_round(number, ours, bare, sampling) for number in range(arguments.rounds)])
        bare.close()


def one_round(number: int, ours: OurEngine, bare: BareLoop, sampling: SamplingSettings) -> tuple[float, float]:
    """Return both speeds; who begins changes with every round."""
    if number % 2:
        bare_speed = bare.turn(sampling, ours.prompt_tokens)
        return ours.turn(sampling), bare_speed
    our_speed = ours.turn(sampling)
    return our_speed, bare.turn(sampling, ours.prompt_tokens)


def report(name: str, rounds: Sequence[tuple[float, float]]) -> None:
    """Print the medians of both speeds and of the rounds' ratios, with the ratios' quartiles."""
    ours, bare = (statistics.median(speeds) for speeds in zip(*rounds, strict=True))
    low, middle, high = statistics.quantiles([one / other for one, other in rounds], n=4)
    print(
        f"{name}: engine process {ours:.1f} tokens/s, bare loop {bare:.1f} tokens/s; "
        f"ratio {middle:.3f} (quartiles {low:.3f} and {high:.3f}, {len(rounds)} rounds)",
        flush=True,
    )


if __name__ == "__main__":
    main()
