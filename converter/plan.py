"""Everything about a conversion that is known before it begins: names, types, exact sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.merged import MergedCheckpoint
from converter.checkpoint.open import checkpoint_folder, published_name
from converter.checkpoint.prepared import PreparedCheckpoint
from converter.checkpoint.quantized import refuse_quantized_tensors
from converter.gguf_writer import Encoded, Int32, Layout, UInt16, lay_out
from converter.importance import Importance, read_importance
from converter.metadata import Parameters, base_model, count_parameters, file_name, general_metadata, requantized_name
from converter.mixtures import MIXTURE_KEY, Mixture
from converter.recipes import Recipe, find_override, find_recipe, is_lossy, tensor_types
from converter.source_tensors import check_sources, left_out
from models.chat import chat_formats
from models.config import Config
from models.decoder import refuse_unread_biases
from models.errors import BadFile, NoTokenizer, ZhiyinError
from models.families import family_of
from models.family import STOP, Blueprint, Family, Metadata, OutputTensor, Source
from models.gguf_constants import GGMLQuantizationType
from models.sentence import Sentence
from models.vocab import read_vocabulary
from models.vocab.vocabulary import NO_VOCABULARY, Vocabulary

_SPLIT_KEYS = ("split.no", "split.count", "split.tensors.count")
_QUANTIZATION_VERSION = 2
_OF_ANOTHER_MODEL = 2
"""A tokenizer with more tokens than this times the embedding's rows belongs to another model."""


@dataclass(frozen=True)
class Quantizable:
    """The model that a quantization is chosen for."""

    architecture: str
    parameters: Metadata
    """Hyperparameters without the architecture's prefix."""
    tensors: Sequence[OutputTensor]
    usual: Recipe
    """The family's smallest mixture that leaves its answers intact."""
    stored: Mapping[str, GGMLQuantizationType] | None = None
    """Of a GGUF file: the type that each tensor has already."""

    def types_of(self, recipe: Recipe) -> list[GGMLQuantizationType]:
        """Return each tensor's type in a mixture."""
        return tensor_types(recipe, self.tensors, self.architecture, self.parameters, stored=self.stored)


@dataclass(frozen=True)
class ConvertRequest:
    """A request for a conversion."""

    source: Path
    """A checkpoint's folder, a single file of weights, or a GGUF file; with `lora`, the base."""
    out: Path | None = None
    """None: the customary name, in the current folder."""
    quant: str = "auto"
    """A recipe's name; "auto": the family's usual mixture, which `ConversionPlan.in_quant` changes."""
    tokenizer: Path | str | None = None
    """Folder of another tokenizer; "none": convert without one."""
    threads: int = 0
    """0: one for each core."""
    imatrix: Path | None = None
    """An importance matrix."""
    tensor_types: tuple[str, ...] = ()
    """`NAME=TYPE` each."""
    allow_requantize: bool = False
    """Quantize again what was quantized with loss already."""
    mixture: Mixture | None = None
    """Types by measurement in place of the recipe's."""
    split_max_size: int = 0
    """Most bytes of tensors in one file; 0: one file."""
    lora: tuple[Path, ...] = ()
    """Adapters to merge into the source, in this order."""
    as_adapter: bool = False
    """Write the only adapter as a file of its own for models converted from the source, instead of merging it."""
    weights: Path | None = None
    """Which of the folder's files of weights is meant, where there are several sets."""


@dataclass(frozen=True)
class Part:
    """One file to be written."""

    name: str
    layout: Layout = field(repr=False)
    tensors: tuple[OutputTensor, ...] = field(repr=False)
    """In the layout's order."""


@dataclass(frozen=True)
class ConversionPlan:
    """Everything that is known before the work begins."""

    request: ConvertRequest = field(repr=False)
    """What was planned."""
    out: Path
    """The file, or the first of several."""
    family: str
    architecture: str
    recipe: Recipe
    size: int
    """Bytes of all files, exactly."""
    warnings: tuple[Sentence, ...]
    parts: tuple[Part, ...] = field(repr=False)
    metadata: Metadata = field(default_factory=dict, repr=False)
    """All key-value pairs of the file."""
    importance: Importance | None = field(default=None, repr=False)
    steps: tuple[Sentence, ...] = ()
    """What is merged: the base, the adapters in their order, the vocabulary."""
    quantizable: Quantizable | None = field(default=None, repr=False)
    """None: an adapter, which stays in floats."""
    remake: Callable[[Recipe, Path | None], ConversionPlan] | None = field(default=None, repr=False)
    """Plans the same source in another mixture or for another file; see `in_quant` and `written_to`."""

    def in_quant(self, quant: str, *notes: Sentence) -> ConversionPlan:
        """Return the plan in another quantization, without reading anything again; `notes` join its warnings."""
        if self.remake is None:
            return self
        made = self.remake(find_recipe(quant), self.request.out)
        return replace(made, warnings=(*made.warnings, *notes))

    def written_to(self, out: Path) -> ConversionPlan:
        """Return the plan for another file, without reading anything again."""
        return self if self.remake is None else replace(self.remake(self.recipe, out), warnings=self.warnings)

    @property
    def tensors(self) -> int:
        """How many tensors will be written."""
        return sum(len(part.tensors) for part in self.parts)


@dataclass(frozen=True)
class _Model:
    """The fields shared by the two kinds of source."""

    family: str
    architecture: str
    parameters: Metadata
    tensors: tuple[OutputTensor, ...]
    recipe: Recipe
    metadata: Metadata
    out: Path
    warnings: tuple[Sentence, ...]
    steps: tuple[Sentence, ...] = ()
    stored: dict[str, GGMLQuantizationType] | None = None


Convertible = GGUFFile | MergedCheckpoint | PreparedCheckpoint
"""What a conversion reads."""


def plan_conversion(request: ConvertRequest, checkpoint: Convertible) -> ConversionPlan:
    """Return what will be written.

    Raises:
        ZhiyinError: it cannot be done; one sentence.
    """
    overrides = tuple(find_override(text) for text in request.tensor_types)
    importance = None if request.imatrix is None else read_importance(request.imatrix)
    plan = _of_gguf(request, checkpoint) if isinstance(checkpoint, GGUFFile) else _of_checkpoint(request, checkpoint)

    def planned(recipe: Recipe, out: Path | None) -> ConversionPlan:
        model = plan.model(recipe)
        model = replace(model, out=out or model.out)
        types = tensor_types(
            recipe,
            model.tensors,
            model.architecture,
            model.parameters,
            importance=importance is not None,
            overrides=overrides,
            chosen_types=None if request.mixture is None else request.mixture.types,
            stored=model.stored,
        )
        if model.stored is not None and not request.allow_requantize:
            _refuse_second_loss(request.source, model, types)
        metadata = model.metadata | (importance.metadata if importance is not None else {})
        if request.mixture is not None:
            metadata |= {MIXTURE_KEY: request.mixture.text()}
        parts = _parts(model, metadata, types, request.split_max_size)
        return ConversionPlan(
            request=request,
            out=model.out.with_name(parts[0].name),
            family=model.family,
            architecture=model.architecture,
            recipe=recipe,
            size=sum(part.layout.size for part in parts),
            warnings=model.warnings,
            parts=parts,
            metadata=metadata,
            importance=importance,
            steps=model.steps,
            quantizable=plan.quantizable,
            remake=planned,
        )

    recipe = plan.quantizable.usual if request.quant == "auto" else find_recipe(request.quant)
    return planned(recipe, request.out)


@dataclass(frozen=True)
class _Source:
    """A source that was read: what a quantization is chosen for, and the model in one."""

    quantizable: Quantizable
    model: Callable[[Recipe], _Model]


def _of_checkpoint(request: ConvertRequest, checkpoint: MergedCheckpoint | PreparedCheckpoint) -> _Source:
    merged = checkpoint if isinstance(checkpoint, MergedCheckpoint) else None
    config = checkpoint.config
    config = config.also_named(*(published_name(checkpoint_folder(path)) for path in request.lora))
    named_after = request.source if merged is None else merged.adapters[-1].path
    family = family_of(config, tensors_decide=True)
    blueprint = family.blueprint(config, {name: tensor.shape for name, tensor in checkpoint.tensors.items()})
    refuse_quantized_tensors(checkpoint, blueprint)
    refuse_unread_biases(config, blueprint.architecture, blueprint.tensors, checkpoint.tensors)
    check_sources(checkpoint, blueprint, config)
    folder = checkpoint_folder(request.source) if merged is None else merged.tokenizer
    vocabulary = _vocabulary(request, folder, config, blueprint)
    parameters = count_parameters(blueprint.tensors)
    usual = find_recipe(blueprint.default_quant)
    quantizable = Quantizable(blueprint.architecture, blueprint.parameters, blueprint.tensors, usual)

    def model(recipe: Recipe) -> _Model:
        return _Model(
            family=family.name,
            architecture=blueprint.architecture,
            parameters=blueprint.parameters,
            tensors=blueprint.tensors,
            recipe=recipe,
            metadata=_metadata(named_after, config, recipe, blueprint, vocabulary, parameters)
            | ({} if merged is None else base_model(merged.path, merged.adapters[0].base_name)),
            out=Path(file_name(named_after, config, recipe, parameters)),
            warnings=(
                *_too_coarse(recipe, family, blueprint),
                *checkpoint.notes,
                *blueprint.warnings,
                *left_out(checkpoint, blueprint),
                *vocabulary.warnings,
            ),
            steps=() if merged is None else merged.steps,
        )

    return _Source(quantizable, model)


def _of_gguf(request: ConvertRequest, file: GGUFFile) -> _Source:
    header = file.header
    if "general.architecture" not in header.metadata or not file.tensors:
        raise BadFile("{path} is a GGUF file, but not of a model; name the model's file.", path=request.source)
    prefix = f"{header.architecture}."
    parameters = {key.removeprefix(prefix): value for key, value in header.metadata.items() if key.startswith(prefix)}
    tensors = tuple(
        OutputTensor(name, tensor.shape, (Source(name, tensor.shape),)) for name, tensor in file.tensors.items()
    )
    stored = dict(file.types)
    quantizable = Quantizable(header.architecture, parameters, tensors, find_recipe("Q4_K_M"), stored)
    dropped = (*_SPLIT_KEYS, "general.alignment")
    kept: Metadata = {key: Encoded(data) for key, data in header.encoded.items() if key not in dropped}

    def model(recipe: Recipe) -> _Model:
        metadata = kept | {
            "general.quantization_version": _QUANTIZATION_VERSION,
            "general.file_type": int(recipe.file_type),
        }
        return _Model(
            family=header.architecture,
            architecture=header.architecture,
            parameters=parameters,
            tensors=tensors,
            recipe=recipe,
            metadata=metadata,
            out=Path(requantized_name(request.source, recipe)),
            warnings=(),
            stored=stored,
        )

    return _Source(quantizable, model)


def _too_coarse(recipe: Recipe, family: Family, blueprint: Blueprint) -> tuple[Sentence, ...]:
    """Return a sentence where a family needs more bits than most, and is to get fewer than it needs."""
    needed = find_recipe(blueprint.default_quant)
    if not recipe.is_coarser_than(needed) or not find_recipe(Blueprint.default_quant).is_coarser_than(needed):
        return ()
    return (
        Sentence(
            "{quant} has too few bits for {family}, whose answers it spoils; {needed} is the smallest quantization that leaves "
            "them intact.",
            quant=recipe.name,
            family=family.title,
            needed=needed.name,
        ),
    )


def _refuse_second_loss(source: Path, model: _Model, types: Sequence[GGMLQuantizationType]) -> None:
    assert model.stored is not None  # noqa: S101 - only called for GGUF sources
    for tensor, type_ in zip(model.tensors, types, strict=True):
        stored = model.stored[tensor.name]
        if stored is not type_ and is_lossy(stored):
            raise ZhiyinError(
                "{path} is quantized already (tensor {tensor} is {type}), and quantizing it again loses more than "
                "either alone; convert the original checkpoint, or insist with --allow-requantize.",
                path=source,
                tensor=tensor.name,
                type=stored.name,
            )


def _parts(model: _Model, metadata: Metadata, types: Sequence[GGMLQuantizationType], most: int) -> tuple[Part, ...]:
    entries = [(tensor.name, tensor.shape, type_) for tensor, type_ in zip(model.tensors, types, strict=True)]
    single = lay_out(metadata, entries)
    groups = _groups([placed.size for placed in single.tensors], most)
    if len(groups) == 1:
        return (Part(model.out.name, single, model.tensors),)
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", model.out.name.removesuffix(".gguf"))
    parts = []
    for number, group in enumerate(groups):
        # llama.cpp asks for these three types
        split: Metadata = {
            "split.no": UInt16(number),
            "split.count": UInt16(len(groups)),
            "split.tensors.count": Int32(len(entries)),
        }
        layout = lay_out((metadata if number == 0 else {}) | split, [entries[index] for index in group])
        tensors = tuple(model.tensors[index] for index in group)
        parts.append(Part(f"{stem}-{number + 1:05}-of-{len(groups):05}.gguf", layout, tensors))
    return tuple(parts)


def _groups(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Cut tensors, in their order, into files of at most `most` bytes; a larger tensor has a file of its own."""
    groups: list[list[int]] = [[]]
    total = 0
    for index, size in enumerate(sizes):
        if most and groups[-1] and total + size > most:
            groups.append([])
            total = 0
        groups[-1].append(index)
        total += size
    return groups


def _vocabulary(request: ConvertRequest, folder: Path, config: Config, blueprint: Blueprint) -> Vocabulary:
    if request.tokenizer == "none":
        return NO_VOCABULARY
    folder = folder if request.tokenizer is None else Path(request.tokenizer)
    vocabulary = _read_vocabulary(request, folder, config, blueprint)
    rows = blueprint.vocabulary_size
    if len(vocabulary.tokens) > _OF_ANOTHER_MODEL * rows:
        raise BadFile(
            "{path}: the tokenizer has {count} tokens, but the model only {known}; take the tokenizer from the "
            "same place as the weights.",
            path=folder,
            count=len(vocabulary.tokens),
            known=rows,
        )
    vocabulary = vocabulary.cut(rows)
    if blueprint.chat is not None:
        vocabulary = vocabulary.with_control(blueprint.chat.tokens).ending_with(blueprint.chat.stop)
    return vocabulary.padded(rows)


def _read_vocabulary(request: ConvertRequest, folder: Path, config: Config, blueprint: Blueprint) -> Vocabulary:
    """Return a folder's vocabulary; the one that is built in takes its place only where nobody named that folder."""
    built_in = blueprint.built_in_vocabulary if request.tokenizer is None else None
    if built_in is not None and request.source.is_file():
        return built_in(None)
    try:
        return (blueprint.read_vocabulary or read_vocabulary)(folder, config)
    except NoTokenizer:
        if built_in is None:
            raise
        return built_in(folder)


def _metadata(
    source: Path, config: Config, recipe: Recipe, blueprint: Blueprint, vocabulary: Vocabulary, parameters: Parameters
) -> Metadata:
    """Return all key-value pairs in the customary order."""
    pairs: Metadata = {"general.architecture": blueprint.architecture}
    pairs |= general_metadata(source, config, recipe, parameters)
    pairs |= {f"{blueprint.architecture}.{key}": value for key, value in blueprint.parameters.items()}
    pairs |= blueprint.metadata | vocabulary.metadata()
    if blueprint.chat is not None:
        pairs.setdefault("tokenizer.chat_template", blueprint.chat.template)
        if blueprint.chat.stop:
            pairs.setdefault(STOP, list(blueprint.chat.stop))
        if blueprint.chat.chat_format:
            pairs.setdefault(chat_formats.KEY, blueprint.chat.chat_format)
        for key, value in blueprint.chat.sampling.items():
            pairs.setdefault(f"general.sampling.{key}", value)
    return pairs
