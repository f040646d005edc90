"""llama.cpp's own calls in a plain loop on a loaded model: what `zhiyin bench --full` holds our runner to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

import llama_cpp.llama_cpp as llama

from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.runner import OutOfMemory
from desktop_app.system.threads import usual_threads
from models.errors import ZhiyinError


def bare_speeds(
    model: llama.llama_model_p, settings: LoadSettings, ids: Sequence[int], tokens: int
) -> tuple[float, float]:
    """Return the seconds that reading `ids` takes in a context of its own, and those of writing `tokens` tokens after them."""
    with ExitStack() as stack:
        params = llama.llama_context_default_params()
        params.n_ctx = len(ids) + tokens
        params.n_batch = params.n_ubatch = min(settings.batch, params.n_ctx)
        params.n_threads = params.n_threads_batch = settings.threads or usual_threads()
        context = llama.llama_init_from_model(model, params)
        if context is None:
            raise OutOfMemory("There is no memory for a second context; close other programs.")
        stack.callback(llama.llama_free, context)
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_greedy())
        stack.callback(llama.llama_sampler_free, chain)
        start = time.perf_counter()
        for at in range(0, len(ids), params.n_batch):
            part = ids[at : at + params.n_batch]
            _decode(context, (llama.llama_token * len(part))(*part))
        read = time.perf_counter()
        one = (llama.llama_token * 1)()
        for _ in range(tokens):
            one[0] = llama.llama_sampler_sample(chain, context, -1)
            _decode(context, one)
        return read - start, time.perf_counter() - read


def _decode(context: llama.llama_context_p, ids: llama.Array[llama.llama_token]) -> None:
    if llama.llama_decode(context, llama.llama_batch_get_one(ids, len(ids))):
        raise ZhiyinError("llama.cpp failed to compute; load the model again.")
