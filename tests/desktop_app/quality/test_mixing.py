"""Mixtures by measurement, from the command to the file: a tiny model, really probed."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest

from converter.mixtures import MIXTURE_KEY, read_mixture
from tests.support.commands import zhiyin
from tests.support.rwkv_world import world_model


@pytest.mark.slow
def test_a_model_is_measured_and_meets_its_bits(tmp_path: Path) -> None:
    source, out, recipe = world_model(tmp_path, "7"), tmp_path / "out.gguf", tmp_path / "recipe.json"
    done = zhiyin("convert", str(source), "--bits", "8", "--out", str(out), "--save-recipe", str(recipe))
    assert done.returncode == 0, done.stderr
    assert "Predicted KL divergence from the original: " in done.stderr
    mixture = read_mixture(recipe)
    assert mixture.predicted_kl is not None
    stored = gguf.GGUFReader(out).get_field(MIXTURE_KEY)
    assert stored is not None
    assert json.loads(stored.contents())["predicted_kl"] == mixture.predicted_kl
    again = tmp_path / "again.gguf"
    done = zhiyin(
        "convert", str(source), "--recipe", str(recipe), "--quant", "Q8_0", "--imatrix", "auto", "--out", str(again)
    )
    assert done.returncode == 0, done.stderr
    types = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(out).tensors}
    assert {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(again).tensors} == types


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--size", "x"), "'X' is not a size such as 500M or 2.5G"),
        (("--bits", "1"), "must lie between 2 and 16"),
        (("--size", "1G", "--bits", "4"), "not allowed with argument"),
        (("--save-recipe", "x.json"), "There is no mixture to save"),
        (("--recipe", "LICENSE"), "LICENSE"),
    ],
)
def test_what_cannot_be_asked_for(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = zhiyin("convert", str(world_model(tmp_path, "7")), *options, "--out", str(tmp_path / "out.gguf"))
    assert done.returncode in (1, 2)
    assert said.lower() in done.stderr.lower()
    assert not (tmp_path / "out.gguf").exists()
