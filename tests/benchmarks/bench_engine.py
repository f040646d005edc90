"""Generation through the engine process against a bare llama-cpp-python decode loop: `python -m tests.benchmarks.bench_engine`.

Same file, threads, context and 256 greedy tokens; the two alternate, and the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import llama_cpp.llama_cpp as llama

from desktop_app.engine.backends import has_working_repack
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings
from desktop_app.engine.threads import physical_cores
from desktop_app.library import Library

TOKENS = 256
CONTEXT = 1024
MESSAGES = ({"role": "user", "content": "Write a long story about a fox who learns to read."},)


@llama.llama_log_callback
def _silent(level: int, text: bytes, _: object) -> None:
    """llama.cpp's log would drown the result."""


class BareLoop:
    """The fastest that llama-cpp-python's low-level API allows."""

    def __init__(self, path: Path, threads: int) -> None:
        llama.llama_log_set(_silent, None)
        llama.llama_backend_init()
        model_params = llama.llama_model_default_params()
        model_params.use_extra_bufts = has_working_repack()
        self.model = llama.llama_model_load_from_file(str(path).encode(), model_params)
        params = llama.llama_context_default_params()
        params.n_ctx = CONTEXT
        params.n_threads = params.n_threads_batch = threads
        self.context = llama.llama_init_from_model(self.model, params)
        self.vocab = llama.llama_model_get_vocab(self.model)
        self.greedy = llama.llama_sampler_init_greedy()

    def run(self, prompt: list[int]) -> float:
        """Return tokens per second of `TOKENS` greedy tokens after the prompt."""
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        ids = (llama.llama_token * len(prompt))(*prompt)
        llama.llama_decode(self.context, llama.llama_batch_get_one(ids, len(prompt)))
        one = (llama.llama_token * 1)()
        start = time.perf_counter()
        for _ in range(TOKENS):
            one[0] = llama.llama_sampler_sample(self.greedy, self.context, -1)
            llama.llama_decode(self.context, llama.llama_batch_get_one(one, 1))
        return TOKENS / (time.perf_counter() - start)


def main() -> None:
    """Print both speeds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the starter model)")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    starter = Library(Path(tempfile.mkdtemp())).starter()
    path = arguments.model or (starter.path if starter else parser.error("the starter model is not installed"))
    threads = physical_cores()
    bare = BareLoop(path, threads)
    sampling = SamplingSettings(temperature=0, max_tokens=TOKENS)
    ours, theirs = [], []
    with Engine() as engine:
        engine.submit(Load(str(path), LoadSettings(context=CONTEXT, threads=threads))).result()
        for number in range(arguments.rounds + 1):
            reply = engine.submit(Generate(MESSAGES, sampling)).result()
            assert reply["tokens"] == TOKENS, f"the model ended after {reply['tokens']} tokens"
            speed = bare.run(list(range(1, reply["prompt_tokens"] + 1)))
            if number:  # the first round only warms up
                ours.append(reply["tokens"] / reply["seconds"])
                theirs.append(speed)
    ours_median, theirs_median = statistics.median(ours), statistics.median(theirs)
    ratio = ours_median / theirs_median
    print(f"engine process {ours_median:.1f} tokens/s, bare loop {theirs_median:.1f} tokens/s, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
