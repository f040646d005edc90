"""Makes cases.json and logits.npz: tiny models as transformers 5 saves them, and what transformers computes with them.

In an environment of its own that has torch and transformers: PATH/TO/python -m tests.data.transformers.make

A case has the config.json that `save_pretrained` wrote and the names and shapes of its tensors; their values follow from the
names (`weights.py`), so that no weights have to be kept.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.data.transformers.weights import IDS, values

_FOLDER = Path(__file__).parent
SIZES = {
    "vocab_size": 48, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
_HEAD = {"head_dim": 16}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
_SHARED = {"shared_expert_intermediate_size": 40}
_LATENT = {
    "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8,
    "v_head_dim": 16,
}  # fmt: skip
_ROUTED = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "n_shared_experts": 1, "n_group": 1,
    "topk_group": 1,
}  # fmt: skip
_DELTA = {
    "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "head_dim": 16,
}  # fmt: skip
_MAMBA = {
    "num_local_experts": 0, "num_experts_per_tok": 0, "shared_intermediate_size": 96, "layer_types": ["mamba", "attention"],
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16,
}  # fmt: skip
_GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 10000.0}
_ROUNDED = {"rope_parameters": _YARN | {"truncate": True}}  # llama.cpp rounds always: models.families.gpt_oss
_TIED, _UNTIED = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
CASES: dict[str, dict[str, Any]] = {
    "deepseek_v2": _LATENT | _ROUTED | {"q_lora_rank": None, "first_k_dense_replace": 1, "num_hidden_layers": 3},
    "deepseek_v3": _LATENT | _ROUTED | {"first_k_dense_replace": 1, "n_routed_experts": 8, "n_group": 2},
    "deepseek_v3 tied": _LATENT | _ROUTED | {"first_k_dense_replace": 1} | _TIED,
    "ernie4_5": _HEAD,
    "ernie4_5 untied": _HEAD | _UNTIED,
    "gemma2": _GEMMA,
    "gemma2 uncapped": _GEMMA | {"final_logit_softcapping": None, "attn_logit_softcapping": None},
    "gemma3_text": _GEMMA | {"num_hidden_layers": 7},
    "gemma3_text untied": _GEMMA | _UNTIED,
    "glm": _HEAD,
    "glm4": _HEAD | {"attention_bias": False} | _TIED,
    "glm4_moe": _HEAD | _ROUTED,
    "glm4_moe normed": _HEAD | _ROUTED | {"use_qk_norm": True} | _TIED,
    "glm4_moe_lite": _LATENT | _ROUTED | {"mlp_layer_types": ["sparse", "sparse"]},
    "gpt_oss": _HEAD | {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 64} | _ROUNDED,
    "granite": {
        "embedding_multiplier": 12.0,
        "logits_scaling": 8.0,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.0625,
    },
    "granite biased": {"attention_bias": True, "mlp_bias": True} | _TIED,
    "granitemoehybrid": _MAMBA,
    "granitemoehybrid experts": _MAMBA | {"num_local_experts": 4, "num_experts_per_tok": 2} | _TIED,
    "hunyuan_v1_dense": _HEAD | _TIED,
    "internlm3": _HEAD | {"attention_bias": True, "mlp_bias": True},
    "llama": {"attention_bias": True, "mlp_bias": True},
    "llama tied": _TIED,
    "llama yarn": {"rope_parameters": _YARN},
    "minicpm3": _LATENT,
    "minicpm3 untied": _LATENT | _UNTIED,
    "mistral": {"sliding_window": 16},
    "mixtral": {"num_local_experts": 4},
    "phi3": {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5, "rope_theta": 10000.0}},
    "phi3 longrope": {
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 1024,
        "rope_parameters": {
            "rope_type": "longrope",
            "short_factor": [1.0] * 8,
            "long_factor": [2.0] * 8,
            "rope_theta": 1e4,
        },
    },
    "qwen2": _TIED,
    "qwen2_moe": _EXPERTS | _SHARED,
    "qwen2_moe tied": _EXPERTS | _SHARED | {"qkv_bias": False} | _TIED,
    "qwen3": _HEAD | _TIED,
    "qwen3_5_moe_text": _DELTA | _EXPERTS | _SHARED,
    "qwen3_5_text": _DELTA | _TIED,
    "qwen3_moe": _EXPERTS | {"norm_topk_prob": True},
    "smollm3": {"num_hidden_layers": 4},
    "smollm3 untied": {"num_hidden_layers": 4} | _UNTIED,
}


def main() -> None:
    """Write both files."""
    transformers.logging.set_verbosity_error()
    cases, logits = {}, {}
    for name, said in CASES.items():
        model_type = name.partition(" ")[0]
        config = CONFIG_MAPPING[model_type](**(SIZES | said))
        with tempfile.TemporaryDirectory() as folder:
            cases[name], logits[name] = _case(Path(folder), config)
        print(name)
    (_FOLDER / "cases.json").write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    np.savez_compressed(_FOLDER / "logits.npz", **logits)


def _case(folder: Path, config: Any) -> tuple[dict[str, Any], np.ndarray]:
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    with safe_open(folder / "model.safetensors", "np") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - no mapping
    save_file(
        {key: values(key, shape) for key, shape in shapes.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    model, said = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if said["missing_keys"] or said["unexpected_keys"] or said["mismatched_keys"]:
        raise SystemExit(str(said))
    with torch.no_grad():
        found = model.eval()(input_ids=torch.tensor([IDS])).logits[0].numpy()
    saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {"config": saved, "shapes": shapes}, found.astype(np.float32)


if __name__ == "__main__":
    main()
