"""The part for text of models that see or hear as well: its configuration, its tensors, and a word to the user about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from models.config import Config
from models.decoder import Shapes
from models.family import OutputTensor
from models.sentence import Sentence

_USUAL = "model."
_PREFIXES = ("model.language_model.", "language_model.model.")
"""In front of `layers.0…`: as transformers writes it today, and as it once did."""
LEFT_OUT = Sentence(
    "This model takes images or sound as well: only its part for text was converted, which answers texts as the whole "
    "model does."
)


def text_config(config: Config, defaults: Mapping[str, Any]) -> Config:
    """Return the configuration of the part for text, or the whole where there is no other part.

    Args:
        config: the whole.
        defaults: what transformers takes where a configuration is silent; publishers leave these out.
    """
    part = config.section("text_config")
    data = part.data or config.data  # a null is no default
    classes = {key: config.data[key] for key in ("architectures",) if key in config}
    tied = {key: config.data[key] for key in ("tie_word_embeddings",) if key in config}  # the whole model's counts
    return config.changed(**{**defaults, **classes, **data, **tied})


def is_part(config: Config) -> bool:
    """Tell whether the model has other parts, too."""
    return "text_config" in config


def text_tensors(tensors: Iterable[OutputTensor], shapes: Shapes) -> tuple[OutputTensor, ...]:
    """Return tensors whose sources begin with `model.` with the beginning that this checkpoint gives to its part for text."""
    prefix = next((p for p in _PREFIXES if shapes is not None and any(name.startswith(p) for name in shapes)), _USUAL)
    head = "language_model.lm_head.weight"
    moved = {"lm_head.weight": head} if shapes is not None and head in shapes else {}
    return tuple(
        replace(
            tensor,
            sources=tuple(
                replace(source, name=moved.get(source.name) or _moved(source.name, prefix)) for source in tensor.sources
            ),
        )
        for tensor in tensors
    )


def without_part_names(name: str) -> str:
    """Return a tensor's name without what says that it is of the part for text."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    return name.removeprefix("language_model.") if prefix is None else _USUAL + name.removeprefix(prefix)


def _moved(name: str, prefix: str) -> str:
    return prefix + name.removeprefix(_USUAL) if name.startswith(_USUAL) else name
