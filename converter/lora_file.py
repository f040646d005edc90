"""An adapter as a GGUF file of its own, which llama.cpp puts on a loaded model.

Layout: llama.cpp, src/llama-adapter.cpp: `NAME.lora_a` [rank, in] and `NAME.lora_b` [out, rank] for a model's tensor NAME, which
acts as W + adapter.lora.alpha / rank · lora_b · lora_a. The embeddings' lora_a lies transposed: its rows are looked up by token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from converter.checkpoint.lora import Adapter, LowRank
from converter.checkpoint.open import read_config
from converter.checkpoint.prepared import open_prepared
from converter.checkpoint.quantized import quantized_by
from converter.ggml import widen
from converter.gguf_writer import lay_out
from converter.merging import Stage, bring_to_usual_names, check_changes, stage_of
from converter.metadata import base_model
from converter.plan import ConversionPlan, ConvertRequest, Part
from converter.recipes import find_recipe
from models.errors import BadFile, UnsupportedModel, ZhiyinError
from models.family import Metadata, OutputTensor, Source, Transform
from models.gguf_constants import GGMLQuantizationType
from models.layers import is_stacked, row_order, stack_row_order, stacked
from models.refusals import without_quantization
from models.sentence import Sentence

_TYPES = ("F16", "F32", "BF16")
_QUANTIZATION_VERSION = 2


def plan_adapter(request: ConvertRequest) -> ConversionPlan:
    """Return what will be written of the request's only adapter; of the base, its config.json is enough.

    Raises:
        ZhiyinError: the adapter does not fit the base, or llama.cpp cannot apply its kind to a loaded model.
    """
    if len(request.lora) != 1:
        raise ZhiyinError("A file of an adapter holds one adapter; convert each by itself.")
    adapter = Adapter(request.lora[0])
    quant = _TYPES[0] if request.quant == "auto" else request.quant.upper()
    if quant not in _TYPES:
        raise ZhiyinError(
            "Adapters are small and stay in floats; choose --quant {types} or leave it out.", types=", ".join(_TYPES)
        )
    recipe = find_recipe(quant)
    stage, outputs, architecture = _of_base(request.source)
    left_out = bring_to_usual_names(stage, adapter)
    _refuse_what_only_merging_does(stage, adapter)
    check_changes(stage, adapter)
    alpha = adapter.config.float("lora_alpha", default=1.0) or 1.0
    tensors = (
        *(tensor for name in adapter.low_rank for tensor in _pairs(adapter, name, outputs, alpha)),
        *_experts(adapter, outputs, alpha),
    )
    out = request.out or Path(f"{adapter.path.resolve().name}-{quant}-LoRA.gguf")
    metadata: Metadata = {
        "general.architecture": architecture,
        "general.type": "adapter",
        "general.name": adapter.path.resolve().name,
        **base_model(request.source, adapter.base_name),
        "general.file_type": int(recipe.file_type),
        "general.quantization_version": _QUANTIZATION_VERSION,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    layout = lay_out(metadata, [(tensor.name, tensor.shape, GGMLQuantizationType[quant]) for tensor in tensors])
    return ConversionPlan(
        request=request,
        out=out,
        family=stage.family.name,
        architecture=architecture,
        recipe=recipe,
        size=layout.size,
        warnings=() if left_out is None else (left_out,),
        parts=(Part(out.name, layout, tensors),),
        steps=(
            Sentence("Base: {base} ({family})", base=request.source, family=stage.family.title),
            Sentence("Adapter: {adapter} ({count} matrices)", adapter=adapter.path, count=len(adapter.low_rank)),
        ),
    )


def _of_base(base: Path) -> tuple[Stage, dict[str, list[OutputTensor]], str]:
    """Return the base, the GGUF tensors made of each of its tensors, and its architecture."""
    if not (base / "config.json").is_file():
        raise BadFile(
            "{base} has no config.json, which says how the adapter's tensors are named; name the folder of the "
            "original checkpoint with --base (its config.json alone is enough).",
            base=base,
        )
    config, shapes = read_config(base), None
    if any(base.glob("*.safetensors")) or any(base.glob("*.bin")):
        checkpoint = open_prepared(base)
        config = checkpoint.config
        shapes = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
        if quantized_by(checkpoint.tensors) is not None:
            shapes = None  # packed weights have other shapes; those of the layers follow from the rest
        checkpoint.close()
    config = without_quantization(config)
    stage = stage_of(base, config, shapes)
    blueprint = stage.family.blueprint(config, shapes)
    outputs: dict[str, list[OutputTensor]] = {}
    for tensor in blueprint.tensors:
        for source in tensor.sources:
            outputs.setdefault(source.name, []).append(tensor)
    return stage, outputs, blueprint.architecture


def _refuse_what_only_merging_does(stage: Stage, adapter: Adapter) -> None:
    if adapter.whole:
        reason = Sentence("it brings whole tensors ({tensor})", tensor=next(iter(adapter.whole))[:80])
    elif adapter.rows:
        reason = Sentence("it replaces rows of {tensor}", tensor=next(iter(adapter.rows))[:80])
    elif adapter.biases:
        reason = Sentence("it adds to biases ({tensor})", tensor=next(iter(adapter.biases))[:80])
    elif any(change.magnitude is not None for change in adapter.low_rank.values()):
        reason = Sentence("it is a DoRA, whose lengths depend on the base's weights")
    elif stage.tied and {stage.embeddings, stage.head} & adapter.low_rank.keys():
        reason = Sentence("it changes one of embeddings and head, which the base shares")
    else:
        return
    raise UnsupportedModel(
        "llama.cpp cannot apply {adapter} to a loaded model, because {reason}: merge it by `zhiyin convert --base {base} --lora "
        "{adapter}`.",
        adapter=adapter.path,
        reason=reason,
        base=stage.base,
    )


def _pairs(adapter: Adapter, name: str, outputs: dict[str, list[OutputTensor]], alpha: float) -> Iterator[OutputTensor]:
    change = adapter.low_rank[name]
    a, b = (Source(key, adapter.weights.tensors[key].shape) for key in (change.a, change.b))
    factor = _factor(change, alpha)
    for tensor in outputs.get(name, ()):
        if change.experts and change.expert is None:
            yield from _of_stack(adapter, name, tensor, factor)
            continue
        if tensor.name == "token_embd.weight":
            yield OutputTensor(f"{tensor.name}.lora_a", a.shape[::-1], (a,), np.transpose)
            yield OutputTensor(f"{tensor.name}.lora_b", b.shape, (b,), _left(np.arange(b.shape[0]), factor))
            continue
        if is_stacked(tensor):
            continue
        order = row_order(tensor, flipped=change.flipped)
        if order is None:
            raise _permuted(adapter, name)
        yield OutputTensor(f"{tensor.name}.lora_a", a.shape, (a,))
        yield OutputTensor(f"{tensor.name}.lora_b", (len(order), change.rank), (b,), _left(order, factor))


def _experts(adapter: Adapter, outputs: dict[str, list[OutputTensor]], alpha: float) -> Iterator[OutputTensor]:
    """Yield the pairs of stacked experts: [experts, rank, in] and [experts, out, rank]."""
    stacks = {tensor.name: tensor for tensors in outputs.values() for tensor in tensors if is_stacked(tensor)}
    for tensor in stacks.values():
        changes = [adapter.low_rank[source.name] for source in tensor.sources if source.name in adapter.low_rank]
        if not changes:
            continue
        if len(changes) < len(tensor.sources) or len({(change.rank, change.scale) for change in changes}) > 1:
            raise UnsupportedModel(
                "{adapter} does not change all experts of {tensor} alike, which llama.cpp cannot apply to a loaded "
                "model; merge the adapter with --lora instead.",
                adapter=adapter.path,
                tensor=tensor.name,
            )
        rank, (rows, columns) = changes[0].rank, changes[0].shape
        if changes[0].experts:
            factor = _factor(changes[0], alpha)
            yield from _halves(adapter, tensor.name, changes[0], np.arange(rows) + (changes[0].rows.start or 0), factor)
            continue
        yield stacked(f"{tensor.name}.lora_a", tuple(change.a for change in changes), rank, columns)
        stacked_b = stacked(f"{tensor.name}.lora_b", tuple(change.b for change in changes), rows, rank)
        yield replace(stacked_b, transform=partial(_scaled_stack, factor=np.float32(_factor(changes[0], alpha))))


def _of_stack(adapter: Adapter, name: str, tensor: OutputTensor, factor: float) -> Iterator[OutputTensor]:
    """Yield the pair of experts that the checkpoint has in one tensor, too."""
    change = adapter.low_rank[name]
    order = stack_row_order(tensor, flipped=change.flipped)
    if order is None:
        raise _permuted(adapter, name)
    yield from _halves(adapter, tensor.name, change, order, factor)


def _halves(adapter: Adapter, name: str, change: LowRank, rows: np.ndarray, factor: float) -> Iterator[OutputTensor]:
    """Yield the pair of all experts' changes, of which PEFT has A [experts · rank, in] and B [out, rank · experts]."""
    a, b = (Source(key, adapter.weights.tensors[key].shape) for key in (change.a, change.b))
    stack = (change.experts, change.rank)
    yield OutputTensor(f"{name}.lora_a", (*stack, a.shape[1]), (a,), partial(np.reshape, shape=(*stack, a.shape[1])))
    split = partial(_split, rows=rows, experts=change.experts, factor=np.float32(factor))
    yield OutputTensor(f"{name}.lora_b", (change.experts, len(rows), change.rank), (b,), split)


def _split(b: np.ndarray, *, rows: np.ndarray, experts: int, factor: np.float32) -> np.ndarray:
    each: np.ndarray = b[rows].reshape(len(rows), -1, experts).transpose(2, 0, 1)
    return each if factor == 1 else widen(each) * factor


def _permuted(adapter: Adapter, name: str) -> UnsupportedModel:
    return UnsupportedModel(
        "{adapter} changes {tensor}, whose values the converter rearranges so that llama.cpp cannot apply "
        "the change to a loaded model; merge the adapter with --lora instead.",
        adapter=adapter.path,
        tensor=name[:100],
    )


def _factor(change: LowRank, alpha: float) -> float:
    """Return what B is multiplied by: the file has one alpha for all matrices."""
    return change.scale * change.rank / alpha


def _scaled_stack(*parts: np.ndarray, factor: np.float32) -> np.ndarray:
    stack = np.stack(parts)
    return stack if factor == 1 else widen(stack) * factor


def _left(order: np.ndarray, factor: float) -> Transform:
    return partial(_moved, order=order, factor=np.float32(factor))


def _moved(b: np.ndarray, *, order: np.ndarray, factor: np.float32) -> np.ndarray:
    """Return B's rows as the model's are ordered, times a factor."""
    moved: np.ndarray = b[order]
    return moved if factor == 1 else widen(moved) * factor
