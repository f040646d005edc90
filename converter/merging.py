"""Opens a base with adapters on it, after checking that they belong together.

Nothing here reads more than heads and a few rows of embeddings: what does not fit is refused before any work begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, shape_text
from converter.checkpoint.adapter_folder import is_adapter
from converter.checkpoint.lora import Adapter
from converter.checkpoint.merged import MergedCheckpoint
from converter.checkpoint.open import checkpoint_folder, read_config
from converter.checkpoint.prepared import PreparedCheckpoint, open_prepared, vocabulary_tensors
from converter.checkpoint.quantized import refuse_quantized_tensors
from converter.checkpoint.usual_names import is_of_other_part, usual_names
from converter.gguf_header import is_named_gguf
from converter.packed_experts import spread_over_experts
from models.config import Config
from models.errors import BadFile, UnsupportedModel, ZhiyinError
from models.families import family_of
from models.family import Family, Shape
from models.language_part import is_part, without_part_names
from models.sentence import Sentence
from models.vocab import read_vocabulary

_LLAMA_SIZES = {4096: "7B", 5120: "13B", 6656: "33B", 8192: "65B"}
"""Of LLaMA 1, by its width."""
_CHINESE_LLAMA_ROWS, _CHINESE_ALPACA_ROWS = 49953, 49954
_FEW_TOKENS = 16
_VALUE_HEAD = re.compile(r"(?:^|\.)(?:v_head|value_head)\.")
"""Of TRL's models with a value head."""
_SAMPLED_ROWS = 64


@dataclass
class Stage:
    """The model so far: the base, or the base with some adapters on it."""

    base: Path
    family: Family
    config: Config
    shapes: dict[str, Shape]
    embeddings: str
    """The name of the token embeddings."""
    head: str
    """The name of the output head, which may be tied and then missing from `shapes`."""
    tied: bool
    merged: list[Adapter] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Tokens of the vocabulary."""
        return self.shapes[self.embeddings][0]


def open_merged(base: Path, lora: Sequence[Path], weights: Path | None = None) -> MergedCheckpoint:
    """Open a base and adapters in the order in which they are to be merged.

    Args:
        base: the checkpoint below.
        lora: folders of adapters.
        weights: which of the base's files of weights is meant, where there are several sets.

    Raises:
        ZhiyinError: they do not fit; the sentence names both sides.
    """
    refuse_base_layout(base)
    adapters = [Adapter(path) for path in lora]
    checkpoint = open_prepared(base, weights)
    _refuse_integers(base, checkpoint, adapters)
    stage = _first_stage(base, checkpoint)
    refuse_quantized_tensors(checkpoint, stage.family.blueprint(stage.config, stage.shapes))
    copies: dict[str, str] = {}
    notes = checkpoint.notes
    steps = [
        Sentence("Base: {base} ({family}, {count:,} tokens)", base=base, family=stage.family.title, count=stage.rows)
    ]
    for adapter in adapters:
        left_out = bring_to_usual_names(stage, adapter)
        notes += (left_out,) if left_out is not None else ()
        _refuse_merged_already(stage, adapter, checkpoint)
        if _unties(stage, adapter):
            copies[stage.head] = stage.embeddings
            stage.shapes[stage.head] = stage.shapes[stage.embeddings]
            stage.tied = False
        check_changes(stage, adapter)
        _replace_whole(stage, adapter)
        stage.merged.append(adapter)
        steps.append(
            Sentence(
                "Adapter {number}: {path} {changes}; {count:,} tokens from here",
                number=len(stage.merged),
                path=adapter.path,
                changes=_contents(adapter),
                count=stage.rows,
            )
        )
    head_rows = stage.rows if stage.tied else stage.shapes[stage.head][0]
    if head_rows != stage.rows:
        raise BadFile(
            "{adapter} brings embeddings of {count} tokens, but the output head has {head_count}; the adapter was "
            "saved without one of the two: get it again.",
            adapter=adapters[-1].path,
            count=stage.rows,
            head_count=head_rows,
        )
    config = _with_vocabulary(stage)
    tokenizer = _tokenizer(stage)
    return MergedCheckpoint(
        checkpoint,
        tuple(adapters),
        config,
        tokenizer,
        copies,
        (*steps, Sentence("Tokenizer: {path}", path=tokenizer)),
        notes,
    )


def _refuse_integers(base: Path, checkpoint: Checkpoint, adapters: Sequence[Adapter]) -> None:
    """Raise `UnsupportedModel` for a base in whole numbers with scales beside: a change cannot be added to the numbers."""
    for adapter in adapters:
        for name in adapter.low_rank:
            stored = checkpoint.tensors.get(name)
            if stored is not None and stored.dtype.kind in "iu" and f"{name}_scale" in checkpoint.tensors:
                raise UnsupportedModel(
                    "{base} is quantized ({tensor} holds whole numbers), and an adapter was trained on the weights "
                    "that it came from; name the original checkpoint with --base.",
                    base=base,
                    tensor=name,
                )


def refuse_base_layout(base: Path) -> None:
    """Raise `ZhiyinError` for a base that is no Hugging Face checkpoint of plain weights, saying what it is."""
    if not base.exists():
        raise BadFile("{base} does not exist; name the folder of the base with --base.", base=base)
    is_collection = base.is_dir() and not (base / "config.json").is_file() and any(map(is_named_gguf, base.iterdir()))
    if is_named_gguf(base) or is_collection:
        raise UnsupportedModel(
            "{base} is GGUF, which nothing can be merged into; name the original checkpoint, or convert the "
            "adapter alone by --as-adapter and use it with `zhiyin chat --adapter`.",
            base=base,
        )
    if is_adapter(base):
        raise UnsupportedModel(
            "{base} is an adapter itself; give it with --lora and name its base with --base.", base=base
        )


def check_by_configuration(base: Path, adapter: Adapter) -> None:
    """Raise `ZhiyinError` where the base's config.json alone shows that an adapter does not fit: before weights are fetched."""
    stage = stage_of(base, read_config(base), None)
    _check_shapes(stage, adapter)


def bring_to_usual_names(stage: Stage, adapter: Adapter) -> Sentence | None:
    """Give an adapter's changes the names of the base's tensors, whatever the model was called while it was trained.

    A model that takes images names its part for text in three ways, by the version of transformers and by whether that part
    was trained alone. What is changed in its other parts goes with them.

    Returns:
        what was left out, or None.
    """
    named = adapter.changed
    blueprint = stage.family.blueprint(stage.config, None)
    wanted = {source.name for tensor in blueprint.tensors for source in tensor.sources} | {stage.embeddings, stage.head}
    usual = usual_names(wanted, named)
    if is_part(stage.config):
        usual = {name: without_part_names(other) if other not in wanted else other for name, other in usual.items()}
        kept = {name: other for name, other in usual.items() if other in wanted or not is_of_other_part(other)}
    else:
        kept = usual
    values = [name for name in kept if _VALUE_HEAD.search(name)]
    kept = {name: other for name, other in kept.items() if name not in values}
    adapter.rename(kept)
    spread_over_experts(adapter, stage.shapes)
    if len(kept) == len(named):
        return None
    if len(kept) + len(values) == len(named):
        return Sentence(
            "{adapter} brings a head that rates texts while a model is trained ({tensor}), and this is left out.",
            adapter=adapter.path,
            tensor=values[0][:100],
        )
    return Sentence(
        "{adapter} changes the parts for images or sound, too ({count} tensors), and this goes with them.",
        adapter=adapter.path,
        count=len(named) - len(kept),
    )


def check_changes(stage: Stage, adapter: Adapter) -> None:
    """Raise `ZhiyinError` when an adapter changes matrices that the model so far does not have, or of other shapes."""
    _check_shapes(stage, adapter)
    wanted = adapter.changed
    new = {*adapter.biases, stage.head}
    missing = [name for name in wanted if name not in stage.shapes and name not in new]
    if missing:
        raise _missing(stage, adapter, missing, len(wanted))


def _check_shapes(stage: Stage, adapter: Adapter) -> None:
    vocabulary = (stage.embeddings, stage.head)
    brought = {name: adapter.weights.tensors[key].shape for name, key in adapter.whole.items()}
    shapes = stage.shapes | {name: brought[name] for name in vocabulary if name in brought}
    for name, change in adapter.low_rank.items():
        if name in shapes and shapes[name] != change.shape:
            raise _wrong_shape(stage, adapter, name, change.shape)
    for name, shape in brought.items():
        known = stage.shapes.get(name, shape)
        if shape[1:] != known[1:] or (name not in vocabulary and shape != known):
            raise _wrong_shape(stage, adapter, name, shape)
    for name, rows in adapter.rows.items():
        shape, known = adapter.weights.tensors[rows.key].shape, shapes.get(name, ())
        if name in shapes and (len(shape) != 2 or shape[1:] != known[1:] or max(rows.indices, default=0) >= known[0]):
            raise _wrong_shape(stage, adapter, name, shape)
    for name, bias in adapter.biases.items():
        shape = adapter.weights.tensors[bias.key].shape
        if shape != shapes.get(name, shapes.get(f"{name.removesuffix('bias')}weight", (0,))[:1]):
            raise _wrong_shape(stage, adapter, name, shape)


def _first_stage(base: Path, checkpoint: PreparedCheckpoint) -> Stage:
    return stage_of(base, checkpoint.config, {name: tensor.shape for name, tensor in checkpoint.tensors.items()})


def stage_of(base: Path, config: Config, shapes: Mapping[str, Shape] | None) -> Stage:
    """Return the base alone, before any adapter; without shapes, those that the configuration calls for."""
    family = family_of(config, tensors_decide=shapes is not None)
    blueprint = family.blueprint(config, shapes)
    untied = config.changed(tie_word_embeddings=False)
    embeddings, head = vocabulary_tensors(family.blueprint(untied, None))
    known = shapes or {source.name: source.shape for tensor in blueprint.tensors for source in tensor.sources}
    if embeddings not in known:
        raise BadFile(
            "{path} has no tensor {tensor}, which its config.json calls for; download it all.",
            path=base,
            tensor=embeddings,
        )
    flat = next((name for name in (embeddings, head) if len(known.get(name, (0, 0))) != 2), None)
    if flat is not None:
        raise BadFile(
            "{path}: tensor {tensor} has the shape {shape}, but config.json calls for a matrix; download it again.",
            path=base,
            tensor=flat,
            shape=shape_text(known[flat]),
        )
    tied = vocabulary_tensors(blueprint)[1] in ("", embeddings)
    kept = {name: shape for name, shape in known.items() if not (tied and name == head)}
    return Stage(base, family, config, kept, embeddings, head, tied)


def _unties(stage: Stage, adapter: Adapter) -> bool:
    """Tell whether an adapter makes embeddings and head differ that are one in the model so far.

    As while it was trained: PEFT changes or replaces the one that it wraps, and the other stays what it was. Embeddings of
    another vocabulary are shared again, as transformers does when it loads such a model.
    """
    if not stage.tied or adapter.config.bool("ensure_weight_tying", default=False):
        return False
    if {stage.head, stage.embeddings} & adapter.low_rank.keys() or stage.head in adapter.rows:
        return True
    if stage.head in adapter.whole:
        return not _same(adapter, stage.head, stage.embeddings)
    key = adapter.whole.get(stage.embeddings)
    return key is not None and adapter.weights.tensors[key].shape == stage.shapes[stage.embeddings]


def _same(adapter: Adapter, first: str, second: str) -> bool:
    """Tell whether an adapter brings the same matrix under two names."""
    if second not in adapter.whole:
        return False
    one, other = (adapter.weights.read(adapter.whole[name]) for name in (first, second))
    step = 4096
    return one.shape == other.shape and all(
        np.array_equal(one[at : at + step], other[at : at + step]) for at in range(0, len(one), step)
    )


def _replace_whole(stage: Stage, adapter: Adapter) -> None:
    rows = stage.rows
    for name, key in adapter.whole.items():
        stage.shapes[name] = adapter.weights.tensors[key].shape
    for name, bias in adapter.biases.items():
        stage.shapes[name] = adapter.weights.tensors[bias.key].shape
    if stage.embeddings not in adapter.whole or stage.rows >= rows:
        return
    used = _token_count(stage, _tokenizer(stage))
    if used is None or used > stage.rows:
        before = stage.merged[-1].path if stage.merged else stage.base
        raise BadFile(
            "{adapter} brings a vocabulary of {count} tokens, but {base} has {known} already: an adapter like it "
            "has been merged into the base, or the order is wrong; use the original base and name the adapters in "
            "the order of their training.",
            adapter=adapter.path,
            count=stage.rows,
            base=before,
            known=rows,
        )


def _refuse_merged_already(stage: Stage, adapter: Adapter, base: Checkpoint) -> None:
    _refuse_without_chinese_llama(stage, adapter)
    key = adapter.whole.get(stage.embeddings)
    if stage.merged or key is None or ".base_layer." in key:
        return
    if adapter.weights.tensors[key].shape != stage.shapes[stage.embeddings]:
        return
    rows = np.linspace(0, stage.rows - 1, _SAMPLED_ROWS).astype(np.int64)
    ours, theirs = (
        tensors.read(name)[rows].astype(np.float16)
        for tensors, name in ((base, stage.embeddings), (adapter.weights, key))
    )
    if np.array_equal(ours, theirs):
        raise BadFile(
            "{base} holds the embeddings of {adapter} already: the adapter has been merged into it, and merging it "
            "twice would spoil the model; convert it as it is, or name the original base.",
            base=stage.base,
            adapter=adapter.path,
        )


def _refuse_without_chinese_llama(stage: Stage, adapter: Adapter) -> None:
    """Chinese-Alpaca-Plus, -Pro and -33B were trained on Chinese-LLaMA-Plus: ymcui/Chinese-LLaMA-Alpaca, README, model table."""
    key = adapter.whole.get(stage.embeddings)
    if key is None or adapter.weights.tensors[key].shape[0] != _CHINESE_ALPACA_ROWS:
        return
    names = f"{adapter.path.resolve().name} {Path(adapter.base_name).name}".lower()
    stacked = re.search(r"(?<![a-z])(?:plus|pro|33b)(?![a-z])", names)
    if stacked and stage.rows < _CHINESE_LLAMA_ROWS:
        raise BadFile(
            "{adapter} (Chinese-Alpaca-{kind}) was trained on top of Chinese-LLaMA's own adapter, which {base} "
            "with its {count} tokens lacks; name both in this order: --lora CHINESE-LLAMA-PLUS-LORA --lora "
            "{adapter}.",
            adapter=adapter.path,
            kind=stacked[0].title(),
            base=stage.base,
            count=stage.rows,
        )


def _wrong_shape(stage: Stage, adapter: Adapter, name: str, shape: Shape) -> ZhiyinError:
    known = stage.shapes.get(name, ())
    if name in (stage.embeddings, stage.head) and shape and shape[1:] == known[1:]:
        return BadFile(
            "{adapter} was trained with a vocabulary of {count} tokens, but {base} has {known}; name the base (or "
            "the adapter before it) that has the same vocabulary.",
            adapter=adapter.path,
            count=shape[0],
            base=_named(stage),
            known=known[0],
        )
    width = min(change.shape[1] for change in adapter.low_rank.values()) if adapter.low_rank else (*shape, 0)[-1]
    ours = stage.config.int("hidden_size", "n_embd", "d_model", default=(*known, 0)[-1])
    return BadFile(
        "{adapter} was trained for a model of width {width}, but {base} has the width {known} (tensor {tensor}: {shape} against "
        "{expected}); take the adapter and the base of the same size.",
        adapter=adapter.path,
        width=_width(stage, width),
        base=_named(stage),
        known=_width(stage, ours),
        tensor=name,
        shape=shape_text(shape),
        expected=shape_text(known),
    )


def _missing(stage: Stage, adapter: Adapter, missing: Sequence[str], total: int) -> ZhiyinError:
    inside = next((name for name in missing if f"{name.rsplit('.', 2)[0]}.weight" in stage.shapes), None)
    if inside is not None:
        return UnsupportedModel(
            "{path} holds {name}, which is no part of a LoRA that can be merged; merge it with the program "
            "that trained it, then convert the result.",
            path=adapter.path,
            name=inside[:100],
        )
    return BadFile(
        "{adapter} changes {tensor}, which {base} of the family {family} does not have ({part} of its {total} tensors are "
        "missing there); name the base that it was trained on.",
        adapter=_with_its_base(adapter),
        tensor=missing[0][:100],
        base=_named(stage),
        family=stage.family.title,
        part=Sentence("all") if len(missing) == total else len(missing),
        total=total,
    )


def _contents(adapter: Adapter) -> Sentence:
    ranks = ", ".join(map(str, sorted({change.rank for change in adapter.low_rank.values()})))
    matrices, replaced = len(adapter.low_rank), len(adapter.whole)
    if not ranks:
        return Sentence("brings {whole} whole tensors", whole=replaced)
    if not replaced:
        return Sentence("changes {matrices} matrices (rank {rank})", matrices=matrices, rank=ranks)
    return Sentence(
        "changes {matrices} matrices (rank {rank}) and brings {whole} whole tensors",
        matrices=matrices,
        rank=ranks,
        whole=replaced,
    )


def _named(stage: Stage) -> Sentence | Path:
    if not stage.merged:
        return stage.base
    return Sentence("{base} with {adapter} on it", base=stage.base, adapter=stage.merged[-1].path)


def _with_its_base(adapter: Adapter) -> Sentence | Path:
    if not adapter.base_name:
        return adapter.path
    return Sentence("{adapter} (trained on {base})", adapter=adapter.path, base=adapter.base_name[:100])


def _width(stage: Stage, width: int) -> Sentence | int:
    known = _LLAMA_SIZES.get(width) if stage.family.name == "llama" else None
    return Sentence("{width}, as LLaMA {size}", width=width, size=known) if known else width


def _with_vocabulary(stage: Stage) -> Config:
    return stage.config.with_vocabulary(stage.rows).changed(tie_word_embeddings=stage.tied)


def _tokenizer(stage: Stage) -> Path:
    """Return the folder of the last adapter's tokenizer, or of the base's where the adapters have none.

    Training programs add a padding token or two to the tokenizer that they save without enlarging the model; such tokens were
    never trained, and the tokenizer before counts.
    """
    folder = checkpoint_folder(stage.base)
    for adapter in stage.merged:
        count = _token_count(stage, adapter.path)
        if count is None:
            continue
        if count > stage.rows + _FEW_TOKENS:
            raise BadFile(
                "{adapter} has a tokenizer of {count} tokens and brings no embeddings for them, but {base} has "
                "only {known}; name the base that it was trained on.",
                adapter=adapter.path,
                count=count,
                base=stage.base,
                known=stage.rows,
            )
        if count <= stage.rows:
            folder = adapter.path
    return folder


def _token_count(stage: Stage, folder: Path) -> int | None:
    """Return how many tokens the tokenizer in a folder has; None: there is none."""
    names = ("tokenizer.model", "tokenizer.json", "vocab.json", "ice_text.model", "qwen.tiktoken")
    if not any((folder / name).is_file() for name in names):
        return None
    read = stage.family.blueprint(stage.config, None).read_vocabulary or read_vocabulary
    return len(read(folder, stage.config).tokens)
