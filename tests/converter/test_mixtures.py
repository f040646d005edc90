"""Mixtures by measurement: the choice against trying all, the errors against NumPy, the file against its budget."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.constants import GGMLQuantizationType as Type

from converter.importance import Importance
from converter.mixtures import MIXTURE_KEY, Mixture, Option, choose, read_mixture
from converter.pipeline import ConvertRequest, convert, opened, plan
from converter.sensitivity import CANDIDATES, TensorErrors, activation_block, tensor_errors
from desktop_app.planning.configuration import Computer
from desktop_app.quality.mixing import Costs, bytes_of_bits, bytes_that_fit, plan_within
from models.errors import BadFile, Cancelled, ZhiyinError
from tests.support.random_gguf import write_mixture


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("mixture") / "mixture.gguf", 4, layers=4)


@pytest.fixture(scope="module")
def errors(source: Path) -> list[TensorErrors]:
    rng = np.random.default_rng(3)
    values = {
        tensor.name: rng.random(tensor.data.shape[-1] * (tensor.data.shape[0] if tensor.data.ndim == 3 else 1)).astype(
            "f4"
        )
        for tensor in gguf.GGUFReader(source).tensors
    }
    importance = Importance(source, values, "", 1)
    with opened(ConvertRequest(source)) as (checkpoint, planned):
        assert planned.quantizable is not None
        return tensor_errors(planned.quantizable.tensors, checkpoint, importance, 2, lambda _: None)


@pytest.fixture(scope="module")
def costs(errors: list[TensorErrors]) -> Costs:
    return Costs({e.name: [Option(type_, e.sizes[type_], e.errors[type_]) for type_ in e.sizes] for e in errors})


@pytest.mark.parametrize("seed", range(8))
def test_the_choice_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tensors = {
        str(n): [Option(type_, int(rng.integers(10, 400)), float(rng.random())) for type_ in CANDIDATES[:4]]
        for n in range(5)
    }
    sizes = [[option.size for option in options] for options in tensors.values()]
    for budget in rng.integers(sum(map(min, sizes)), sum(map(max, sizes)) + 50, 6).tolist():
        found = choose(tensors, budget)
        assert sum(option.size for option in found.values()) <= budget
        best = min(
            sum(option.cost for option in combination)
            for combination in itertools.product(*tensors.values())
            if sum(option.size for option in combination) <= budget
        )
        assert sum(option.cost for option in found.values()) == pytest.approx(best)


def test_large_tensors_use_the_whole_budget() -> None:
    """Bytes are rounded to a forty-thousandth: what that leaves is filled up."""
    rng = np.random.default_rng(1)
    tensors = {}
    for n in range(300):
        elements = int(rng.integers(1, 500)) * 32768
        tensors[str(n)] = [
            Option(type_, int(elements * bits / 8), 4.0**-bits * elements)
            for type_, bits in ((Type.Q3_K, 3.4375), (Type.Q4_K, 4.5), (Type.Q5_K, 5.5), (Type.Q6_K, 6.5625))
        ]
    elements = sum(options[1].size for options in tensors.values()) / 4.5
    budget = int(elements * 5.0)
    assert 0.9995 * budget < sum(option.size for option in choose(tensors, budget).values()) <= budget


def test_too_little_is_refused() -> None:
    with pytest.raises(
        ZhiyinError, match="Even the smallest mixture has 1 MB more of weights than the 9 MB that are allowed"
    ):
        choose({"a": [Option(Type.Q4_0, 10_000_000, 1.0)]}, 9_000_000)


def test_errors_are_those_of_the_output(errors: list[TensorErrors], source: Path) -> None:
    """By the package gguf's own quantizing, which rounds as ggml's Q8_0 does; of the second tensor a sample is taken."""
    tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(source).tensors}
    rng = np.random.default_rng(3)
    weights = {
        t.name: rng.random(t.data.shape[-1] * (t.data.shape[0] if t.data.ndim == 3 else 1)).astype("f4")
        for t in gguf.GGUFReader(source).tensors
    }
    by_name = {error.name: error for error in errors}
    assert "blk.0.ffn_gate_inp.weight" not in by_name, "routers are never quantized"
    for name, exactness in (("output.weight", 1e-3), ("blk.1.attn_k.weight", 0.05)):
        rows = tensors[name]
        back = gguf.quants.dequantize(gguf.quants.quantize(rows, Type.Q8_0), Type.Q8_0)
        relative = ((rows - back) ** 2 @ weights[name]).sum() / (rows**2 @ weights[name]).sum()
        assert by_name[name].errors[Type.Q8_0] == pytest.approx(relative, rel=exactness)
        assert by_name[name].sizes[Type.Q8_0] == rows.size // 32 * 34
    experts = by_name["blk.1.ffn_down_exps.weight"]
    ladder = [experts.errors[Type[name]] for name in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "F16")]
    assert ladder == sorted(ladder, reverse=True)


def test_a_layer_that_writes_more_counts_for_no_more(source: Path) -> None:
    """What the first token of a text alone makes a few layers write would hide the errors of all others."""
    tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(source).tensors}
    with opened(ConvertRequest(source)) as (checkpoint, planned):
        assert planned.quantizable is not None
        wanted = [tensor for tensor in planned.quantizable.tensors if tensor.name == "blk.1.attn_k.weight"]
        columns = np.ones(tensors["blk.1.attn_k.weight"].shape[-1], np.float32)
        found = [
            tensor_errors(
                wanted, checkpoint, Importance(source, {wanted[0].name: scale * columns}, "", 1), 1, lambda _: None
            )
            for scale in (1, 1000)
        ]
    assert found[0][0].errors == pytest.approx(found[1][0].errors, rel=1e-3)


def test_rounding_of_activations_is_that_of_their_blocks(source: Path) -> None:
    """Of inputs whose largest elements are known: one is a hundred times as large as all others."""
    rows = np.array({tensor.name: tensor.data for tensor in gguf.GGUFReader(source).tensors}["output.weight"])
    columns = np.ones(rows.shape[-1], np.float32)
    columns[40] = 1e4
    with opened(ConvertRequest(source)) as (checkpoint, planned):
        assert planned.quantizable is not None
        wanted = [tensor for tensor in planned.quantizable.tensors if tensor.name == "output.weight"]
        importance = Importance(source, {wanted[0].name: columns}, "", 1)
        found = tensor_errors(wanted, checkpoint, importance, 1, lambda _: None)[0].rounding
    largest = np.where(np.arange(len(columns)) // 32 == 1, 1e4, 1)
    energy = (rows**2 @ columns).sum()
    assert found[32] == pytest.approx((rows**2 @ largest).sum() / energy / (12 * 127**2), rel=1e-3)
    assert found[256] == pytest.approx((rows**2).sum() * 1e4 / energy / (12 * 127**2), rel=1e-3)
    assert [activation_block(type_) for type_ in (Type.F16, Type.Q8_0, Type.Q5_1, Type.Q5_K)] == [0, 32, 32, 256]


def test_measuring_can_be_stopped(source: Path) -> None:
    def stop(done: int) -> None:
        if done > 3:
            raise Cancelled("Stopped.")

    with opened(ConvertRequest(source)) as (checkpoint, planned), pytest.raises(Cancelled):
        assert planned.quantizable is not None
        tensor_errors(planned.quantizable.tensors, checkpoint, Importance(source, {}, "", 1), 1, stop)


def test_files_have_the_size_that_was_asked_for(source: Path, costs: Costs, tmp_path: Path) -> None:
    request = ConvertRequest(source, tmp_path / "out.gguf")
    sizes = {quant: plan(ConvertRequest(source, quant=quant)).size for quant in ("Q3_K_M", "Q4_K_M", "Q5_K_M")}
    losses = []
    for quant, size in sizes.items():
        planned = plan_within(request, costs, size)
        assert 0.995 * size <= planned.size <= size, quant
        assert planned.recipe.name[:2] == quant[:2]
        mixture = planned.request.mixture
        assert mixture is not None
        losses.append(mixture.predicted_kl)
        usual = ConvertRequest(source, quant=quant)
        with opened(usual) as (_, recipe):
            types = {placed.name: placed.type for part in recipe.parts for placed in part.layout.tensors}
            assert mixture.predicted_kl < costs.predicted(types), "the best mixture is better than a recipe of its size"
    assert losses == sorted(losses, reverse=True)
    size = bytes_of_bits(request, 5.0)
    made = convert(plan_within(request, costs, size))
    assert 0.995 * size <= made.path.stat().st_size <= size


def test_a_mixture_fills_what_is_free(
    source: Path, costs: Costs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner finds room for it, and for hardly more."""
    monkeypatch.setattr("converter.mixtures._STEPS", 2000)  # a hundred choices are made
    request = ConvertRequest(source, tmp_path / "out.gguf")
    largest = plan(ConvertRequest(source, quant="F16")).size

    def fitting(free: int) -> int:
        computer = Computer(free_bytes=free, total_bytes=4_000_000_000, process_bytes=50_000_000)
        try:
            return bytes_that_fit(request, costs, computer)
        except ZhiyinError as error:
            assert "Not even the smallest mixture fits" in str(error)
            return 0

    frees = range(200_000_000, 4_000_000_000, 1_000_000)
    least = frees[bisect_left(frees, True, key=lambda free: fitting(free) > 0)]
    sizes = [fitting(least + more) for more in range(0, 3_000_000, 1_000_000)]
    for before, after in itertools.pairwise(sizes):
        assert after < largest
        assert after - before == pytest.approx(1_000_000, rel=0.05), "a byte that is free is a byte of weights"
    assert all(plan_within(request, costs, size).size <= size for size in sizes)
    assert fitting(2_000_000_000) == pytest.approx(largest, rel=0.01), "all of it fits"


def test_a_mixture_is_exported_and_used_again(source: Path, costs: Costs, tmp_path: Path) -> None:
    request = ConvertRequest(source, tmp_path / "first.gguf", tensor_types=())
    planned = plan_within(request, costs, bytes_of_bits(request, 4.5))
    mixture = planned.request.mixture
    assert mixture is not None
    first = convert(planned).path
    exported = tmp_path / "mixture.json"
    exported.write_text(mixture.text(), "utf-8")
    assert read_mixture(exported) == mixture
    stored = gguf.GGUFReader(first).get_field(MIXTURE_KEY)
    assert stored is not None
    assert stored.contents() == mixture.text()
    again = ConvertRequest(source, tmp_path / "again.gguf", planned.recipe.name, mixture=read_mixture(exported))
    assert convert(again).path.read_bytes() == first.read_bytes()
    by_file = ConvertRequest(source, tmp_path / "by_file.gguf", planned.recipe.name, mixture=read_mixture(first))
    types = [tensor.tensor_type for tensor in gguf.GGUFReader(convert(by_file).path).tensors]
    assert types == [tensor.tensor_type for tensor in gguf.GGUFReader(first).tensors]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "format"),
        ('{"format": "another", "types": {}}', "no mixture that Zhiyin exported"),
        ('{"format": "zhiyin-mixture-1", "types": {"Q9_X": ["a"]}}', "a type Q9_X that there is not"),
        ('{"format": "zhiyin-mixture-1", "types": {"Q4_K": "a"}}', "types"),
        ("\x00", "JSON"),
    ],
)
def test_what_is_no_mixture_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mixture.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BadFile, match=said):
        read_mixture(path)


def test_types_that_do_not_fit_fall_back(source: Path, tmp_path: Path) -> None:
    """Another model's mixture: names that this one lacks are passed over."""
    mixture = Mixture({"blk.0.attn_q.weight": Type.Q4_K, "blk.99.attn_q.weight": Type.Q2_K})
    planned = plan(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", mixture=mixture))
    types = {placed.name: placed.type for part in planned.parts for placed in part.layout.tensors}
    assert (types["blk.0.attn_q.weight"], types["blk.1.attn_q.weight"]) == (Type.Q4_K, Type.Q8_0)
