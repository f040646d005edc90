"""Mixtures by measurement against llama.cpp's recipes of the same size: `python -m tests.benchmarks.compare_mixtures MODEL.gguf`.

For the sizes of Q3_K_M, Q4_K_M and Q5_K_M it prints the mean KL divergence from MODEL of (a) the recipe, (b) the recipe with the
importance matrix that the mixture has, and the mixture's, in English and in Chinese apart, on text that nothing was calibrated
on; the ratios to (a) and (b); and at the end the rank correlation of predicted and measured divergence over all files. MODEL is
best in F16. Of a quantized one `--stand-in FILE` makes an original in F16: each weight is moved at random by up to half a step of
the type that it has. Without that the types that the file has already would cost nothing, and the figures flatter the mixture.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
from gguf.constants import GGMLQuantizationType as Type

from converter.pipeline import ConversionPlan, ConvertRequest, convert, plan
from desktop_app.quality.importance import ImportanceRequest, make_importance
from desktop_app.quality.measurement import MeasureRequest, measure_quality
from desktop_app.quality.mixing import measure_costs, plan_within

_TEXTS = Path(__file__).parents[2] / "resources" / "texts"
_QUANTS = ("Q3_K_M", "Q4_K_M", "Q5_K_M")
_BETWEEN = (0.9, 0.95, 1.05, 1.1)
"""Sizes of further mixtures, as parts of each recipe's, for the rank correlation."""
_LANGUAGES = ("en", "zh")
_BLOCK = 32
_STEPS = {
    Type.Q4_0: 15,
    Type.Q4_1: 15,
    Type.Q4_K: 15,
    Type.Q5_0: 31,
    Type.Q5_1: 31,
    Type.Q5_K: 31,
    Type.Q6_K: 63,
    Type.Q8_0: 255,
}
"""Between the least and the greatest weight of a block."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--imatrix", type=Path, help="its importance matrix; default: made from our own text")
    parser.add_argument(
        "--stand-in", type=Path, metavar="FILE", help="make this of the quantized MODEL, and measure that"
    )
    parser.add_argument("--characters", type=int, help="of each text to measure with; default: all")
    arguments = parser.parse_args()
    model, given = arguments.model, arguments.imatrix
    if arguments.stand_in is not None:
        model = _stand_in(model, arguments.stand_in)
    with tempfile.TemporaryDirectory() as folder:
        imatrix = given or Path(folder) / "imatrix.gguf"
        if given is None:
            make_importance(ImportanceRequest(model, imatrix))
        _compare(model, imatrix, Path(folder) / "made.gguf", arguments.characters)


def _stand_in(quantized: Path, out: Path) -> Path:
    """Write an original that a quantized file may have been made of: in F16, and on no grid."""
    convert(ConvertRequest(quantized, out, "F16", allow_requantize=True))
    types = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(quantized).tensors}
    rng = np.random.default_rng(7)
    for tensor in gguf.GGUFReader(out, "r+").tensors:
        steps = _STEPS.get(types[tensor.name])
        if steps is not None:
            weights = tensor.data.astype(np.float32).reshape(-1, _BLOCK)
            step = (weights.max(1, keepdims=True) - weights.min(1, keepdims=True)) / steps
            weights += (rng.random(weights.shape, np.float32) - 0.5) * step
            tensor.data[...] = weights.reshape(tensor.data.shape).astype(np.float16)
    return out


def _compare(model: Path, imatrix: Path, out: Path, characters: int | None) -> None:
    calibrated = ConvertRequest(model, out, imatrix=imatrix, allow_requantize=True)
    costs = measure_costs(calibrated, imatrix)
    points: list[tuple[float, float]] = []

    def measured(planned: ConversionPlan) -> dict[str, float]:
        found = _divergences(planned, model, characters)
        points.append((costs.predicted(_types(planned)), sum(found.values())))
        return found

    for quant in _QUANTS:
        usual = plan(ConvertRequest(model, out, quant, allow_requantize=True))
        with_matrix = plan(ConvertRequest(model, out, quant, imatrix=imatrix, allow_requantize=True))
        mixture = plan_within(calibrated, costs, usual.size)
        print(f"{quant}: {usual.size} bytes, mixture {mixture.size / usual.size:.4f} of them")
        ours, theirs, plain_found = measured(mixture), measured(with_matrix), _divergences(usual, model, characters)
        for language in _LANGUAGES:
            a, b, c = plain_found[language], theirs[language], ours[language]
            print(
                f"  {language}: recipe {a:.5f}, with matrix {b:.5f}, mixture {c:.5f}; ratios {c / a:.3f} and {c / b:.3f}"
            )
        for part in _BETWEEN:
            measured(plan_within(calibrated, costs, int(part * usual.size)))
    print(f"rank correlation of predicted and measured divergence, {len(points)} files: {_spearman(points):.3f}")


def _types(planned: ConversionPlan) -> Mapping[str, Type]:
    return {placed.name: placed.type for part in planned.parts for placed in part.layout.tensors}


def _divergences(planned: ConversionPlan, reference: Path, characters: int | None) -> dict[str, float]:
    path = convert(planned).path
    found = {}
    for language in _LANGUAGES:
        text = _TEXTS / f"measure_{language}.txt"
        quality = measure_quality(MeasureRequest(path, text.read_text("utf-8")[:characters], text, reference)).quality
        assert quality.kl_mean is not None
        found[language] = quality.kl_mean
    return found


def _spearman(points: list[tuple[float, float]]) -> float:
    """Return the rank correlation of pairs without ties."""
    ranks = [{value: rank for rank, value in enumerate(sorted(column))} for column in zip(*points, strict=True)]
    count = len(points)
    squares = sum((ranks[0][x] - ranks[1][y]) ** 2 for x, y in points)
    return 1 - 6 * squares / (count * (count**2 - 1))


if __name__ == "__main__":
    main()
