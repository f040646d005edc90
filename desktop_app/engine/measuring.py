"""Measurements of a loaded model for `zhiyin perplexity` and `zhiyin bench`: perplexity, prompt and generation speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from desktop_app.engine.protocol import SamplingSettings
from desktop_app.engine.runner import Runner
from desktop_app.engine.sampler import Sampler
from models.errors import ZhiyinError


def losses(runner: Runner, ids: Sequence[int], start: int) -> list[float]:
    """Return -log p(ids[n + 1] | ids[:n + 1]) in nats for every n from `start` to the last but one.

    Raises:
        ZhiyinError: the model computes NaN or infinity.
    """
    values: list[float] = []
    for block in runner.logit_blocks(ids[:-1], start):
        first = start + len(values) + 1
        values += _cross_entropy(block, ids[first : first + len(block)])
    check_finite(runner, values)
    return values


def check_finite(runner: Runner, values: Sequence[float] | np.ndarray) -> None:
    """Raise ZhiyinError where a model computed NaN or infinity."""
    if not np.isfinite(values).all():
        raise ZhiyinError(
            "{path} computes NaN or infinity for this text; convert it again, with another --quant.",
            path=runner.info.path,
        )


def speeds(runner: Runner, ids: Sequence[int], tokens: int) -> tuple[float, float]:
    """Return the seconds that reading `ids` into an empty context takes, and those of writing `tokens` tokens after them."""
    sampler = Sampler(SamplingSettings(temperature=0), runner.info.vocabulary_size, ())
    try:
        runner.truncate(0, len(ids))
        start = time.perf_counter()
        runner.decode(ids)
        read = time.perf_counter()
        for _ in range(tokens):
            runner.decode((runner.sample(sampler),))
        return read - start, time.perf_counter() - read
    finally:
        sampler.close()


def _cross_entropy(logits: np.ndarray, targets: Sequence[int]) -> list[float]:
    """Return log(sum(exp(row))) - row[target] for float32 [n, vocabulary]; sums are in float64."""
    rows = logits - logits.max(axis=1, keepdims=True)
    wanted = rows[np.arange(len(targets)), list(targets)]
    sums = np.exp(rows, out=rows).sum(axis=1, dtype=np.float64)
    values: list[float] = (np.log(sums) - wanted).tolist()
    return values
