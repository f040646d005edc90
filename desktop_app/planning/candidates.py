"""Candidates of the planner: a finished file as it is, or a checkpoint in every quantization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from converter.ggml_types import row_bytes
from converter.gguf_checks import check_model, read_parts
from converter.gguf_header import ArrayLength, GGUFHeader
from desktop_app.planning.configuration import Candidate, Model
from desktop_app.planning.footprint import TensorSize
from desktop_app.system.read_speed import Weights
from models.errors import ZhiyinError
from models.family import Metadata, Shape
from models.gguf_constants import GGMLQuantizationType

if TYPE_CHECKING:
    from converter.checkpoint import Checkpoint
    from converter.mixtures import Mixture
    from converter.plan import Quantizable
    from converter.recipes import Recipe
    from models.config import Config
    from models.family import Blueprint

LADDER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K")
"""From exact to small: what is worth choosing."""


def model_of_gguf(path: Path) -> Model:
    """Return a GGUF file, split ones with all their parts, as the planner's only candidate.

    Raises:
        ZhiyinError: it is damaged.
    """
    headers = read_parts(path)
    return model_of_headers({headers[0].quantization or "as it is": headers})


def model_of_headers(headers: Mapping[str, Sequence[GGUFHeader]]) -> Model:
    """Return a model that is there as GGUF in some quantizations, from the headers of each one's parts.

    Raises:
        ZhiyinError: they are of several models.
    """
    for parts in headers.values():
        check_model(parts)
    first = next(iter(headers.values()))[0]
    parameters: Metadata = first.parameters
    listed = first.metadata.get("tokenizer.ggml.tokens")
    tokens = listed.length if isinstance(listed, ArrayLength) else 0
    parameters.setdefault("vocab_size", tokens)
    other = next((header for header, *_ in headers.values() if _shape_of(header) != _shape_of(first)), None)
    if other is not None:
        raise ZhiyinError(
            "{path} and {other} are of different models; name the one that you mean.", path=first.path, other=other.path
        )
    candidates = [_candidate(quant, parts, parameters) for quant, parts in headers.items()]
    candidates.sort(key=lambda candidate: -sum(tensor.bytes for tensor in candidate.tensors))
    merges = "tokenizer.ggml.merges" in first.metadata
    return Model(first.architecture, parameters, _trained(parameters), tokens, tuple(candidates), merges)


def _shape_of(header: GGUFHeader) -> tuple[object, ...]:
    return (header.architecture, *map(header.parameter, ("block_count", "embedding_length", "feed_forward_length")))


def _candidate(quant: str, parts: Iterable[GGUFHeader], parameters: Metadata) -> Candidate:
    tensors = [tensor for part in parts for tensor in part.tensors.values()]
    return Candidate(
        quant,
        tuple(TensorSize(tensor.name, tensor.size) for tensor in tensors),
        _read_weights(((t.name, t.shape, t.type, t.size) for t in tensors), parameters),
        _operations((t.name, t.shape) for t in tensors),
        _embedding_type((t.name, t.type) for t in tensors),
    )


def model_of_config(config: Config, checkpoint: Checkpoint | None = None, quants: Sequence[str] = ()) -> Model:
    """Return a checkpoint, or its configuration alone, in the given quantizations, or in all that are worth choosing.

    Raises:
        ZhiyinError: no family knows it.
    """
    from converter.checkpoint.quantized import refuse_quantized_tensors
    from models.families import family_of

    shapes = None if checkpoint is None else {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    blueprint = family_of(config, tensors_decide=checkpoint is not None).blueprint(config, shapes)
    if checkpoint is not None:
        refuse_quantized_tensors(checkpoint, blueprint)
    return model_of_quantizable(quantizable(blueprint), quants)


def bytes_in(quant: str, config: Config) -> int:
    """Return the bytes of all tensors that a checkpoint has in a quantization, by its configuration alone; 0: not known."""
    from converter.gguf_writer import aligned

    try:
        (candidate,) = model_of_config(config, quants=(quant,)).candidates
    except ZhiyinError:
        return 0
    return sum(aligned(tensor.bytes) for tensor in candidate.tensors)


def quantizable(blueprint: Blueprint) -> Quantizable:
    """Return what a quantization is chosen for, by a configuration alone."""
    from converter.plan import Quantizable
    from converter.recipes import find_recipe

    parameters = {"vocab_size": blueprint.vocabulary_size} | blueprint.parameters
    return Quantizable(blueprint.architecture, parameters, blueprint.tensors, find_recipe(blueprint.default_quant))


def model_of_quantizable(source: Quantizable, quants: Sequence[str] = ()) -> Model:
    """Return what is about to be converted in the given quantizations, or in all that are worth choosing."""
    from converter.recipes import find_recipe

    recipes = map(find_recipe, quants or worth_choosing(source.usual))
    return _model(source, [_candidate_of(source, recipe.name, source.types_of(recipe)) for recipe in recipes])


def model_of_mixture(source: Quantizable, mixture: Mixture) -> Model:
    """Return what is about to be converted to a mixture by measurement."""
    from converter.recipes import find_recipe

    exact = source.types_of(find_recipe("F16"))
    types = [mixture.types.get(tensor.name, type_) for tensor, type_ in zip(source.tensors, exact, strict=True)]
    return _model(source, [_candidate_of(source, "mixture", types)])


def _candidate_of(source: Quantizable, quant: str, types: Sequence[GGMLQuantizationType]) -> Candidate:
    entries = [
        (tensor.name, tensor.shape, type_, row_bytes(type_, tensor.shape[-1]) * prod(tensor.shape[:-1]))
        for tensor, type_ in zip(source.tensors, types, strict=True)
    ]
    sizes = tuple(TensorSize(name, size) for name, _, _, size in entries)
    embedding = _embedding_type((name, type_) for name, _, type_, _ in entries)
    operations = _operations((name, shape) for name, shape, _, _ in entries)
    return Candidate(quant, sizes, _read_weights(entries, source.parameters), operations, embedding)


def _model(source: Quantizable, candidates: Sequence[Candidate]) -> Model:
    tokens = source.parameters.get("vocab_size")
    return Model(
        architecture=source.architecture,
        parameters=source.parameters,
        trained_context=_trained(source.parameters),
        tokens=tokens if isinstance(tokens, int) else 0,
        candidates=tuple(candidates),
    )


def worth_choosing(usual: Recipe) -> Sequence[str]:
    """Return the ladder; a family whose usual mixture has more than four bits breaks with fewer."""
    return LADDER if usual.name not in LADDER[:3] else LADDER[: LADDER.index(usual.name) + 1]


def _read_weights(
    tensors: Iterable[tuple[str, Shape, GGMLQuantizationType, int]], parameters: Metadata
) -> dict[str, Weights]:
    """Return what one token is multiplied by, by type: of the experts only those in use, of the embedding one row."""
    entries = list(tensors)
    tied = all(name != "output.weight" for name, *_ in entries)
    experts, used = parameters.get("expert_count"), parameters.get("expert_used_count")
    part = used / experts if isinstance(experts, int) and isinstance(used, int) and experts else 1.0
    sizes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for name, shape, type_, size in entries:
        if name.startswith("token_embd.") and not tied:
            continue
        share = part if "_exps." in name else 1.0
        sizes[type_.name] += int(size * share)
        rows[type_.name] += int(prod(shape[:-1]) * share)
    return {name: Weights(size, rows[name]) for name, size in sizes.items()}


def _operations(tensors: Iterable[tuple[str, Shape]]) -> int:
    """Return the operations that weights take part in: a norm's are a norm and a product, all others one of either kind."""
    return sum(2 if len(shape) == 1 and name.endswith("norm.weight") else 1 for name, shape in tensors)


def _embedding_type(tensors: Iterable[tuple[str, GGMLQuantizationType]]) -> str:
    return next((type_.name for name, type_ in tensors if name == "token_embd.weight"), "")


def _trained(parameters: Metadata) -> int:
    length = parameters.get("context_length")
    return length if isinstance(length, int) else 0
