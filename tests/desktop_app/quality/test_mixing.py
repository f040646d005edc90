"""Mixtures by measurement, from the command to the file: a tiny model, really probed."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod
from pathlib import Path

import gguf
import pytest

from converter.ggml_types import row_bytes
from converter.mixtures import MIXTURE_KEY, Mixture, Option, read_mixture
from converter.pipeline import ConvertRequest, convert, plan
from converter.recipes import can_change
from converter.sensitivity import TensorErrors
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Unload
from desktop_app.planning.candidates import model_of_mixture
from desktop_app.planning.planner import plan as planned
from desktop_app.quality.importance import ImportanceRequest, make_importance
from desktop_app.quality.measurement import MeasureRequest, measure_in
from desktop_app.quality.mixing import (
    Costs,
    SpeedFloor,
    bytes_of_bits,
    divergence_for_error,
    measure_costs,
    plan_within,
    probe_groups,
    rounding_share,
)
from desktop_app.quality.texts import BUILT_IN, measuring_text
from desktop_app.system.read_speed import ReadSpeed
from models.errors import ZhiyinError
from models.gguf_constants import GGMLQuantizationType as Type
from tests.benchmarks.compare_mixtures import shuffled, spearman
from tests.desktop_app.planning.test_planner import COMPUTERS
from tests.support.byte_llama import byte_llama
from tests.support.commands import zhiyin
from tests.support.rwkv_world import world_model


@pytest.mark.slow
def test_a_model_is_measured_and_meets_its_bits(tmp_path: Path) -> None:
    source, out, recipe = byte_llama(tmp_path), tmp_path / "out.gguf", tmp_path / "recipe.json"
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
        (("--min-speed", "9"), "give --size, --bits or --quant fit too"),
    ],
)
def test_what_cannot_be_asked_for(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = zhiyin("convert", str(world_model(tmp_path, "7")), *options, "--out", str(tmp_path / "out.gguf"))
    assert done.returncode in (1, 2)
    assert said.lower() in done.stderr.lower()
    assert not (tmp_path / "out.gguf").exists()


def test_a_floor_of_speed_is_met_at_the_least_loss(tmp_path: Path) -> None:
    """Q5_0 is nearly as good as Q8_0 and slow here; Q4_0 is fast and poor."""
    request = ConvertRequest(world_model(tmp_path, "7"), tmp_path / "out.gguf")
    quantizable = plan(request).quantizable
    assert quantizable is not None
    losses = {Type.Q8_0: 0.0, Type.Q5_0: 0.1, Type.Q4_0: 1.0}
    costs = Costs(
        {
            tensor.name: [
                Option(type_, prod(tensor.shape[:-1]) * row_bytes(type_, tensor.shape[-1]), loss)
                for type_, loss in losses.items()
            ]
            for tensor in quantizable.tensors
            if can_change(tensor)
        }
    )
    computer = replace(
        COMPUTERS["16 GB Windows"], speed=ReadSpeed({"Q8_0": 4e6, "Q5_0": 1e6, "Q4_0": 8e6, "F32": 1e9}, 8)
    )

    def made(floor: float) -> tuple[Mixture, float]:
        mixture = plan_within(request, costs, 10**9, SpeedFloor(floor, computer)).request.mixture
        assert mixture is not None
        speed = planned(model_of_mixture(quantizable, mixture), computer).chosen.tokens_per_second
        assert speed is not None
        return mixture, speed

    exact, slow = made(0.1)
    assert set(exact.types.values()) == {Type.Q8_0}
    mixed, between = made(1.3 * slow)
    assert between >= 1.3 * slow
    assert set(mixed.types.values()) == {Type.Q8_0, Type.Q4_0}
    assert 0.0 < (mixed.predicted_kl or 0.0) < len(costs.options)
    with pytest.raises(ZhiyinError, match="Even the fastest mixture in that size writes only about"):
        made(100 * slow)
    with pytest.raises(ZhiyinError, match="leave out --min-speed"):
        plan_within(request, costs, 10**9, SpeedFloor(1, replace(computer, speed=None)))


def test_weights_that_every_type_holds_cost_nothing() -> None:
    assert divergence_for_error(0.0, 0.0) == 0.0
    assert divergence_for_error(-1e-9, 0.5) > 0
    assert divergence_for_error(0.1, 0.5) == pytest.approx(0.2)


def test_the_rounding_of_activations_is_what_the_weights_do_not_explain() -> None:
    errors = [
        TensorErrors(name, 0, {Type.Q8_0: 34}, {Type.Q8_0: 1e-5}, 1.0, {32: rounding, 256: 1.0})
        for name, rounding in (("a", 3e-5), ("b", 1e-5))
    ]
    errors.append(TensorErrors("c", 0, {Type.F16: 64}, {Type.F16: 0.0}, 1.0, {32: 1.0, 256: 1.0}))
    counts = {"a": 100.0, "b": 500.0, "c": 1000.0}
    assert rounding_share(0.008, errors, counts, Type.Q8_0) == pytest.approx((0.008 - 0.006) / 0.008)
    assert rounding_share(0.005, errors, counts, Type.Q8_0) == 0.0
    assert rounding_share(0.005, errors, counts, Type.Q6_K) == 0.0, "nothing is of that type"


def test_a_tensor_that_writes_far_more_is_probed_by_itself() -> None:
    """In SmolLM2 one of fifteen down projections had over 90 % of what its group was measured to cost."""
    errors = [
        TensorErrors(
            f"blk.{layer}.ffn_down.weight", layer, {Type.Q8_0: 34}, {Type.Q8_0: 1e-5}, 300.0 if layer == 3 else 1.0
        )
        for layer in range(8)
    ]
    groups = {name: [member.layer for member in members] for name, members in probe_groups(errors).items()}
    assert groups == {
        "ffn_down.weight 0": [0, 1, 2],
        "blk.3.ffn_down.weight": [3],
        "ffn_down.weight 1": [4, 5, 6, 7],
    }


@pytest.mark.slow
def test_what_is_predicted_ranks_as_what_is_measured(tmp_path: Path) -> None:
    """Of mixtures that are the best of their size, and of others of these sizes."""
    model = byte_llama(tmp_path, hidden_size=256, intermediate_size=512, num_hidden_layers=4)
    imatrix, out = tmp_path / "imatrix.gguf", tmp_path / "out.gguf"
    make_importance(ImportanceRequest(model, imatrix))
    request = ConvertRequest(model, out, imatrix=imatrix)
    costs = measure_costs(request, imatrix)
    points = []
    with Engine() as engine:
        for number, bits in enumerate((3.6, 4.0, 4.5, 5.0, 5.8, 6.8)):
            for chosen_by in (costs, shuffled(costs, number)):
                made = convert(plan_within(request, chosen_by, bytes_of_bits(request, bits)))
                types = {tensor.name: Type(tensor.tensor_type) for tensor in gguf.GGUFReader(out).tensors}
                words = MeasureRequest(made.path, measuring_text()[:3000], BUILT_IN, model, 128)
                measured = measure_in(engine, words).quality.kl_mean
                assert measured is not None
                points.append((costs.predicted(types), measured))
                engine.submit(Unload()).result()
                out.unlink()
    assert spearman(points) >= 0.9, points
