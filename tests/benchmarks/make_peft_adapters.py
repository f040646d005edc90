"""Trains adapters of every method and option of PEFT on tiny models, in name only: every number is random.

In an environment of its own that has torch, transformers and peft, from the repository's root:

    PATH/TO/python -m tests.benchmarks.make_peft_adapters FOLDER [TEXT ...]

Each adapter's folder has what PEFT saves, the logits of PEFT's own merge (merged.npy, where PEFT merges it) and of its forward
pass (forward.npy), and `case.json`: the base, and the words of which a refusal must have one. What PEFT itself refuses to make is
printed. `compare_with_peft` converts all of them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.data.transformers.make import CASES, SIZES
from tests.data.transformers.weights import IDS, values

Options = dict[str, Any]
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
ALL = [*ATTENTION, "gate_proj", "up_proj", "down_proj"]
PLAIN: Options = {"target_modules": ALL, "r": 4, "lora_alpha": 8}
QUERIES: Options = {"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 8}
BASES = {
    "llama": "llama plain", "biased": "llama", "tied": "llama tied", "qwen2": "qwen2", "mixtral": "mixtral",
    "qwen3_moe": "qwen3_moe", "qwen2_moe": "qwen2_moe", "qwen3_5_moe": "qwen3_5_moe_text", "gpt_oss": "gpt_oss",
    "deepseek_v3": "deepseek_v3", "glm4_moe": "glm4_moe", "granite": "granitemoehybrid experts", "gemma3": "gemma3_text",
    "qwen3_5": "qwen3_5_text", "phi3": "phi3",
}  # fmt: skip
PACKED = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
GRANITE = ["block_sparse_moe.experts.gate_up_proj", "block_sparse_moe.experts.down_proj"]
EXPERTS: Options = {"target_modules": [], "r": 4, "lora_alpha": 8}
MIXTURES = ("mixtral", "qwen3_moe", "qwen2_moe", "qwen3_5_moe", "gpt_oss", "deepseek_v3", "glm4_moe")
EMBEDDINGS, HEAD = "embed_tokens", "lm_head"

LORA: dict[str, tuple[str, Options]] = {
    "plain": ("llama", PLAIN),
    "all linear": ("llama", PLAIN | {"target_modules": "all-linear"}),
    "regular expression": ("llama", PLAIN | {"target_modules": r".*layers\.[01]\.self_attn\.[qk]_proj"}),
    "excluded": ("llama", PLAIN | {"exclude_modules": ["k_proj"]}),
    "rank of 1": ("llama", PLAIN | {"r": 1}),
    "rslora": ("llama", PLAIN | {"use_rslora": True}),
    "dora": ("llama", PLAIN | {"use_dora": True}),
    "dora, rslora": ("llama", PLAIN | {"use_dora": True, "use_rslora": True}),
    "dora of embeddings": ("llama", PLAIN | {"target_modules": [EMBEDDINGS, HEAD], "use_dora": True}),
    "layers": ("llama", PLAIN | {"layers_to_transform": [1]}),
    "layers by pattern": ("llama", PLAIN | {"layers_to_transform": [0], "layers_pattern": "layers"}),
    "rank_pattern": ("llama", PLAIN | {"rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.up_proj": 6}}),
    "alpha_pattern": ("llama", PLAIN | {"alpha_pattern": {"v_proj": 24, "model.layers.0.self_attn.q_proj": 3}}),
    "alpha_pattern, both": ("llama", PLAIN | {"alpha_pattern": {"^model.layers.0": 3, "v_proj": 24}, "use_rslora": True}),
    "alpha_pattern, several repeats": ("llama", PLAIN | {"alpha_pattern": {
        r".*\.layers\.[0-9]+\..*_attn\.(q|k)_proj": 3, r"^model\.(?!layers\.0\.).*\.(up|down)_proj": 24, "layers.0": 40}}),
    "alpha_pattern, the first counts": ("llama", PLAIN | {"alpha_pattern": {".*": 5, "q_proj": 24}}),
    "alpha of 0": ("llama", PLAIN | {"lora_alpha": 0}),
    "biases of none": ("biased", PLAIN),
    "biases of all": ("biased", PLAIN | {"bias": "all"}),
    "biases of LoRA": ("biased", PLAIN | {"bias": "lora_only"}),
    "lora_bias": ("biased", PLAIN | {"lora_bias": True}),
    "lora_bias, bias of all": ("biased", PLAIN | {"lora_bias": True, "bias": "all"}),
    "lora_bias of qwen2": ("qwen2", QUERIES | {"lora_bias": True}),
    "lora_bias, rslora": ("qwen2", QUERIES | {"lora_bias": True, "use_rslora": True}),
    "lora_bias without a bias": ("llama", QUERIES | {"lora_bias": True}),
    "lora_bias, dora": ("biased", QUERIES | {"lora_bias": True, "use_dora": True}),
    "modules_to_save": ("llama", PLAIN | {"modules_to_save": [EMBEDDINGS, HEAD]}),
    "modules_to_save, head": ("llama", PLAIN | {"modules_to_save": [HEAD]}),
    "modules_to_save, norms": ("llama", PLAIN | {"modules_to_save": ["input_layernorm", "norm"]}),
    "modules_to_save, tied": ("tied", PLAIN | {"modules_to_save": [EMBEDDINGS]}),
    "modules_to_save, tied head": ("tied", PLAIN | {"modules_to_save": [HEAD]}),
    "modules_to_save, tied again": ("tied", PLAIN | {"modules_to_save": [EMBEDDINGS], "ensure_weight_tying": True}),
    "embeddings and head": ("llama", PLAIN | {"target_modules": [EMBEDDINGS, HEAD, "k_proj"]}),
    "embeddings of tied": ("tied", PLAIN | {"target_modules": [EMBEDDINGS]}),
    "head of tied": ("tied", PLAIN | {"target_modules": [HEAD]}),
    "embeddings of tied, tied again": ("tied", PLAIN | {"target_modules": [EMBEDDINGS], "ensure_weight_tying": True}),
    "trainable tokens": ("llama", PLAIN | {"trainable_token_indices": [3, 17, 41]}),
    "trainable tokens by name": ("llama", PLAIN | {"trainable_token_indices": {EMBEDDINGS: [3, 17], HEAD: [8, 5, 2]}}),
    "trainable tokens of tied": ("tied", PLAIN | {"trainable_token_indices": [3, 17, 41]}),
    "trainable tokens, tied again": ("tied", PLAIN | {"trainable_token_indices": [41, 3], "ensure_weight_tying": True}),
    "trainable tokens, dora": ("llama", PLAIN | {"trainable_token_indices": [8], "use_dora": True}),
    "trainable tokens of a part": ("gemma3", QUERIES | {"trainable_token_indices": [3, 17, 41]}),
    "target_parameters, matrices": ("llama", EXPERTS | {"target_parameters": ["q_proj.weight", "mlp.up_proj.weight"]}),
    "target_parameters, router": ("qwen3_moe", EXPERTS | {"target_parameters": ["mlp.gate.weight"]}),
    **{f"target_parameters of {name}": (name, EXPERTS | {"target_parameters": PACKED}) for name in MIXTURES},
    "target_parameters of granite": ("granite", EXPERTS | {"target_parameters": GRANITE}),
    "target_parameters, rslora": ("qwen3_moe", EXPERTS | {"target_parameters": PACKED, "use_rslora": True}),
    "target_parameters, down": ("qwen3_moe", EXPERTS | {"target_parameters": PACKED[1:]}),
    "target_parameters, up": ("gpt_oss", EXPERTS | {"target_parameters": PACKED[:1]}),
    "target_parameters and modules": ("qwen3_moe", PLAIN | {"target_modules": ATTENTION, "target_parameters": PACKED}),
    "target_parameters of a layer": (
        "qwen3_moe", EXPERTS | {"target_parameters": ["layers.0.mlp.experts.gate_up_proj", "layers.1.mlp.experts.down_proj"]},
    ),
    "target_parameters, alpha_pattern": (
        "qwen3_moe", EXPERTS | {"target_parameters": PACKED, "alpha_pattern": {"gate_up_proj": 20}},
    ),
    "target_parameters, rank_pattern": (
        "qwen3_moe", EXPERTS | {"target_parameters": PACKED, "rank_pattern": {"down_proj": 2}},
    ),
    "shared experts": ("qwen2_moe", PLAIN),
    "linear attention": ("qwen3_5", PLAIN | {"target_modules": "all-linear"}),
    "packed matrices": ("phi3", PLAIN | {"target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]}),
    "latent attention": ("deepseek_v3", PLAIN | {"target_modules": "all-linear"}),
    **{f"begun by {name}": ("llama", QUERIES | {"init_lora_weights": name}) for name in (
        "gaussian", "orthogonal", "mica", "eva", "olora", "pissa", "pissa_niter_4", False)},
    "layer_replication": ("llama", QUERIES | {"layer_replication": [(0, 2), (1, 2)]}),
    "alora_invocation_tokens": ("llama", QUERIES | {"alora_invocation_tokens": [5, 6]}),
    "velora_config": ("llama", QUERIES | {"velora_config": getattr(peft, "VeloraConfig", dict)()}),
    "kasa_config": ("llama", QUERIES | {"kasa_config": getattr(peft, "KasaConfig", dict)()}),
    "use_bdlora": ("llama", QUERIES | {"use_bdlora": getattr(peft, "BdLoraConfig", dict)(
        target_modules_bd_a=["q_proj"], match_strict=False)}),
    "arrow_config": ("llama", QUERIES | {"arrow_config": getattr(peft, "ArrowConfig", dict)()}),
    "monteclora_config": ("llama", QUERIES | {"monteclora_config": getattr(peft, "MontecloraConfig", dict)()}),
    "use_qalora": ("llama", QUERIES | {"use_qalora": True}),
    "fan_in_fan_out": ("llama", QUERIES | {"fan_in_fan_out": True}),
}  # fmt: skip
"""Options of LoraConfig; a refusal of one names its first word, or the option that stands in its name."""
NEEDED: dict[str, Options] = {
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 2},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "VBLORA": {"vector_length": 16, "num_vectors": 8},
    "TRAINABLE_TOKENS": {"target_modules": [EMBEDDINGS], "token_indices": [3, 17]},
    "FOURIERFT": {"n_frequency": 16},
    "WAVEFT": {"n_frequency": 16},
    "BOFT": {"boft_block_size": 4},
    "OFT": {"oft_block_size": 8, "r": 0},
    "C3A": {"block_size": 16},
    "ADALORA": {"total_step": 10},
    "XLORA": {"adapters": {}},
    "TINYLORA": {"r": 2},
    "SHIRA": {"r": 4},
    "ROAD": {"group_size": 16},
}
"""What a method of another kind than LoRA does not begin without."""


def main() -> None:
    """Write bases and adapters."""
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)  # the models are tiny
    print(torch.__version__, transformers.__version__, peft.__version__)
    target, only = Path(sys.argv[1]), sys.argv[2:]
    for name, (base, options) in _cases().items():
        if not only or any(text in name for text in only):
            _make(target, name, base, options)


def _cases() -> dict[str, tuple[str, Options]]:
    methods = {
        kind.value: ("llama", {"peft_type": kind.value}) for kind in PEFT_TYPE_TO_CONFIG_MAPPING if kind.value != "LORA"
    }
    return LORA | methods


def _make(target: Path, name: str, base: str, options: Options) -> None:
    folder = target / "adapters" / name.replace(", ", "-").replace(" ", "_")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        wrapped = _trained(_base(target, base), options)
        wrapped.save_pretrained(folder)
        np.save(folder / "forward.npy", _logits(wrapped))
    except Exception as error:  # whatever PEFT says of it
        print(f"{name}: PEFT refuses it, {str(error).splitlines()[0][:150] if str(error) else type(error).__name__}")
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        np.save(folder / "merged.npy", _logits(wrapped.merge_and_unload()))
    except Exception as error:
        print(f"{name}: PEFT does not merge it, {str(error)[:100] or type(error).__name__}")
    (folder / "case.json").write_text(json.dumps({"base": base, "words": _words(name, options)}))


def _words(name: str, options: Options) -> list[str]:
    begun = options.get("init_lora_weights")
    return [options.get("peft_type", name.partition(",")[0]), *([begun] if isinstance(begun, str) else ()), *options]


def _base(target: Path, name: str) -> Any:
    folder = target / "bases" / name
    if not folder.exists():
        case = BASES[name]
        options = SIZES | CASES.get(case, {"tie_word_embeddings": False})
        config = CONFIG_MAPPING[case.partition(" ")[0]](**options)
        AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
        weights = folder / "model.safetensors"
        save_file({key: values(key, a.shape) for key, a in load_file(weights).items()}, weights, {"format": "pt"})
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.config.use_cache = False  # X-LoRA asks for it
    return model


def _trained(model: Any, options: Options) -> Any:
    """Wrap a model in an adapter whose every number is random, as if it had been trained."""
    torch.manual_seed(0)
    wrapped = peft.get_peft_model(model, _config(options))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            noise = torch.randn(parameter.shape, generator=generator)
            near = any(word in name for word in ("magnitude", "modules_to_save", "token")) or name.endswith(".bias")
            parameter.data.copy_(parameter * (1 + 0.2 * noise) + 0.02 * noise if near else parameter + 0.1 * noise)
    return wrapped.eval()


def _config(options: Options) -> Any:
    options = dict(options)
    kind = options.pop("peft_type", None)
    if kind is None:
        return peft.LoraConfig(task_type="CAUSAL_LM", **options)
    made = PEFT_TYPE_TO_CONFIG_MAPPING[kind]
    known = made.__dataclass_fields__
    usual = {"target_modules": ["q_proj", "v_proj"], "num_virtual_tokens": 4, "task_type": "CAUSAL_LM", "num_tasks": 1}
    wanted = {key: value for key, value in (usual | NEEDED.get(kind, {})).items() if key in known}
    return made(**wanted)


def _logits(model: Any) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = model(input_ids=torch.tensor([IDS])).logits[0].float().numpy()
    return found[-len(IDS) :]


if __name__ == "__main__":
    main()
