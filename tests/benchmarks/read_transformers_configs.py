"""Prints `models/transformers_configs.py` anew: what the configuration classes of an installed transformers take for absent keys.

In an environment of its own that has torch and transformers:

    PATH/TO/python tests/benchmarks/read_transformers_configs.py > models/transformers_configs.py && uv run ruff format models
"""

from __future__ import annotations

import dataclasses
from typing import Any

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as MODELS
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as MODELS_THAT_SEE

_MODEL_TYPES = (
    "deepseek_v2", "deepseek_v3", "ernie4_5", "gemma2", "gemma3", "gemma3_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite",
    "gpt_oss", "granite", "granitemoehybrid", "hunyuan_v1_dense", "internlm3", "llama", "minicpm3", "mistral", "mixtral",
    "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "rwkv",
    "smollm3",
)  # fmt: skip
_CLASSES = {"internlm3": "InternLM3ForCausalLM"}
"""Where transformers computes a family by the class of another one, and the publisher's code has its own."""
_WITHOUT_EFFECT = (
    "_token_id", "_token_index", "_dropout", "_pdrop", "router_", "_loss_coef", "output_", "initializer_range", "use_cache",
    "pretraining_tp", "return_dict", "chunk_size_feed_forward", "is_encoder_decoder", "mamba_chunk_size", "mamba_d_head",
    "image_size", "mm_tokens", "rescale_every", "time_step_limit",
)  # fmt: skip
_HEAD = '''"""Defaults and key aliases of transformers' configuration classes.

Made by tests/benchmarks/read_transformers_configs.py from transformers {version}; `models.transformers_words` applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class TransformersConfig(NamedTuple):
    """A configuration class of transformers."""

    model: str
    """The class of models that it is for."""
    aliases: Mapping[str, str]
    """`attribute_map`: further name of a key -> its name."""
    silent: Mapping[str, Any]
    """Key -> its value where config.json has no such key."""


CONFIGS = {{
'''


def main() -> None:
    """Print the module."""
    print(_HEAD.format(version=transformers.__version__), end="")
    for model_type in _MODEL_TYPES:
        known = CONFIG_MAPPING[model_type]
        model = _CLASSES.get(model_type) or MODELS_THAT_SEE.get(model_type) or MODELS[model_type]
        aliases = {key: name for key, name in known.attribute_map.items() if "token" not in key}
        print(f"    {model_type!r}: TransformersConfig({model!r}, {aliases!r}, {_silent(known)!r}),")
    print("}")


def _silent(known: Any) -> dict[str, Any]:
    declared = {field.name: field.default for field in dataclasses.fields(known)}
    found = {
        key: value
        for key, value in declared.items()
        if isinstance(value, (bool, int, float, str)) and not any(part in key for part in _WITHOUT_EFFECT)
    }
    positions = getattr(known(), "rope_parameters", None) or {}
    if isinstance(known.default_theta, float) and positions:
        found["rope_theta"] = known.default_theta
        part = positions.get("partial_rotary_factor", 1.0)
        found |= {} if part == 1.0 else {"partial_rotary_factor": part}
    return found


if __name__ == "__main__":
    main()
