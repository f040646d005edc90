"""Layers with attention and recurrent ones (Qwen3.5, Granite 4): a changed chat is not read again from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from desktop_app.engine.llama.runner import LlamaRunner
from desktop_app.engine.protocol import LoadSettings
from models.errors import Cancelled
from tests.support.agreement import converted, random_ids
from tests.support.random_relatives import random_granite4, random_qwen35

IDS = random_ids({"vocab_size": 128}, 200)


@pytest.fixture(params=[random_qwen35, random_granite4], ids=lambda made: made.__name__)
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LlamaRunner]:
    out = converted(tmp_path, *request.param()).path
    settings = LoadSettings(context=256, kv_type="f32", threads=1, batch=32)
    runner = LlamaRunner(read_gguf_header(out, arrays=False), settings, lambda part: None)
    try:
        yield runner
    finally:
        runner.close()


def after(runner: LlamaRunner, ids: list[int]) -> np.ndarray:
    """Return the logits after `ids`, read on."""
    runner.decode(ids)
    pointer = llama.llama_get_logits_ith(runner._context, -1)
    return np.ctypeslib.as_array(pointer, (runner.info.vocabulary_size,)).copy()


def fresh(runner: LlamaRunner, ids: list[int]) -> np.ndarray:
    runner.truncate(0)
    return after(runner, ids)


def test_what_is_remembered_is_gone_back_to(runner: LlamaRunner) -> None:
    expected = fresh(runner, IDS[:100] + IDS[150:170])
    assert not runner.info.can_trim
    assert runner.info.context == 256
    runner.truncate(0)
    runner.decode(IDS[:100])
    runner.snapshot()
    runner.decode(IDS[100:140])
    assert runner.truncate(120) == 100
    np.testing.assert_allclose(after(runner, IDS[150:170]), expected, atol=1e-5)
    assert runner.truncate(100) == 100  # once more
    np.testing.assert_allclose(after(runner, IDS[150:170]), expected, atol=1e-5)


def test_without_a_snapshot_all_is_read_again(runner: LlamaRunner) -> None:
    runner.decode(IDS[:20])
    assert runner.truncate(10) == 0
    np.testing.assert_allclose(after(runner, IDS[:30]), fresh(runner, IDS[:30]), atol=1e-5)


def test_a_snapshot_is_of_the_recurrent_layers_alone(runner: LlamaRunner) -> None:
    sizes = []
    for count in (20, 100):
        runner.truncate(0)
        runner.decode(IDS[:count])
        runner.snapshot()
        sizes.append(len(runner.sequences[0]._snapshots.taken[-1][1]))
    assert sizes[0] == sizes[1]


def test_a_stop_leaves_whole_batches_behind(runner: LlamaRunner) -> None:
    expected = fresh(runner, IDS[:160])
    runner.truncate(0)

    def stop(part: float) -> None:
        if part > 0.5:
            runner.interrupt(True)

    with pytest.raises(Cancelled):
        runner.decode(IDS[:150], on_progress=stop)
    runner.interrupt(False)
    kept = len(runner.tokens)
    assert 0 < kept < 150
    np.testing.assert_allclose(after(runner, IDS[kept:160]), expected, atol=1e-5)
