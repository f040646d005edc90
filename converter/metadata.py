"""The `general.*` keys of a GGUF file and its customary name, by the ecosystem's own rules (package gguf).

That package is imported where it is used: it brings NumPy, YAML and SentencePiece along, which planning needs none of.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from converter.checkpoint.open import checkpoint_folder
from converter.hub.manifest import read_origin
from converter.recipes import Recipe
from models.config import Config
from models.family import OutputTensor
from models.untrusted_json import read_object, read_start
from models.visible import visible

_QUANTIZATION_VERSION = 2
_NAME_PARTS = ("name", "organization", "basename", "finetune", "version", "size_label")
_SAMPLING = "general.sampling."
_SAMPLING_KEYS = (
    ("temperature", "temp", float),
    ("top_p", "top_p", float),
    ("top_k", "top_k", int),
    ("min_p", "min_p", float),
    ("repetition_penalty", "penalty_repeat", float),
)
"""generation_config.json's name, GGUF's name, type."""
_LARGEST = 1e9
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
"""What no system's file names may hold; the parts of a name come from the model card, which is untrusted."""
_LONGEST = 200
_LONGEST_CARD = 128 * 1024
_LONGEST_TEXT = 2000
_MOST_ITEMS = 500
_DEEPEST = 2
"""Of the values of a model card: a list of objects."""
_ENCODING = re.compile(r"[-.](BF16|F16|F32|I?Q\d\w*)$", re.IGNORECASE)


class Parameters(NamedTuple):
    """How many parameters a model has, as `gguf.size_label` wants them: mixtures are named 8x7B."""

    total: int
    shared: int
    expert: int
    """Of one expert, over all layers."""
    experts: int


def count_parameters(tensors: Sequence[OutputTensor]) -> Parameters:
    """Count as llama.cpp's converter does (gguf, `get_total_parameter_count`)."""
    stacked = [tensor.shape for tensor in tensors if "_exps." in tensor.name and len(tensor.shape) >= 3]
    total = sum(prod(tensor.shape) for tensor in tensors)
    shared = total - sum(map(prod, stacked))
    expert = sum(prod(shape) // shape[-3] for shape in stacked)
    return Parameters(total, shared, expert, sum(shape[-3] for shape in stacked) // max(len(stacked), 1))


def general_metadata(source: Path, config: Config, recipe: Recipe, parameters: Parameters) -> dict[str, Any]:
    """Return name, base name, size label, version, licence, languages … as far as folder, model card and config tell."""
    import gguf

    metadata = _load(source, config, parameters)
    recorder = gguf.GGUFWriter(None, "none")  # only collects keys; it never opens a file
    metadata.set_gguf_meta_model(recorder)
    keys = {key: entry.value for key, entry in recorder.kv_data[0].items() if key != "general.architecture"}
    return {
        "general.type": "model",
        **{key: value for key, value in keys.items() if not key.startswith(_SAMPLING)},
        **_sampling(config),
        "general.file_type": int(recipe.file_type),
        "general.quantization_version": _QUANTIZATION_VERSION,
    }


def _sampling(config: Config) -> dict[str, Any]:
    """Return what generation_config.json recommends for choosing tokens; greedy choice leaves the rest without meaning."""
    values = config.generation
    if values.get("do_sample") is False:
        return {}
    sampling: dict[str, Any] = {}
    for theirs, ours, kind in _SAMPLING_KEYS:
        value = values.get(theirs)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LARGEST:
            sampling[_SAMPLING + ours] = kind(value)
    return sampling


def base_model(folder: Path, repository: str) -> dict[str, Any]:
    """Return `general.base_model.*` of what was made from one base: its folder, and its repository (or "")."""
    is_repository = re.fullmatch(r"[\w.-]+/[\w.-]+", repository) is not None and not Path(repository).exists()
    name = repository.split("/")[1] if is_repository else folder.resolve().name
    pairs = {"general.base_model.count": 1, "general.base_model.0.name": name}
    if is_repository:
        pairs["general.base_model.0.repo_url"] = f"https://huggingface.co/{repository}"
    return pairs


def file_name(source: Path, config: Config, recipe: Recipe, parameters: Parameters) -> str:
    """Return `<BaseName>-<SizeLabel>-<FineTune>-<Version>-<Encoding>.gguf`."""
    import gguf

    metadata = _load(source, config, parameters)
    name: str = gguf.naming_convention(
        metadata.name, metadata.basename, metadata.finetune, metadata.version, metadata.size_label, recipe.name
    )
    return f"{_UNSAFE.sub('-', name).lstrip('.-')[:_LONGEST] or 'model'}.gguf"


def requantized_name(source: Path, recipe: Recipe) -> str:
    """Return the name of a GGUF file with its encoding replaced, or with one added."""
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", source.name, flags=re.IGNORECASE)
    return f"{_ENCODING.sub('', stem)}-{recipe.name}.gguf"


def _load(source: Path, config: Config, parameters: Parameters) -> Any:
    import gguf

    logging.getLogger("gguf").setLevel(logging.ERROR)
    named = config.str("_name_or_path", default="") or source.resolve().name
    try:
        card = _model_card(source)
    except Exception as error:  # a strange model card must not stop a conversion
        reason = visible(" ".join(str(error).split())[:_LONGEST])
        logging.getLogger(__name__).warning("%s: the model card was left out (%s)", source, reason)
        card = {}
    # A single file is named without its ending.
    path = Path(source.stem) if source.is_file() else source
    metadata = gguf.Metadata.apply_metadata_heuristic(
        gguf.Metadata(), card, _written_name(source), path, parameters.total
    )
    _name_by_origin(metadata, card, source, parameters.total)
    _keep_texts(metadata)
    if metadata.name is None:
        metadata.name = Path(named).name[:_LONGEST]
    if metadata.size_label is None and parameters.total:
        metadata.size_label = gguf.size_label(*parameters)
    return metadata


def _written_name(source: Path) -> dict[str, str]:
    """Return what config.json calls the model, in the form that gguf wants."""
    path = source / "config.json"
    name = Config(read_object(path), str(path)).str("_name_or_path", default="") if path.is_file() else ""
    return {"_name_or_path": name} if 0 < len(name) <= _LONGEST else {}


def _model_card(source: Path) -> dict[str, Any]:
    """Return the values at the beginning of README.md, read as llama.cpp's converter reads them (gguf, `load_model_card`)."""
    path = source / "README.md"
    if not path.is_file():
        return {}
    start = read_start(path, _LONGEST_CARD)
    lines = start.decode("utf-8", "replace").splitlines()
    if not lines or lines[0] != "---":
        return {}
    end = lines.index("---", 1) if "---" in lines[1:] else len(lines)
    if end == len(lines) and len(start) == _LONGEST_CARD:
        raise ValueError("its values are longer than those of any model")
    text = "\n".join(lines[1:end]) + "\n"
    import yaml

    # `no` is the language, not false; some cards indent by tabs.
    card = yaml.safe_load(text.replace("- no\n", '- "no"\n').replace("\t", "  "))
    return {str(key): _plain(value, _DEEPEST) for key, value in card.items()} if isinstance(card, dict) else {}


def _plain(value: Any, depth: int) -> Any:
    """Return a value of a model card without what is nested too deeply, too long, or neither a text nor a number.

    YAML's references make billions of characters of a few lines.
    """
    if isinstance(value, list) and depth:
        return [_plain(item, depth - 1) for item in value[:_MOST_ITEMS]]
    if isinstance(value, dict) and depth:
        return {_plain(key, 0): _plain(item, depth - 1) for key, item in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else None
    is_number = (isinstance(value, int) and abs(value) < _LARGEST) or isinstance(value, float)
    return value if is_number else None


def _name_by_origin(metadata: Any, card: dict[str, Any], source: Path, parameters: int) -> None:
    """Name a downloaded model after its repository; its folder here has another name, and `_name_or_path` is often its base."""
    origin = read_origin(checkpoint_folder(source))
    if origin is None:
        return
    import gguf

    texts = {key: value for key, value in card.items() if isinstance(value, str)}
    named = gguf.Metadata.apply_metadata_heuristic(
        gguf.Metadata(), texts, {"_name_or_path": origin.repository}, None, parameters
    )
    for part in _NAME_PARTS:
        setattr(metadata, part, getattr(named, part))
    metadata.source_repo_url = metadata.source_repo_url or origin.url


def _keep_texts(metadata: Any) -> None:
    """Make texts of what the model card gives for texts, and drop what cannot be: YAML makes a number of `version: 1.0`."""
    for field in fields(metadata):
        value = getattr(metadata, field.name)
        if field.type == "Optional[str]":
            setattr(metadata, field.name, _text(value))
        elif field.name in ("base_models", "datasets") and value is not None:
            setattr(metadata, field.name, [_texts(entry) for entry in value if isinstance(entry, dict)])
        elif field.name in ("tags", "languages") and value is not None:
            setattr(metadata, field.name, [text for item in value if (text := _text(item)) is not None])


def _texts(entry: dict[Any, Any]) -> dict[str, str]:
    texts = {str(key): _text(value) for key, value in entry.items()}
    return {key: text for key, text in texts.items() if text is not None}


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value))) or None
    return str(value) if isinstance(value, (str, int, float)) else None
