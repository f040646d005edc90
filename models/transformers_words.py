"""A configuration as transformers 5 reads it: further names of keys, values of silent keys, and which rotary section counts.

Source: transformers, configuration_utils.py (`attribute_map`, `convert_rope_params_to_dict`), modeling_rope_utils.py
(`standardize_rope_params`) and models/gemma3/configuration_gemma3.py. A key whose value is null is not silent:
of what is true or false it means false.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from models.config import Config
from models.transformers_configs import CONFIGS

ROTARY, OLD_ROTARY = "rope_parameters", "rope_scaling"
_TEXT = "text_config"
_FULL = "full_attention"
_LENGTH = "original_max_position_embeddings"
_WITH_LENGTH = ("llama3", "yarn", "longrope")
_FLOAT = "__float__"
_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_DEEPEST = 4
_BY_LAYER_TYPE = ("gemma3_text",)
"""Model types that have a section for each kind of layers, into whose full attention an old section is put."""


def in_transformers_words(config: Config) -> Config:
    """Return a configuration with every key under each of its names, silent keys filled in and one rotary section.

    Filled in is only what belongs to a `model_type` of transformers; publishers' own code takes values of its own.

    Raises:
        BadFile: the `model_type` is no text.
    """
    config.str("model_type", default="")
    data = _read(config.data)
    part = data.get(_TEXT)
    return config.replaced(data | ({_TEXT: _read(part)} if isinstance(part, Mapping) else {}))


def _read(data: Mapping[str, Any]) -> dict[str, Any]:
    model_type = data.get("model_type")
    known = CONFIGS.get(model_type) if isinstance(model_type, str) else None
    renamed = {key: _with_floats(value) for key, value in data.items()}
    if known is not None:
        # transformers sets attributes by a key's further names after those by its own
        renamed |= {name: renamed[alias] for alias, name in known.aliases.items() if renamed.get(alias) is not None}
        renamed = {**known.silent, **renamed}
        renamed |= {name: False for name, value in known.silent.items() if value is True and renamed[name] is None}
        renamed |= {alias: renamed[name] for alias, name in known.aliases.items() if renamed.get(name) is not None}
    return _with_one_rotary_section(renamed, model_type in _BY_LAYER_TYPE)


def _with_floats(value: Any, depth: int = _DEEPEST) -> Any:
    """Return a value with the numbers that JSON does not have, which transformers 5 writes as objects."""
    if isinstance(value, Mapping):
        if value.keys() == {_FLOAT}:
            return _FLOATS.get(value[_FLOAT], value) if isinstance(value[_FLOAT], str) else value
        return {key: _with_floats(inner, depth - 1) for key, inner in value.items()} if depth else value
    return [_with_floats(inner, depth - 1) for inner in value] if isinstance(value, list) and depth else value


def _with_one_rotary_section(data: dict[str, Any], by_layer_type: bool) -> dict[str, Any]:
    old, new = data.get(OLD_ROTARY), data.get(ROTARY)
    if not all(value is None or isinstance(value, Mapping) for value in (old, new)):
        return data  # who reads it says what is wrong
    if by_layer_type:
        sections = {key: value for key, value in (new or {}).items() if isinstance(value, Mapping)}
        section = sections | ({_FULL: {**sections.get(_FULL, {}), **old}} if old else {})
    else:
        section = dict(old or new or {})
        length = data.get(_LENGTH)
        if length is not None and section.get("rope_type", section.get("type")) in _WITH_LENGTH:
            section[_LENGTH] = length
    is_written = bool(section) or new is not None  # an empty one is not silent
    return {key: value for key, value in data.items() if key != OLD_ROTARY} | ({ROTARY: section} if is_written else {})
