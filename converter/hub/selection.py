"""Which files of a Hub repository are needed: one set of weights and the small files beside it, never code.

Everything here looks at names and sizes alone, so that what will be fetched is known before the first byte of weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from converter.gguf_header import GGUFHeader
from models.errors import BadFile, ZhiyinError

SAFETENSORS_INDEX = "model.safetensors.index.json"
TORCH_INDEX = "pytorch_model.bin.index.json"

_SMALL = re.compile(
    r"(adapter_|generation_|tokenizer_)?config\.json|(tokenizer|special_tokens_map|added_tokens|tekken)\.json"
    r"|(vocab|chat_template)\.json|chat_template\.jinja|(merges|vocab|rwkv_vocab\w*)\.txt|[\w.-]+\.(tiktoken|model)"
    r"|additional_chat_templates/[\w-]+\.jinja|README\.md|(LICENSE|NOTICE)(\.\w+)?",
    re.IGNORECASE,
)
"""Configuration, tokenizer, chat templates, model card and licence; all but further templates lie at the top."""
_WEIGHTS: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    (SAFETENSORS_INDEX, (r"model\.safetensors", r"model-\d+-of-\d+\.safetensors")),
    (TORCH_INDEX, (r"pytorch_model\.bin", r"pytorch_model-\d+-of-\d+\.bin")),
    (None, (r"(?!consolidated|adapter_model|training_args).+\.safetensors",)),
    (None, (r"(?!optimizer|scheduler|training_args|rng_state).+\.(pth|pt)",)),
    (None, (r"adapter_model\.safetensors",)),
    (None, (r"adapter_model\.bin",)),
)
"""(index, names without one), from the best to the last resort: only one of them is taken."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_NUMBER = re.compile(r"-\d{5}(-of-\d{5}\.\w+)$")
_NOT_A_MODEL = re.compile(r"(^|[-_.])(mmproj|imatrix|vocab)([-_.]|$)", re.IGNORECASE)
_ENCODING = re.compile(r"[-_.](BF16|F(?:P)?16|F(?:P)?32|(?:UD-)?(?:I?Q|TQ)\d\w*|MXFP4\w*)$", re.IGNORECASE)
USUAL_QUANTS = (
    "Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "IQ4_NL", "Q4_1", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q8_0", "Q3_K_M",
    "Q3_K_L", "Q3_K_S", "Q2_K", "F16", "BF16", "F32",
)  # fmt: skip
"""What to take of a GGUF repository when the user leaves it to us, the best first."""
LOSSLESS_QUANTS = ("F32", "BF16", "F16", "Q8_0")
"""What a GGUF file may be quantized again from."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository, as the Hub lists it."""

    name: str
    """Its path in the repository, with slashes."""
    size: int
    """Bytes."""
    digest: str
    """SHA-256 of its content where it is stored by Git LFS, otherwise git's SHA-1."""

    @property
    def top(self) -> bool:
        """Tell whether it lies at the top of the repository."""
        return "/" not in self.name


class SeveralModels(ZhiyinError):
    """A repository holds several checkpoints, one file each; a user has to choose."""

    def __init__(self, template: str, files: Sequence[RemoteFile], /, **values: Any) -> None:
        """`files` are the checkpoints."""
        super().__init__(template, **values)
        self.files = tuple(files)


@dataclass(frozen=True)
class FileSelection:
    """The files to fetch."""

    files: tuple[RemoteFile, ...]
    source: str
    """The file that is the model; "": the whole folder."""
    index: str = ""
    """This file lists the weights, which are not among `files` yet."""


RemoteHeaders = Mapping[str, tuple[GGUFHeader, ...]]
"""The headers of GGUF models, one a part, by the model's quant."""


@dataclass(frozen=True)
class DownloadSelection:
    """The user's choice among a repository's files."""

    quants: Sequence[str] = USUAL_QUANTS
    """What may be taken of GGUF files, the best first."""
    checkpoint: bool = True
    """A checkpoint to convert will do."""
    converted: str = ""
    """A model that was converted to this quantization before will do without the checkpoint; "": none will."""


def choose(repository: str, files: Sequence[RemoteFile], named: str, selection: DownloadSelection) -> FileSelection:
    """Choose what to fetch.

    A checkpoint is taken before GGUF files, unless a GGUF file of the one quant that was asked for is there.

    Args:
        repository: its name, for sentences.
        files: all its files.
        named: a file in it that the user named; "": none.
        selection: what is wanted of it.

    Raises:
        ZhiyinError: there is nothing to use.
    """
    small = [file for file in files if _SMALL.fullmatch(file.name)]
    if named:
        return _named(repository, files, named, small)
    checkpoint = _checkpoint(repository, files, small) if selection.checkpoint else None
    models = gguf_models(files)
    if checkpoint is not None and not (len(selection.quants) == 1 and selection.quants[0] in models):
        return checkpoint
    if not models:
        if not selection.checkpoint:
            raise ZhiyinError(
                "{name} holds no {quant}; choose another repository or --quant.",
                name=repository,
                quant=selection.quants[0],
            )
        raise ZhiyinError(
            "{name} holds no weights that Zhiyin knows (.safetensors, .bin, .pth, .gguf); choose another repository or --quant.",
            name=repository,
        )
    chosen = _gguf(repository, models, selection)
    card = [file for file in small if file.name.startswith(("README", "LICENSE"))]
    return FileSelection((*chosen, *card), chosen[0].name)


def listed_weights(
    repository: str, files: Sequence[RemoteFile], index: str, weight_map: Mapping[str, object]
) -> tuple[RemoteFile, ...]:
    """Return the files that an index names, and those of the same series that it forgot.

    Raises:
        BadFile: the repository lacks one of them, or the index points elsewhere.
    """
    by_name = {file.name: file for file in files if file.top}
    names = sorted({name for name in weight_map.values() if isinstance(name, str)})
    missing = [name for name in names if name not in by_name]
    listed = [by_name[name] for name in names if name in by_name]
    patterns = next(group for known, group in _WEIGHTS if known == index)
    series = {_series_of(file.name) for file in listed if _SHARD.search(PurePosixPath(file.name).stem)}
    listed = [by_name[name] for name in sorted(by_name) if name in names or _series_of(name) in series]
    if _sets({file.name: file for file in listed}, patterns) and not _leaves(missing):
        missing = []  # the series is whole: there never were files of these names
    others = _sets({name: file for name, file in by_name.items() if file not in listed}, patterns)
    if len(others) == 1 and missing and not _leaves(names):
        return tuple(others[0])  # the index was left behind
    if missing or not names:
        raise BadFile(
            "{name} lacks files that its {index} lists ({names}); choose another revision or repository.",
            name=repository,
            index=index,
            names=", ".join(missing)[:80] or "-",
        )
    if others:
        raise two_sets(repository, listed, others[0])
    return tuple(listed)


def _leaves(names: Iterable[str]) -> bool:
    """Tell whether any of these is no plain name of a file."""
    return any("/" in name or "\\" in name for name in names)


def whole_sets(files: Iterable[RemoteFile]) -> list[list[RemoteFile]]:
    """Return the sets of weights at the top of a repository, those in Mistral's own names last; only whole ones."""
    top = {file.name: file for file in files if file.top}
    patterns = [pattern for index, group in _WEIGHTS if index is not None for pattern in group]
    return _sets(top, [*patterns, r"consolidated(-\d+-of-\d+)?\.safetensors"])


def _sets(files: Mapping[str, RemoteFile], patterns: Iterable[str]) -> list[list[RemoteFile]]:
    """Return the files that match patterns, those that are parts of one model together, and only whole models."""
    groups: dict[str, list[RemoteFile]] = {}
    for pattern in patterns:
        for name in sorted(files):
            if re.fullmatch(pattern, name):
                stem = PurePosixPath(name).stem
                count = match[0].rpartition("-")[2] if (match := _SHARD.search(stem)) else ""
                groups.setdefault(_SHARD.sub("", stem) + count, []).append(files[name])
    return [group for group in groups.values() if len(group) == _parts_of(group[0].name)]


def _parts_of(name: str) -> int:
    match = _SHARD.search(PurePosixPath(name).stem)
    return int(match[0].rpartition("-")[2]) if match else 1


def two_sets(repository: str, one: Sequence[RemoteFile], other: Sequence[RemoteFile]) -> SeveralModels:
    """Return the question which of two sets is meant; each goes by its first file, and is as large as all of its files."""
    first, second = (replace(files[0], size=size_of(files)) for files in (one, other))
    return SeveralModels(
        "{name} holds two sets of weights; say which one is meant: {name}/{first} ({size:size}) or {name}/{second} "
        "({other:size}).",
        (first, second),
        name=repository,
        first=first.name,
        second=second.name,
        size=first.size,
        other=second.size,
    )


def is_model_file(name: str) -> bool:
    """Tell by its name whether a file at the top holds weights of a model, or a part of them."""
    patterns = (pattern for index, group in _WEIGHTS for pattern in group if not pattern.startswith("adapter_model"))
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def is_small(name: str) -> bool:
    """Tell whether a file that was fetched holds no weights: configuration, index, tokenizer, card or licence."""
    return name in (SAFETENSORS_INDEX, TORCH_INDEX) or _SMALL.fullmatch(name) is not None


def weights_bytes(files: Iterable[RemoteFile]) -> int:
    """Return the bytes of those files that are no small ones."""
    return sum(file.size for file in files if not is_small(file.name))


def _named(repository: str, files: Sequence[RemoteFile], named: str, small: Sequence[RemoteFile]) -> FileSelection:
    match = next((file for file in files if file.name == named), None)
    if match is None:
        usable = [file.name for file in files if file.name.endswith((".gguf", ".safetensors", ".pth", ".pt", ".bin"))]
        raise ZhiyinError(
            "{name} has no file {file}; its files of weights are: {files}.",
            name=repository,
            file=named,
            files=_listing(usable),
        )
    group = [file for file in files if _series_of(file.name) == _series_of(named)]
    return FileSelection((*(file for file in small if file not in group), *group), min(file.name for file in group))


def _checkpoint(repository: str, files: Sequence[RemoteFile], small: Sequence[RemoteFile]) -> FileSelection | None:
    top = {file.name: file for file in files if file.top}
    for index, patterns in _WEIGHTS:
        if index is not None and index in top:
            return FileSelection((*small, top[index]), "", index)
        if index is not None and len(sets := _sets(top, patterns)) > 1:
            raise two_sets(repository, *sets[:2])
        for pattern in patterns:
            weights = [top[name] for name in sorted(top) if re.fullmatch(pattern, name)]
            if len(weights) > 1 and index is None and not _SHARD.search(PurePosixPath(weights[0].name).stem):
                raise SeveralModels(
                    "{name} holds several models; name one: {name}/{first} (there are {files}).",
                    weights,
                    name=repository,
                    first=weights[0].name,
                    files=_listing([file.name for file in weights]),
                )
            if weights and weights[0].name.endswith((".pth", ".pt")) and len(weights) == 1:
                return FileSelection((*small, *weights), weights[0].name if "config.json" not in top else "")
            if weights:
                return FileSelection((*small, *weights), "")
    return None


def gguf_models(files: Sequence[RemoteFile]) -> dict[str, list[RemoteFile]]:
    """Return the GGUF models of a repository by their quant, each with all its parts."""
    by_model: dict[str, list[RemoteFile]] = {}
    for file in sorted(files, key=lambda file: file.name):
        if file.name.lower().endswith(".gguf") and not _NOT_A_MODEL.search(PurePosixPath(file.name).stem):
            by_model.setdefault(_model_of(file.name), []).append(file)
    models: dict[str, list[RemoteFile]] = {}
    for model, parts in by_model.items():
        match = _ENCODING.search(model)
        quant = match[1].upper().replace("FP", "F") if match else model
        models.setdefault(quant if quant not in models else model, parts)
    return models


def _series_of(name: str) -> str:
    """Return what the names of the parts of one model have in common."""
    return _NUMBER.sub(r"\1", name)


def _model_of(name: str) -> str:
    """Return a GGUF file's name without its part's number and ending."""
    return _SHARD.sub("", name.removesuffix(".gguf"))


def _gguf(repository: str, models: Mapping[str, list[RemoteFile]], selection: DownloadSelection) -> list[RemoteFile]:
    wanted = [models[quant] for quant in selection.quants if quant in models]
    if not wanted and selection.quants is not USUAL_QUANTS:
        raise ZhiyinError(
            "{name} has no {wanted} file; it has {there}: take one of these with zhiyin pull {name} --quant.",
            name=repository,
            wanted=" or ".join(selection.quants),
            there=_listing(list(models)),
        )
    return wanted[0] if wanted else min(models.values(), key=size_of)


def size_of(parts: Iterable[RemoteFile]) -> int:
    """Return the bytes of a model's parts."""
    return sum(part.size for part in parts)


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") if names else "none"
