"""Mixtures by measurement against llama.cpp's recipes: `python -m tests.benchmarks.compare_mixtures MODEL.gguf FOLDER`.

For the sizes of Q3_K_M, Q4_K_M and Q5_K_M it prints the mean KL divergence from MODEL of (a) the recipe, (b) the recipe with the
importance matrix that the mixture has, and the mixture's, in English and in Chinese apart, on text that nothing was calibrated
on, with the ratios to (a) and (b); then the rank correlation of predicted and measured divergence over 20 mixtures: half of them
the best of their size, half random ones of the same sizes.

FOLDER keeps the importance matrix, the costs and each figure as soon as it is measured: a run that was stopped goes on there.
MODEL is best in F16. Of a quantized one `--stand-in` makes an original in F16 in FOLDER: each weight is moved at random by up to
half a step of the type that it has. Without that the types that the file has already would cost nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import gguf
import numpy as np
from gguf.constants import GGMLQuantizationType as Type

from converter.mixtures import Option
from converter.pipeline import ConversionPlan, ConvertRequest, convert, plan
from desktop_app.engine.client import Engine
from desktop_app.quality.chunks import CONTEXT
from desktop_app.quality.importance import ImportanceRequest, make_importance
from desktop_app.quality.measurement import MeasureRequest, measure_in
from desktop_app.quality.mixing import Costs, measure_costs, plan_within

_TEXTS = Path(__file__).parents[2] / "resources" / "texts"
_QUANTS = ("Q3_K_M", "Q4_K_M", "Q5_K_M")
_BETWEEN = (0.92, 1.0, 1.08)
"""Sizes of mixtures for the rank correlation, as parts of each recipe's."""
_LARGEST = 1.2
"""The tenth, as a part of the largest recipe's."""
_SPREAD = 1.5
"""Standard deviation of the logarithm by which the costs of a kind of tensor are changed for a random mixture."""
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
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stand-in", action="store_true", help="measure an original that MODEL may have been made of")
    parser.add_argument("--only", choices=("recipes", "correlation"), help="default: both")
    parser.add_argument("--characters", type=int, help="of each text to measure with; default: all")
    parser.add_argument("--ctx", type=int, default=CONTEXT, help="tokens in a chunk of them")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ZHIYIN_HOME", str(arguments.folder / "home"))
    model = arguments.model
    if arguments.stand_in:
        model = arguments.folder / "original.gguf"
        if not model.exists():
            _stand_in(arguments.model, model)
    comparison = _Comparison(model, arguments)
    if arguments.only != "correlation":
        comparison.recipes()
    if arguments.only != "recipes":
        comparison.correlation()


def _stand_in(quantized: Path, out: Path) -> None:
    """Write an original that a quantized file may have been made of: in F16, and on no grid."""
    made = convert(ConvertRequest(quantized, out.with_suffix(".made"), "F16", allow_requantize=True)).path
    types = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(quantized).tensors}
    rng = np.random.default_rng(7)
    for tensor in gguf.GGUFReader(made, "r+").tensors:
        steps = _STEPS.get(types[tensor.name])
        if steps is not None:
            weights = tensor.data.astype(np.float32).reshape(-1, _BLOCK)
            step = (weights.max(1, keepdims=True) - weights.min(1, keepdims=True)) / steps
            weights += (rng.random(weights.shape, np.float32) - 0.5) * step
            tensor.data[...] = weights.reshape(tensor.data.shape).astype(np.float16)
    made.rename(out)


class _Comparison:
    """One model's figures, in a folder."""

    def __init__(self, model: Path, arguments: argparse.Namespace) -> None:
        folder: Path = arguments.folder
        self._model = model
        self._characters, self._context = arguments.characters, arguments.ctx
        self._figures = folder / "figures.json"
        self._known: dict[str, dict[str, float]] = (
            json.loads(self._figures.read_text("utf-8")) if self._figures.exists() else {}
        )
        imatrix = folder / "imatrix.gguf"
        if not imatrix.exists():
            make_importance(ImportanceRequest(model, imatrix))
        self._plain = ConvertRequest(model, folder / "made.gguf", allow_requantize=True, threads=arguments.threads)
        self._calibrated = replace(self._plain, imatrix=imatrix)
        self._costs = self._measured_costs(folder / "costs.json", imatrix)

    def recipes(self) -> None:
        """Print the table of mixtures against recipes."""
        print(
            "| size of | language | recipe | with matrix | mixture | to the recipe | with matrix |\n"
            + "| --- " * 7
            + "|"
        )
        for quant in _QUANTS:
            usual = plan(replace(self._plain, quant=quant))
            ours = plan_within(self._calibrated, self._costs, usual.size)
            rows = [self._measured(p) for p in (usual, plan(replace(self._calibrated, quant=quant)), ours)]
            for language in _LANGUAGES:
                a, b, c = (row[language] for row in rows)
                print(
                    f"| {quant} | {language} | {a:.5f} | {b:.5f} | {c:.5f} | {c / a - 1:+.0%} | {c / b - 1:+.0%} |",
                    flush=True,
                )

    def correlation(self) -> None:
        """Print the rank correlation of predicted and measured divergence."""
        usual = [plan(replace(self._plain, quant=quant)).size for quant in _QUANTS]
        sizes = [int(part * size) for size in usual for part in _BETWEEN] + [int(_LARGEST * usual[-1])]
        points = []
        for number, size in enumerate(sizes):
            for costs in (self._costs, shuffled(self._costs, number)):
                made = plan_within(self._calibrated, costs, size)
                figures = self._measured(made)
                points.append((self._costs.predicted(_types(made)), sum(figures.values()) / len(figures)))
                print(f"{made.size} bytes: predicted {points[-1][0]:.5f}, measured {points[-1][1]:.5f}", flush=True)
        print(f"rank correlation of {len(points)} mixtures: {spearman(points):.3f}")

    def _measured_costs(self, path: Path, imatrix: Path) -> Costs:
        if not path.exists():
            costs = measure_costs(self._calibrated, imatrix)
            kept = {name: [(o.type.name, o.size, o.cost) for o in options] for name, options in costs.options.items()}
            path.write_text(json.dumps(kept), "utf-8")
        kept = json.loads(path.read_text("utf-8"))
        return Costs({name: [Option(Type[t], size, cost) for t, size, cost in rows] for name, rows in kept.items()})

    def _measured(self, planned: ConversionPlan) -> dict[str, float]:
        """Return a file's mean divergence in each language, in nats; from the last run where it was measured then."""
        types = {name: type_.name for name, type_ in _types(planned).items()}
        text = [self._characters, self._context] if self._characters else []
        facts = json.dumps([str(planned.request.imatrix), types, *text], sort_keys=True)
        key = blake2b(facts.encode(), digest_size=8).hexdigest()
        if key not in self._known:
            planned.out.unlink(missing_ok=True)
            path = convert(planned).path
            with Engine() as engine:
                self._known[key] = {language: self._divergence(engine, path, language) for language in _LANGUAGES}
            path.unlink()
            self._figures.write_text(json.dumps(self._known, indent=1), "utf-8")
        return self._known[key]

    def _divergence(self, engine: Engine, path: Path, language: str) -> float:
        text = _TEXTS / f"measure_{language}.txt"
        words = text.read_text("utf-8")[: self._characters]
        request = MeasureRequest(path, words, text, self._model, self._context)
        quality = measure_in(engine, request).quality
        assert quality.kl_mean is not None
        return quality.kl_mean


def _types(planned: ConversionPlan) -> Mapping[str, Type]:
    return {placed.name: placed.type for part in planned.parts for placed in part.layout.tensors}


def shuffled(costs: Costs, seed: int) -> Costs:
    """Return costs of which each kind of tensor counts for more or less, at random: their best mixture is any mixture."""
    rng = np.random.default_rng(seed)
    factors: dict[str, float] = {}
    options = {}
    for name, ladder in costs.options.items():
        factor = factors.setdefault(name.split(".", 2)[-1], float(np.exp(_SPREAD * rng.standard_normal())))
        options[name] = [replace(option, cost=option.cost * factor) for option in ladder]
    return Costs(options)


def spearman(points: list[tuple[float, float]]) -> float:
    """Return the rank correlation of pairs without ties."""
    ranks = [{value: rank for rank, value in enumerate(sorted(column))} for column in zip(*points, strict=True)]
    count = len(points)
    squares = sum((ranks[0][x] - ranks[1][y]) ** 2 for x, y in points)
    return 1 - 6 * squares / (count * (count**2 - 1))


if __name__ == "__main__":
    main()
