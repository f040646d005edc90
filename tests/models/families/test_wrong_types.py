"""Values of a configuration in wrong JSON types: refused with a sentence, or of a key that changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.families import family_of, understood
from tests.support.damaged_files import RANDOM_MODELS

WRONG: tuple[Any, ...] = ("2", "true", True, 1, 2.5, [2], ["a"], {"a": 1}, [None])
CHANGES_NOTHING = {
    "attention_bias",  # the tensors tell
    "beta_fast", "beta_slow", "factor",  # beside "alpha", which is all that Hunyuan's code reads
    "bos_token_id", "eos_token_id", "pad_token_id",  # read with the tokenizer
    "hidden_act",  # beside Gemma's "hidden_activation"
    "mamba_d_head", "original_max_position_embeddings", "original_rope",
    "mrope_interleaved", "mrope_section",  # of pictures
    "num_nextn_predict_layers", "topk_method",
    "scoring_func",  # of GLM-4.5, which has one
}  # fmt: skip


def _what_is_made(config: dict[str, Any]) -> str:
    known = understood(Config(config))
    return repr(family_of(known).blueprint(known, None))


def _places(config: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _places(value, (*path, key))


def _kind(value: Any) -> type:
    return float if type(value) in (int, float) else type(value)


def _taken(config: dict[str, Any]) -> Iterator[str]:
    """Yield the keys that are taken in a wrong type."""
    for path in _places(config):
        for value in WRONG:
            changed = copy.deepcopy(config)
            section = changed
            for key in path[:-1]:
                section = section[key]
            right, section[path[-1]] = section[path[-1]], value
            if right is None or _kind(value) is _kind(right):
                continue
            try:
                _what_is_made(changed)
            except (BadFile, UnsupportedModel):
                continue
            yield path[-1]


@pytest.mark.parametrize("name", RANDOM_MODELS)
def test_a_wrong_type_is_refused_or_changes_nothing(name: str) -> None:
    config = RANDOM_MODELS[name]()[0]
    wrong = {key for key in _taken(config) if key != "architectures"}
    assert wrong <= CHANGES_NOTHING


@pytest.mark.parametrize("name", RANDOM_MODELS)
def test_a_class_by_itself_is_a_list_of_one(name: str) -> None:
    config = RANDOM_MODELS[name]()[0]
    (alone,) = config["architectures"]
    assert _same(config | {"architectures": alone}, config)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    known = [understood(Config(config)) for config in (one, other)]
    made = [family_of(config).blueprint(config, None) for config in known]
    return made[0].parameters == made[1].parameters and [tensor.name for tensor in made[0].tensors] == [
        tensor.name for tensor in made[1].tensors
    ]


@pytest.mark.parametrize("value", [5, True, {"a": 1}, [1], [None]])
@pytest.mark.parametrize("key", ["architectures", "model_type"])
def test_what_names_no_model_is_told_by_its_key(key: str, value: Any) -> None:
    config = RANDOM_MODELS["llama"]()[0]
    with pytest.raises(BadFile, match=key):
        _what_is_made(config | {key: value})
