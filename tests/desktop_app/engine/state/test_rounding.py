"""States on disk: rounded to 8 bits they change the logits far less than 8-bit weights do, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.llama.runner import LlamaRunner
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.state.rounding import rounded, widened
from tests.support.checkpoints import write_safetensors
from tests.support.random_rwkv import random_rwkv

IDS = np.random.default_rng(1).integers(0, 96, 1250).tolist()
READ = 1000


def runner_of(folder: Path, version: str, quant: str) -> LlamaRunner:
    write_safetensors(folder / "RWKV-x.safetensors", random_rwkv(version, 5, layers=3))
    out = folder / f"{version}-{quant}.gguf"
    convert(ConvertRequest(folder / "RWKV-x.safetensors", out, quant, tokenizer="none"))
    runner = load_runner(out, LoadSettings(context=0, threads=1), lambda part: None)
    assert isinstance(runner, LlamaRunner)
    return runner


def logits_of(runner: LlamaRunner, ids: Sequence[int]) -> np.ndarray:
    rows = []
    for token in ids:
        runner.decode((token,))
        pointer = llama.llama_get_logits_ith(runner._context, -1)
        rows.append(np.ctypeslib.as_array(pointer, (runner.info.vocabulary_size,)).copy())
    return np.stack(rows)


def state_of(runner: LlamaRunner) -> bytes:
    runner.truncate(0)
    runner.decode(IDS[:READ])
    return bytes(runner.states()[-1][1])


@pytest.mark.parametrize("version", ["5.2", "6", "7"])
def test_a_rounded_state_answers_as_the_exact_one(version: str, tmp_path: Path) -> None:
    runner, coarse = runner_of(tmp_path, version, "F32"), runner_of(tmp_path, version, "Q8_0")
    state = state_of(runner)
    exact = logits_of(runner, IDS[READ:])
    small = rounded(state)
    assert small is not None
    assert len(small) < 0.3 * len(state)
    again = widened(small)
    assert again is not None
    runner.restore(IDS, [(READ, again)])
    error = logits_of(runner, IDS[READ:]) - exact
    state_of(coarse)
    usual = logits_of(coarse, IDS[READ:]) - exact
    assert np.abs(error[:20]).mean() < 0.2 * np.abs(usual[:20]).mean()
    assert np.abs(error[-20:]).max() < 1e-3
    for each in (runner, coarse):
        each.close()


def test_only_whole_states_of_this_layout_are_rounded(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, "7", "F32")
    state = state_of(runner)
    runner.close()
    small = rounded(state)
    assert small is not None
    for data in (state[:-4], state + bytes(4), bytes(len(state)), state[:20], b"", small):
        assert rounded(data) is None
    for data in (small[:-1], small + bytes(1), state, b""):
        assert widened(data) is None
    broken = bytearray(state)
    broken[-4:] = np.float32(np.inf).tobytes()
    assert rounded(broken) is None
