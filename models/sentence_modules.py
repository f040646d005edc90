"""The modules around a transformer that make an embedding model of it, as sentence-transformers saves them.

Source of the files: sentence-transformers, `SentenceTransformer.save`: modules.json lists the modules, each in a folder of its
own with a config.json; sentence_bert_config.json and config_sentence_transformers.json lie beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from models.errors import BadFile, UnsupportedModel
from models.untrusted_json import read_struct

_T = TypeVar("_T")
_KNOWN = ("Transformer", "Pooling", "Normalize", "Dense")
_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
_NEWER_POOLINGS = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_MOST_TOKENS = 1 << 20
_LONGEST_PROMPT = 4000


@dataclass(frozen=True)
class Dense:
    """A linear layer behind the pooling."""

    folder: str
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Modules:
    """The modules after a transformer: pooling, dense layers, normalisation."""

    pooling: str = "mean"
    """mean, cls or last."""
    normalized: bool = False
    most_tokens: int = 0
    """Longer texts are cut; 0: as many as the transformer takes."""
    prompts: dict[str, str] = field(default_factory=dict)
    dense: tuple[Dense, ...] = ()

    def prompt(self, *names: str) -> str:
        """Return the first of these prompts that there is, or ""."""
        return next((self.prompts[name] for name in names if self.prompts.get(name)), "")


class _Module(msgspec.Struct):
    type: str
    path: str = ""


class _Pooling(msgspec.Struct):
    pooling_mode: str | None = None
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False
    include_prompt: bool = True


class _Dense(msgspec.Struct):
    in_features: int
    out_features: int
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"


class _Transformer(msgspec.Struct):
    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Sentences(msgspec.Struct):
    prompts: dict[str, str] | None = None


def read_modules(folder: Path) -> Modules | None:
    """Return the modules of a checkpoint's folder; None where it has none.

    Raises:
        BadFile: one of the files is damaged, or leads out of the folder.
        UnsupportedModel: a module or a pooling that llama.cpp does not compute.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return None
    listed = read_struct(path, list[_Module])
    kinds = [module.type.rpartition(".")[2] for module in listed]
    for module, kind in zip(listed, kinds, strict=True):
        if kind not in _KNOWN:
            raise UnsupportedModel(
                "{path} lists a module {name}, which llama.cpp does not compute.", path=path, name=module.type[:80]
            )
        if Path(module.path).name != module.path or module.path == "..":
            raise BadFile(
                "{path} points outside its folder ({name}); get the checkpoint elsewhere.",
                path=path,
                name=module.path[:80],
            )
    of_kind = {kind: folder / module.path for module, kind in zip(listed, kinds, strict=True)}
    dense = tuple(_dense(folder / module.path) for module, kind in zip(listed, kinds, strict=True) if kind == "Dense")
    transformer = _optional(folder / "sentence_bert_config.json", _Transformer) or _Transformer()
    sentences = _optional(folder / "config_sentence_transformers.json", _Sentences) or _Sentences()
    most = transformer.max_seq_length or 0
    return Modules(
        pooling=_pooling(of_kind["Pooling"] / "config.json") if "Pooling" in of_kind else "mean",
        normalized="Normalize" in of_kind,
        most_tokens=most if 0 < most < _MOST_TOKENS else 0,
        prompts={name: text[:_LONGEST_PROMPT] for name, text in (sentences.prompts or {}).items()},
        dense=dense,
    )


def _optional(path: Path, kind: type[_T]) -> _T | None:
    return read_struct(path, kind) if path.is_file() else None


def _pooling(path: Path) -> str:
    """Return the only pooling that a file asks for."""
    config = read_struct(path, _Pooling)
    if config.pooling_mode is not None:
        poolings = [_NEWER_POOLINGS.get(config.pooling_mode, "")]
    else:
        known = [ours for theirs, ours in _POOLINGS.items() if getattr(config, theirs)]
        others = (
            config.pooling_mode_max_tokens,
            config.pooling_mode_mean_sqrt_len_tokens,
            config.pooling_mode_weightedmean_tokens,
        )
        poolings = [*known, *("" for other in others if other)]
    if len(poolings) != 1 or not poolings[0] or not config.include_prompt:
        raise UnsupportedModel(
            "{path} asks for a pooling that llama.cpp does not compute; it has the mean, the first and the last token.",
            path=path,
        )
    return poolings[0]


def _dense(folder: Path) -> Dense:
    path = folder / "config.json"
    config = read_struct(path, _Dense)
    if config.bias or not config.activation_function.endswith("Identity"):
        raise UnsupportedModel(
            "{path} describes a layer with a bias or an activation, which llama.cpp does not compute.", path=path
        )
    return Dense(folder.name, config.in_features, config.out_features)
