"""Weights that another program quantized are refused by its name, told by their tensors and not by config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from converter.merging import open_merged
from converter.pipeline import ConvertRequest, plan
from models.errors import UnsupportedModel, ZhiyinError
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama

CONFIG, WEIGHTS = random_llama(5)
MATRICES = [name for name in WEIGHTS if name.endswith("_proj.weight")]
Tensors = dict[str, np.ndarray]


def zeros(kind: Any, *shape: int) -> np.ndarray:
    return np.zeros(shape, kind)


def bitsandbytes(kind: str, nested: bool) -> dict[str, tuple[Any, Any]]:
    beside = {f"weight.quant_state.bitsandbytes__{kind}": (np.uint8, (80,)), "weight.absmax": (np.float32, (8,))}
    within = (
        {"weight.nested_absmax": (np.float32, (1,)), "weight.nested_quant_map": (np.float32, (256,))} if nested else {}
    )
    return {
        "weight": (np.uint8, ("half", 1)),
        "weight.quant_map": (np.float32, (16,)),
        **beside,
        **(within if nested else {}),
    }


SCHEMES: dict[str, tuple[str, dict[str, tuple[Any, Any]]]] = {
    "int8 of bitsandbytes": (
        "bitsandbytes (LLM.int8)",
        {"weight": (np.int8, None), "SCB": (np.float32, ("rows",)), "weight_format": (np.uint8, ())},
    ),
    "NF4": ("bitsandbytes (NF4)", bitsandbytes("nf4", nested=False)),
    "NF4, nested": ("bitsandbytes (NF4)", bitsandbytes("nf4", nested=True)),
    "FP4": ("bitsandbytes (FP4)", bitsandbytes("fp4", nested=False)),
    "NF4 without its state": (
        "bitsandbytes (4 bits)",
        {"weight": (np.uint8, ("half", 1)), "absmax": (np.float32, (8,)), "quant_map": (np.float32, (16,))},
    ),
    "GPTQ": (
        "GPTQ",
        {
            "qweight": (np.int32, ("columns/8", "rows")),
            "qzeros": (np.int32, (1, "rows/8")),
            "scales": (np.float16, (1, "rows")),
            "g_idx": (np.int32, ("columns",)),
        },
    ),
    "GPTQ without its order": (
        "GPTQ",
        {"qweight": (np.int32, ("columns/8", "rows")), "qzeros": (np.int32, (1, "rows/8")), "scales": (np.float16, (1, "rows"))},
    ),
    "AWQ": (
        "AWQ",
        {"qweight": (np.int32, ("columns", "rows/8")), "qzeros": (np.int32, (1, "rows/8")), "scales": (np.float16, (1, "rows"))},
    ),
    "EETQ": ("EETQ", {"qweight": (np.int8, ("columns", "rows")), "weight_scales": (np.float16, ("rows",))}),
    "compressed-tensors": (
        "compressed-tensors",
        {"weight_packed": (np.int32, ("rows", "columns/8")), "weight_scale": (np.float16, ("rows", 1))},
    ),
    "8-bit integers": (
        "compressed-tensors (8-bit integers)",
        {"weight": (np.int8, None), "weight_scale": (np.float32, ("rows", 1))},
    ),
    "NVFP4 of ModelOpt": (
        "ModelOpt (NVFP4)",
        {
            "weight": (np.uint8, ("rows", "columns/2")),
            "weight_scale": (ml_dtypes.float8_e4m3fn, ("rows", "columns/16")),
            "weight_scale_2": (np.float32, ()),
        },
    ),
    "HQQ": ("HQQ", {"W_q": (np.uint8, ("rows", "columns/2")), "meta": (np.float32, (1,))}),
    "AQLM": ("AQLM", {"codes": (np.int8, ("rows", "columns/8", 1)), "codebooks": (np.float16, (1, 256, 1, 8))}),
    "EXL2": ("EXL2", {"q_weight": (np.int32, (8, "rows")), "q_invperm": (np.int32, ("columns",))}),
    "EXL3": ("EXL3", {"trellis": (np.int32, (4, 4, 16)), "suh": (np.float16, ("columns",))}),
    "MLX": (
        "MLX",
        {"weight": (np.uint32, ("rows", "columns/8")), "scales": (np.float16, ("rows", 1)), "biases": (np.float16, ("rows", 1))},
    ),
    "BitNet": ("BitNet", {"weight": (np.uint8, ("rows/4", "columns")), "weight_scale": (np.float32, (1,))}),
    "no names at all": ("a program that the names", {"weight": (np.int8, None)}),
    "packed without names": ("a program that the names", {"weight": (np.uint8, ("rows", "columns/2"))}),
    "unsigned": ("a program that the names", {"weight": (np.uint8, None)}),
}  # fmt: skip
CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"quantization_config": {"quant_method": "fp8"}},
    {"text_config": None, "quantization_config": {"quant_method": "gptq", "bits": 4}},
]


def packed(scheme: str) -> Tensors:
    """Return the model with its matrices as a program stores them."""
    found = {name: values for name, values in WEIGHTS.items() if name not in MATRICES}
    for name in MATRICES:
        rows, columns = WEIGHTS[name].shape
        sizes = {"rows": rows, "columns": columns, "half": rows * columns // 2}
        for part, (kind, shape) in SCHEMES[scheme][1].items():
            said = (rows, columns) if shape is None else shape
            found[f"{name.removesuffix('weight')}{part}"] = zeros(kind, *(_size(size, sizes) for size in said))
    return found


def _size(said: int | str, sizes: dict[str, int]) -> int:
    if isinstance(said, int):
        return said
    name, _, by = said.partition("/")
    return sizes[name] // int(by or 1)


@pytest.mark.parametrize("said", CONFIGURATIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantized_weights_are_refused_by_name(tmp_path: Path, scheme: str, said: dict[str, Any]) -> None:
    source = write_checkpoint(tmp_path, CONFIG | said, packed(scheme))
    with pytest.raises(UnsupportedModel) as caught:
        plan(ConvertRequest(source, tokenizer="none"))
    assert f"quantized by {SCHEMES[scheme][0]}" in str(caught.value)
    assert "download the original repository, whose weights are F16, BF16 or F32" in str(caught.value)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "compressed-tensors", "newest"])
def test_plain_weights_convert_whatever_the_configuration_says(tmp_path: Path, method: str) -> None:
    stale = {"quantization_config": {"quant_method": method, "load_in_4bit": True}}
    source = write_checkpoint(tmp_path, CONFIG | stale, WEIGHTS, dtype="BF16")
    assert plan(ConvertRequest(source, tokenizer="none")).tensors == len(WEIGHTS)


def test_leftovers_beside_plain_weights_are_left_out(tmp_path: Path) -> None:
    left = {f"{name.removesuffix('weight')}SCB": zeros(np.float32, 4) for name in MATRICES}
    found = plan(ConvertRequest(write_checkpoint(tmp_path, CONFIG, WEIGHTS | left), tokenizer="none"))
    assert "Left out" in str(found.warnings[0])


def test_one_quantized_matrix_is_enough(tmp_path: Path) -> None:
    mixed = WEIGHTS | {MATRICES[-1]: WEIGHTS[MATRICES[-1]].astype(np.int8)}
    with pytest.raises(UnsupportedModel, match="holds int8 instead of floats"):
        plan(ConvertRequest(write_checkpoint(tmp_path, CONFIG, mixed), tokenizer="none"))


def test_8_bit_floats_without_scales_are_floats(tmp_path: Path) -> None:
    cast = {name: v.astype(ml_dtypes.float8_e4m3fn) if name in MATRICES else v for name, v in WEIGHTS.items()}
    assert plan(ConvertRequest(write_checkpoint(tmp_path, CONFIG, cast), tokenizer="none")).tensors


@pytest.mark.parametrize("scale", ["scale_weight", "weight_scales", "scale", "weight.scale"])
def test_8_bit_floats_with_unknown_scales_are_refused(tmp_path: Path, scale: str) -> None:
    cast = {name: v.astype(ml_dtypes.float8_e4m3fn) if name in MATRICES else v for name, v in WEIGHTS.items()}
    cast |= {f"{name.removesuffix('weight')}{scale}": np.full(1, 2, np.float32) for name in MATRICES}
    with pytest.raises(ZhiyinError, match="download the original repository"):
        plan(ConvertRequest(write_checkpoint(tmp_path, CONFIG, cast), tokenizer="none"))


@pytest.mark.parametrize("scheme", ["GPTQ", "int8 of bitsandbytes", "NF4", "no names at all"])
def test_nothing_is_merged_into_quantized_weights(tmp_path: Path, scheme: str) -> None:
    base = write_checkpoint(tmp_path / "base", CONFIG, packed(scheme))
    lora = write_adapter(tmp_path / "lora", random_adapter(WEIGHTS))
    with pytest.raises(UnsupportedModel, match="original"):
        plan(ConvertRequest(base, lora=(lora,), tokenizer="none"))
    with pytest.raises(UnsupportedModel, match="original"):
        open_merged(base, (lora,))
