"""A model in F16 of which a few tensors are rounded for a while."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType as Type

from converter import probing
from converter.importance import Importance
from converter.pipeline import ConvertRequest, convert
from converter.probing import ProbeFile
from tests.support.random_gguf import write_mixture

ROUNDED = {"blk.0.attn_k.weight": Type.Q8_0, "blk.1.ffn_down_exps.weight": Type.Q3_K, "output.weight": Type.Q4_0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("mixture") / "mixture.gguf", 4, layers=2)


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def test_tensors_are_as_their_types_leave_them_and_then_exact(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the files that a conversion to these types makes, with the same importance matrix; in many pieces."""
    monkeypatch.setattr(probing, "_PIECE", 2000)
    path = convert(ConvertRequest(source, tmp_path / "exact.gguf", "F16")).path
    exact, data = tensors(path), path.read_bytes()
    rng = np.random.default_rng(5)
    sizes = {"blk.0.attn_k.weight": 256, "blk.1.ffn_down_exps.weight": 4 * 256, "output.weight": 256}
    importance = Importance(path, {name: rng.random(size, np.float32) for name, size in sizes.items()}, "", 1)
    probes = ProbeFile(path, importance, 2)
    for _ in range(2):
        with probes.rounded(ROUNDED):
            made = tensors(path)
        assert path.read_bytes() == data
        for name, values in made.items():
            assert (values == exact[name]).all() == (name not in ROUNDED), name
    for name, type_ in ROUNDED.items():
        rows = exact[name].astype(np.float32).reshape(-1, 256)
        weights = importance.values[name].reshape(-1, 256).repeat(len(rows) // (sizes[name] // 256), axis=0)
        error = ((rows - made[name].reshape(-1, 256)) ** 2 * weights).sum() / (rows**2 * weights).sum()
        usual = {Type.Q8_0: 2.9e-5, Type.Q3_K: 2.3e-2, Type.Q4_0: 7.4e-3}[type_]
        assert 0.5 * usual < error < 1.2 * usual, name
    plain = gguf.quants.dequantize(gguf.quants.quantize(exact["blk.0.attn_k.weight"], Type.Q8_0), Type.Q8_0)
    assert np.abs(made["blk.0.attn_k.weight"] - plain).max() <= 2**-11 * np.abs(plain).max()


def test_a_measurement_that_fails_is_not_followed_by_writing(source: Path, tmp_path: Path) -> None:
    path = convert(ConvertRequest(source, tmp_path / "exact.gguf", "F16")).path
    probes = ProbeFile(path, Importance(path, {}, "", 1), 1)
    with pytest.raises(ZeroDivisionError), probes.rounded(ROUNDED):
        raise ZeroDivisionError
    assert (tensors(path)["output.weight"] != tensors(source)["output.weight"].astype(np.float16)).any()
