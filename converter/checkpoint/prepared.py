"""A checkpoint with its configuration, both put in order: what its tensors say counts before what config.json says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor
from converter.checkpoint.experts_apart import ExpertsApart, with_experts_apart
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.listed_files import ListedFiles
from converter.checkpoint.meta_llama import MetaCheckpoint
from converter.checkpoint.open import listed_files, open_checkpoint, read_config
from converter.checkpoint.quantized import is_float
from converter.checkpoint.scaled import ScaledCheckpoint
from converter.checkpoint.source_file import Rows
from converter.checkpoint.usual_names import usual_names, without_wrappers
from converter.ggml import widen
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of
from models.family import Blueprint, Family, Shape
from models.sentence import Sentence

_FIRST_ROWS = 16
_ROWS_AT_ONCE = 4096
_OF_AN_ADAPTER = re.compile(
    r"\.lora_(A|B|embedding_A|embedding_B|magnitude_vector)\b|\.modules_to_save\.|\.trainable_tokens_delta\b"
)


class PreparedCheckpoint:
    """Another checkpoint under the usual names of its tensors, with the configuration that they bear out."""

    def __init__(
        self,
        inner: Checkpoint,
        stored: Mapping[str, str],
        config: Config,
        notes: tuple[Sentence, ...],
        listed: ListedFiles | None = None,
    ) -> None:
        """Take stored names by usual ones; `notes` say what was done that a user should know, `listed` is what an index lists."""
        self._inner = inner
        self._stored = stored
        self.config = config
        self.notes = notes
        self.listed = listed
        self.tensors: Mapping[str, StoredTensor] = {name: inner.tensors[own] for name, own in stored.items()}

    @property
    def path(self) -> Path:
        """The folder or file of the inner checkpoint."""
        return self._inner.path

    def read(self, name: str) -> np.ndarray:
        """Return one tensor in memory."""
        return self._inner.read(self._stored[name])

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read when they are used, where the layout allows."""
        return self._inner.rows(self._stored[name])

    def stored_names(self, name: str) -> tuple[str, ...]:
        """Return the stored tensors that one is read from: itself and its scales, or the one that packs it."""
        own = self._stored[name]
        return self._inner.stored_names(own) if isinstance(self._inner, ScaledCheckpoint | ExpertsApart) else (own,)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self._inner.check()

    def close(self) -> None:
        """Let go of the files."""
        self._inner.close()


def open_prepared(source: Path, weights: Path | None = None) -> PreparedCheckpoint:
    """Open a checkpoint of weights to be converted.

    Args:
        source: its folder, or a single file.
        weights: which of the folder's files of weights is meant, where there are several sets.

    Raises:
        BadFile: a file is missing or damaged, or the configuration is.
        UnsupportedModel: no family knows it.
    """
    inner = open_checkpoint(source, weights)
    try:
        return prepared(source, inner)
    except BaseException:
        inner.close()
        raise


def prepared(source: Path, inner: Checkpoint) -> PreparedCheckpoint:
    """Put an opened checkpoint in order; as `open_prepared`."""
    if isinstance(inner, GGUFFile):
        raise BadFile("{path} is GGUF; name the original checkpoint.", path=source)
    unmerged = next((name for name in inner.tensors if _OF_AN_ADAPTER.search(name)), None)
    if unmerged is not None and source.is_dir():
        raise UnsupportedModel(
            "{path} holds a model with an adapter that was not merged into it (tensor {tensor}); save it merged (PEFT: "
            "merge_and_unload), or name the base with --base and the adapter with --lora.",
            path=source,
            tensor=unmerged[:100],
        )
    listed = listed_files(inner)
    stored = without_wrappers(inner.tensors)
    bare = PreparedCheckpoint(inner, stored, Config({}), ())
    config = read_config(source, inner if isinstance(inner, MetaCheckpoint) else bare)
    family = family_of(config, tensors_decide=True)
    wanted = _names(family.blueprint(config, None))
    inner = with_experts_apart(inner, wanted)
    stored = without_wrappers(inner.tensors)
    usual = usual_names(wanted, stored)
    named = {usual[name]: own for name, own in stored.items()}
    if len(named) < len(stored):
        raise BadFile("{path} holds tensors twice, under several names; save the model by itself.", path=source)
    config, rows_notes = _by_its_rows(inner, named, config, family)
    config, notes, named = _by_its_head(inner, named, config, family)
    of_index = () if listed is None else listed.notes
    return PreparedCheckpoint(inner, named, config, (*of_index, *rows_notes, *notes), listed)


def _names(blueprint: Blueprint) -> set[str]:
    return {source.name for tensor in blueprint.tensors for source in tensor.sources}


def _by_its_rows(
    inner: Checkpoint, stored: Mapping[str, str], config: Config, family: Family
) -> tuple[Config, tuple[Sentence, ...]]:
    """Let the tensors decide how many tokens there are; a tokenizer of another size is cut or filled up to them.

    Raises:
        BadFile: embeddings and output head have different numbers of rows.
    """
    if config.origin == str(inner.path):
        return config, ()  # it was read off the tensors
    blueprint = family.blueprint(config.changed(tie_word_embeddings=False), None)
    sources = {source.name: source for tensor in blueprint.tensors for source in tensor.sources}
    named = [name for name in dict.fromkeys(vocabulary_tensors(blueprint)) if name in stored]
    rows = {name: inner.tensors[stored[name]] for name in named if is_float(inner.tensors[stored[name]])}
    sizes = {
        name: tensor.shape[0]
        for name, tensor in rows.items()
        if len(tensor.shape) == 2 and tensor.shape[1:] == sources[name].shape[1:]
    }
    if len(set(sizes.values())) > 1:
        (first, one), (second, other) = sizes.items()
        raise BadFile(
            "{path}: {first} has {one} rows, and {second} has {other}, though both belong to one vocabulary; the checkpoint is "
            "damaged: get it again.",
            path=inner.path,
            first=first,
            one=one,
            second=second,
            other=other,
        )
    planned = {name: sources[name].shape[0] for name in sizes}
    differing = next((name for name in sizes if sizes[name] != planned[name]), None)
    if differing is None:
        return config, ()
    note = Sentence(
        "{tensor} has {rows} rows, so the model has as many tokens, though config.json says {said}.",
        tensor=differing,
        rows=sizes[differing],
        said=planned[differing],
    )
    return config.with_vocabulary(sizes[differing]), (note,)


def _by_its_head(
    inner: Checkpoint, stored: dict[str, str], config: Config, family: Family
) -> tuple[Config, tuple[Sentence, ...], dict[str, str]]:
    """Let the tensors decide whether embeddings and output head are one, as transformers 5 does (`tie_weights`)."""
    shapes = {name: inner.tensors[own].shape for name, own in stored.items()}
    embeddings, head = vocabulary_tensors(family.blueprint(config.changed(tie_word_embeddings=False), None))
    if head in ("", embeddings):
        return config, (), stored

    def is_tied(config: Config, shapes: Mapping[str, Shape] | None) -> bool:
        return vocabulary_tensors(family.blueprint(config, shapes))[1] in ("", embeddings)

    if embeddings not in stored:
        swapped = {embeddings: stored[head]} if head in stored and is_tied(config, None) else {}
        return config, _of_own_names(shapes, config, family), stored | swapped
    if head not in stored:
        missed = is_tied(config, shapes) and not is_tied(config, None)
        return config, (_without_head(head, embeddings),) if missed else (), stored
    alike = _are_alike(inner, stored[embeddings], stored[head])
    decided = config.changed(tie_word_embeddings=alike)
    if alike is is_tied(config, shapes) or alike is not is_tied(decided, shapes):
        return config, (), stored
    return decided, (_decided(head, embeddings, alike=alike),), stored


def _of_own_names(shapes: Mapping[str, Shape], config: Config, family: Family) -> tuple[Sentence, ...]:
    """Say of RWKV, whose names differ by layout, that the embeddings are its head where nothing ties them."""
    embeddings, head = vocabulary_tensors(family.blueprint(config, shapes))
    if embeddings != head or embeddings not in shapes or config.bool("tie_word_embeddings", default=False):
        return ()
    return (_without_head("head.weight", embeddings),)


def vocabulary_tensors(blueprint: Blueprint) -> tuple[str, str]:
    """Return what a checkpoint calls its token embeddings and its output head; "": it has none of its own."""
    sources = {tensor.name: tensor.sources[0].name for tensor in blueprint.tensors if tensor.sources}
    return sources.get("token_embd.weight", ""), sources.get("output.weight", "")


def _decided(head: str, embeddings: str, *, alike: bool) -> Sentence:
    if alike:
        return Sentence(
            "{head} and {embeddings} hold the same values, so they became one tensor, though config.json does not tie them.",
            head=head,
            embeddings=embeddings,
        )
    return Sentence(
        "{head} differs from {embeddings}, so both were converted, though config.json ties them.",
        head=head,
        embeddings=embeddings,
    )


def _without_head(head: str, embeddings: str) -> Sentence:
    return Sentence(
        "The checkpoint has no {head}, and config.json does not tie it to {embeddings}, which takes its place: answers make "
        "sense only where the model was trained so.",
        head=head,
        embeddings=embeddings,
    )


def _are_alike(inner: Checkpoint, one: str, other: str) -> bool:
    """Tell whether two matrices hold the same values."""
    if inner.tensors[one].shape != inner.tensors[other].shape:
        return False
    first, second = inner.rows(one), inner.rows(other)
    # Most differ in the first rows, and those may lie on a host.
    edges = (0, *range(_FIRST_ROWS, len(first), _ROWS_AT_ONCE), len(first))

    def values(rows: Rows, start: int, end: int) -> np.ndarray:
        return widen(np.asarray(rows[start:end]))

    return all(np.array_equal(values(first, *cut), values(second, *cut)) for cut in pairwise(edges))
