"""Families of models: the `Blueprint` that each gives the converter and the memory planner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from models.gguf_constants import GGMLQuantizationType
from models.sentence import Sentence

if TYPE_CHECKING:
    import numpy as np

    from models.config import Config
    from models.vocab.vocabulary import Vocabulary

Metadata = dict[str, Any]
"""GGUF key-value pairs: values are bool, int, float, str, lists of one of these, or bytes (an array of numbers from 0 to 255)."""

STOP = "zhiyin.chat.stop"
"""GGUF key: texts that end a reply."""

Shape = tuple[int, ...]
"""Row-major, as NumPy and torch write it: a linear layer's weight is (out, in)."""

Transform: TypeAlias = "Callable[..., np.ndarray]"
"""Source arrays (stored dtype, `ml_dtypes.bfloat16` included) -> one array of the output tensor's shape.

Moving elements must keep the dtype (the quantizer widens later, in small pieces); arithmetic must be done in float32.
"""


@dataclass(frozen=True)
class Source:
    """A tensor that the checkpoint must hold, with the shape that its configuration promises."""

    name: str
    shape: Shape
    integers: bool = False
    """Whole numbers, which the transform widens; all others must be floats."""


@dataclass(frozen=True)
class OutputTensor:
    """One tensor of the GGUF file and how it is made of the checkpoint's tensors."""

    name: str
    shape: Shape
    sources: tuple[Source, ...]
    transform: Transform | None = None
    """None: the only source as it is."""
    exact: bool = False
    """Always F32: vectors and small tensors that a runner reads element by element. 1-D tensors are F32 anyway."""
    by_rows: bool = False
    """The transform changes each row by itself: it is given the same rows [n, …] of every source, never the whole of one."""
    encoding: GGMLQuantizationType | None = None
    """The transform returns rows in this type, uint8 [..., bytes of a row], of uint8 sources: the publisher quantized them."""


@dataclass(frozen=True)
class ChatFormat:
    """How a chat is written for models whose checkpoint carries no template of its own."""

    template: str
    """Jinja, as `tokenizer.chat_template` in GGUF: any llama.cpp program renders it."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply, for formats whose turn separator is not one token."""
    sampling: Metadata = field(default_factory=dict)
    """What the publisher recommends: keys below `general.sampling.` (temp, top_p, top_k, min_p, penalty_repeat)."""
    tokens: tuple[str, ...] = ()
    """Tokens that the template writes, where the vocabulary takes their texts for ordinary ones."""
    chat_format: str = ""
    """A name in `models.chat.chat_formats`, where the template alone does not say how to chat."""


@dataclass(frozen=True)
class Blueprint:
    """All there is to know of one model from its configuration alone, without its weights."""

    architecture: str
    """`general.architecture` of the GGUF file."""
    parameters: Metadata
    """Keys below the architecture's prefix: `block_count`, `attention.head_count` …"""
    tensors: tuple[OutputTensor, ...]
    vocabulary_size: int
    """Rows of the token embedding; the vocabulary is padded to it."""
    read_vocabulary: Callable[[Path, Config], Vocabulary] | None = None
    """For tokenizers with a layout of their own; None: `models.vocab.read_vocabulary` finds out from the files."""
    built_in_vocabulary: Callable[[Path | None], Vocabulary] | None = None
    """For weights that come without a tokenizer. Takes their folder, whose chat template comes along; None for a single file:
    what else lies in its folder says nothing about it."""
    chat: ChatFormat | None = None
    metadata: Metadata = field(default_factory=dict)
    """Further GGUF keys, whole names."""
    warnings: tuple[Sentence, ...] = ()
    """What a user should know of limits that the converted model has; whole sentences."""
    default_quant: str = "Q4_K_M"
    """What `--quant auto` means: the smallest mixture that leaves this family's answers intact."""

    @property
    def stored(self) -> int:
        """Numbers that the checkpoint holds; packed ones count as many as they are."""
        counts: dict[str, int] = {}
        for tensor in self.tensors:
            packed = tensor.encoding is not None
            counts |= {tensor.name: prod(tensor.shape)} if packed else {s.name: prod(s.shape) for s in tensor.sources}
        return sum(counts.values())


def _no_config(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    return None


@dataclass(frozen=True)
class Family:
    """A family of models: data and a few pure functions. One file in `models/families` defines it as `FAMILY`."""

    name: str
    """Short and lower-case, the same as the file's name."""
    title: str
    """As its authors write it."""
    classes: tuple[str, ...]
    """`architectures` entries of config.json, in any letter case."""
    model_types: tuple[str, ...] = field(default=(), kw_only=True)
    """`model_type` entries of the publisher's own code, for configurations that name no class; see `models.transformers_configs`
    for those of transformers. The first of `classes` is meant."""
    blueprint: Callable[[Config, Mapping[str, Shape] | None], Blueprint]
    """(configuration, shapes of the checkpoint's tensors by name or None when only the configuration is there) -> `Blueprint`."""
    recognise: Callable[[Config], bool] = lambda config: True
    """Tells families apart that share a class name."""
    quantized: tuple[str, ...] = ()
    """`quant_method` entries of config.json whose weights it takes as they are."""
    language_part: bool = False
    """Of models that see or hear as well, the part for text is converted."""
    config_of: Callable[[Mapping[str, Shape], str], Config | None] = _no_config
    """(shapes by name, the file's name for errors) -> the configuration read off them, for checkpoints without a config.json or
    whose config.json says less than the tensors do; None: not this family."""
