"""Weights that another program quantized, told by the names and types of their tensors, whatever config.json says of them.

Sources of the names: bitsandbytes (nn/modules.py: SCB; functional.py: QuantState), AutoGPTQ and AutoAWQ (qlinear), HQQ, AQLM,
ExLlamaV2 and V3, EETQ, Quanto, torchao, VPTQ, QuIP#, SpQR, BitNet and MXFP4 in transformers/integrations; compressed-tensors and
NVIDIA's ModelOpt for what they pack; Apple's MLX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from converter.checkpoint import Checkpoint, StoredTensor
from models.errors import BadFile, UnsupportedModel
from models.family import Blueprint

_BY_ENDING = {
    ".quant_state.bitsandbytes__nf4": "bitsandbytes (NF4)",
    ".quant_state.bitsandbytes__fp4": "bitsandbytes (FP4)",
    ".SCB": "bitsandbytes (LLM.int8)",
    ".weight_format": "bitsandbytes (LLM.int8)",
    ".absmax": "bitsandbytes (4 bits)",
    ".nested_absmax": "bitsandbytes (4 bits)",
    ".quant_map": "bitsandbytes (4 bits)",
    ".weight_global_scale": "compressed-tensors (NVFP4)",
    ".weight_packed": "compressed-tensors",
    ".weight_scale_2": "ModelOpt (NVFP4)",
    ".weight_blocks": "MXFP4",
    "_proj_blocks": "MXFP4",
    ".W_q": "HQQ",
    ".codebooks": "AQLM",
    ".q_invperm": "EXL2",
    ".q_scale_max": "EXL2",
    ".trellis": "EXL3",
    ".weight_scales": "EETQ",
    ".centroids": "VPTQ",
    ".Qidxs": "QuIP#",
    ".dense_weights": "SpQR",
    ".weight._data": "Quanto",
    ".weight_qdata": "torchao",
    ".g_idx": "GPTQ",
}
"""Endings of what lies beside quantized weights -> the program; the first that is found counts."""
_SCALE = "scale"


def quantized_by(tensors: Mapping[str, StoredTensor]) -> tuple[str, str] | None:
    """Return the program that quantized a checkpoint, and one of its tensors that tells; None: no name tells."""
    for ending, program in _BY_ENDING.items():
        quantized = next((name for name in tensors if name.endswith(ending) or f"{ending}." in name), None)
        if quantized is not None:
            return program, quantized
    packed = next((name for name in tensors if name.endswith(".qweight")), None)
    if packed is not None:
        return _packed_by(tensors, packed.removesuffix(".qweight")), packed
    return next(_by_types(tensors), None)


def refuse_quantized_tensors(checkpoint: Checkpoint, blueprint: Blueprint) -> None:
    """Refuse a checkpoint of which a tensor that is needed is quantized, but for what the family reads itself.

    Raises:
        UnsupportedModel: it is; the sentence names the program, as far as the tensors tell.
        BadFile: a tensor's type is one that no weights have.
    """
    sources = [source for tensor in blueprint.tensors for source in tensor.sources]
    integers = {source.name for source in sources if source.integers}
    needed = {source.name: source.shape for source in sources}
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name not in integers}
    scheme = quantized_by(tensors)
    if scheme is not None and not _is_whole_beside(tensors, needed):
        raise refusal(checkpoint.path, *scheme)
    for name in needed:
        stored = tensors.get(name)
        if stored is not None and not is_float(stored):
            raise _whole_numbers(checkpoint, name, stored)
        if stored is not None and stored.dtype.name.startswith("float8"):
            _refuse_unknown_scale(checkpoint, name)


def is_float(stored: StoredTensor) -> bool:
    """Tell whether a tensor holds floats; NumPy counts the types of ml_dtypes among none."""
    return stored.dtype.kind == "f" or "float" in stored.dtype.name


def _is_whole_beside(tensors: Mapping[str, StoredTensor], needed: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether every weight is there as floats in its shape: then what lies beside is left over."""
    stored = ((tensors.get(name), shape) for name, shape in needed.items())
    return all(tensor is None or (is_float(tensor) and tensor.shape == shape) for tensor, shape in stored) and all(
        name in tensors for name in needed if name.endswith("_proj.weight")
    )


def _packed_by(tensors: Mapping[str, StoredTensor], module: str) -> str:
    """Tell GPTQ (rows packed) from AWQ (columns packed), which share their names."""
    weight, scales = tensors[f"{module}.qweight"], tensors.get(f"{module}.scales")
    if weight.dtype.name == "int8":
        return "EETQ"
    if scales is not None and len(weight.shape) == len(scales.shape) == 2:
        return "GPTQ" if weight.shape[1] == scales.shape[1] else "AWQ"
    return "GPTQ or AWQ"


def _by_types(tensors: Mapping[str, StoredTensor]) -> Iterator[tuple[str, str]]:
    for name, tensor in tensors.items():
        if not name.endswith(".weight"):
            continue
        module, kind = name.removesuffix(".weight"), tensor.dtype.name
        if kind == "uint32" and f"{module}.scales" in tensors:
            yield "MLX", name
        if kind == "int8" and f"{module}.weight_scale" in tensors:
            yield "compressed-tensors (8-bit integers)", name
        if kind == "uint8" and f"{module}.weight_scale" in tensors:
            scale = tensors[f"{module}.weight_scale"]
            yield "ModelOpt (NVFP4)" if scale.dtype.name.startswith("float8") else "BitNet", name


def refusal(path: Path, program: str, tensor: str) -> UnsupportedModel:
    """Return the sentence about weights that a program quantized, and the tensor that tells."""
    return UnsupportedModel(
        "{path}: this checkpoint is already quantized by {program} (its tensor {tensor} says so); download the original "
        "repository, whose weights are F16, BF16 or F32.",
        path=path,
        program=program,
        tensor=tensor[:100],
    )


def _whole_numbers(checkpoint: Checkpoint, name: str, stored: StoredTensor) -> UnsupportedModel:
    return UnsupportedModel(
        "{path}: tensor {tensor} holds {type} instead of floats: it was quantized by a program that the names of the tensors do "
        "not tell; download the original repository, whose weights are F16, BF16 or F32.",
        path=checkpoint.path,
        tensor=name[:100],
        type=stored.dtype.name,
    )


def _refuse_unknown_scale(checkpoint: Checkpoint, name: str) -> None:
    """Refuse 8-bit floats with a scale beside them that `converter.checkpoint.scaled` does not multiply in."""
    module = name.rpartition(".")[0]
    beside = (other for other in checkpoint.tensors if other.startswith(f"{module}.") and _SCALE in other)
    scale = next((other for other in beside if "input" not in other and "activation" not in other), None)
    if scale is not None:
        raise BadFile(
            "{path}: tensor {tensor} holds 8-bit floats that are to be scaled by {scale}, in a way that Zhiyin does not know; "
            "download the original repository, whose weights are F16, BF16 or F32.",
            path=checkpoint.path,
            tensor=name[:100],
            scale=scale[:100],
        )
